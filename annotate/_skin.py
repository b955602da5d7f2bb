"""The points of the hand, compiled: skinning, how fast points move, where they are a little later, normals."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hoi_core.types import F64, I64

I32 = NDArray[np.int32]


@numba.njit(cache=True, nogil=True, fastmath=True)
def skin(hand: tuple[I32, F64], rest_m: F64, turned: F64, moved_m: F64, out: F64) -> None:
    """Skin points.

    Args:
        hand: `(N, S)` joints that move each point, -1 beyond; `(N, 16)` weights.
        rest_m: `(M, N, 3)` m.
        turned: `(M, 16, 3, 3)` rotations of the joints.
        moved_m: `(M, 16, 3)` m their shifts.
        out: `(M, N, 3)` m; filled.
    """
    support, weights = hand
    for m in range(len(rest_m)):
        for p in range(rest_m.shape[1]):
            x, y, z = rest_m[m, p, 0], rest_m[m, p, 1], rest_m[m, p, 2]
            a, b, c = 0.0, 0.0, 0.0
            for s in range(support.shape[1]):
                j = support[p, s]
                if j < 0:
                    break
                w = weights[p, j]
                R = turned[m, j]
                a += w * (R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + moved_m[m, j, 0])
                b += w * (R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + moved_m[m, j, 1])
                c += w * (R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + moved_m[m, j, 2])
            out[m, p, 0], out[m, p, 1], out[m, p, 2] = a, b, c


@numba.njit(cache=True, nogil=True)
def _differences(t_s: F64, m: int) -> tuple[int, float, float, float]:
    """First of three moments, and factors of the points there, whose sum is the velocity at moment m."""
    last = len(t_s) - 1
    if m == 0:
        per_s = 1.0 / (t_s[1] - t_s[0])
        return 0, -per_s, per_s, 0.0
    if m == last:
        per_s = 1.0 / (t_s[last] - t_s[last - 1])
        return last - 1, -per_s, per_s, 0.0
    back, ahead = t_s[m] - t_s[m - 1], t_s[m + 1] - t_s[m]
    low, high = -ahead / (back * (back + ahead)), back / (ahead * (back + ahead))
    return m - 1, low, -low - high, high


@numba.njit(cache=True, nogil=True)
def velocities(points_m: F64, t_s: F64, moment: I64, point: I64, out: F64) -> None:
    """Fill `out (K, 3)` m/s: central differences of second order, also of uneven times; one-sided at the ends."""
    most = len(t_s) - 1
    for k in range(len(moment)):
        first, low, middle, high = _differences(t_s, moment[k])
        p, third = point[k], min(first + 2, most)
        for c in range(3):
            out[k, c] = low * points_m[first, p, c] + middle * points_m[first + 1, p, c] + high * points_m[third, p, c]


@numba.njit(cache=True, nogil=True)
def later(points_m: F64, t_s: F64, lag_s: F64, span: tuple[int, int], out: F64) -> None:
    """Fill moments `span` of `out (M, n, 3)` m: where the first n points are `lag_s (M,)` after each moment."""
    most = len(t_s) - 1
    for m in range(span[0], span[1]):
        first, low, middle, high = _differences(t_s, m)
        third, lag = min(first + 2, most), lag_s[m]
        low, middle, high = low * lag, middle * lag, high * lag
        for p in range(out.shape[1]):
            for c in range(3):
                out[m, p, c] = (
                    points_m[m, p, c]
                    + low * points_m[first, p, c]
                    + middle * points_m[first + 1, p, c]
                    + high * points_m[third, p, c]
                )


@numba.njit(cache=True, nogil=True, fastmath=True)
def vertex_normals(points_m: F64, faces: I32, out: F64) -> None:
    """Fill `out (M, n, 3)` with outward unit normals of the first n points: the sums of their faces' areas."""
    e, f = np.empty(3), np.empty(3)
    for m in range(len(points_m)):
        x, own = points_m[m], out[m]
        own[:] = 0.0
        for t in range(len(faces)):
            i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
            for c in range(3):
                e[c], f[c] = x[j, c] - x[i, c], x[k, c] - x[i, c]
            nx, ny, nz = e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]
            for corner in (i, j, k):
                own[corner, 0] += nx
                own[corner, 1] += ny
                own[corner, 2] += nz
        for v in range(out.shape[1]):
            length = max(np.sqrt(own[v, 0] ** 2 + own[v, 1] ** 2 + own[v, 2] ** 2), 1e-12)
            for c in range(3):
                own[v, c] /= length
