"""Projected points against their keypoints, compiled."""

from __future__ import annotations

import numba
import numpy as np

from annotate._kernels import meet
from annotate.terms._projection import NEAREST_M
from hoi_core.types import F64, I64


@numba.njit(cache=True, nogil=True)
def pixel_rows(
    points: tuple[I64, I64, F64, F64],
    table: F64,
    camera: tuple[F64, F64, F64, F64],
    seen: tuple[F64, F64, float, float],
    out: tuple[F64, F64, F64],
) -> float:
    """Reprojection errors of observed points in sigmas, their derivatives by the points, robust weights, and the cost.

    Args:
        points: as those of `annotate._kernels.observed`.
        table: `(M, N, 3)` m every point.
        camera: the view's corrections `(8,)`, its centre `(3,)` m, `T_cam_world (4, 4)`, and fx, fy, cx, cy `(4,)` px.
        seen: keypoints `(K, 2)` px, their expected errors `(K,)` px, weight of the term, robust scale in sigmas.
        out: `(K, 2)` errors, `(K, 2, 3)` derivatives, 1/m, and `(K,)` weights of the squared errors; filled.
    """
    moment, point, velocity, lag = points
    view, eye, T, lens = camera
    pixels, expected, weight, scale = seen
    errors, slopes, weights = out
    at = np.empty(3)
    total = 0.0
    for k in range(len(moment)):
        late, x, v = lag[k] + view[0], table[moment[k], point[k]], velocity[k]
        x0, x1, x2 = meet(x[0] + late * v[0], x[1] + late * v[1], x[2] + late * v[2], view, eye)
        for c in range(3):
            at[c] = T[c, 0] * x0 + T[c, 1] * x1 + T[c, 2] * x2 + T[c, 3]
        z = max(at[2], NEAREST_M)  # a hand that the first guess put behind the camera can come back
        squared = 0.0
        for c in range(2):
            from_middle = at[c] / z * lens[c]
            errors[k, c] = (from_middle + lens[2 + c] - pixels[k, c]) / expected[k]
            squared += errors[k, c] ** 2
            for d in range(3):
                slopes[k, c, d] = (lens[c] * T[c, d] - from_middle * T[2, d]) / (z * expected[k])
        part = 1.0 / (1.0 + squared / (scale * scale))
        weights[k] = weight * part * part
        total += 0.5 * weight * squared * part
    return total
