"""The inner loops of the fit, compiled: nearest visible vertex, normal equations of skinned points, their solution."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

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
        for k in range(start[m], start[m + 1]):
            best, which = limit, -1
            x, y, z = points_m[k, 0], points_m[k, 1], points_m[k, 2]
            nx, ny, nz = point_normals[k, 0], point_normals[k, 1], point_normals[k, 2]
            for i in range(count):
                distance = (seen[0, i] - x) ** 2 + (seen[1, i] - y) ** 2 + (seen[2, i] - z) ** 2
                if distance < best and seen[3, i] * nx + seen[4, i] * ny + seen[5, i] * nz >= 0.0:
                    best, which = distance, i
            if which >= 0:
                out[k] = ids[which]
    return out


@numba.njit(cache=True, fastmath=True)
def _by_shape(point, moment, direction, constants, frame, skinned, shared):  # type: ignore[no-untyped-def]
    """Fill `skinned (16, 3)`, the point as each joint carries it times its weight, and `shared[:10]`, by shape."""
    support, weights, _, _, shape = constants
    rest, joints_rest, positions, turned, positions_by_shape = frame
    a0, a1, a2 = direction[0], direction[1], direction[2]
    joints = len(shape) - 16
    for i in range(10):
        shared[i] = 0.0
    for s in range(support.shape[1]):
        j = support[point, s]
        if j < 0:
            break
        w = weights[point, j]
        R = turned[moment, j]
        for c in range(3):
            x = positions[moment, j, c]
            for d in range(3):
                x += R[c, d] * (rest[moment, point, d] - joints_rest[j, d])
            skinned[j, c] = w * x
        l0 = R[0, 0] * a0 + R[1, 0] * a1 + R[2, 0] * a2
        l1 = R[0, 1] * a0 + R[1, 1] * a1 + R[2, 1] * a2
        l2 = R[0, 2] * a0 + R[1, 2] * a1 + R[2, 2] * a2
        b = positions_by_shape[moment, j]
        for i in range(10):
            local = (
                l0 * (shape[point, 0, i] - shape[joints + j, 0, i])
                + l1 * (shape[point, 1, i] - shape[joints + j, 1, i])
                + l2 * (shape[point, 2, i] - shape[joints + j, 2, i])
            )
            shared[i] += w * (local + a0 * b[0, i] + a1 * b[1, i] + a2 * b[2, i])


@numba.njit(cache=True, fastmath=True)
def _by_motion(point, moment, direction, constants, frame, skinned, out):  # type: ignore[no-untyped-def]
    """Fill `out`, indices (ascending) and derivatives by the moment's unknowns. Returns how many there are."""
    support, weights, chain, below, _ = constants
    _, _, positions, turned, _ = frame
    index, row = out
    a0, a1, a2 = direction[0], direction[1], direction[2]
    for c in range(3):
        index[c] = c
        row[c] = direction[c]
    count = 3
    for q in range(chain.shape[1]):
        j = chain[point, q]
        if j < 0:
            break
        m0, m1, m2 = 0.0, 0.0, 0.0
        for s in range(support.shape[1]):
            h = support[point, s]
            if h < 0:
                break
            if below[j, h]:
                w = weights[point, h]
                m0 += skinned[h, 0] - w * positions[moment, j, 0]
                m1 += skinned[h, 1] - w * positions[moment, j, 1]
                m2 += skinned[h, 2] - w * positions[moment, j, 2]
        # a . ((W d) x arm) = (W d) . (arm x a)
        t0, t1, t2 = m1 * a2 - m2 * a1, m2 * a0 - m0 * a2, m0 * a1 - m1 * a0
        for c in range(3):
            index[count] = 3 + 3 * j + c
            row[count] = turned[moment, j, 0, c] * t0 + turned[moment, j, 1, c] * t1 + turned[moment, j, 2, c] * t2
            count += 1
    return count


@numba.njit(cache=True, fastmath=True)
def add_rows(rows, constants, frame, system):  # type: ignore[no-untyped-def]
    """Add the squares of weighted residuals of skinned points to the normal equations.

    Args:
        rows: moment `(K,)`, point `(K,)`, direction `(K, 3)` (residual by point), residual `(K,)`, weight `(K,)`,
            shared `(K, 8)` (residual by the view's own unknowns), column `(K,)` where those start.
        constants: support `(N, S)`, weights `(N, 16)`, chain `(N, C)`, below `(16, 16)`, shape `(N, 3, 10)`.
        frame: rest `(M, N, 3)`, joints_rest `(16, 3)`, positions `(M, 16, 3)`, world_rotations `(M, 16, 3, 3)`,
            positions_by_shape `(M, 16, 3, 10)`.
        system: H `(M, 51, 51)` lower triangles, g `(M, 51)`, C `(M, 51, S)`, Hs `(S, S)`, gs `(S,)`; added to.
    """
    moment, point, direction, residual, weight, own, column = rows
    H, g, C, Hs, gs = system
    index, row = np.empty(51, dtype=np.int64), np.empty(51)
    shared_index, shared = np.empty(18, dtype=np.int64), np.empty(18)
    skinned = np.empty((16, 3))
    for i in range(10):
        shared_index[i] = i
    for k in range(len(moment)):
        if weight[k] <= 0.0:
            continue
        m = moment[k]
        _by_shape(point[k], m, direction[k], constants, frame, skinned, shared)
        count = _by_motion(point[k], m, direction[k], constants, frame, skinned, (index, row))
        for c in range(8):
            shared_index[10 + c] = column[k] + c
            shared[10 + c] = own[k, c]
        r = residual[k]
        for i in range(count):
            scaled = weight[k] * row[i]
            u = index[i]
            g[m, u] += scaled * r
            for j in range(i + 1):
                H[m, u, index[j]] += scaled * row[j]
            for j in range(18):
                C[m, u, shared_index[j]] += scaled * shared[j]
        for i in range(18):
            scaled = weight[k] * shared[i]
            gs[shared_index[i]] += scaled * r
            for j in range(18):
                Hs[shared_index[i], shared_index[j]] += scaled * shared[j]


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
