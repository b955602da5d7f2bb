"""The pose of an object from where its control points appear: every cell says where each is and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cameras
from hoi_core.known_object import MIRROR
from hoi_core.types import F64, I64, Bool

BEST_CELLS = 10
"""Cells that are listened to for each control point."""
LEAST_CONFIDENCE = 0.5
"""Cells that are less sure are left out."""
FEWEST_POINTS = 6
"""With fewer nothing is said; papers take the identity then, which lies in the camera."""
_ITERATIONS, _CONFIDENCE = 100, 0.999
_ROUNDS, _FAR = 10, 3.0  # 99.8 % of noise alike along both axes lies within three times its median
_SHARE_PX = 0.1
"""Farthest from its place that a point may lie to agree, in sides of the box around all of them; at least a pixel."""


@dataclass(frozen=True)
class Pairs:
    """Points of an object and where they are said to appear. N pairs."""

    points_m: F64
    """(N, 3) m, object frame."""
    pixels: F64
    """(N, 2) px."""
    which: I64
    """(N,) number of the control point."""


@dataclass(frozen=True)
class FoundPose:
    """A pose and what speaks for it."""

    T_cam_obj: F64
    """(4, 4) m, object to the camera of the pixels; NaN where none was found."""
    agreeing: int
    """How many of the pairs agree with it."""
    asked: int
    """How many pairs there were."""

    @property
    def found(self) -> bool:
        """Whether there is a pose."""
        return bool(np.isfinite(self.T_cam_obj).all())


def best_pairs(
    places_px: F64,
    confidences: F64,
    points_m: F64,
    *,
    cells: int = BEST_CELLS,
    least: float = LEAST_CONFIDENCE,
) -> Pairs:
    """The surest cells of each control point, as pairs for `solve_pose`.

    Args:
        places_px: `(C, 21, 2)` px, where each of C cells says that each control point is.
        confidences: `(C, 21)` in [0, 1].
        points_m: `(21, 3)` m, the control points in the object's frame.
        cells: of each control point at most so many.
        least: and those above this confidence.
    """
    order = np.argsort(-confidences, axis=0, kind="stable")[:cells]
    which = np.broadcast_to(np.arange(len(points_m)), order.shape)
    sure: Bool = np.take_along_axis(confidences, order, 0) > least
    pixels = np.take_along_axis(places_px, order[..., None], 0)
    sure &= np.isfinite(pixels).all(-1)
    return Pairs(points_m[which[sure]], pixels[sure], which[sure].astype(np.int64))


def solve_pose(pairs: Pairs, K: F64, *, seed: int = 0) -> FoundPose:
    """The pose under which most pairs agree (EPnP within RANSAC), refined on those.

    The papers' minimum counts pairs; here so many different control points must be among them too, as EPnP needs.

    Args:
        pairs: points and pixels.
        K: `(3, 3)` intrinsics, px; no distortion.
        seed: of the draws: the same pairs give the same pose.

    Returns:
        NaN as the pose where fewer than six control points are known, nothing agrees, or the object would look smaller
        than the pairs may lie apart.
    """
    import cv2

    n = len(pairs.pixels)
    nothing = FoundPose(np.full((4, 4), np.nan), 0, n)
    if n < FEWEST_POINTS or len(np.unique(pairs.which)) < FEWEST_POINTS:
        return nothing
    extent = float((pairs.pixels.max(0) - pairs.pixels.min(0)).max())
    limit_px = max(1.0, _SHARE_PX * extent)
    cv2.setRNGSeed(seed)
    points, pixels = (np.ascontiguousarray(each, np.float64) for each in (pairs.points_m, pairs.pixels))
    try:
        good, turn, shift, inliers = cv2.solvePnPRansac(
            points,
            pixels,
            K.astype(np.float64),
            None,
            iterationsCount=_ITERATIONS,
            reprojectionError=limit_px,
            confidence=_CONFIDENCE,
            flags=cv2.SOLVEPNP_EPNP,
        )
    except cv2.error:  # points on a line, say
        return nothing
    if not good or inliers is None or len(inliers) < FEWEST_POINTS:
        return nothing
    T, rows = _refined(points, pixels, K.astype(np.float64), (turn, shift), limit_px)
    if not (np.isfinite(T).all() and T[2, 3] > 0):
        return nothing
    # An object that far away looks smaller than what agrees may lie apart: any place behind it would do as well.
    across_px = K[0, 0] * float(np.ptp(points, axis=0).max()) / T[2, 3]
    return FoundPose(T, rows, n) if across_px > limit_px else nothing


def _refined(
    points_m: F64, pixels: F64, K: F64, start: tuple[NDArray[Any], NDArray[Any]], limit_px: float
) -> tuple[F64, int]:
    """The pose of least squares of the pairs that agree with it, and how many do.

    RANSAC stops at the first draw of five noisy pairs that is good enough, with which fewer agree. And its limit is
    wide enough for poor networks: of a good one, what lies several times as far off as most does not agree either.
    """
    import cv2

    turn, shift = start
    agree: Bool = np.zeros(len(pixels), np.bool_)
    for _ in range(_ROUNDS):
        away = np.linalg.norm(cv2.projectPoints(points_m, turn, shift, K, None)[0][:, 0] - pixels, axis=-1)
        now: Bool = away < limit_px
        if now.sum() < FEWEST_POINTS or np.array_equal(now, agree):
            break
        limit_px = min(limit_px, max(1.0, _FAR * float(np.median(away[now]))))
        agree = now
        turn, shift = cv2.solvePnPRefineLM(points_m[agree], pixels[agree], K, None, turn, shift)
    R = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
    return cameras.rigid(R, np.asarray(shift[:, 0], np.float64)), int(agree.sum())


def pose_in_crop(T_cam_obj: F64, R_cam_crop: F64) -> F64:
    """A pose in the frame of a crop, in a mirrored one that of the mirrored object: the inverse of `pose_from_crop`."""
    return pose_from_crop(T_cam_obj, R_cam_crop.T)


def pose_from_crop(T_crop_obj: F64, R_cam_crop: F64) -> F64:
    """A pose in a crop's frame as one of the whole image's camera; of a mirrored crop that of the true object.

    Args:
        T_crop_obj: `(4, 4)` m; in a mirrored crop the pose of the mirrored object.
        R_cam_crop: `(3, 3)` orthogonal, crop to camera; its determinant is -1 where the crop is mirrored.

    Returns:
        `(4, 4)` m.
    """
    R = R_cam_crop @ T_crop_obj[:3, :3]
    mirrored = np.linalg.det(R_cam_crop) < 0
    return cameras.rigid(R @ MIRROR if mirrored else R, R_cam_crop @ T_crop_obj[:3, 3])
