"""The inner loops of the fit, compiled: normal equations of skinned points, their solution."""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.conventions import MANO_PARENTS

_PARENTS = np.array(MANO_PARENTS)


@numba.njit(cache=True, fastmath=True)
def _fill(p, m, along, constants, frame, carried, row):  # type: ignore[no-untyped-def]
    """Fill `row[:61]`: derivatives along a direction of point p at moment m by the moment's unknowns and the shape.

    `carried (16, 4)`: for each joint, the point as the joints below it carry it times their weights, and these.
    """
    support, weights, chain, shape = constants
    rest, joints_rest, positions, turned, by_shape = frame
    a0, a1, a2 = along
    row[0], row[1], row[2] = a0, a1, a2
    for c in range(3, 61):
        row[c] = 0.0
    for q in range(chain.shape[1]):
        if chain[p, q] < 0:
            break
        carried[chain[p, q]] = 0.0
    l0, l1, l2 = 0.0, 0.0, 0.0
    for s in range(support.shape[1]):
        j = support[p, s]
        if j < 0:
            break
        w, R, t, by = weights[p, j], turned[m, j], positions[m, j], by_shape[m, j]
        x0, x1, x2 = (
            rest[m, p, 0] - joints_rest[j, 0],
            rest[m, p, 1] - joints_rest[j, 1],
            rest[m, p, 2] - joints_rest[j, 2],
        )
        for c in range(3):
            carried[j, c] += w * (t[c] + R[c, 0] * x0 + R[c, 1] * x1 + R[c, 2] * x2)
        carried[j, 3] += w
        w0, w1, w2 = w * a0, w * a1, w * a2
        l0 += R[0, 0] * w0 + R[1, 0] * w1 + R[2, 0] * w2
        l1 += R[0, 1] * w0 + R[1, 1] * w1 + R[2, 1] * w2
        l2 += R[0, 2] * w0 + R[1, 2] * w1 + R[2, 2] * w2
        for i in range(10):
            row[51 + i] += w0 * by[0, i] + w1 * by[1, i] + w2 * by[2, i]
    for i in range(10):
        row[51 + i] += l0 * shape[p, 0, i] + l1 * shape[p, 1, i] + l2 * shape[p, 2, i]
    for q in range(chain.shape[1] - 1, -1, -1):
        j = chain[p, q]
        if j < 0:
            continue
        if j > 0:  # children have higher numbers: all of them have passed on to j already
            for c in range(4):
                carried[_PARENTS[j], c] += carried[j, c]
        w, R, t = carried[j, 3], turned[m, j], positions[m, j]
        m0, m1, m2 = carried[j, 0] - w * t[0], carried[j, 1] - w * t[1], carried[j, 2] - w * t[2]
        # a . ((W d) x arm) = (W d) . (arm x a)
        t0, t1, t2 = m1 * a2 - m2 * a1, m2 * a0 - m0 * a2, m0 * a1 - m1 * a0
        for c in range(3):
            row[3 + 3 * j + c] = R[0, c] * t0 + R[1, c] * t1 + R[2, c] * t2


@numba.njit(cache=True, fastmath=True)
def meet(x, y, z, view, eye):  # type: ignore[no-untyped-def]
    """Where a view's corrected camera meets a point, m, world."""
    r0, r1, r2 = x - eye[0], y - eye[1], z - eye[2]
    return (
        x + view[2] * r2 - view[3] * r1 + view[4],
        y + view[3] * r0 - view[1] * r2 + view[5],
        z + view[1] * r1 - view[2] * r0 + view[6],
    )


@numba.njit(cache=True, nogil=True, fastmath=True)
def observed(points, table, view, eye):  # type: ignore[no-untyped-def]
    """Where a view's corrected camera meets points. `-> (K, 3)` m, world.

    Args:
        points: moment `(K,)`, point `(K,)`, velocity `(K, 3)` m/s, lag `(K,)` s.
        table: `(M, N, 3)` m every point.
        view: `(8,)` the view's corrections.
        eye: `(3,)` m.
    """
    moment, point, velocity, lag = points
    out = np.empty((len(moment), 3))
    for k in range(len(moment)):
        late, x = lag[k] + view[0], table[moment[k], point[k]]
        v = velocity[k]
        out[k, 0], out[k, 1], out[k, 2] = meet(x[0] + late * v[0], x[1] + late * v[1], x[2] + late * v[2], view, eye)
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
def plane_rows(points, table, camera, planes, scales, out):  # type: ignore[no-untyped-def]
    """Distances of observed points from planes, their robust weights, and the cost.

    Args:
        points: as those of `observed`.
        table: `(M, N, 3)` m every point.
        camera: the view's corrections `(8,)`, its centre `(3,)` m.
        planes: normals `(K, 3)`, points `(K, 3)` m that they go through, and how far a metre of the depth's bias moves
            these along the normals `(K,)`.
        scales: weight, expected distance m, robust scale in sigmas.
        out: `(K,)` m distances and `(K,)` weights of their squares, 1/m^2; filled.
    """
    moment, point, velocity, lag = points
    view, eye = camera
    normals, targets, by_bias = planes
    weight, sigma, scale = scales
    distances, weights = out
    total = 0.0
    for k in range(len(moment)):
        late, x = lag[k] + view[0], table[moment[k], point[k]]
        v = velocity[k]
        x0, x1, x2 = meet(x[0] + late * v[0], x[1] + late * v[1], x[2] + late * v[2], view, eye)
        n, t = normals[k], targets[k]
        away = n[0] * (x0 - t[0]) + n[1] * (x1 - t[1]) + n[2] * (x2 - t[2]) + view[7] * by_bias[k]
        squared = (away / sigma) ** 2
        part = 1.0 / (1.0 + squared / (scale * scale))
        distances[k], weights[k] = away, weight * part * part / (sigma * sigma)
        total += 0.5 * weight * squared * part
    return total


@numba.njit(cache=True, fastmath=True)
def _fill_view(along, x, velocity, bias, camera, row):  # type: ignore[no-untyped-def]
    """Fill `row[61:69]`: derivatives along a direction of a point at x by the view's unknowns.

    Returns the direction as the view's small turn has it.
    """
    view, eye = camera
    a0, a1, a2 = along
    r0, r1, r2 = x[0] - eye[0], x[1] - eye[1], x[2] - eye[2]
    b0, b1, b2 = a0 + a1 * view[3] - a2 * view[2], a1 + a2 * view[1] - a0 * view[3], a2 + a0 * view[2] - a1 * view[1]
    row[61] = b0 * velocity[0] + b1 * velocity[1] + b2 * velocity[2]
    row[62], row[63], row[64] = r1 * a2 - r2 * a1, r2 * a0 - r0 * a2, r0 * a1 - r1 * a0
    row[65], row[66], row[67], row[68] = a0, a1, a2, bias
    return b0, b1, b2


@numba.njit(cache=True, nogil=True, fastmath=True)
def add_rows(rows, constants, frame, camera, system, span):  # type: ignore[no-untyped-def]
    """Add the squares of weighted residuals of skinned points to the normal equations.

    The rows of a moment fill a matrix, whose square a product in single precision makes faster than sparse sums would.

    Args:
        rows: moment `(K,)` ascending, point `(K,)`, velocity `(K, 3)` m/s, lag `(K,)` s, direction `(K, 3)` (residual
            by observed point), residual `(K,)`, weight `(K,)`, bias `(K,)` (residual by the view's depth bias).
        constants: support `(N, S)`, weights `(N, 16)`, chain `(N, C)`, shape `(N, 3, 10)`.
        frame: rest `(M, N, 3)`, joints_rest `(16, 3)`, positions `(M, 16, 3)`, world_rotations `(M, 16, 3, 3)`,
            origins_by_shape `(M, 16, 3, 10)`.
        camera: every point `(M, N, 3)` m, the view's corrections `(8,)`, its centre `(3,)` m.
        system: H `(M, 51, 51)`, g `(M, 51)`, C `(M, 51, S)`, and of this span alone Hs `(18, 18)` and gs `(18,)`; added
            to. The shared unknowns are the shape and those of one view, which start at `span[2]`.
        span: first row, last row (excluded), column of the view's unknowns.
    """
    moment, point, velocity, lag, direction, residual, weight, bias = rows
    table, view, eye = camera
    H, g, C, Hs, gs = system
    first, last, column = span
    carried, x = np.empty((16, 4)), np.empty(3)
    A = np.empty((_most_in_a_row(moment, first, last), 70), dtype=np.float32)
    k = first
    while k < last:
        m, used = moment[k], 0
        while k < last and moment[k] == m:
            if weight[k] > 0.0:
                scale, late = np.sqrt(weight[k]), lag[k] + view[0]
                for c in range(3):
                    x[c] = table[m, point[k], c] + late * velocity[k, c]
                along = scale * direction[k, 0], scale * direction[k, 1], scale * direction[k, 2]
                along = _fill_view(along, x, velocity[k], scale * bias[k], (view, eye), A[used])
                _fill(point[k], m, along, constants, frame, carried, A[used])
                A[used, 69] = scale * residual[k]
                used += 1
            k += 1
        B = A[:used]
        square = np.dot(B.T, B)
        # Loops: sums of slices are many times as slow.
        for i in range(51):
            for j in range(51):
                H[m, i, j] += square[i, j]
            for j in range(10):
                C[m, i, j] += square[i, 51 + j]
            for j in range(8):
                C[m, i, column + j] += square[i, 61 + j]
            g[m, i] += square[i, 69]
        for i in range(18):
            for j in range(18):
                Hs[i, j] += square[51 + i, 51 + j]
            gs[i] += square[51 + i, 69]


@numba.njit(cache=True, fastmath=True)
def _most_in_a_row(moment, first, last):  # type: ignore[no-untyped-def]
    """The most rows of any moment."""
    most, k = 0, first
    while k < last:
        end = k
        while end < last and moment[end] == moment[k]:
            end += 1
        most, k = max(most, end - k), end
    return most


@numba.njit(cache=True, nogil=True, fastmath=True)
def add_slopes(rows, constants, frame, camera, classes, sums, span):  # type: ignore[no-untyped-def]
    """Add up the weighted slopes of rows class by class.

    Args:
        rows: as those of `add_rows`, without the residual.
        constants: as those of `add_rows`.
        frame: as that of `add_rows`.
        camera: as that of `add_rows`.
        classes: `(K,)` of each row.
        sums: `(M, E, 51)` by the moments' unknowns and `(E, 18)` by the shape and the view's; added to.
        span: first row, last row (excluded).
    """
    moment, point, velocity, lag, direction, weight, bias = rows
    table, view, eye = camera
    by_moment, by_shared = sums
    row, carried, x = np.empty(69), np.empty((16, 4)), np.empty(3)
    for q in range(span[0], span[1]):
        m, e = moment[q], classes[q]
        late = lag[q] + view[0]
        for c in range(3):
            x[c] = table[m, point[q], c] + late * velocity[q, c]
        along = direction[q, 0], direction[q, 1], direction[q, 2]
        along = _fill_view(along, x, velocity[q], bias[q], (view, eye), row)
        _fill(point[q], m, along, constants, frame, carried, row)
        w = weight[q]
        for c in range(51):
            by_moment[m, e, c] += w * row[c]
        for c in range(18):
            by_shared[e, c] += w * row[51 + c]
