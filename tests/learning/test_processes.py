"""Two processes compute what one does on both halves of the batch."""

import json
import subprocess
import sys

import torch
import yaml

from dataset_tools.readers import _tiny_ours

# One step of a network with every kind of batch norm; RANK of WORLD processes, each on its share of the batch.
_STEP = """
import sys
import torch
from torch import distributed, nn
from learning.layers.sparse import DenseConv2d, site_mask
from learning.models._sparse_resnet import SparseResNet

rank, world, store, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
torch.manual_seed(0)
encoder, head = SparseResNet(width=4).double().train(), DenseConv2d(16, 5, 3).double().train()
network = nn.ModuleList([encoder, head])
image = torch.rand(4, 3, 64, 64, dtype=torch.double)
image = image * (torch.rand(4, 1, 64, 64) < torch.tensor([0.02, 0.1, 0.2, 0.01]).reshape(4, 1, 1, 1))
target = torch.randn(4, 5, 4, 4, dtype=torch.double)
share = slice(rank * 4 // world, (rank + 1) * 4 // world)
loss = (head(encoder(image[share])[2]) * target[share]).sum()
loss.backward()
grads = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
if world > 1:
    for value in [loss.detach(), *grads.values()]:
        distributed.all_reduce(value)
if rank == 0:
    torch.save({"loss": loss.detach(), "grads": grads, "buffers": dict(network.named_buffers())}, out)
"""


def test_two_processes_are_one_with_the_whole_batch(tmp_path):
    def start(rank: int, world: int) -> subprocess.Popen:
        arguments = [str(rank), str(world), str(tmp_path / "store"), str(tmp_path / f"{world}.pt")]
        return subprocess.Popen([sys.executable, "-c", _STEP, *arguments], stderr=subprocess.PIPE, text=True)

    for process in [start(0, 1), start(0, 2), start(1, 2)]:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    one, two = (torch.load(tmp_path / f"{world}.pt", weights_only=True) for world in (1, 2))
    torch.testing.assert_close(two["loss"], one["loss"])
    assert len(one["grads"]) > 40
    for kind in ("grads", "buffers"):
        assert one[kind].keys() == two[kind].keys()
        for name, value in one[kind].items():
            torch.testing.assert_close(two[kind][name], value, rtol=1e-7, atol=1e-9, msg=name)


def test_the_command_trains_in_two_processes(tmp_path):
    data = _tiny_ours.write(tmp_path / "data", frames=2)
    code = "import sys; from hoi_cli.train import main; sys.exit(main())"
    (tmp_path / "hoi_train.py").write_text(code)
    command = "--width 8 --head-channels 32 --batch-size 4 --device cpu --steps 3 --log-every 1 --processes 2"
    files = ["--data", str(data), "--out", str(tmp_path / "run"), "--json", str(tmp_path / "figures.json")]
    result = subprocess.run(
        [sys.executable, str(tmp_path / "hoi_train.py"), *command.split(), *files],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("hoi-train") == 2  # the panel's title and the next command, once
    assert json.loads((tmp_path / "figures.json").read_text())["step"] == 3
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["processes"] == 2
    assert {p.name for p in tmp_path.iterdir()} == {"data", "run", "figures.json", "hoi_train.py"}
