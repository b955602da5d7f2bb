"""Compiled inner loops of the object's track: points of a depth image, and normal equations of their distances."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from annotate.objects._triangles import Cells, nearest
from hoi_core.types import F32, F64, I64


@numba.njit(cache=True, nogil=True)
def crop(
    image: NDArray[np.uint16], rays: F64, pose: F64, look: tuple[I64, F64, F64], most: int, correction: F64
) -> F64:
    """World points of the pixels in a window that lie in a ball, above the table, and away from edges.

    Args:
        image: `(H, W)` depth units.
        rays: `(H, W, 2)` x and y of the rays with z = 1.
        pose: `(4, 4)` camera to world.
        look: left, top, right, bottom px (the last two outside), step px, reach px; centre (world) and radius of the
            ball, m; metres per unit, lowest height, m, and largest difference of depth between a pixel and those at
            `reach`, m.
        most: points; more are thinned evenly.
        correction: `(8,)` of the view, as in `Revision.corrections`.

    Returns:
        `(K, 3)` m where a view without errors would have measured them.
    """
    window, ball, limits = look
    left, top, right, bottom, step, reach = window
    room = ((right - left) // step + 1) * ((bottom - top) // step + 1)
    found = np.empty((max(room, 0), 3))
    count = 0
    scale_m = limits[0]
    edge = limits[2] / scale_m
    for v in range(top, bottom, step):
        for u in range(left, right, step):
            raw = float(image[v, u])
            if raw == 0.0:
                continue
            z = raw * scale_m
            x, y = rays[v, u, 0] * z, rays[v, u, 1] * z
            squared = 0.0
            for c in range(3):
                found[count, c] = pose[c, 0] * x + pose[c, 1] * y + pose[c, 2] * z + pose[c, 3]
                squared += (found[count, c] - ball[c]) ** 2
            if squared >= ball[3] ** 2 or found[count, 2] <= limits[1]:
                continue
            whole = True
            for du, dv in ((reach, 0), (-reach, 0), (0, reach), (0, -reach)):
                beside = float(image[v + dv, u + du])
                if beside == 0.0 or abs(beside - raw) > edge:
                    whole = False
            if whole:
                count += 1
    return _thinned(found[:count], most, pose[:3, 3], correction)


@numba.njit(cache=True, nogil=True)
def _thinned(found: F64, most: int, eye: F64, correction: F64) -> F64:
    """At most so many of the points, evenly, and corrected."""
    kept = min(len(found), most)
    out = np.empty((kept, 3))
    ray = np.empty(3)
    for k in range(kept):
        row = k if kept == len(found) else int(k * ((len(found) - 1) / max(kept - 1, 1)))
        length = 0.0
        for c in range(3):
            ray[c] = found[row, c] - eye[c]
            length += ray[c] ** 2
        length = max(np.sqrt(length), 1e-9)
        for c in range(3):
            out[k, c] = found[row, c] - correction[7] * ray[c] / length
            ray[c] = out[k, c] - eye[c]
        turn = correction[1:4]
        out[k, 0] -= turn[1] * ray[2] - turn[2] * ray[1] + correction[4]
        out[k, 1] -= turn[2] * ray[0] - turn[0] * ray[2] + correction[5]
        out[k, 2] -= turn[0] * ray[1] - turn[1] * ray[0] + correction[6]
    return out


@numba.njit(cache=True, nogil=True)
def nearer_hand(points: F64, vertices: F64, normals: F64, near: F64, out: F64) -> None:
    """Make distances `(K,)` m smaller where a hand is nearer; its vertices beyond a ball are not looked at.

    Args:
        points: `(K, 3)` m.
        vertices: `(N, 3)` m.
        normals: `(N, 3)` outward, any length.
        near: centre of the ball, its radius, and the largest distance from a vertex, m.
        out: `(K,)` m.
    """
    kept = np.empty(len(vertices), dtype=np.int64)
    count = 0
    for i in range(len(vertices)):
        squared = 0.0
        for c in range(3):
            squared += (vertices[i, c] - near[c]) ** 2
        if squared < near[3] ** 2:
            kept[count] = i
            count += 1
    if count:
        rows = kept[:count]
        distance = hand_distance(points, vertices[rows], normals[rows], near[4])
        for k in range(len(points)):
            out[k] = min(out[k], distance[k])


@numba.njit(cache=True, nogil=True)
def hand_distances(
    cloud: tuple[I64, F64], table: F64, normals: F64, gate: float, out: F64, span: tuple[int, int]
) -> None:
    """Fill `out (K,)` m with what `hand_distance` says of the points of some moments.

    Args:
        cloud: `(M + 1,)` the points of moment m are `start[m]:start[m + 1]`; `(K, 3)` m.
        table: `(M, P, 3)` m, of which the first N are the vertices.
        normals: `(M, N, 3)` outward, any length.
        gate: largest distance from a vertex, m.
        out: filled.
        span: first moment, last moment (excluded).
    """
    start, points = cloud
    for m in range(span[0], span[1]):
        if start[m] < start[m + 1]:
            first = start[m]
            found = hand_distance(points[first : start[m + 1]], table[m][: normals.shape[1]], normals[m], gate)
            for k in range(len(found)):
                out[first + k] = found[k]


@numba.njit(cache=True, nogil=True)
def hand_distance(points: F64, vertices: F64, normals: F64, gate: float) -> F64:
    """Distance of points from a hand, m: from the plane of the nearest vertex; infinite beyond the gate.

    Args:
        points: `(K, 3)` m.
        vertices: `(N, 3)` m.
        normals: `(N, 3)` outward, any length.
        gate: largest distance from a vertex, m.
    """
    out = np.full(len(points), np.inf)
    table, squares = np.empty((3, len(vertices)), dtype=np.float32), np.empty(len(vertices), dtype=np.float32)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(len(vertices)):
        for c in range(3):
            table[c, i] = vertices[i, c]
            low[c], high[c] = min(low[c], vertices[i, c] - gate), max(high[c], vertices[i, c] + gate)
    for k in range(len(points)):
        x, y, z = points[k]
        if x < low[0] or x > high[0] or y < low[1] or y > high[1] or z < low[2] or z > high[2]:
            continue
        which = _nearest_column(table, points[k], squares)
        if which < 0:
            continue
        best = 0.0
        for c in range(3):
            best += (vertices[which, c] - points[k, c]) ** 2
        if best >= gate * gate:
            continue
        height, length = 0.0, 0.0
        for c in range(3):
            height += normals[which, c] * (points[k, c] - vertices[which, c])
            length += normals[which, c] ** 2
        height /= max(np.sqrt(length), 1e-12)
        # Vertices lie some millimetres apart: between them the surface is as near as its tangent plane.
        beside = max(np.sqrt(max(best - height * height, 0.0)) - 0.004, 0.0)
        out[k] = np.sqrt(height * height + beside * beside)
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
def _nearest_column(table: F32, point: F64, squares: F32) -> int:
    """The column of `table (3, N)` nearest to a point; -1 of none. Without branches, loops run many columns at once."""
    x, y, z = np.float32(point[0]), np.float32(point[1]), np.float32(point[2])
    best = np.float32(1e30)
    for i in range(table.shape[1]):
        squares[i] = (table[0, i] - x) ** 2 + (table[1, i] - y) ** 2 + (table[2, i] - z) ** 2
    for i in range(table.shape[1]):
        best = min(best, squares[i])
    for i in range(table.shape[1]):
        if squares[i] == best:
            return i
    return -1


@numba.njit(cache=True, nogil=True)
def add_points(
    cells: Cells,
    centre: F64,
    cloud: tuple[I64, F64, F64, F64],
    poses: tuple[F64, F64],
    strictness: tuple[float, float, float, float],
    system: tuple[F64, F64],
    away: F64,
) -> float:
    """Add squared distances of depth points from the surface that faces the camera.

    Args:
        cells: of the mesh.
        centre: `(3,)` m, object: what turns stay about.
        cloud: start `(M + 1,)`; points `(K, 3)` m, world; distance from the hand `(K,)` m; eye `(3,)` m, world.
        poses: rotations `(M, 3, 3)` of the object when the points were measured, and positions `(M, 3)` m of its
            centre then.
        strictness: gate m, sigma m, robust scale in sigmas, weight.
        system: `(M, 6, 6)` by shift (world) and turn (object), and the gradient `(M, 6)`; lower triangles added to.
        away: `(K,)` becomes the signed distance, NaN where there is none.

    Returns:
        Half the robust sum of squares.
    """
    start, points, hand, eye = cloud
    rotations, positions = poses
    H, g = system
    total = 0.0
    for m in range(len(start) - 1):
        if start[m] < start[m + 1]:
            span = (start[m], start[m + 1], np.int64(1))
            pose = (rotations[m], positions[m])
            total += add_span(cells, centre, (points, hand, eye), span, pose, strictness, (H[m], g[m], away))
    return total


@numba.njit(cache=True, nogil=True)
def add_span(
    cells: Cells,
    centre: F64,
    cloud: tuple[F64, F64, F64],
    span: tuple[int, int, int],
    pose: tuple[F64, F64],
    strictness: tuple[float, float, float, float],
    system: tuple[F64, F64, F64],
) -> float:
    """What `add_points` adds for one moment: points first, last (outside) and step of `span`.

    `cloud` is points, distance from the hand, eye; `pose` one rotation and position; `system` `(6, 6)`, `(6,)` and
    the distances of all points.
    """
    points, hand, eye = cloud
    gate, sigma, scale, weight = strictness
    R, s = pose
    H, g, away = system
    first, last, step = span
    count = len(range(first, last, step))
    local, feet, gates = np.empty((count, 3)), np.empty((count, 3)), np.empty(count)
    e, row = np.empty(3), np.empty(6)
    for c in range(3):
        e[c] = centre[c]
        for d in range(3):
            e[c] += R[d, c] * (eye[d] - s[d])
    for i in range(count):
        k = first + i * step
        gates[i] = min(gate, hand[k] + 0.001)
        for c in range(3):
            local[i, c] = centre[c]
            for d in range(3):
                local[i, c] += R[d, c] * (points[k, d] - s[d])
    triangles, distances = nearest(cells, local, e, gates, feet)
    total = 0.0
    for i in range(count):
        t, distance = triangles[i], distances[i]
        away[first + i * step] = distance
        if t < 0:
            continue
        # Near the surface its triangle's normal says where outside is, farther away the way to the foot does.
        for c in range(3):
            row[3 + c] = (local[i, c] - feet[i, c]) / distance if abs(distance) > 1e-5 else cells.normals[t, c]
        a0, a1, a2 = row[3], row[4], row[5]
        for c in range(3):
            row[c] = -(R[c, 0] * a0 + R[c, 1] * a1 + R[c, 2] * a2)
        x, y, z = local[i, 0] - centre[0], local[i, 1] - centre[1], local[i, 2] - centre[2]
        row[3], row[4], row[5] = a1 * z - a2 * y, a2 * x - a0 * z, a0 * y - a1 * x
        squared = (distance / sigma) ** 2
        part = 1.0 / (1.0 + squared / (scale * scale))
        total += 0.5 * weight * squared * part
        pull = weight * part * part / (sigma * sigma)
        for r in range(6):
            g[r] += pull * row[r] * distance
            for c in range(r + 1):
                H[r, c] += pull * row[r] * row[c]
    return total
