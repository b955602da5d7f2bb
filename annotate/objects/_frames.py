"""Points and directions between the world and a moving object's frame, compiled: each by its own moment's pose."""

from __future__ import annotations

import numba

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
