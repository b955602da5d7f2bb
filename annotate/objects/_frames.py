"""Points and directions between the world and a moving object's frame, compiled: each by its own moment's pose."""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.types import F64, I64


@numba.njit(cache=True, nogil=True)
def to_object(T_world_obj: F64, moment: I64, points_m: F64, out: F64) -> None:
    """Fill `out (K, 3)` m with points as the object has them.

    Args:
        T_world_obj: `(M, 4, 4)` m.
        moment: `(K,)` of each point.
        points_m: `(K, 3)` m, world.
        out: filled.
    """
    for k in range(len(points_m)):
        T = T_world_obj[moment[k]]
        x, y, z = points_m[k, 0] - T[0, 3], points_m[k, 1] - T[1, 3], points_m[k, 2] - T[2, 3]
        for c in range(3):
            out[k, c] = T[0, c] * x + T[1, c] * y + T[2, c] * z


@numba.njit(cache=True, nogil=True)
def turn_to_world(T_world_obj: F64, moment: I64, directions: F64) -> None:
    """Turn directions `(K, 3)` of the object's frame into the world's, in place."""
    for k in range(len(directions)):
        T, x, y, z = T_world_obj[moment[k]], directions[k, 0], directions[k, 1], directions[k, 2]
        for c in range(3):
            directions[k, c] = T[c, 0] * x + T[c, 1] * y + T[c, 2] * z


@numba.njit(cache=True, nogil=True)
def within(points_m: F64, centres_m: F64, reach_m: float) -> tuple[I64, I64]:
    """Which points lie within reach of each moment's centre.

    Args:
        points_m: `(M, N, 3)` m.
        centres_m: `(M, 3)` m; NaN reaches nothing.
        reach_m: m.

    Returns:
        Moments and numbers, `(K,)` each, in order.
    """
    limit = reach_m * reach_m
    moments, numbers = np.empty(1024, np.int64), np.empty(1024, np.int64)
    count = 0
    for m in range(len(points_m)):
        x, y, z = centres_m[m, 0], centres_m[m, 1], centres_m[m, 2]
        if count + points_m.shape[1] > len(moments):
            moments = np.concatenate((moments, np.empty(len(moments) + points_m.shape[1], np.int64)))
            numbers = np.concatenate((numbers, np.empty(len(numbers) + points_m.shape[1], np.int64)))
        for n in range(points_m.shape[1]):
            a, b, c = points_m[m, n, 0] - x, points_m[m, n, 1] - y, points_m[m, n, 2] - z
            if a * a + b * b + c * c <= limit:
                moments[count], numbers[count] = m, n
                count += 1
    return moments[:count].copy(), numbers[:count].copy()
