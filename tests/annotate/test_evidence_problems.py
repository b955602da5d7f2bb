"""Bad input is named before it becomes a wrong label."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from annotate.evidence_problems import evidence_problems
from annotate.lifting import BEHIND_SURFACE_M
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.errors import CalibrationError, FitError
from hoi_core.types import PROBLEMS


class Images(list):
    """A depth stream."""


def recording(value: int = 600):
    """A recording of two views whose depth images hold one value."""
    stream = Images([np.full((4, 4), value, np.uint16)] * 6)
    return SimpleNamespace(streams={"left/depth": stream, "right/depth": stream})


@pytest.fixture
def evidence(scene, unkind):
    """Keypoints on every moment of an unkind scene, with the depth that belongs to them."""
    made = scene(5, 30, unkind)
    views = made.evidence.cameras
    local = [cameras.transform(c.T_cam_world, made.joints_m) for c in views]
    rng = np.random.default_rng(0)
    pixels = np.stack([cameras.project(c, p) for c, p in zip(views, local, strict=True)], axis=1)
    return replace(
        made.evidence,
        keypoints_px=pixels + rng.normal(size=pixels.shape) * 2.5,
        confidence=np.ones(pixels.shape[:-1]),
        keypoint_depth_m=np.stack([p[..., 2] for p in local], axis=1) - BEHIND_SURFACE_M,
    )


def test_good_evidence_has_no_problems(evidence) -> None:
    found = evidence_problems(evidence, recording())
    assert not found.errors
    assert not found.warnings
    assert not found.codes.any()


def only(found, kind, text: str) -> None:
    assert len(found.errors) == 1
    assert isinstance(found.errors[0], kind)
    assert text in found.errors[0].message
    assert found.errors[0].hint


def test_no_calibration(evidence) -> None:
    still = tuple(replace(camera, T_world_cam=np.eye(4)) for camera in evidence.cameras)
    only(evidence_problems(replace(evidence, cameras=still), recording()), CalibrationError, "same place")
    broken = (evidence.cameras[0], replace(evidence.cameras[1], T_world_cam=np.full((4, 4), np.nan)))
    only(evidence_problems(replace(evidence, cameras=broken), recording()), CalibrationError, "right")


def test_calibration_of_another_rig(evidence) -> None:
    T = evidence.cameras[1].T_world_cam.copy()
    T[:3, :3] = T[:3, :3] @ rotation.exp_so3(np.array([0.06, 0.0, 0.03]))
    moved = (evidence.cameras[0], replace(evidence.cameras[1], T_world_cam=T))
    only(evidence_problems(replace(evidence, cameras=moved), recording()), CalibrationError, "another rig")


def test_a_calibration_a_little_off_is_for_the_fit_to_correct(evidence) -> None:
    T = evidence.cameras[1].T_world_cam.copy()
    T[:3, :3] = T[:3, :3] @ rotation.exp_so3(np.array([0.004, 0.0, 0.002]))
    moved = (evidence.cameras[0], replace(evidence.cameras[1], T_world_cam=T))
    assert not evidence_problems(replace(evidence, cameras=moved), recording()).errors


@pytest.mark.parametrize("size", [0.5, 2.0])
def test_keypoints_of_images_of_another_size(evidence, size: float) -> None:
    scaled = replace(evidence, keypoints_px=size * (evidence.keypoints_px + 0.5) - 0.5)
    found = evidence_problems(scaled, recording())
    assert len(found.errors) == 1
    assert "Scale the keypoints" in found.errors[0].hint
    if size < 1:
        assert "keypoints by 2 if" in found.errors[0].hint


def test_depth_of_the_wrong_unit(evidence) -> None:
    wrong = replace(evidence, keypoint_depth_m=evidence.keypoint_depth_m * 0.9)
    only(evidence_problems(wrong, recording()), CalibrationError, "depth of view left")


def test_no_valid_depth(evidence) -> None:
    blind = replace(evidence, keypoint_depth_m=np.full(evidence.seen.shape, np.nan))
    found = evidence_problems(blind, recording(0))
    assert not found.errors
    assert [line.split(":")[0] for line in found.warnings] == ["view left", "view right"]
    alone = blind.keypoints_px.copy()
    alone[:, 1] = np.nan
    only(evidence_problems(replace(blind, keypoints_px=alone), recording(0)), FitError, "no depth")
    # With depth, one view is enough.
    alone_with_depth = replace(evidence, keypoints_px=alone)
    assert not evidence_problems(alone_with_depth, recording()).errors


def test_moments_that_contradict_themselves(evidence) -> None:
    pixels = evidence.keypoints_px.copy()
    pixels[7, 0] += [0.0, 90.0]
    pixels[9] = np.nan
    lag_s = evidence.lag_s.copy()
    lag_s[9] = np.nan
    found = evidence_problems(replace(evidence, keypoints_px=pixels, lag_s=lag_s), recording())
    assert not found.errors
    assert PROBLEMS[found.codes[7]] == "no agreement"
    assert PROBLEMS[found.codes[9]] == "no evidence"
    assert not np.delete(found.codes, [7, 9]).any()
