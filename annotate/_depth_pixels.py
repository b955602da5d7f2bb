"""Depth pixels to points with normals, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hoi_core.types import F64, I64


@numba.njit(cache=True, nogil=True)
def oriented_points(
    image: NDArray[np.uint16],
    rays: F64,
    box: tuple[int, int, int, int],
    step: int,
    reach: int,
    scale_m: float,
    edge_m: float,
) -> tuple[F64, F64]:
    """Points and normals of every `step`-th pixel of a box whose neighbours `reach` pixels away have like depth.

    Args:
        image: `(H, W)` units of `scale_m`; 0 where nothing was measured.
        rays: `(H, W, 2)` x and y of each pixel's ray, whose z is 1.
        box: left, top, right, bottom, px; the last two excluded; no nearer to the border than `reach`.
        step: px.
        reach: px.
        scale_m: m per unit.
        edge_m: largest difference of a neighbour's depth, m.

    Returns:
        `(K, 3)` m and `(K, 3)` unit, both in the camera's frame; normals face the camera.
    """
    left, top, right, bottom = box
    most = max((bottom - top + step - 1) // step, 0) * max((right - left + step - 1) // step, 0)
    points, normals = np.empty((most, 3)), np.empty((most, 3))
    a, b = np.empty(3), np.empty(3)
    count = 0
    for v in range(top, bottom, step):
        for u in range(left, right, step):
            z = image[v, u] * scale_m
            east, west = image[v, u + reach] * scale_m, image[v, u - reach] * scale_m
            south, north = image[v + reach, u] * scale_m, image[v - reach, u] * scale_m
            if min(z, east, west, south, north) <= 0.0:
                continue
            if max(abs(east - z), abs(west - z), abs(south - z), abs(north - z)) >= edge_m:
                continue
            for c in range(2):
                a[c] = rays[v + reach, u, c] * south - rays[v - reach, u, c] * north
                b[c] = rays[v, u + reach, c] * east - rays[v, u - reach, c] * west
                points[count, c] = rays[v, u, c] * z
            a[2], b[2], points[count, 2] = south - north, east - west, z
            nx, ny, nz = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
            length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
            normals[count, 0], normals[count, 1], normals[count, 2] = nx / length, ny / length, nz / length
            count += 1
    return points[:count], normals[:count]


@numba.njit(cache=True, nogil=True)
def evenly(start: I64, vertex: NDArray[np.int32], most: int) -> tuple[I64, I64]:
    """Which points to keep of those that have a vertex, at most so many of each moment, spread evenly over them.

    Args:
        start: `(M + 1,)` the points of moment m are `start[m]:start[m + 1]`.
        vertex: `(K,)` of each point; negative for none.
        most: of one moment, two or more.

    Returns:
        `(M + 1,)` where each moment begins among the kept points, and these.
    """
    kept = np.empty(len(vertex), dtype=np.int64)
    first = np.zeros(len(start), dtype=np.int64)
    count = 0
    for m in range(len(start) - 1):
        begin = count
        for k in range(start[m], start[m + 1]):
            if vertex[k] >= 0:
                kept[count] = k
                count += 1
        there = count - begin
        if there > most:
            step = (there - 1) / (most - 1)
            for i in range(most):
                kept[begin + i] = kept[begin + (int(i * step) if i + 1 < most else there - 1)]
            count = begin + most
        first[m + 1] = count
    return first, kept[:count]
