"""Which depth points are a hand's own: those that lie nearer to the other hand or an object are theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from annotate.evidence import Cloud
from annotate.hand import HandState
from annotate.objects._match import hand_distance
from annotate.objects.solid import Solid
from hoi_core import camera as cameras
from hoi_core.types import F64

_CLEARLY_M = 0.002
"""A rival must be nearer by this: where two surfaces touch, depth cannot tell, and the hand keeps the point."""
_GATE_M = 0.03


def without_rivals(cloud: Cloud, own: HandState, hands: Sequence[HandState], solids: Sequence[Solid]) -> Cloud:
    """A hand's depth points without those that are nearer to something else.

    Args:
        cloud: of the hand.
        own: where it is.
        hands: the other hands.
        solids: the objects.
    """
    points_m = np.asarray(cloud.points_m, dtype=np.float64)
    moment = cloud.moment
    rival_m = np.full(len(points_m), np.inf)
    for solid in solids:
        rival_m = np.minimum(rival_m, _solid_distance(points_m, moment, solid))
    for hand in hands:
        rival_m = np.minimum(rival_m, _hand_distance(points_m, cloud.start, hand))
    if not np.isfinite(rival_m).any():
        return cloud
    kept = rival_m > _hand_distance(points_m, cloud.start, own) - _CLEARLY_M
    kept |= ~np.isfinite(rival_m)
    counted = np.concatenate([[0], np.cumsum(kept)])
    return replace(
        cloud,
        start=counted[cloud.start].astype(np.int64),
        points_m=cloud.points_m[kept],
        normals=cloud.normals[kept],
    )


def _solid_distance(points_m: F64, moment: np.ndarray, solid: Solid) -> F64:
    """(K,) m from an object's surface; infinite beyond the gate and where the object is not known."""
    known = np.asarray(np.isfinite(solid.T_world_obj).all((-1, -2)))[moment]
    out = np.full(len(points_m), np.inf)
    to_object = cameras.inverse_rigid(solid.T_world_obj[moment[known]])
    local = (to_object[:, :3, :3] @ points_m[known, :, None])[..., 0] + to_object[:, :3, 3]
    distance, _ = solid.mesh.grid.at(local)
    out[known] = np.where(np.abs(distance) < _GATE_M, np.abs(distance), np.inf)
    return out


def _hand_distance(points_m: F64, start: np.ndarray, hand: HandState) -> F64:
    """(K,) m from a hand's surface; infinite beyond the gate."""
    out = np.full(len(points_m), np.inf)
    for m, vertices_m in enumerate(hand.vertices_m):
        rows = slice(start[m], start[m + 1])
        if rows.start < rows.stop and np.isfinite(vertices_m).all():
            out[rows] = hand_distance(points_m[rows], vertices_m, hand.normals[m], _GATE_M)
    return out
