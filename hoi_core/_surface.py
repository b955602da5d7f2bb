"""The compiled loops over points and triangles: inside or outside, how far from a surface, which cells a body fills."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core.types import F64, I64


@njit(cache=True, nogil=True, error_model="numpy")
def winding_numbers(points: F64, corners: F64) -> F64:
    """1 inside of a closed surface and 0 outside (solid angles: Van Oosterom and Strackee 1983, eq. 8).

    Args:
        points: `(P, 3)`.
        corners: `(F, 3, 3)` of the triangles.

    Returns:
        `(P,)`.
    """
    out = np.zeros(len(points))
    for p in range(len(points)):
        px, py, pz = points[p, 0], points[p, 1], points[p, 2]
        angle = 0.0
        for f in range(len(corners)):
            ax, ay, az = corners[f, 0, 0] - px, corners[f, 0, 1] - py, corners[f, 0, 2] - pz
            bx, by, bz = corners[f, 1, 0] - px, corners[f, 1, 1] - py, corners[f, 1, 2] - pz
            cx, cy, cz = corners[f, 2, 0] - px, corners[f, 2, 1] - py, corners[f, 2, 2] - pz
            la, lb = np.sqrt(ax * ax + ay * ay + az * az), np.sqrt(bx * bx + by * by + bz * bz)
            lc = np.sqrt(cx * cx + cy * cy + cz * cz)
            triple = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
            below = la * lb * lc + (ax * bx + ay * by + az * bz) * lc
            below += (bx * cx + by * cy + bz * cz) * la + (cx * ax + cy * ay + cz * az) * lb
            angle += np.arctan2(triple, below)
        out[p] = angle / (2.0 * np.pi)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def surface_distances(points: F64, corners: F64, at_most: F64) -> F64:
    """Distance of each point to the nearest triangle.

    Args:
        points: `(P, 3)`.
        corners: `(F, 3, 3)` of the triangles.
        at_most: `(P,)` what it is known not to exceed, such as the distance to the nearest corner: the smaller, the
            sooner it is found.

    Returns:
        `(P,)`.
    """
    middles, reach = np.empty((len(corners), 3)), np.empty(len(corners))
    for f in range(len(corners)):
        for k in range(3):
            middles[f, k] = (corners[f, 0, k] + corners[f, 1, k] + corners[f, 2, k]) / 3.0
        reach[f] = 0.0
        for v in range(3):
            reach[f] = max(reach[f], np.sqrt(((corners[f, v] - middles[f]) ** 2).sum()))
    out = np.empty(len(points))
    for p in range(len(points)):
        best = at_most[p]
        for f in range(len(corners)):
            away = 0.0
            for k in range(3):
                away += (points[p, k] - middles[f, k]) ** 2
            # A triangle that lies farther off than the best so far need not be looked at.
            limit = best + reach[f]
            if away < limit * limit:
                best = min(best, np.sqrt(_squared_distance(points[p], corners[f])))
        out[p] = best
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_distance(point: F64, triangle: F64) -> float:
    """To a triangle: to the foot on its plane where that lies inside, else to an edge."""
    ab, ac, ap = triangle[1] - triangle[0], triangle[2] - triangle[0], point - triangle[0]
    nx, ny = ab[1] * ac[2] - ab[2] * ac[1], ab[2] * ac[0] - ab[0] * ac[2]
    nz = ab[0] * ac[1] - ab[1] * ac[0]
    area2 = nx * nx + ny * ny + nz * nz
    if area2 > 0.0:
        w = (nx * (ab[1] * ap[2] - ab[2] * ap[1]) + ny * (ab[2] * ap[0] - ab[0] * ap[2])) / area2
        w += nz * (ab[0] * ap[1] - ab[1] * ap[0]) / area2
        v = (nx * (ap[1] * ac[2] - ap[2] * ac[1]) + ny * (ap[2] * ac[0] - ap[0] * ac[2])) / area2
        v += nz * (ap[0] * ac[1] - ap[1] * ac[0]) / area2
        if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
            height = nx * ap[0] + ny * ap[1] + nz * ap[2]
            return height * height / area2
    best = np.inf
    for k in range(3):
        start, end = triangle[k], triangle[(k + 1) % 3]
        length2, along = 0.0, 0.0
        for i in range(3):
            length2 += (end[i] - start[i]) ** 2
            along += (point[i] - start[i]) * (end[i] - start[i])
        t = min(max(along / length2, 0.0), 1.0) if length2 > 0.0 else 0.0
        away = 0.0
        for i in range(3):
            away += (point[i] - start[i] - t * (end[i] - start[i])) ** 2
        best = min(best, away)
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def fill(corners: F64, low: F64, pitch: float, windings: I64) -> None:
    """Count how often a closed surface winds around the centre of each cell: not 0 inside.

    A line along z through the centres of a column goes in where it meets a triangle that faces down, and out where it
    meets one that faces up.

    Args:
        corners: `(F, 3, 3)` of the triangles.
        low: `(3,)` centre of the first cell.
        pitch: distance of the cells' centres.
        windings: `(X, Y, Z)`, zeros, updated.
    """
    nx, ny, nz = windings.shape
    for f in range(len(corners)):
        a, b, c = corners[f, 0], corners[f, 1], corners[f, 2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area == 0.0:
            continue
        first_x = max(int(np.ceil((min(a[0], b[0], c[0]) - low[0]) / pitch)), 0)
        last_x = min(int(np.floor((max(a[0], b[0], c[0]) - low[0]) / pitch)), nx - 1)
        first_y = max(int(np.ceil((min(a[1], b[1], c[1]) - low[1]) / pitch)), 0)
        last_y = min(int(np.floor((max(a[1], b[1], c[1]) - low[1]) / pitch)), ny - 1)
        for i in range(first_x, last_x + 1):
            for j in range(first_y, last_y + 1):
                x, y = low[0] + i * pitch, low[1] + j * pitch
                v = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
                w = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
                if v < 0.0 or w < 0.0 or v + w > 1.0:
                    continue
                z = a[2] + v * (b[2] - a[2]) + w * (c[2] - a[2])
                for k in range(max(int(np.ceil((z - low[2]) / pitch)), 0), nz):
                    windings[i, j, k] += -1 if area > 0.0 else 1
