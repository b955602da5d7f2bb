"""Figures of detectors: matching, and areas that can be counted by hand."""

import json

import numpy as np
import pytest
import torch

from dataset_tools.scenes.types import Scene, SceneHand
from hoi_cli import eval as command
from hoi_core import shipped
from hoi_core.types import Camera
from learning import scenes
from learning.detect_errors import Said, Truth, figures, matched
from learning.tasks import detect


def square(x, y, size=10.0):
    return [x, y, x + size, y + size]


def truth(*boxes, sides=None, clear=None):
    n = len(boxes)
    return Truth(
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array(sides or [0] * n, dtype=np.int64),
        np.array([True] * n if clear is None else clear, dtype=np.bool_),
    )


def said(*rows):
    """Rows of box, side, score."""
    return Said(
        np.array([box for box, _, _ in rows], dtype=float).reshape(-1, 4),
        np.array([side for _, side, _ in rows], dtype=np.int64),
        np.array([score for _, _, score in rows], dtype=float),
    )


def test_a_hand_is_found_once_by_the_surest_and_hands_hardly_seen_do_not_count():
    true = truth(square(0, 0), square(50, 0), clear=[True, False])
    # 10 x 10 moved by 2.5 px overlap by 75 / 125 = 0.6, by 4 px by 60 / 140 = 0.43.
    found = said((square(2.5, 0), 0, 0.9), (square(0, 0), 0, 0.8), (square(51, 0), 0, 0.7), (square(90, 0), 0, 0.6))
    assert matched(true, found, 0.5).tolist() == [0, -1, -2, -1]
    assert matched(true, said((square(4, 0), 0, 0.9)), 0.5).tolist() == [-1]
    assert matched(true, said((square(4, 0), 0, 0.9)), 0.3).tolist() == [0]
    assert matched(truth(), said((square(4, 0), 0, 0.9)), 0.3).tolist() == [-1]


def test_figures_are_those_that_can_be_counted():
    truths = [truth(square(0, 0)), truth(square(0, 0), square(50, 0), sides=[1, 0]), truth()]
    saids = [
        said((square(3, 0), 0, 0.9)),  # 70 / 130 = 0.54: found, 3 px off
        said((square(0, 4), 0, 0.8), (square(70, 70), 0, 0.6), (square(50, 0), 0, 0.2)),  # found at 0.3, as a right one
        said((square(5, 5), 0, 0.7)),
    ]
    got = figures(truths, saids)
    assert (got["n"], got["groups"]) == (3, 3)
    assert got["recall50"] == pytest.approx(1 / 3)
    assert got["recall30"] == pytest.approx(2 / 3)
    assert got["precision50"] == pytest.approx(1 / 4)
    assert got["precision30"] == pytest.approx(2 / 4)
    assert got["side_share"] == pytest.approx(1 / 2)
    assert got["centre_px"] == pytest.approx((3 + 4) / 2)
    # By score at 0.3: right, right, wrong, wrong, right. Recall rises by thirds at precisions 1, 1 and 3 / 5.
    assert got["ap30"] == pytest.approx((1 + 1 + 3 / 5) / 3)
    # At 0.5: right, wrong, wrong, wrong, right: 1 and 2 / 5.
    assert got["ap50"] == pytest.approx((1 + 2 / 5) / 3)
    low, high = got["ci95"]["ap30"]
    assert 0.0 <= low < got["ap30"] < high <= 1.0


def test_perfect_and_silent_detectors():
    truths = [truth(square(10 * k, 0), sides=[k % 2]) for k in range(6)]
    perfect = figures(truths, [said((one.boxes[0], one.sides[0], 0.9)) for one in truths])
    for name in ("recall50", "precision50", "ap50", "side_share"):
        assert perfect[name] == pytest.approx(1.0)
        assert perfect["ci95"][name] == pytest.approx((1.0, 1.0))
    silent = figures(truths, [said()] * 6)
    assert (silent["recall30"], silent["ap30"]) == (0.0, 0.0)
    assert np.isnan(silent["precision30"])


def test_outputs_that_are_the_targets_are_perfect():
    boxes = torch.tensor([[[24.0, 16.0, 64.0, 40.0], [50.0, 50.0, 70.0, 78.0]]])
    batch = scenes.SceneBatch(
        torch.zeros(1, 3, 80, 80), boxes, torch.tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.bool)
    )
    target = detect.targets(batch.boxes_px, batch.sides, batch.clear, 10)
    logits = torch.logit(target.centres.double().clamp(1e-4, 1 - 1e-4)).numpy()
    raw = (logits, target.boxes.double().numpy(), target.right.double().numpy() - 0.5)
    got = figures(detect.truths(batch), detect.said(raw))
    assert [got[name] for name in ("recall50", "precision50", "ap50", "side_share")] == pytest.approx([1.0] * 4)
    assert got["centre_px"] < 0.01


class Few(scenes.SceneDataset):
    """Six images of noise, in which a hand is said to be: drawing scenes takes seconds."""

    def __len__(self):
        return 6

    def scene(self, number):
        size = self.config.size
        image = np.random.default_rng(number).integers(0, 255, (size, size, 3)).astype(np.uint8)
        there = SceneHand("left", np.zeros((21, 2)), (10.0, 20.0, 50.0, 64.0), 1.0, True)
        return Scene(number, image, Camera(size, size, 90.0, 90.0, 63.5, 63.5), (there,))


def test_the_command_measures_an_exported_detector(monkeypatch, tmp_path):
    monkeypatch.setattr(detect, "DATA", Few)
    out = tmp_path / "figures.json"
    path = shipped.path(shipped.HAND_DETECTOR)
    assert command.main([str(path), "--data", str(tmp_path), "--json", str(out)]) == 0
    told = json.loads(out.read_text())
    assert (told["n"], told["groups"]) == (6, 6)
    assert set(told["ci95"]) == {k for k in told if k not in ("n", "groups", "ci95", "datasets")}
    assert 0.0 <= told["recall50"] <= told["recall30"] <= 1.0
    assert command.main([str(path), "--data", str(tmp_path), "--report", str(tmp_path / "a.html")]) == 2
