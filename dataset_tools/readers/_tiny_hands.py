"""Hands in front of a camera, to fill small fakes of other datasets: the stand-in hand, in poses that hands have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hoi_core import biomechanics
from hoi_core import camera as cameras
from hoi_core.conventions import BONES, Side
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, U8, Camera, HandParams


@dataclass(frozen=True)
class TinyHand:
    """One hand in the frame of a camera."""

    side: Side
    """Which hand it is."""
    params: HandParams
    """Of the stand-in hand; absolute."""
    joints_m: F64
    """(21, 3)."""
    vertices_m: F64
    """(778, 3)."""


def hand(side: Side, seed: int, at_m: Sequence[float] = (0.0, 0.0, 0.5)) -> TinyHand:
    """A hand turned and bent at random.

    Args:
        side: which hand.
        seed: decides pose and shape.
        at_m: `(3,)` m, where the middle of its joints is.
    """
    rng = np.random.default_rng([seed, len(side)])
    layer = ManoLayer.stand_in(side)
    limits = biomechanics.LIMITS_RAD
    # From the relaxed third of each range: bent, not a fist.
    angles = limits[..., 0] + (limits[..., 1] - limits[..., 0]) * rng.uniform(0.2, 0.55, limits.shape[:2])
    pose = biomechanics.pose_from_angles(angles, layer.joint_frames)
    orient = rng.normal(0.0, 0.4, 3) + np.array([0.0, 0.0, rng.uniform(-np.pi, np.pi)])
    betas = rng.normal(0.0, 0.5, 10)
    posed = layer(orient[None], pose[None], betas)
    shift = np.asarray(at_m) - posed.joints_m[0].mean(0)
    params = HandParams(orient, pose, betas, shift, flat_hand_mean=True)
    return TinyHand(side, params, posed.joints_m[0] + shift, posed.vertices_m[0] + shift)


def picture(camera: Camera, hands: Sequence[TinyHand]) -> U8:
    """The skeletons as thick bright strokes on a dark, unquiet ground. `-> (H, W, 3)` RGB."""
    import cv2

    image = np.random.default_rng(0).integers(20, 60, (camera.height, camera.width, 3)).astype(np.uint8)
    for shown in hands:
        ends = np.rint(cameras.project(camera, shown.joints_m)).astype(int)
        for parent, joint in BONES:
            cv2.line(image, ends[parent].tolist(), ends[joint].tolist(), (230, 190, 170), 5)
    return image
