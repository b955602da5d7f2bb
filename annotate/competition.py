"""Which depth points are a hand's own: those that lie nearer to the other hand or an object are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from annotate.evidence import Cloud, Evidence
from annotate.hand import HandState
from hoi_core.types import F64, Bool

_CLEARLY_M = 0.002
"""A rival must be nearer by this: where two surfaces touch, depth cannot tell, and the hand keeps the point."""


def without_rivals(evidence: Evidence, hands: HandState, rivals: Mapping[str, F64]) -> dict[int, Cloud]:
    """The hand's depth points without those that are nearer to something else.

    Args:
        evidence: of the hand.
        hands: where it is.
        rivals: what else is there -> `(M, N, 3)` m points of its surface in the world; NaN where it is not.
    """
    return {v: _thinned(cloud, hands.vertices_m, rivals) for v, cloud in evidence.clouds.items()}


def _thinned(cloud: Cloud, own_m: F64, rivals: Mapping[str, F64]) -> Cloud:
    kept: Bool = np.ones(len(cloud.points_m), dtype=bool)
    for m in range(len(cloud.start) - 1):
        rows = slice(cloud.start[m], cloud.start[m + 1])
        others = [points[m] for points in rivals.values() if _near(points[m], own_m[m])]
        if rows.start == rows.stop or not others:
            continue
        own, _ = cKDTree(own_m[m]).query(cloud.points_m[rows])
        other, _ = cKDTree(np.concatenate(others)).query(cloud.points_m[rows])
        kept[rows] = other > own - _CLEARLY_M
    counted = np.concatenate([[0], np.cumsum(kept)])
    return replace(
        cloud,
        start=counted[cloud.start].astype(np.int64),
        points_m=cloud.points_m[kept],
        normals=cloud.normals[kept],
    )


def _near(other_m: F64, own_m: F64) -> bool:
    """Whether the boxes of two sets of points meet; False where one of them is unknown."""
    if not (np.isfinite(other_m).all() and np.isfinite(own_m).all()):
        return False
    margin_m = 0.03
    return bool((other_m.min(0) < own_m.max(0) + margin_m).all() and (own_m.min(0) < other_m.max(0) + margin_m).all())
