"""Which network looks for hands in the recording window, and what is said where none does."""

from pathlib import Path

import numpy as np
import pytest

from capture.hand_watch import NetworkEye
from hoi_cli import _eyes
from hoi_core.detect import Detection
from hoi_core.errors import AssetError


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch):
    monkeypatch.delenv("HOI_KEYPOINTS", raising=False)


def test_networks_of_rendered_hands_look_at_simulated_cameras_alone():
    eye = _eyes.eye_for(None, simulated=True)()
    assert isinstance(eye, NetworkEye)
    assert eye.look(np.full((120, 160, 3), 127, np.uint8), None, (50.0, 30.0, 110.0, 90.0)) < 0.4
    why = _eyes.eye_for(None, simulated=False)
    for word in ("rendered hands only", "hand_landmarker.task", "--hand-model", "HOI_KEYPOINTS"):
        assert word in why


def test_a_model_that_is_named_looks_at_any_camera(monkeypatch, tmp_path):
    with pytest.raises(AssetError, match=r"other\.onnx"):
        _eyes.eye_for(tmp_path / "other.onnx", simulated=False)()
    monkeypatch.setenv("HOI_KEYPOINTS", str(tmp_path / "net.onnx"))
    with pytest.raises(AssetError, match=r"net\.onnx"):
        _eyes.eye_for(None, simulated=True)()
    with pytest.raises(AssetError, match="landmarker"):
        _eyes.eye_for(tmp_path / "none.task", simulated=False)()


def test_a_landmarker_is_as_sure_of_a_hand_as_of_its_side(monkeypatch):
    monkeypatch.setattr("annotate.keypoints.mediapipe.HandsInImages.__enter__", lambda self: self)
    found = [Detection("right", (1.0, 1.0, 9.0, 9.0), 0.7), Detection("left", (20.0, 1.0, 29.0, 9.0), 0.9)]
    monkeypatch.setattr("annotate.keypoints.mediapipe.HandsInImages.detect", lambda self, rgb: found)
    eye = _eyes.eye_for(Path("hand_landmarker.task"), simulated=False)()
    assert eye.look(np.zeros((8, 8, 3), np.uint8), None, None) == 0.9
    found.clear()
    assert eye.look(np.zeros((8, 8, 3), np.uint8), None, None) == 0.0
