"""Nearest visible vertex of each depth point, compiled.

The vertices that a camera sees are sorted along the axis in which the hand is longest: a point looks at those that lie
within the gate along it, which are neighbours in memory, and not at the whole hand.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hoi_core.types import F32, F64

I32 = NDArray[np.int32]
_SLICES = 128
"""The hand is sorted into so many slices."""


@numba.njit(cache=True, nogil=True, fastmath=True)
def match_points(
    cloud: tuple[NDArray[np.int64], F64, F64],
    surface: tuple[F64, F64],
    eye_m: F64,
    gate_m: float,
    out: I32,
    span: tuple[int, int],
) -> None:
    """Nearest vertex that faces the camera and the way the point faces.

    Args:
        cloud: `(M + 1,)` rows of each moment, `(K, 3)` m depth points of one view, world, and their `(K, 3)` unit
            normals, zero where unknown.
        surface: `(M, 778, 3)` m vertices and their outward normals.
        eye_m: `(3,)` m camera centre.
        gate_m: largest distance, m.
        out: `(K,)` vertex, or -1; filled.
        span: first moment, last moment (excluded).
    """
    start, points_m, point_normals = cloud
    vertices_m, normals = surface
    n = vertices_m.shape[1]
    seen, table = np.empty((6, n), dtype=np.float32), np.empty((6, n), dtype=np.float32)
    ids, sorted_ids = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    begin = np.empty(_SLICES + 1, dtype=np.int64)
    squares = np.empty(n, dtype=np.float32)
    low, high = np.empty(3), np.empty(3)
    limit = np.float32(gate_m * gate_m)
    for m in range(span[0], span[1]):
        out[start[m] : start[m + 1]] = -1
        if start[m] == start[m + 1]:
            continue
        count = _facing(vertices_m[m], normals[m], eye_m, seen, ids)
        if count == 0:
            continue
        for c in range(3):
            low[c], high[c] = seen[c, :count].min() - gate_m, seen[c, :count].max() + gate_m
        axis = int(np.argmax(high - low))
        per_m = _SLICES / (high[axis] - low[axis])
        _sort(seen, ids, count, (axis, low[axis], per_m), (table, sorted_ids, begin))
        for k in range(start[m], start[m + 1]):
            x, y, z = np.float32(points_m[k, 0]), np.float32(points_m[k, 1]), np.float32(points_m[k, 2])
            if x < low[0] or x > high[0] or y < low[1] or y > high[1] or z < low[2] or z > high[2]:
                continue
            nx, ny, nz = (
                np.float32(point_normals[k, 0]),
                np.float32(point_normals[k, 1]),
                np.float32(point_normals[k, 2]),
            )
            along_m = points_m[k, axis] - low[axis]
            first = begin[max(int((along_m - gate_m) * per_m), 0)]
            last = begin[min(int((along_m + gate_m) * per_m) + 1, _SLICES)]
            # Counting from zero, the loops need not allow for negative numbers, and run many at a time.
            some = table[:, first:last]
            for i in range(some.shape[1]):
                distance = (some[0, i] - x) ** 2 + (some[1, i] - y) ** 2 + (some[2, i] - z) ** 2
                away = some[3, i] * nx + some[4, i] * ny + some[5, i] * nz < 0.0
                squares[i] = limit if away else distance
            # The least alone is found first; where it stood, once it is known.
            best = limit
            for i in range(some.shape[1]):
                best = min(best, squares[i])
            if best < limit:
                for i in range(some.shape[1]):
                    if squares[i] == best:
                        out[k] = sorted_ids[first + i]
                        break


@numba.njit(cache=True, nogil=True, fastmath=True)
def _facing(vertices_m: F64, normals: F64, eye_m: F64, seen: F32, ids: I32) -> int:
    """Fill `seen (6, N)` with the place and normal of the vertices that face the camera; how many there are."""
    count = 0
    for i in range(len(vertices_m)):
        facing = 0.0
        for c in range(3):
            facing += normals[i, c] * (eye_m[c] - vertices_m[i, c])
        if facing > 0.0:
            for c in range(3):
                seen[c, count] = vertices_m[i, c]
                seen[3 + c, count] = normals[i, c]
            ids[count] = i
            count += 1
    return count


@numba.njit(cache=True, nogil=True, fastmath=True)
def _sort(
    seen: F32, ids: I32, count: int, where: tuple[int, float, float], out: tuple[F32, I32, NDArray[np.int64]]
) -> None:
    """Sort vertices into slices.

    Args:
        seen: `(6, N)`, of which the first `count` are used.
        ids: `(N,)` their numbers.
        count: of them.
        where: axis, m at which the first slice begins, and slices per m.
        out: the sorted vertices and numbers, and the begin of each slice among them; filled.
    """
    table, sorted_ids, begin = out
    axis, origin, per_m = where
    begin[:] = 0
    slices = np.empty(count, dtype=np.int64)
    for i in range(count):
        slices[i] = min(max(int((seen[axis, i] - origin) * per_m), 0), _SLICES - 1)
        begin[slices[i] + 1] += 1
    for i in range(_SLICES):
        begin[i + 1] += begin[i]
    place = begin.copy()
    for i in range(count):
        to = place[slices[i]]
        place[slices[i]] += 1
        sorted_ids[to] = ids[i]
        for c in range(6):
            table[c, to] = seen[c, i]
