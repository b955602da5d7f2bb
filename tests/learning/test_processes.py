"""Trainings in processes of their own: killed and resumed, two that are one, and the command that starts both."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dataset_tools.readers import _tiny_ours

# One interpreter imports everything once and forks a process for each training, which starts in milliseconds.
_DRIVER = """
import json, os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from dataset_tools.readers import _tiny_ours
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.models import splite
from learning.models._splite_network import hand_hierarchy
from learning.train import train

base = Path(sys.argv[1])
read = HandDataset.__getitem__

def unevenly_labelled(self, where):
    # From 5 to 17 joints, and a mesh now and then: the halves of a batch hold different numbers of labels.
    item, k = read(self, where), where[1] % 4
    known = item.joints_valid & (np.arange(21) < 5 + 4 * k)
    vertices = item.vertices_m if k == 1 else np.full_like(item.vertices_m, np.nan)
    return replace(item, joints_valid=known, vertices_m=vertices)

HandDataset.__getitem__ = unevenly_labelled
root, net = base / "data", splite.Config(width=8, head_channels=16)
settings = TrainConfig(net=net, data=root, size=64, batch_size=4, device="cpu", log_every=1, ema=0.9, validate_every=4,
                       validate_split="test", validate_samples=3, check=False)

def fork(job, *arguments):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        job(*arguments)
        code = 0
    finally:
        os._exit(code)

def train_in(settings, environment):
    os.environ.update(environment)
    if settings.precision == "64-true":
        torch.set_default_dtype(torch.float64)
    train(settings)

def start(settings, **environment):
    return fork(train_in, settings, environment)

def end(child):
    assert os.waitpid(child, 0)[1] == 0

def logged(folder):
    path = folder / "metrics.jsonl"
    return path.read_text().count('"loss"') if path.exists() else 0

end(fork(_tiny_ours.write, root, 4))
# What the trainings share is made once; nothing that starts threads, which a fork would leave behind.
hand_hierarchy(net.spiral_length)
# What the trainings share is made once; nothing that starts threads, which a fork would leave behind.
hand_hierarchy(net.spiral_length)
short = replace(settings, steps=8, save_every=3)
end(start(replace(short, out=base / "straight")))
for workers in (0, 2):
    folder, at = base / f"killed_{workers}", random.SystemRandom().randint(3, 7)
    child = start(replace(short, out=folder, workers=workers))
    while logged(folder) < at or not (folder / "checkpoints" / "last").exists():
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    (folder / "killed.txt").write_text(f"after step {at}")
    end(start(replace(short, out=folder, workers=workers, resume=True)))

double = replace(settings, steps=5, precision="64-true", save_every=5)
end(start(replace(double, out=base / "one")))
both = dict(TORCHELASTIC_RUN_ID="x", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(random.randint(20000, 60000)),
            WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", GROUP_RANK="0")
for child in [start(replace(double, out=base / "two"), RANK=str(k), LOCAL_RANK=str(k), **both) for k in (0, 1)]:
    end(child)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("processes")
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(base)],
        capture_output=True, text=True, check=False, timeout=250, env=_one_thread(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return base


def _one_thread() -> dict[str, str]:
    import os

    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_training_resumes_to_the_same_weights_bit_for_bit(trained, workers):
    """SIGKILL at a step of chance; then the average, the weights of the last step, Adam's moments, the best step."""
    straight, killed = trained / "straight", trained / f"killed_{workers}"
    told = (killed / "killed.txt").read_text()
    _assert_same(*(load_file(run / "checkpoints" / "last" / "model.safetensors") for run in (straight, killed)), told)
    states = [torch.load(run / "checkpoints" / "last" / "state.pt", weights_only=True) for run in (straight, killed)]
    assert states[0]["step"] == states[1]["step"] == 8
    assert states[0]["best"] == states[1]["best"]
    assert states[0]["best"]["step"] in (4, 8)
    _assert_same(states[0]["weights"], states[1]["weights"], told)
    for one, other in zip(*(state["optimizer"]["state"].values() for state in states), strict=True):
        _assert_same(one, other, told)
    # The log tells of every step once, as if nothing had been.
    lines = [json.loads(line) for line in (killed / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9)), told
    assert [line["step"] for line in lines if "val_loss" in line] == [4, 8], told


def _assert_same(one: dict, other: dict, told: str) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{name}, {told}"


def test_two_processes_are_one_with_the_whole_batch(trained):
    """As torchrun starts them; labels unevenly spread, every kind of batch norm, five steps of Adam, in double."""
    one, two = (load_file(trained / name / "checkpoints" / "last" / "model.safetensors") for name in ("one", "two"))
    assert len(one) > 100
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-7, atol=1e-10, msg=name)
    a, b = ([json.loads(line) for line in (trained / name / "metrics.jsonl").open()] for name in ("one", "two"))
    assert [line["step"] for line in a] == [line["step"] for line in b] == [1, 2, 3, 4, 4, 5, 5]
    for mine, other in zip(a, b, strict=True):
        for key in {"loss", "val_loss", "val_mpjpe_mm", "val_mesh_pa_mm"} & mine.keys():
            assert other[key] == pytest.approx(mine[key], rel=1e-5), key
    moved = {k: v for k, v in one.items() if k.endswith("weight")}
    straight = load_file(trained / "straight" / "checkpoints" / "last" / "model.safetensors")
    assert any(not torch.allclose(v, straight[k].double(), rtol=1e-7, atol=1e-10) for k, v in moved.items())


def test_the_command_trains_in_two_processes(tmp_path):
    data = _tiny_ours.write(tmp_path / "data", frames=2)
    code = "import sys; from hoi_cli.train import main; sys.exit(main())"
    (tmp_path / "hoi_train.py").write_text(code)
    command = "--width 8 --head-channels 16 --size 64 --batch-size 4 --device cpu --steps 2 --log-every 1 --processes 2"
    files = ["--data", str(data), "--out", str(tmp_path / "run"), "--json", str(tmp_path / "figures.json")]
    result = subprocess.run(
        [sys.executable, str(tmp_path / "hoi_train.py"), *command.split(), *files],
        capture_output=True, text=True, check=False, timeout=200, env=_one_thread(),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("hoi-train") == 2  # the panel's title and the next command, once
    assert json.loads((tmp_path / "figures.json").read_text())["step"] == 2
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["processes"] == 2
    assert {p.name for p in tmp_path.iterdir()} == {"data", "run", "figures.json", "hoi_train.py"}
