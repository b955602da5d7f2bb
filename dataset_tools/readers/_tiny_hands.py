"""Hands in front of a camera, to fill small fakes of other datasets: the stand-in hand, in poses that hands have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hoi_core import biomechanics
from hoi_core import camera as cameras
from hoi_core.conventions import BONES, Side
from hoi_core.mano import ManoLayer
from hoi_core.types import F32, F64, U8, Camera, HandParams


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


def depth(camera: Camera, hands: Sequence[TinyHand], ground_m: float = 1.2) -> F32:
    """The same strokes as depth, before a flat ground. `-> (H, W)` m; NaN in the first rows."""
    import cv2

    image = np.full((camera.height, camera.width), ground_m, np.float32)
    pieces = [
        (shown.joints_m[parent] * (1 - share) + shown.joints_m[joint] * share)
        for shown in hands
        for parent, joint in BONES
        for share in np.linspace(0.0, 1.0, 41)
    ]
    for point in sorted(pieces, key=lambda piece: -piece[2]):
        x, y = np.rint(cameras.project(camera, point)).astype(int)
        cv2.circle(image, (int(x), int(y)), 2, float(point[2]), -1)
    image[:4] = np.nan
    return image


def labels(camera: Camera, hands: Sequence[TinyHand], object_m: Sequence[float] | None = None) -> U8:
    """What each pixel shows: 1 on the strokes, 2 around a point of an object, 0 elsewhere. `-> (H, W)`."""
    import cv2

    image = np.zeros((camera.height, camera.width), np.uint8)
    if object_m is not None:
        x, y = np.rint(cameras.project(camera, np.asarray(object_m, np.float64))).astype(int)
        cv2.circle(image, (int(x), int(y)), 9, 2, -1)
    for shown in hands:
        ends = np.rint(cameras.project(camera, shown.joints_m)).astype(int)
        for parent, joint in BONES:
            cv2.line(image, ends[parent].tolist(), ends[joint].tolist(), 1, 5)
    return image
