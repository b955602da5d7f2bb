"""Errors of object poses, and how hand and object meet: pure functions of meshes in metres.

A result in other units says so in its name; what is unknown (a pose of NaN) is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hoi_core import camera as cameras
from hoi_core import metrics
from hoi_core.known_object import KnownObject
from hoi_core.rotation import exp_so3
from hoi_core.types import F64, Bool

MM = 1000.0
ADD_SHARE = 0.1
"""A pose counts as right where its ADD is below this share of the object's diameter."""
CONTACT_ONLY_M = 0.01
"""Papers on DexYCB look at frames in which the hand is at most so far from the object, m."""
TOUCH_M = 0.005
"""Hand and object touch where they are at most so far apart, m."""
PITCH_M = 0.002
"""Side of the cells in which volumes are counted, m."""
_TURNS = 72  # of an axis of every turn: 5 degrees apart


def pose_error_m(about: KnownObject, T_pred: F64, T_true: F64) -> F64:
    """ADD of an object, or ADD-S where it is symmetric. `(..., 4, 4) m x 2 -> (...) m`."""
    return (metrics.add_s if about.symmetric else metrics.add)(T_pred, T_true, about.vertices_m)


def add_right(errors_m: F64, diameters_m: F64, share: float = ADD_SHARE) -> F64:
    """ADD-0.1D: 1 where a pose is right, 0 where not, also where nothing was found (NaN).

    Args:
        errors_m: `(...)` m, see `pose_error_m`.
        diameters_m: `(...)` m: `KnownObject.diameter_m`; `diagonal_m` as HFL-Net and others take it, which is larger.
        share: of the diameter.
    """
    return (np.nan_to_num(errors_m, nan=np.inf) < share * np.asarray(diameters_m)).astype(np.float64)


def corner_error_mm(about: KnownObject, T_pred: F64, T_true: F64) -> float:
    """Mean distance of the eight corners of the object's box (MCE), mm; NaN without a pose.

    Of a symmetric object the smallest over all poses that look alike; about an axis of every turn in steps of five
    degrees.

    Args:
        about: the object.
        T_pred: `(4, 4)` m.
        T_true: `(4, 4)` m.
    """
    if not (np.isfinite(T_pred).all() and np.isfinite(T_true).all()):
        return float("nan")
    corners, centre = about.control_m[:8], about.centre_m
    true = cameras.transform(T_true, corners)
    if not about.symmetric:
        return float(np.linalg.norm(cameras.transform(T_pred, corners) - true, axis=-1).mean()) * MM
    if len(about.axes) > 1:  # a ball: only its centre can be wrong
        pair = (cameras.transform(T, centre[None])[0] for T in (T_pred, T_true))
        return float(np.linalg.norm(np.subtract(*pair))) * MM
    spins = exp_so3(np.linspace(0.0, 2.0 * np.pi, _TURNS, endpoint=False)[:, None] * about.axes[0]) if about.axes else (
        np.eye(3)[None]
    )  # fmt: skip
    turns = np.concatenate([spins @ turn for turn in (np.eye(3), *about.turns)])
    alike = (corners - centre) @ turns.transpose(0, 2, 1) + centre
    said = alike @ T_pred[:3, :3].T + T_pred[:3, 3]
    return float(np.linalg.norm(said - true, axis=-1).mean(-1).min()) * MM


class Chamfer(NamedTuple):
    """How far two sets of points are from each other."""

    squared_mm2: float
    """Mean squared distances to the nearest point, the sum of both directions, mm^2: as the authors of ObMan count
    it, whose tables call it mm."""
    mean_mm: float
    """Mean distances to the nearest point, the mean of both directions, mm."""


def chamfer(pred_m: F64, true_m: F64) -> Chamfer:
    """Chamfer distance in both conventions. `(N, 3) m, (M, 3) m`; NaN where a point is not finite."""
    if not (np.isfinite(pred_m).all() and np.isfinite(true_m).all()):
        return Chamfer(float("nan"), float("nan"))
    there, back = cKDTree(true_m).query(pred_m)[0] * MM, cKDTree(pred_m).query(true_m)[0] * MM
    return Chamfer(float((there**2).mean() + (back**2).mean()), float(0.5 * (there.mean() + back.mean())))


class Meeting(NamedTuple):
    """How a hand meets an object."""

    distance_m: float
    """From the hand's nearest vertex to the object's surface; 0 where one lies inside."""
    penetration_mm: float
    """How deep the hand's deepest vertex lies inside the object; 0 where none does."""


def meeting(hand_m: F64, object_m: F64, faces: NDArray[np.integer]) -> Meeting:
    """Distance and penetration of a hand and a watertight object.

    Args:
        hand_m: `(V, 3)` m.
        object_m: `(N, 3)` m, the same frame.
        faces: `(F, 3)` of the object, outward.

    Returns:
        NaN where a point is not finite.
    """
    from hoi_core import _surface

    if not (np.isfinite(hand_m).all() and np.isfinite(object_m).all()):
        return Meeting(float("nan"), float("nan"))
    corners = _corners(object_m, faces)
    nearest_m, _ = cKDTree(corners.reshape(-1, 3)).query(hand_m)
    within = inside(hand_m, object_m, faces)
    # A point of the surface is at most a triangle's size nearer than the nearest corner.
    size_m = float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max())
    asked = within if within.any() else nearest_m <= nearest_m.min() + size_m
    some = np.ascontiguousarray(hand_m[asked], np.float64)
    distances_m = _surface.surface_distances(some, corners, nearest_m[asked])
    return Meeting(0.0, float(distances_m.max()) * MM) if within.any() else Meeting(float(distances_m.min()), 0.0)


def inside(points_m: F64, surface_m: F64, faces: NDArray[np.integer]) -> Bool:
    """Whether points lie inside a watertight surface. `(P, 3) m, (N, 3) m, (F, 3) -> (P,)`."""
    from hoi_core import _surface

    found = np.zeros(len(points_m), np.bool_)
    near = np.flatnonzero(((points_m >= surface_m.min(0)) & (points_m <= surface_m.max(0))).all(1))
    some = np.ascontiguousarray(points_m[near], np.float64)
    found[near] = _surface.winding_numbers(some, _corners(surface_m, faces)) > 0.5
    return found


def touches(distance_m: float, limit_m: float = TOUCH_M) -> float:
    """Contact of one sample: 1 where hand and object touch, else 0; the mean of many is the contact ratio."""
    return float("nan") if np.isnan(distance_m) else float(distance_m <= limit_m)


def intersection_cm3(
    hand_m: F64,
    hand_faces: NDArray[np.integer],
    object_m: F64,
    faces: NDArray[np.integer],
    pitch_m: float = PITCH_M,
) -> float:
    """Volume that two watertight bodies share, cm^3, counted in cells whose centres lie in both.

    Args:
        hand_m: `(V, 3)` m.
        hand_faces: `(F, 3)`, outward, with the wrist capped (`ManoLayer.closed_faces`).
        object_m: `(N, 3)` m, the same frame.
        faces: `(G, 3)`, outward.
        pitch_m: side of the cells: of a body as thick as a finger the volume is right to a few in a hundred at 2 mm.
    """
    from hoi_core import _surface

    if not (np.isfinite(hand_m).all() and np.isfinite(object_m).all()):
        return float("nan")
    low = np.maximum(hand_m.min(0), object_m.min(0))
    high = np.minimum(hand_m.max(0), object_m.max(0))
    if (high <= low).any():
        return 0.0
    # Half a cell in, and a little aside: centres on edges of a mesh that lies along the axes would count twice.
    start = low + pitch_m * np.array([0.5 - 1.23e-4, 0.5 - 2.71e-4, 0.5])
    counts = np.maximum(np.ceil((high - start) / pitch_m).astype(int), 1)
    filled = []
    for points_m, of in ((hand_m, hand_faces), (object_m, faces)):
        windings = np.zeros(tuple(counts), np.int64)
        _surface.fill(_corners(points_m, of), start, pitch_m, windings)
        filled.append(windings > 0)
    return float((filled[0] & filled[1]).sum()) * (100.0 * pitch_m) ** 3


def _corners(vertices_m: F64, faces: NDArray[np.integer]) -> F64:
    return np.ascontiguousarray(np.asarray(vertices_m, np.float64)[np.asarray(faces)])
