"""Which vertex of the hand each depth point may have come from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotate._nearest import match_points
from annotate.evidence import Cloud
from annotate.parts import moment_parts
from hoi_core.types import F64


def nearest_vertices(cloud: Cloud, vertices_m: F64, normals: F64, gate_m: float) -> NDArray[np.int32]:
    """(K,) nearest vertex of each depth point within the gate that faces the camera and the way the point does, or -1.

    Args:
        cloud: of one view; points whose normals are zero may face any way.
        vertices_m: `(M, 778, 3)` m.
        normals: `(M, 778, 3)` outward.
        gate_m: largest distance, m.
    """
    out = np.full(len(cloud.points_m), -1, dtype=np.int32)

    points, surface = (cloud.start, cloud.points_m, cloud.normals), (np.ascontiguousarray(vertices_m), normals)

    def part(span: tuple[int, int]) -> None:
        match_points(points, surface, cloud.eye_m, gate_m, out, span)

    for _ in moment_parts(part, len(cloud.start) - 1):
        pass
    return out
