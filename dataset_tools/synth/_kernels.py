"""The compiled parts of a scene's geometry: what faces a camera or a lamp, and nearness of fingers."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core.types import F64

POSITION, NORMAL, ALBEDO, REST, OPEN, DORSAL = 0, 3, 6, 9, 12, 13
"""Columns of a vertex's attributes: position m, normal (world frame), linear albedo, place on the template m, share of
the room's light that reaches it, and how much it belongs to the back of the hand."""
N_ATTRIBUTES = 14


@njit(cache=True, nogil=True)
def facing(xy: F64, inverse_z: F64, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces whose front is seen and that lie before the camera.

    Args:
        xy: `(N, 2)` px.
        inverse_z: `(N,)` 1/m, 0 for what is not before the camera.
        faces: `(F, 3)` int32.

    Returns:
        `(K, 3)` int32, and their `(K,)` numbers int32.
    """
    kept, numbers = np.empty_like(faces), np.empty(faces.shape[0], np.int32)
    n = 0
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        area = (xy[b, 0] - xy[a, 0]) * (xy[c, 1] - xy[a, 1]) - (xy[b, 1] - xy[a, 1]) * (xy[c, 0] - xy[a, 0])
        # Seen from outside corners run counter-clockwise, which is clockwise where y points down.
        if area < 0.0 and min(inverse_z[a], inverse_z[b], inverse_z[c]) > 0.0:
            kept[n, 0], kept[n, 1], kept[n, 2], numbers[n] = a, b, c, t
            n += 1
    return kept[:n], numbers[:n]


@njit(cache=True, nogil=True)
def projected(T_cam_world: F64, intrinsics: F64, points: F64, near_m: float) -> tuple[F64, F64]:
    """Pinhole image of points.

    Args:
        T_cam_world: `(4, 4)`.
        intrinsics: `(4,)` fx, fy, cx, cy px.
        points: `(N, 3+)`, the first three columns m.
        near_m: what lies nearer gets the inverse depth 0.

    Returns:
        `(N, 2)` px and `(N,)` inverse depth 1/m.
    """
    n, T = points.shape[0], T_cam_world
    xy, inverse_z = np.empty((n, 2)), np.empty(n)
    for i in range(n):
        p0, p1, p2 = points[i, 0], points[i, 1], points[i, 2]
        z = T[2, 0] * p0 + T[2, 1] * p1 + T[2, 2] * p2 + T[2, 3]
        inverse = 1.0 / max(z, 1e-6)
        xy[i, 0] = (T[0, 0] * p0 + T[0, 1] * p1 + T[0, 2] * p2 + T[0, 3]) * inverse * intrinsics[0] + intrinsics[2]
        xy[i, 1] = (T[1, 0] * p0 + T[1, 1] * p1 + T[1, 2] * p2 + T[1, 3]) * inverse * intrinsics[1] + intrinsics[3]
        inverse_z[i] = 0.0 if z < near_m else inverse
    return xy, inverse_z


@njit(cache=True, nogil=True)
def bounds_seen(T_world_cam: F64, points: F64) -> tuple[F64, F64]:
    """Least and greatest x / z and y / z of points before a camera. `(4, 4), (N, 3) m -> (2,), (2,)`."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    T = T_world_cam
    for i in range(points.shape[0]):
        d0, d1, d2 = points[i, 0] - T[0, 3], points[i, 1] - T[1, 3], points[i, 2] - T[2, 3]
        z = T[0, 2] * d0 + T[1, 2] * d1 + T[2, 2] * d2
        for k in range(2):
            value = (T[0, k] * d0 + T[1, k] * d1 + T[2, k] * d2) / z
            low[k], high[k] = min(low[k], value), max(high[k], value)
    return low, high


@njit(cache=True, nogil=True)
def lamp_view(points: F64, axes: F64, texels: int) -> tuple[F64, F64, F64]:
    """What a lamp's map of heights is drawn from.

    Args:
        points: `(N, 3+)`, the first three columns m.
        axes: `(3, 3)` rows are the map's x, y and the way to the lamp.
        texels: edge of the map; the points fill it but for a border.

    Returns:
        `(3, 4)` the lamp's frame, `(N, 2)` texels, and `(N,)` heights m above the lowest, plus one.
    """
    n = points.shape[0]
    xy, height, frame = np.empty((n, 2)), np.empty(n), np.empty((3, 4))
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in range(n):
        for k in range(3):
            value = axes[k, 0] * points[i, 0] + axes[k, 1] * points[i, 1] + axes[k, 2] * points[i, 2]
            low[k], high[k] = min(low[k], value), max(high[k], value)
            if k < 2:
                xy[i, k] = value
            else:
                height[i] = value
    scale = (texels - 3) / max(high[0] - low[0], high[1] - low[1], 1e-6)
    for k in range(3):
        factor = scale if k < 2 else 1.0
        for i in range(3):
            frame[k, i] = factor * axes[k, i]
        # Heights start at one, for zero means that nothing lies there.
        frame[k, 3] = 1.0 - factor * low[k]
    for i in range(n):
        xy[i, 0], xy[i, 1] = xy[i, 0] * scale + frame[0, 3], xy[i, 1] * scale + frame[1, 3]
        height[i] += frame[2, 3]
    return frame, xy, height


@njit(cache=True, nogil=True)
def nearest_m(points: F64, others: F64, offset: F64) -> float:
    """Least distance between `points (N, 3)` m and `others (M, 3)` m moved by `offset (3,)`."""
    best = np.inf
    for i in range(points.shape[0]):
        p0, p1, p2 = points[i, 0] - offset[0], points[i, 1] - offset[1], points[i, 2] - offset[2]
        for j in range(others.shape[0]):
            best = min(best, (others[j, 0] - p0) ** 2 + (others[j, 1] - p1) ** 2 + (others[j, 2] - p2) ** 2)
    return np.sqrt(best)


@njit(cache=True, nogil=True, fastmath=True)
def openness(attributes: F64, starts: F64, ends: F64, radii: F64, first: int, skip: np.ndarray) -> None:
    """Darken the room's light where capsules are near: each hides what a ball at its nearest point would.

    Args:
        attributes: `(N, 14)`, the column OPEN is updated.
        starts: `(C, 3)` m.
        ends: `(C, 3)` m.
        radii: `(C,)` m.
        first: rows of `skip` are those of the vertices from `first` on; later ones skip nothing.
        skip: `(K, C)` capsules that are a vertex's own flesh.
    """
    for n in range(attributes.shape[0]):
        light = attributes[n, OPEN]
        for c in range(starts.shape[0]):
            if first <= n < first + skip.shape[0] and skip[n - first, c]:
                continue
            d0, d1, d2 = ends[c, 0] - starts[c, 0], ends[c, 1] - starts[c, 1], ends[c, 2] - starts[c, 2]
            v0, v1, v2 = (
                attributes[n, 0] - starts[c, 0],
                attributes[n, 1] - starts[c, 1],
                attributes[n, 2] - starts[c, 2],
            )
            t = (v0 * d0 + v1 * d1 + v2 * d2) / (d0 * d0 + d1 * d1 + d2 * d2)
            t = min(max(t, 0.0), 1.0)
            x, y, z = t * d0 - v0, t * d1 - v1, t * d2 - v2
            far2 = x * x + y * y + z * z
            if far2 > 0.0036:
                continue
            far = np.sqrt(far2)
            facing = (x * attributes[n, 3] + y * attributes[n, 4] + z * attributes[n, 5]) / max(far, 1e-9)
            ratio = min(radii[c] / max(far, 1e-9), 1.0)
            light *= 1.0 - 0.9 * max(0.35 + 0.65 * facing, 0.0) * ratio * ratio
        attributes[n, OPEN] = light
