"""Which triangle of the hand a depth point lies over: the tangent plane of the nearest vertex lies outside the skin."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from annotate.hand import Hand
from annotate.parts import in_parts
from hoi_core.types import F64, I64


def face_normals(hand: Hand, vertices_m: F64, moment: I64, vertex: I64, points_m: F64) -> F64:
    """Outward normals of the triangles, among those around each point's vertex, that the points lie over.

    Args:
        hand: its triangles.
        vertices_m: `(M, 778, 3)` m.
        moment: `(K,)` ascending.
        vertex: `(K,)` nearest vertex of each point.
        points_m: `(K, 3)` m.

    Returns:
        `(K, 3)` unit normals.
    """
    around = hand.around
    out = np.empty((len(points_m), 3))
    mesh = (around.indptr, around.indices, hand.faces, vertices_m)

    def part(span: tuple[int, int]) -> None:
        at = slice(*span)
        _choose(mesh, moment[at], vertex[at], points_m[at], out[at])

    for _ in in_parts(part, moment):
        pass
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
def _choose(
    mesh: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], F64],
    moment: I64,
    vertex: I64,
    points_m: F64,
    out: F64,
) -> None:
    """Fill `out` with the normal of the triangle whose least barycentric coordinate is greatest."""
    first, around, faces, vertices_m = mesh
    e, f, n, r = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for k in range(len(points_m)):
        v = vertex[k]
        best = -1e30
        for t in range(first[v], first[v + 1]):
            a, b, c = faces[around[t], 0], faces[around[t], 1], faces[around[t], 2]
            for i in range(3):
                origin = vertices_m[moment[k], a, i]
                e[i] = vertices_m[moment[k], b, i] - origin
                f[i] = vertices_m[moment[k], c, i] - origin
                r[i] = points_m[k, i] - origin
            n[0] = e[1] * f[2] - e[2] * f[1]
            n[1] = e[2] * f[0] - e[0] * f[2]
            n[2] = e[0] * f[1] - e[1] * f[0]
            area2 = n[0] * n[0] + n[1] * n[1] + n[2] * n[2]
            if area2 <= 0.0:
                continue
            # Barycentric coordinates of the point's foot on the plane.
            at_b = (
                n[0] * (r[1] * f[2] - r[2] * f[1])
                + n[1] * (r[2] * f[0] - r[0] * f[2])
                + n[2] * (r[0] * f[1] - r[1] * f[0])
            ) / area2
            at_c = (
                n[0] * (e[1] * r[2] - e[2] * r[1])
                + n[1] * (e[2] * r[0] - e[0] * r[2])
                + n[2] * (e[0] * r[1] - e[1] * r[0])
            ) / area2
            least = min(at_b, at_c, 1.0 - at_b - at_c)
            if least > best:
                best = least
                for i in range(3):
                    out[k, i] = n[i] / np.sqrt(area2)
