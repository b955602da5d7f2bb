"""Second differences of rotations with their derivatives, compiled."""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.types import F64

_SMALL_TURN = 1e-4
_SMALL_ANGLE = 1e-3


@numba.njit(cache=True, nogil=True)
def _log(a: F64, b: F64, out: F64) -> None:
    """Fill `out (3,)` with the axis-angle of `a' b`, rad: by the longest row of its quaternion's outer product."""
    m = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            m[i, j] = a[0, i] * b[0, j] + a[1, i] * b[1, j] + a[2, i] * b[2, j]
    x, y, z = m[0, 0], m[1, 1], m[2, 2]
    q = np.empty(4)
    if max(x + y + z, 0.0) >= max(x, y, z):
        q[0], q[1], q[2], q[3] = 1.0 + x + y + z, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    elif x >= y and x >= z:
        q[0], q[1], q[2], q[3] = m[2, 1] - m[1, 2], 1.0 + x - y - z, m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]
    elif y >= z:
        q[0], q[1], q[2], q[3] = m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], 1.0 - x + y - z, m[1, 2] + m[2, 1]
    else:
        q[0], q[1], q[2], q[3] = m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 1.0 - x - y + z
    length = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    if q[0] < 0.0:
        length = -length
    for i in range(4):
        q[i] /= length
    sine = np.sqrt(q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    factor = 2.0 + sine**2 / 3.0 if sine < _SMALL_TURN else 2.0 * np.arctan2(sine, q[0]) / sine
    for i in range(3):
        out[i] = factor * q[1 + i]


@numba.njit(cache=True, nogil=True)
def _slope(w: F64, scale: float, out: F64) -> None:
    """Fill `out (3, 3)` with a multiple of `d log(R exp(d)) / dd` at `R = exp(w)` (Sola et al. 2018, eq. 144)."""
    squared = w[0] ** 2 + w[1] ** 2 + w[2] ** 2
    angle = np.sqrt(squared)
    factor = 1.0 / 12.0 + squared / 720.0
    if angle >= _SMALL_ANGLE:
        factor = 1.0 / squared - 0.5 / (angle * np.tan(angle / 2.0))
    for i in range(3):
        for j in range(3):
            out[i, j] = scale * factor * w[i] * w[j]
        out[i, i] += scale * (1.0 - factor * squared)
    half = 0.5 * scale
    out[0, 1] -= half * w[2]
    out[0, 2] += half * w[1]
    out[1, 0] += half * w[2]
    out[1, 2] -= half * w[0]
    out[2, 0] -= half * w[1]
    out[2, 1] += half * w[0]


@numba.njit(cache=True, nogil=True)
def accelerations(R: F64, before: F64, after: F64, residual: F64, slopes: F64, span: tuple[int, int]) -> None:
    """Accelerations of rotations `after log(R1' R2) + before log(R1' R0)`, and their derivatives by the three steps.

    Args:
        R: `(M, J, 3, 3)`.
        before: `(M - 2,)` factor of the step back.
        after: `(M - 2,)` factor of the step ahead.
        residual: `(M - 2, J, 3)`; filled.
        slopes: `(3, M - 2, J, 3, 3)`; filled, unless it has no rows.
        span: first row, last row (excluded).
    """
    back, ahead = np.empty(3), np.empty(3)
    wanted = slopes.shape[1] > 0
    for m in range(span[0], span[1]):
        for j in range(R.shape[1]):
            _log(R[m + 1, j], R[m, j], back)
            _log(R[m + 1, j], R[m + 2, j], ahead)
            for i in range(3):
                residual[m, j, i] = before[m] * back[i] + after[m] * ahead[i]
            if not wanted:
                continue
            _slope(back, before[m], slopes[0, m, j])
            _slope(ahead, after[m], slopes[2, m, j])
            # The middle rotation enters inverted: its step acts from the left, and the left Jacobian is the right
            # one's transpose.
            for i in range(3):
                for k in range(3):
                    slopes[1, m, j, i, k] = -slopes[0, m, j, k, i] - slopes[2, m, j, k, i]


@numba.njit(cache=True, nogil=True)
def add_accelerations(
    residual: F64, slopes: F64, weights: F64, system: tuple[F64, F64, F64, F64], span: tuple[int, int]
) -> None:
    """Add the squares of weighted accelerations to the normal equations of some moments.

    Args:
        residual: `(M - 2, B, 3)`.
        slopes: `(3, M - 2, B, 3, 3)` by the steps at the three moments.
        weights: `(M - 2, B)`.
        system: H `(M, 3 B, 3 B)`, g `(M, 3 B)`, near `(M - 1, B, 3, 3)` and far `(M - 2, B, 3, 3)`; added to.
        span: first moment, last moment (excluded).
    """
    H, g, near, far = system
    rows, blocks = residual.shape[:2]
    for m in range(span[0], span[1]):
        for role in range(3):
            n = m - role  # the acceleration in which the moment is the first, the second, the third
            if n < 0 or n >= rows:
                continue
            for b in range(blocks):
                own, w, first = slopes[role, n, b], weights[n, b], 3 * b
                for i in range(3):
                    for k in range(3):
                        s = w * own[k, i]
                        g[m, first + i] += s * residual[n, b, k]
                        for j in range(3):
                            H[m, first + i, first + j] += s * own[k, j]
                            # Each joint block is entered by its later moment.
                            if role > 0:
                                near[m - 1, b, i, j] += s * slopes[role - 1, n, b, k, j]
                            if role > 1:
                                far[m - 2, b, i, j] += s * slopes[0, n, b, k, j]
