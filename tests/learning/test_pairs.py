"""The second-view stream: which samples come together, and that both views speak of one hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset_tools.readers import _tiny_ours, synth
from hoi_core.errors import ConfigError
from learning import losses, tasks
from learning.augment import Augment
from learning.config import TrainConfig
from learning.data import HandDataset, loader
from learning.items import DataConfig
from learning.models import splite
from learning.order import PairSampler, StepSampler, need_pairs
from learning.output import HandOutput
from learning.tasks import hand
from learning.train import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of single views and one of pairs; hands of both sides."""
    folder = tmp_path_factory.mktemp("synth")
    synth.tiny(folder / "synth")
    return folder


def sampler(dataset: HandDataset, first: int = 0, rank: int = 0, world: int = 1) -> PairSampler:
    return PairSampler(
        StepSampler(dataset.sizes, dataset.weights, 2 // world, 5, first, 6, rank, world), dataset.second_view
    )


def test_a_sample_comes_with_its_second_view_or_else_with_itself(root: Path) -> None:
    dataset = HandDataset("synth", root, "all", DataConfig())
    keys = synth.index(root / "synth", "all")
    seen = set()
    for batch in sampler(dataset):
        assert len(batch) == 4
        for (a, place_a), (b, place_b) in zip(batch[::2], batch[1::2], strict=True):
            assert synth.other_view(root / "synth", keys[a]) == (None if a == b else keys[b])
            seen |= {place_a, place_b}
    assert seen == set(range(24))  # no two samples of a run are changed in the same way


def test_pairs_resume_exactly_and_split_over_processes(root: Path) -> None:
    dataset = HandDataset("synth", root, "all", DataConfig())
    whole = list(sampler(dataset))
    assert len(sampler(dataset)) == len(whole) == 6
    assert list(sampler(dataset, first=4)) == whole[4:]
    halves = [list(sampler(dataset, rank=rank, world=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole


def test_true_hands_of_both_views_agree_however_the_crops_are_turned(root: Path) -> None:
    """Left hands are mirrored in both; a wrong rotation to the world would show."""
    dataset = HandDataset("synth", root, "all", DataConfig(), augment=Augment(roll_share=1.0))
    mirrored, apart = set(), 0.0
    for batch in loader(dataset, sampler(dataset), 0):
        true = HandOutput(batch.joints_m, batch.vertices_m, torch.ones(4, 21))
        assert losses.pair(true, batch) < 1e-9
        assert losses.pair_depth(true, batch) < 1e-9
        wrong = HandOutput(batch.joints_m * torch.tensor([1.1, 1.0, 1.0]), batch.vertices_m, torch.ones(4, 21))
        apart += float(losses.pair(wrong, batch))
        mirrored |= set(batch.mirrored.tolist())
    assert mirrored == {False, True}
    assert apart > 1e-5


def test_the_crops_rotation_to_the_world_is_that_of_its_camera(root: Path) -> None:
    dataset = HandDataset("synth", root, "pairs_all", DataConfig())
    for number in range(len(dataset)):
        sample, item = dataset.read(number), dataset[number, 0]
        to_world = sample.camera.T_world_cam[:3, :3] @ (sample.joints_m - sample.joints_m[0]).T
        np.testing.assert_allclose(item.R_world_crop @ (item.joints_m - item.joints_m[0]).T, to_world, atol=1e-9)


def test_a_run_learns_from_pairs(root: Path, tmp_path: Path) -> None:
    settings = TrainConfig(
        net=splite.Config(width=4, head_channels=16), dataset="synth", data=root, out=tmp_path / "run", device="cpu",
        size=64, batch_size=4, steps=2, log_every=1, pairs=True,
    )  # fmt: skip
    train(settings)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) >= 2
    assert all(line["loss_pair"] > 0 and line["loss_pair_depth"] > 0 for line in lines if "loss_pose" in line)


def test_pairs_are_asked_for_only_where_they_are(root: Path, tmp_path: Path) -> None:
    need_pairs(hand, HandDataset("synth", root, "all", DataConfig()))
    with pytest.raises(ConfigError, match="seen by two cameras"):
        need_pairs(hand, HandDataset("synth", root, "single_all", DataConfig()))
    with pytest.raises(ConfigError, match="seen by two cameras"):
        need_pairs(hand, HandDataset("ours", _tiny_ours.write(tmp_path), "all", DataConfig()))
    with pytest.raises(ConfigError, match="hands in space"):
        need_pairs(tasks, HandDataset("synth", root, "all", DataConfig()))
    with pytest.raises(ConfigError, match="even batch"):
        TrainConfig(net=splite.Config(), pairs=True, batch_size=6, processes=2)
