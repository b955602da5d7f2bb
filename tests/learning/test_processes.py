"""Two processes compute what one does on the whole batch; and the command that starts two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dataset_tools.readers import _tiny_ours

TASKS = ("splite", "keypoints2d")

# One interpreter imports everything once and forks three processes: one alone, and two as torchrun starts them.
_DRIVER = """
import os, random, sys, traceback
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.models import keypoints2d, splite
from learning.train import train

base = Path(sys.argv[1])
read = HandDataset.__getitem__

def unevenly_labelled(self, where):
    # From 5 to 17 joints, and a mesh now and then: the halves of a batch hold different numbers of labels.
    item, k = read(self, where), where[1] % 4
    known = item.joints_valid & (np.arange(21) < 5 + 4 * k)
    vertices = item.vertices_m if k == 1 else np.full_like(item.vertices_m, np.nan)
    seen = item.pixels_valid & (np.arange(21) < (21 if k == 2 else 5 + 4 * k))
    return replace(item, joints_valid=known, vertices_m=vertices, pixels_valid=seen)

HandDataset.__getitem__ = unevenly_labelled
sys.modules["torch.utils.tensorboard"] = None
# In double, so that what is left of a difference is no rounding.
shared = TrainConfig(net=splite.Config(width=8, head_channels=16), data=base / "data", size=64, batch_size=4, steps=3,
                     device="cpu", log_every=1, save_every=3, ema=0.9, validate_every=0, check=False,
                     precision="64-true")
runs = [
    shared,
    replace(shared, model="keypoints2d", net=keypoints2d.Config(variant="slim", width=0.25)),
]

def start(name, **environment):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(environment)
        torch.set_default_dtype(torch.float64)
        for settings in runs:
            train(replace(settings, out=base / name / settings.model))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)

both = dict(TORCHELASTIC_RUN_ID="x", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(random.randint(20000, 60000)),
            WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", GROUP_RANK="0")
children = [start("two", RANK=str(k), LOCAL_RANK=str(k), **both) for k in (0, 1)]
codes = [os.waitpid(child, 0)[1] for child in (start("one"), *children)]
sys.exit(any(codes))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("processes")
    _tiny_ours.write(base / "data", frames=4)
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(base)],
        capture_output=True, text=True, check=False, timeout=280, env=_one_thread(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return base


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("model", TASKS)
def test_two_processes_are_one_with_the_whole_batch(trained, model):
    """Labels unevenly spread, batch norm over all sites, three steps of Adam, the running average."""
    runs = [trained / name / model for name in ("one", "two")]
    last = [run / "checkpoints" / "last" for run in runs]
    averages = [load_file(checkpoint / "model.safetensors") for checkpoint in last]
    weights = [torch.load(checkpoint / "state.pt", weights_only=True)["weights"] for checkpoint in last]
    for one, two in (averages, weights):
        assert len(one) > 20
        assert one.keys() == two.keys()
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-7, atol=1e-9, msg=f"{model}: {name}")
    a, b = ([json.loads(line) for line in (run / "metrics.jsonl").open()] for run in runs)
    assert [line["step"] for line in a] == [line["step"] for line in b] == [1, 2, 3]
    for mine, other in zip(a, b, strict=True):
        assert other["loss"] == pytest.approx(mine["loss"], rel=1e-5)
    assert a[0]["loss"] != pytest.approx(a[2]["loss"], rel=1e-3)  # it learned, and other samples


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
