"""The inner loops of the fit, compiled: normal equations of skinned points, their solution."""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.conventions import MANO_PARENTS

_PARENTS = np.array(MANO_PARENTS)


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
def _cross(a0, a1, a2, b0, b1, b2):  # type: ignore[no-untyped-def]
    return a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0


# All rows in one call: to hand over so many arrays costs more than a row.
@numba.njit(cache=True, nogil=True, fastmath=True)
def _fill(rows, constants, frame, camera, span, out):  # type: ignore[no-untyped-def]
    """Weighted derivatives of the residuals of one moment; how many there are, as those without a weight are left out.

    Args:
        rows: as those of `add_rows`.
        constants: as those of `add_rows`.
        frame: as that of `add_rows`.
        camera: as that of `add_rows`.
        span: first row, last row (excluded).
        out: `(n, 70)` by the moment's unknowns (51), by shape (10), by those of the view (8), and the residual; and
            `(n,)` which row that is; filled.
    """
    moment, point, velocity, lag, direction, residual, weight, bias = rows
    support, weights, chain, shape = constants
    rest, joints_rest, positions, turned, by_shape = frame
    table, view, eye = camera
    A, which = out
    # For each joint: the point as the joints below it carry it times their weights, and these.
    carried, row = np.empty((16, 4)), np.empty(70, dtype=np.float32)
    m, used = moment[span[0]], 0
    for k in range(span[0], span[1]):
        if not weight[k] > 0.0:
            continue
        p, scale, late = point[k], np.sqrt(weight[k]), lag[k] + view[0]
        v0, v1, v2 = velocity[k, 0], velocity[k, 1], velocity[k, 2]
        a0, a1, a2 = scale * direction[k, 0], scale * direction[k, 1], scale * direction[k, 2]
        x0 = table[m, p, 0] + late * v0 - eye[0]
        x1 = table[m, p, 1] + late * v1 - eye[1]
        x2 = table[m, p, 2] + late * v2 - eye[2]
        row[62], row[63], row[64] = _cross(x0, x1, x2, a0, a1, a2)
        row[65], row[66], row[67], row[68], row[69] = a0, a1, a2, scale * bias[k], scale * residual[k]
        # The direction as the view's small turn has it.
        t0, t1, t2 = _cross(a0, a1, a2, view[1], view[2], view[3])
        a0, a1, a2 = a0 + t0, a1 + t1, a2 + t2
        row[61] = a0 * v0 + a1 * v1 + a2 * v2
        row[0], row[1], row[2] = a0, a1, a2
        l0, l1, l2 = 0.0, 0.0, 0.0
        for i in range(3, 61):
            row[i] = 0.0
        for i in range(64):
            carried[i // 4, i % 4] = 0.0
        for s in range(support.shape[1]):
            j = support[p, s]
            if j < 0:
                break
            w = weights[p, j]
            r0, r1 = rest[m, p, 0] - joints_rest[j, 0], rest[m, p, 1] - joints_rest[j, 1]
            r2 = rest[m, p, 2] - joints_rest[j, 2]
            for c in range(3):
                turn = turned[m, j, c, 0] * r0 + turned[m, j, c, 1] * r1 + turned[m, j, c, 2] * r2
                carried[j, c] += w * (positions[m, j, c] + turn)
            carried[j, 3] += w
            w0, w1, w2 = w * a0, w * a1, w * a2
            l0 += turned[m, j, 0, 0] * w0 + turned[m, j, 1, 0] * w1 + turned[m, j, 2, 0] * w2
            l1 += turned[m, j, 0, 1] * w0 + turned[m, j, 1, 1] * w1 + turned[m, j, 2, 1] * w2
            l2 += turned[m, j, 0, 2] * w0 + turned[m, j, 1, 2] * w1 + turned[m, j, 2, 2] * w2
            for i in range(10):
                row[51 + i] += w0 * by_shape[m, j, 0, i] + w1 * by_shape[m, j, 1, i] + w2 * by_shape[m, j, 2, i]
        for i in range(10):
            row[51 + i] += l0 * shape[p, 0, i] + l1 * shape[p, 1, i] + l2 * shape[p, 2, i]
        for q in range(chain.shape[1] - 1, -1, -1):
            j = chain[p, q]
            if j < 0:
                continue
            if j > 0:  # children have higher numbers: all of them have passed on to j already
                for c in range(4):
                    carried[_PARENTS[j], c] += carried[j, c]
            w = carried[j, 3]
            m0, m1 = carried[j, 0] - w * positions[m, j, 0], carried[j, 1] - w * positions[m, j, 1]
            m2 = carried[j, 2] - w * positions[m, j, 2]
            # a . ((W d) x arm) = (W d) . (arm x a)
            t0, t1, t2 = _cross(m0, m1, m2, a0, a1, a2)
            for c in range(3):
                row[3 + 3 * j + c] = turned[m, j, 0, c] * t0 + turned[m, j, 1, c] * t1 + turned[m, j, 2, c] * t2
        for i in range(70):
            A[used, i] = row[i]
        which[used] = k
        used += 1
    return used


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
    moment = rows[0]
    H, g, C, Hs, gs = system
    first, last, column = span
    most = _most_in_a_row(moment, first, last)
    A, which = np.empty((most, 70), dtype=np.float32), np.empty(most, dtype=np.int64)
    while first < last:
        m, end = moment[first], _end_of_moment(moment, first, last)
        B = A[: _fill(rows, constants, frame, camera, (first, end), (A, which))]
        first = end
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


@numba.njit(cache=True, nogil=True)
def _end_of_moment(moment, first, last):  # type: ignore[no-untyped-def]
    """The last row (excluded) of the moment of the first one."""
    end = first
    while end < last and moment[end] == moment[first]:
        end += 1
    return end


@numba.njit(cache=True, nogil=True)
def _most_in_a_row(moment, first, last):  # type: ignore[no-untyped-def]
    """The most rows of any moment."""
    most = 0
    while first < last:
        end = _end_of_moment(moment, first, last)
        most, first = max(most, end - first), end
    return most


@numba.njit(cache=True, nogil=True, fastmath=True)
def add_slopes(rows, constants, frame, camera, classes, sums, span):  # type: ignore[no-untyped-def]
    """Add up the weighted slopes of rows class by class.

    Args:
        rows: as those of `add_rows`; of the residuals nothing is used.
        constants: as those of `add_rows`.
        frame: as that of `add_rows`.
        camera: as that of `add_rows`.
        classes: `(K,)` of each row.
        sums: `(M, E, 51)` by the moments' unknowns and `(E, 18)` by the shape and the view's; added to.
        span: first row, last row (excluded).
    """
    moment, weight = rows[0], rows[6]
    by_moment, by_shared = sums
    first, last = span
    most = _most_in_a_row(moment, first, last)
    A, which = np.empty((most, 70), dtype=np.float32), np.empty(most, dtype=np.int64)
    while first < last:
        m, end = moment[first], _end_of_moment(moment, first, last)
        for n in range(_fill(rows, constants, frame, camera, (first, end), (A, which))):
            e, scale = classes[which[n]], np.sqrt(weight[which[n]])
            for c in range(51):
                by_moment[m, e, c] += scale * A[n, c]
            for c in range(18):
                by_shared[e, c] += scale * A[n, 51 + c]
        first = end
