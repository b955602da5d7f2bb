"""A training that was killed at a step of chance goes on to the weights of one that was not."""

import json
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from dataset_tools.readers import _tiny_ours
from learning.config import TrainConfig
from learning.models import splite
from learning.train import train

_STEPS, _LONGEST_S = 8, 120.0


def test_a_killed_training_resumes_to_the_same_weights_bit_for_bit(tmp_path, monkeypatch):
    """Weights of the last step, their average, Adam's moments and the best validation; loading processes too."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = TrainConfig(
        net=splite.Config(width=8, head_channels=16),
        data=_tiny_ours.write(tmp_path / "data", frames=4),
        size=64, batch_size=4, steps=_STEPS, save_every=3, log_every=1, ema=0.9, device="cpu", check=False,
        validate_every=4, validate_split="test", validate_samples=3,
    )  # fmt: skip
    # Forked from a process that has imported what they need and done nothing else, so each begins within a second.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["learning.train", "learning.data", "learning.models._splite_network"])

    def start(**changes) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=train, args=(replace(settings, **changes),))
        process.start()
        return process

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    first = start(out=straight)
    first.join(_LONGEST_S)
    assert first.exitcode == 0
    at = random.SystemRandom().randint(3, _STEPS - 1)
    victim, until = start(out=killed, workers=2), time.monotonic() + _LONGEST_S
    # A step is logged before it is saved: killed between the two, the third would leave nothing to go on from.
    first_save = killed / "checkpoints" / "last"
    while (len(_steps(killed)) < at or not first_save.exists()) and time.monotonic() < until:
        time.sleep(0.002)
    victim.kill()
    victim.join()
    assert not (killed / "checkpoints" / f"step_{_STEPS:06d}").exists(), f"it ended before it was killed at {at}"
    again = start(out=killed, workers=2, resume=True)
    again.join(_LONGEST_S)
    assert again.exitcode == 0, at

    assert _steps(killed) == _steps(straight) == list(range(1, _STEPS + 1))
    one, other = (load_file(run / "checkpoints" / "last" / "model.safetensors") for run in (straight, killed))
    _assert_same(one, other, at)
    states = [torch.load(run / "checkpoints" / "last" / "state.pt", weights_only=True) for run in (straight, killed)]
    assert states[0]["best"] == states[1]["best"]
    assert states[0]["best"]["step"] in (4, 8)
    _assert_same(states[0]["weights"], states[1]["weights"], at)
    for moments in zip(*(state["optimizer"]["state"].values() for state in states), strict=True):
        _assert_same(*moments, at)


def _steps(run: Path) -> list[int]:
    """Steps that the log of a run tells of."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    whole = [line for line in path.read_text(encoding="utf8").splitlines(keepends=True) if line.endswith("\n")]
    return [found["step"] for line in whole if "loss" in (found := json.loads(line))]


def _assert_same(one: dict, other: dict, at: int) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{name}, killed after step {at}"
