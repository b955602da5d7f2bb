"""Which depth points are a hand's own: those that lie nearer to the other hand or an object are theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from annotate.evidence import Cloud
from annotate.hand import HandState
from annotate.objects._match import hand_distances
from annotate.objects.solid import Solid
from annotate.parts import moment_parts
from hoi_core.types import F64, I64

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
    contested = np.isfinite(rival_m)
    kept = ~contested
    counted = np.concatenate([[0], np.cumsum(contested)])
    own_m = _hand_distance(points_m[contested], counted[cloud.start], own)
    kept[contested] = rival_m[contested] > own_m - _CLEARLY_M
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
    distance, _ = solid.distance_m(points_m[known], moment[known])
    out[known] = np.where(np.abs(distance) < _GATE_M, np.abs(distance), np.inf)
    return out


def _hand_distance(points_m: F64, start: I64, hand: HandState) -> F64:
    """(K,) m from a hand's surface; infinite beyond the gate."""
    out = np.full(len(points_m), np.inf)
    table_m, normals = hand.points_m, hand.normals

    def part(span: tuple[int, int]) -> None:
        hand_distances((start, points_m), table_m, normals, _GATE_M, out, span)

    for _ in moment_parts(part, len(table_m)):
        pass
    return out
