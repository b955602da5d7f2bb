"""The inner loops of the fit, compiled: nearest visible vertex, normal equations of skinned points, their solution."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from hoi_core.conventions import MANO_PARENTS
from hoi_core.types import F32, F64


@numba.njit(cache=True, nogil=True, fastmath=True)
def match_points(
    start: NDArray[np.int64],
    points_m: F32,
    point_normals: F32,
    vertices_m: F32,
    normals: F32,
    eye_m: F32,
    gate_m: float,
) -> NDArray[np.int32]:
    """Nearest vertex that faces the camera and the way the point faces.

    Args:
        start: `(M + 1,)` rows of each moment.
        points_m: `(K, 3)` m depth points of one view, world.
        point_normals: `(K, 3)` unit normals; zero where unknown.
        vertices_m: `(M, 778, 3)` m.
        normals: `(M, 778, 3)` outward.
        eye_m: `(3,)` m camera centre.
        gate_m: largest distance, m.

    Returns:
        `(K,)` vertex, or -1.
    """
    out = np.full(len(points_m), -1, dtype=np.int32)
    n = vertices_m.shape[1]
    seen = np.empty((6, n), dtype=np.float32)
    low, high = np.empty(3, dtype=np.float32), np.empty(3, dtype=np.float32)
    squares = np.empty(n, dtype=np.float32)
    ids = np.empty(n, dtype=np.int32)
    limit = np.float32(gate_m * gate_m)
    for m in range(len(start) - 1):
        if start[m] == start[m + 1]:
            continue
        count = 0
        for i in range(n):
            facing = np.float32(0.0)
            for c in range(3):
                facing += normals[m, i, c] * (eye_m[c] - vertices_m[m, i, c])
            if facing > 0.0:
                for c in range(3):
                    seen[c, count] = vertices_m[m, i, c]
                    seen[3 + c, count] = normals[m, i, c]
                ids[count] = i
                count += 1
        if count == 0:
            continue
        for c in range(3):
            low[c], high[c] = seen[c, :count].min() - gate_m, seen[c, :count].max() + gate_m
        for k in range(start[m], start[m + 1]):
            x, y, z = points_m[k, 0], points_m[k, 1], points_m[k, 2]
            if x < low[0] or x > high[0] or y < low[1] or y > high[1] or z < low[2] or z > high[2]:
                continue
            nx, ny, nz = point_normals[k, 0], point_normals[k, 1], point_normals[k, 2]
            for i in range(count):
                distance = (seen[0, i] - x) ** 2 + (seen[1, i] - y) ** 2 + (seen[2, i] - z) ** 2
                away = seen[3, i] * nx + seen[4, i] * ny + seen[5, i] * nz < 0.0
                squares[i] = limit if away else distance
            best, which = limit, -1
            for i in range(count):
                if squares[i] < best:
                    best, which = squares[i], i
            if which >= 0:
                out[k] = ids[which]
    return out


_PARENTS = np.array(MANO_PARENTS)


@numba.njit(cache=True, fastmath=True)
def _fill(p, m, direction, constants, frame, carried, row):  # type: ignore[no-untyped-def]
    """Fill `row (61,)`: derivatives along a direction of point p at moment m by the moment's unknowns and the shape.

    `carried (16, 4)`: for each joint, the point as the joints below it carry it times their weights, and these.
    """
    support, weights, chain, shape = constants
    rest, joints_rest, positions, turned, by_shape = frame
    a0, a1, a2 = direction
    joints = len(shape) - 16
    row[:] = 0.0
    row[0], row[1], row[2] = a0, a1, a2
    for q in range(chain.shape[1]):
        if chain[p, q] < 0:
            break
        carried[chain[p, q]] = 0.0
    for s in range(support.shape[1]):
        j = support[p, s]
        if j < 0:
            break
        w = weights[p, j]
        for c in range(3):
            x = positions[m, j, c]
            for d in range(3):
                x += turned[m, j, c, d] * (rest[m, p, d] - joints_rest[j, d])
            carried[j, c] += w * x
        carried[j, 3] += w
        l0 = w * (turned[m, j, 0, 0] * a0 + turned[m, j, 1, 0] * a1 + turned[m, j, 2, 0] * a2)
        l1 = w * (turned[m, j, 0, 1] * a0 + turned[m, j, 1, 1] * a1 + turned[m, j, 2, 1] * a2)
        l2 = w * (turned[m, j, 0, 2] * a0 + turned[m, j, 1, 2] * a1 + turned[m, j, 2, 2] * a2)
        w0, w1, w2 = w * a0, w * a1, w * a2
        for i in range(10):
            row[51 + i] += (
                l0 * (shape[p, 0, i] - shape[joints + j, 0, i])
                + l1 * (shape[p, 1, i] - shape[joints + j, 1, i])
                + l2 * (shape[p, 2, i] - shape[joints + j, 2, i])
                + w0 * by_shape[m, j, 0, i]
                + w1 * by_shape[m, j, 1, i]
                + w2 * by_shape[m, j, 2, i]
            )
    for q in range(chain.shape[1] - 1, -1, -1):
        j = chain[p, q]
        if j < 0:
            continue
        if j > 0:  # children have higher numbers: all of them have passed on to j already
            for c in range(4):
                carried[_PARENTS[j], c] += carried[j, c]
        w = carried[j, 3]
        m0, m1, m2 = (
            carried[j, 0] - w * positions[m, j, 0],
            carried[j, 1] - w * positions[m, j, 1],
            carried[j, 2] - w * positions[m, j, 2],
        )
        # a . ((W d) x arm) = (W d) . (arm x a)
        t0, t1, t2 = m1 * a2 - m2 * a1, m2 * a0 - m0 * a2, m0 * a1 - m1 * a0
        for c in range(3):
            row[3 + 3 * j + c] = turned[m, j, 0, c] * t0 + turned[m, j, 1, c] * t1 + turned[m, j, 2, c] * t2


@numba.njit(cache=True, nogil=True, fastmath=True)
def add_rows(rows, constants, frame, system, span):  # type: ignore[no-untyped-def]
    """Add the squares of weighted residuals of skinned points to the normal equations.

    The rows of a moment fill a matrix, whose square a product in single precision makes faster than sparse sums would.

    Args:
        rows: moment `(K,)` ascending, point `(K,)`, direction `(K, 3)` (residual by point), residual `(K,)`, weight
            `(K,)`, shared `(K, 8)` (residual by the view's own unknowns).
        constants: support `(N, S)`, weights `(N, 16)`, chain `(N, C)`, shape `(N, 3, 10)`.
        frame: rest `(M, N, 3)`, joints_rest `(16, 3)`, positions `(M, 16, 3)`, world_rotations `(M, 16, 3, 3)`,
            positions_by_shape `(M, 16, 3, 10)`.
        system: H `(M, 51, 51)`, g `(M, 51)`, C `(M, 51, S)`, and of this span alone Hs `(18, 18)` and gs `(18,)`; added
            to. The shared unknowns are the shape and those of one view, which start at `span[2]`.
        span: first row, last row (excluded), column of the view's unknowns.
    """
    moment, point, direction, residual, weight, own = rows
    H, g, C, Hs, gs = system
    first, last, column = span
    row, carried = np.empty(61), np.empty((16, 4))
    k = first
    while k < last:
        m = moment[k]
        end = k
        while end < last and moment[end] == m:
            end += 1
        A = np.zeros((end - k, 69), dtype=np.float32)
        r = np.zeros(end - k, dtype=np.float32)
        for i in range(end - k):
            q = k + i
            if weight[q] <= 0.0:
                continue
            scale = np.sqrt(weight[q])
            along = (direction[q, 0], direction[q, 1], direction[q, 2])
            _fill(point[q], m, along, constants, frame, carried, row)
            for c in range(61):
                A[i, c] = scale * row[c]
            for c in range(8):
                A[i, 61 + c] = scale * own[q, c]
            r[i] = scale * residual[q]
        square, gradient = np.dot(A.T, A), np.dot(A.T, r)
        H[m] += square[:51, :51]
        g[m] += gradient[:51]
        C[m, :, :10] += square[:51, 51:61]
        C[m, :, column : column + 8] += square[:51, 61:]
        Hs += square[51:, 51:]
        gs += gradient[51:]
        k = end


@numba.njit(cache=True, nogil=True, fastmath=True)
def forward(factor: F64, columns: F64) -> None:
    """Solve `L x = b` in place for many right-hand sides.

    Args:
        factor: `(B, n)` lower band of L, columns contiguous, as `dpbtrf` leaves it.
        columns: `(n, K)` right-hand sides, rows contiguous; overwritten by the solutions.
    """
    reach, n = factor.shape
    for i in range(n):
        row = columns[i]
        row /= factor[0, i]
        for d in range(1, min(reach, n - i)):
            value = factor[d, i]
            if value != 0.0:
                below = columns[i + d]
                for k in range(len(row)):
                    below[k] -= value * row[k]


@numba.njit(cache=True, nogil=True, fastmath=True)
def vertex_normals(points_m: F64, faces: NDArray[np.int32], vertices: int) -> F64:
    """Outward unit normals `(M, vertices, 3)` of the first points `(M, N, 3)`: the sums of their faces' areas."""
    out = np.zeros((len(points_m), vertices, 3))
    e, f = np.empty(3), np.empty(3)
    for m in range(len(points_m)):
        x, own = points_m[m], out[m]
        for t in range(len(faces)):
            i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
            for c in range(3):
                e[c], f[c] = x[j, c] - x[i, c], x[k, c] - x[i, c]
            nx, ny, nz = e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]
            for corner in (i, j, k):
                own[corner, 0] += nx
                own[corner, 1] += ny
                own[corner, 2] += nz
        for v in range(vertices):
            length = max(np.sqrt(own[v, 0] ** 2 + own[v, 1] ** 2 + own[v, 2] ** 2), 1e-12)
            for c in range(3):
                own[v, c] /= length
    return out
