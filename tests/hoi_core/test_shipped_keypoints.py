"""The keypoint network that comes with the project: it is there, small, int8, and says where it sees nothing."""

import json

import numpy as np

from hoi_core import shipped
from hoi_core.keypoint_model import KeypointModel
from hoi_core.runtime import load_as


def test_it_is_small_described_and_unsure_of_nothing():
    path = shipped.path(shipped.KEYPOINTS)
    assert path.stat().st_size <= 5e6
    assert "hoi-train" in path.with_suffix(".md").read_text(encoding="utf8")
    model = load_as(KeypointModel, path, threads=1)
    assert (model.sidecar.precision, model.sidecar.hand_model) == ("int8", "stand-in")
    grey = np.full((120, 160, 3), 127, np.uint8)
    found = model.find(grey, None, (50.0, 30.0, 110.0, 90.0), "right")
    assert found.shape == (21, 3)
    assert found[:, 2].mean() < 0.3


def test_its_sidecar_names_no_folder_of_whoever_made_it():
    told = shipped.path(shipped.KEYPOINTS).with_suffix(".json").read_text(encoding="utf8")
    assert json.loads(told)["training"]["dataset"]
    assert "/" not in json.loads(told)["training"]["run"]
