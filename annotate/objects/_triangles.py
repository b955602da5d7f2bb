"""Compiled searches in a triangle mesh: the nearest triangle through a grid of cells, and a grid of distances."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hoi_core.types import F32, F64, I64


class Cells(NamedTuple):
    """A grid of cells over a mesh, each with the triangles that lie within reach of it. F triangles, C cells."""

    corners_m: F64
    """(F, 3, 3) m."""
    normals: F64
    """(F, 3) outward unit normals."""
    offsets_m: F64
    """(F,) m of their planes: `normal @ p - offset` is the height of p."""
    balls_m: F64
    """(F, 4) m middle and radius of a ball around each."""
    low_m: F64
    """(3,) m corner of the first cell."""
    shape: I64
    """(3,) cells along each axis."""
    start: I64
    """(C + 1,) the triangles of cell c are `member[start[c]:start[c + 1]]`."""
    member: NDArray[np.int32]
    """Triangles, those of a cell by their distance from its middle."""
    away_m: F32
    """That distance, m."""


CELL_M = 0.004
REACH_M = 0.008
"""Within this distance of a point its nearest triangle is found for certain."""


def cells_of(vertices_m: F64, faces: NDArray[np.int32]) -> Cells:
    """Sort triangles into cells. `(N, 3) m, (F, 3)`; triangles without an area are left out."""
    corners = vertices_m[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=-1)
    corners, normals = corners[length > 1e-14], normals[length > 1e-14] / length[length > 1e-14, None]
    margin = REACH_M + CELL_M
    low = corners.min((0, 1)) - margin
    shape = np.ceil((corners.max((0, 1)) + margin - low) / CELL_M).astype(np.int64)
    counts = np.zeros(int(shape.prod()) + 1, dtype=np.int64)
    none = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
    _fill(corners, low, shape, counts[1:], none)
    start = np.cumsum(counts)
    member, away = np.zeros(int(start[-1]), dtype=np.int32), np.zeros(int(start[-1]), dtype=np.float32)
    _fill(corners, low, shape, start[:-1].copy(), (member, away))
    order = np.lexsort((away, np.repeat(np.arange(len(counts) - 1), counts[1:])))
    offsets = (normals * corners[:, 0]).sum(-1)
    middle = 0.5 * (corners.min(1) + corners.max(1))
    radius = np.linalg.norm(corners - middle[:, None], axis=-1).max(1)
    balls = np.concatenate([middle, radius[:, None]], axis=1)
    corners, normals = np.ascontiguousarray(corners), np.ascontiguousarray(normals)
    return Cells(corners, normals, offsets, balls, low, shape, start, member[order], away[order])


@numba.njit(cache=True, nogil=True)
def _fill(corners: F64, low: F64, shape: I64, at: I64, out: tuple[NDArray[np.int32], F32]) -> None:
    """Write the triangles of each cell and their distances to `out` from `at` on; only count them where it is empty."""
    member, away = out
    near = REACH_M + 0.5 * np.sqrt(3.0) * CELL_M
    first, last = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    centre, foot = np.empty(3), np.empty(3)
    for t in range(len(corners)):
        for c in range(3):
            smallest = min(corners[t, 0, c], corners[t, 1, c], corners[t, 2, c]) - near
            largest = max(corners[t, 0, c], corners[t, 1, c], corners[t, 2, c]) + near
            first[c] = max(int(np.floor((smallest - low[c]) / CELL_M)), 0)
            last[c] = min(int(np.floor((largest - low[c]) / CELL_M)), shape[c] - 1)
        for i in range(first[0], last[0] + 1):
            for j in range(first[1], last[1] + 1):
                for k in range(first[2], last[2] + 1):
                    centre[0] = low[0] + (i + 0.5) * CELL_M
                    centre[1] = low[1] + (j + 0.5) * CELL_M
                    centre[2] = low[2] + (k + 0.5) * CELL_M
                    squared = closest_point(corners[t], centre, foot)
                    if squared <= near * near:
                        cell = (i * shape[1] + j) * shape[2] + k
                        if len(member):
                            member[at[cell]] = t
                            away[at[cell]] = np.sqrt(squared)
                        at[cell] += 1


@numba.njit(cache=True, nogil=True)
def closest_point(corners: F64, p: F64, foot: F64) -> float:
    """Squared distance of `p (3,)` from a triangle `(3, 3)`; `foot (3,)` becomes the nearest point.

    Regions by Ericson 2005, Real-Time Collision Detection, section 5.1.5.
    """
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for c in range(3):
        ab, ac = corners[1, c] - corners[0, c], corners[2, c] - corners[0, c]
        d1 += ab * (p[c] - corners[0, c])
        d2 += ac * (p[c] - corners[0, c])
        d3 += ab * (p[c] - corners[1, c])
        d4 += ac * (p[c] - corners[1, c])
        d5 += ab * (p[c] - corners[2, c])
        d6 += ac * (p[c] - corners[2, c])
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    v, w = 0.0, 0.0  # weights of the second and third corner
    if d1 <= 0.0 and d2 <= 0.0:
        pass
    elif d3 >= 0.0 and d4 <= d3:
        v = 1.0
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v = d1 / (d1 - d3)
    elif d6 >= 0.0 and d5 <= d6:
        w = 1.0
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        w = d2 / (d2 - d6)
    elif va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v = 1.0 - w
    else:
        total = va + vb + vc
        v, w = vb / total, vc / total
    squared = 0.0
    for c in range(3):
        foot[c] = (1.0 - v - w) * corners[0, c] + v * corners[1, c] + w * corners[2, c]
        squared += (p[c] - foot[c]) ** 2
    return squared


@numba.njit(cache=True, nogil=True)
def nearest(cells: Cells, points: F64, eye: F64, gates: F64, feet: F64) -> tuple[I64, F64]:
    """The nearest triangles that face the eye; of several with one foot, that which a point lies over most squarely.

    Many points in one call: to hand over the cells costs as much as a point.

    Args:
        cells: of the mesh.
        points: `(K, 3)` m.
        eye: `(3,)` m; only triangles that it sees from outside count. NaN: all count.
        gates: `(K,)` m largest distances; beyond `REACH_M` nothing is found.
        feet: `(K, 3)` m, become the nearest points.

    Returns:
        `(K,)` triangles, -1 where none is within the gate, and `(K,)` m signed distances, negative behind the surface.
    """
    triangles, distances = np.full(len(points), -1), np.full(len(points), np.nan)
    p, trial = np.empty(3), np.empty(3)
    for k in range(len(points)):
        cell, off = 0, 0.0
        for c in range(3):
            p[c] = points[k, c]
            at = int(np.floor((p[c] - cells.low_m[c]) / CELL_M))
            if at < 0 or at >= cells.shape[c]:
                cell = -1
                break
            cell = cell * cells.shape[c] + at
            off += (p[c] - cells.low_m[c] - (at + 0.5) * CELL_M) ** 2
        if cell < 0:
            continue
        off = np.sqrt(off)
        best, which, height = gates[k] * gates[k], -1, 0.0
        reach = gates[k] * 1.000001
        for n in range(cells.start[cell], cells.start[cell + 1]):
            # Sorted by distance from the cell's middle: none of the rest can be nearer.
            if cells.away_m[n] - off > reach:
                break
            t = cells.member[n]
            apart = 0.0
            for c in range(3):
                apart += (p[c] - cells.balls_m[t, c]) ** 2
            if apart > (reach + cells.balls_m[t, 3]) ** 2:
                continue
            facing = over = -cells.offsets_m[t]
            for c in range(3):
                facing += cells.normals[t, c] * eye[c]
                over += cells.normals[t, c] * p[c]
            if facing <= 0.0 or abs(over) > reach:
                continue
            squared = closest_point(cells.corners_m[t], p, trial)
            tie = abs(squared - best) <= 1e-6 * best + 1e-16 and which >= 0
            if (tie and abs(over) > abs(height)) or (not tie and squared < best):
                best, which, height = min(squared, best), t, over
                reach = np.sqrt(best) * 1.000001 + 1e-9
                for c in range(3):
                    feet[k, c] = trial[c]
        if which >= 0:
            triangles[k], distances[k] = which, np.sqrt(best) if height >= 0.0 else -np.sqrt(best)
    return triangles, distances


@numba.njit(cache=True, nogil=True)
def look_up(values: F32, low: F64, spacing: float, points: F64, distance: F64, gradient: F64) -> None:
    """Trilinear look-up in a grid of distances.

    Args:
        values: `(X, Y, Z)` m.
        low: `(3,)` m first node.
        spacing: m between nodes.
        points: `(K, 3)` m.
        distance: `(K,)` becomes the signed distance; outside the grid, that of the nearest node plus the way to it.
        gradient: `(K, 3)` becomes its direction of growth, unit length.
    """
    i, f = np.empty(3, dtype=np.int64), np.empty(3)
    for k in range(len(points)):
        beyond = 0.0
        for c in range(3):
            at = (points[k, c] - low[c]) / spacing
            inside = min(max(at, 0.0), values.shape[c] - 1.000001)
            beyond += ((at - inside) * spacing) ** 2
            i[c] = int(inside)
            f[c] = inside - i[c]
        a, b, c2 = i[0], i[1], i[2]
        x0y0 = values[a, b, c2] * (1 - f[2]) + values[a, b, c2 + 1] * f[2]
        x0y1 = values[a, b + 1, c2] * (1 - f[2]) + values[a, b + 1, c2 + 1] * f[2]
        x1y0 = values[a + 1, b, c2] * (1 - f[2]) + values[a + 1, b, c2 + 1] * f[2]
        x1y1 = values[a + 1, b + 1, c2] * (1 - f[2]) + values[a + 1, b + 1, c2 + 1] * f[2]
        x0, x1 = x0y0 * (1 - f[1]) + x0y1 * f[1], x1y0 * (1 - f[1]) + x1y1 * f[1]
        distance[k] = x0 * (1 - f[0]) + x1 * f[0] + np.sqrt(beyond)
        gradient[k, 0] = x1 - x0
        gradient[k, 1] = (x0y1 - x0y0) * (1 - f[0]) + (x1y1 - x1y0) * f[0]
        low_z = (values[a, b, c2 + 1] - values[a, b, c2]) * (1 - f[1])
        low_z += (values[a, b + 1, c2 + 1] - values[a, b + 1, c2]) * f[1]
        high_z = (values[a + 1, b, c2 + 1] - values[a + 1, b, c2]) * (1 - f[1])
        high_z += (values[a + 1, b + 1, c2 + 1] - values[a + 1, b + 1, c2]) * f[1]
        gradient[k, 2] = low_z * (1 - f[0]) + high_z * f[0]
        length = np.sqrt(gradient[k, 0] ** 2 + gradient[k, 1] ** 2 + gradient[k, 2] ** 2)
        for c in range(3):
            gradient[k, c] /= max(length, 1e-12)
