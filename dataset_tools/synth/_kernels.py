"""The compiled parts of the synthesis: coverage from the lamp, nearness of fingers, and the light at every sample."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core._raster import _grain
from hoi_core.types import F32, F64, U8

POSITION, NORMAL, ALBEDO, REST, OPEN, DORSAL = 0, 3, 6, 9, 12, 13
"""Columns of a vertex's attributes: position m, normal (world frame), linear albedo, place on the template m, share of
the room's light that reaches it, and how much it belongs to the back of the hand."""
N_ATTRIBUTES = 14
GLOSS, SHININESS, GRAIN, CELLS, BLEED, PRINTED = range(6)
"""Columns of a material: highlight's strength and exponent, grain's strength and cells per m, how far light spreads
under the surface, and whether the skin's atlas is printed on it."""
LAMP, LAMP_RGB, SKY_RGB, GROUND_RGB, FILL, FILL_RGB, EYE, UP = range(8)
"""Rows of the light's numbers."""

Geometry = tuple[F64, F64, np.ndarray, np.ndarray, F32]
Room = tuple[F64, F64, F32, F32]
Skin = tuple[U8, F64, F64]
_SHADOW_LIFT_M = 0.003
_SAME_SURFACE_M = 0.004


@njit(cache=True, nogil=True)
def facing(xy: F64, inverse_z: F64, faces: np.ndarray) -> np.ndarray:
    """Numbers of the faces whose front is seen and that lie before the camera. `(N, 2), (N,), (F, 3) -> (K,)`."""
    out = np.empty(faces.shape[0], np.int64)
    n = 0
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        area = (xy[b, 0] - xy[a, 0]) * (xy[c, 1] - xy[a, 1]) - (xy[b, 1] - xy[a, 1]) * (xy[c, 0] - xy[a, 0])
        # Seen from outside corners run counter-clockwise, which is clockwise where y points down.
        if area < 0.0 and min(inverse_z[a], inverse_z[b], inverse_z[c]) > 0.0:
            out[n] = t
            n += 1
    return out[:n]


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


@njit(inline="always", fastmath=True)
def _shadow(x: float, y: float, depth: float, lamp_map: F32) -> float:
    """Share of the lamp that is hidden at a texel, smooth between texels."""
    i, j = int(np.floor(y)), int(np.floor(x))
    if i < 0 or j < 0 or i >= lamp_map.shape[0] - 1 or j >= lamp_map.shape[1] - 1:
        return 0.0
    fy, fx = y - i, x - j
    top = (1.0 - fx) * (lamp_map[i, j] > depth) + fx * (lamp_map[i, j + 1] > depth)
    low = (1.0 - fx) * (lamp_map[i + 1, j] > depth) + fx * (lamp_map[i + 1, j + 1] > depth)
    return (1.0 - fy) * top + fy * low


@njit(inline="always", fastmath=True)
def _print(value: F64, skin: Skin) -> None:
    """Multiply the albedo of a sample by the skin's details at its place of the template. As in `shade_scene`."""
    atlas, frame, ink = skin
    x = value[9] * frame[0, 0] + value[10] * frame[0, 1] + value[11] * frame[0, 2] + frame[0, 3]
    y = value[9] * frame[1, 0] + value[10] * frame[1, 1] + value[11] * frame[1, 2] + frame[1, 3]
    i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    if i < 0 or j < 0 or i >= atlas.shape[1] or j >= atlas.shape[2]:
        return
    # Texels are finer than pixels: the nearest will do.
    back = min(max(2.0 * value[DORSAL] - 0.5, 0.0), 1.0) / 255.0
    front = 1.0 / 255.0 - back
    r, g, b = 0.0, 0.0, 0.0
    for c in range(atlas.shape[3]):
        amount = front * atlas[0, i, j, c] + back * atlas[1, i, j, c]
        r, g, b = r + amount * ink[c, 0], g + amount * ink[c, 1], b + amount * ink[c, 2]
    value[ALBEDO] *= _exp(r)
    value[ALBEDO + 1] *= _exp(g)
    value[ALBEDO + 2] *= _exp(b)


@njit(inline="always", fastmath=True)
def _exp(x: float) -> float:
    """The exponential of small numbers, near enough for colours."""
    y = max(1.0 + 0.125 * x, 0.0)
    y *= y
    y *= y
    return y * y


@njit(inline="always", fastmath=True)
def _radiance(value: F64, materials: F64, kind: int, room: Room, out: F64, row: int) -> None:
    """Linear RGB of one surface point into a row of `out`. `value (14,)` attributes; the others as in `shade_scene`."""
    light, lamp_frame, lamp_map, _ = room
    n0, n1, n2 = value[3], value[4], value[5]
    v0, v1, v2 = light[EYE, 0] - value[0], light[EYE, 1] - value[1], light[EYE, 2] - value[2]
    n = 1.0 / max(np.sqrt(n0 * n0 + n1 * n1 + n2 * n2), 1e-12)
    v = 1.0 / max(np.sqrt(v0 * v0 + v1 * v1 + v2 * v2), 1e-12)
    facing = (n0 * v0 + n1 * v1 + n2 * v2) * n * v
    if facing < 0:
        n, facing = -n, -facing
    n0, n1, n2 = n0 * n, n1 * n, n2 * n
    cosine = n0 * light[LAMP, 0] + n1 * light[LAMP, 1] + n2 * light[LAMP, 2]
    bleed = materials[kind, BLEED]
    lit = 1.0
    if cosine > -bleed:
        x, y, z = value[0] + _SHADOW_LIFT_M * n0, value[1] + _SHADOW_LIFT_M * n1, value[2] + _SHADOW_LIFT_M * n2
        u = x * lamp_frame[0, 0] + y * lamp_frame[0, 1] + z * lamp_frame[0, 2] + lamp_frame[0, 3]
        w = x * lamp_frame[1, 0] + y * lamp_frame[1, 1] + z * lamp_frame[1, 2] + lamp_frame[1, 3]
        depth = x * lamp_frame[2, 0] + y * lamp_frame[2, 1] + z * lamp_frame[2, 2] + lamp_frame[2, 3]
        lit = 1.0 - _shadow(u, w, depth, lamp_map)
    fill = max(n0 * light[FILL, 0] + n1 * light[FILL, 1] + n2 * light[FILL, 2], 0.0)
    upward = 0.5 + 0.5 * (n0 * light[UP, 0] + n1 * light[UP, 1] + n2 * light[UP, 2])
    h0, h1, h2 = v0 * v + light[LAMP, 0], v1 * v + light[LAMP, 1], v2 * v + light[LAMP, 2]
    shine = (n0 * h0 + n1 * h1 + n2 * h2) / max(np.sqrt(h0 * h0 + h1 * h1 + h2 * h2), 1e-12)
    specular = 0.0
    if cosine > 0 and shine > 0.5:
        # Schlick's stand-in for the power; grazing surfaces mirror more.
        peak = shine / (materials[kind, SHININESS] * (1.0 - shine) + shine)
        edge = (1.0 - facing) * (1.0 - facing)
        specular = materials[kind, GLOSS] * peak * cosine * (1.0 + 3.0 * edge * edge) * lit
    for k in range(3):
        # Light that enters skin leaves it nearby, red the furthest: the border of its own shade is soft and warm.
        soft = bleed * (1.0 if k == 0 else (0.45 if k == 1 else 0.3))
        direct = max(cosine + soft, 0.0) / (1.0 + soft)
        direct *= lit + (1.0 - lit) * 0.25 * soft
        from_room = value[OPEN] * (light[GROUND_RGB, k] + upward * (light[SKY_RGB, k] - light[GROUND_RGB, k]))
        from_fill = value[OPEN] * fill * light[FILL_RGB, k]
        out[row, k] = value[ALBEDO + k] * (direct * light[LAMP_RGB, k] + from_room + from_fill)
        out[row, k] += specular * light[LAMP_RGB, k]


@njit(inline="always", fastmath=True)
def _interpolate(
    x: int, y: int, corners: tuple[int, int, int], xy: F64, inverse_z: F64, attributes: F64, value: F64
) -> None:
    """Attributes of a triangle at a buffer sample, perspective-correct."""
    a, b, c = corners
    xa, ya, xb, yb, xc, yc = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1], xy[c, 0], xy[c, 1]
    wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * inverse_z[a]
    wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * inverse_z[b]
    wc = ((xa - x) * (yb - y) - (xb - x) * (ya - y)) * inverse_z[c]
    scale = 1.0 / (wa + wb + wc)
    wa, wb, wc = wa * scale, wb * scale, wc * scale
    for k in range(N_ATTRIBUTES):
        value[k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]


@njit(inline="always", fastmath=True)
def _texture(value: F64, materials: F64, kind: int, noise: F32, skin: Skin) -> None:
    """Grain and print on the albedo of a sample."""
    if materials[kind, GRAIN] > 0:
        cells = materials[kind, CELLS]
        grain = 1.0 + materials[kind, GRAIN] * _grain(noise, value[9] * cells, value[10] * cells, value[11] * cells)
        for k in range(3):
            value[ALBEDO + k] *= max(grain, 0.0)
    if materials[kind, PRINTED] > 0:
        _print(value, skin)


@njit(cache=True, nogil=True, fastmath=True)
def shade_scene(
    geometry: Geometry, surface: tuple[F64, np.ndarray, F64], room: Room, skin: Skin, background: U8, out: U8
) -> None:
    """Light what each pixel shows and average its samples over the background.

    Args:
        geometry: `xy (N, 2)` buffer coordinates, `inverse_z (N,)`, `faces (F, 3)`, `face_of (h * s, w * s)`,
            inverse depth there.
        surface: attributes `(N, 14)`, material of each face `(F,)`, materials `(M, 6)`.
        room: light `(8, 3)`, lamp's frame `(3, 4)`, lamp's map of depths `(m, m)`, noise volume.
        skin: atlas `(2, H, W, C)`, its frame `(2, 4)`, ink `(C, 3)`.
        background: `(h, w, 3)`.
        out: `(h, w, 3)`, written.
    """
    xy, inverse_z, faces, face_of, nearest = geometry
    attributes, material_of, materials = surface
    height, width = out.shape[:2]
    s = face_of.shape[0] // height
    half = s // 2
    value, shade = np.empty(N_ATTRIBUTES), np.empty((2, 3))
    for py in range(height):
        for px in range(width):
            y0, x0 = py * s, px * s
            # One light for what the middle shows and what lies on the same surface nearby, one for all else.
            shown = face_of[y0 + half, x0 + half]
            ym, xm, other, yo, xo = y0 + half, x0 + half, -1, 0, 0
            n_shown, n_other = 0, 0
            far, kind = 0.0, -1
            if shown >= 0:
                far, kind = nearest[ym, xm], material_of[shown]
            reach = _SAME_SURFACE_M * far * far
            for y in range(y0, y0 + s):
                for x in range(x0, x0 + s):
                    t = face_of[y, x]
                    if t < 0:
                        continue
                    if t == shown or (shown >= 0 and material_of[t] == kind and abs(nearest[y, x] - far) < reach):
                        n_shown += 1
                    else:
                        n_other += 1
                        if other < 0:
                            other, yo, xo = t, y, x
            for row in range(2):
                t, x, y = (other, xo, yo) if row else (shown, xm, ym)
                if t < 0:
                    continue
                material = material_of[t]
                _interpolate(x, y, (faces[t, 0], faces[t, 1], faces[t, 2]), xy, inverse_z, attributes, value)
                _texture(value, materials, material, room[3], skin)
                _radiance(value, materials, material, room, shade, row)
            if n_shown + n_other == 0:
                out[py, px, 0] = background[py, px, 0]
                out[py, px, 1] = background[py, px, 1]
                out[py, px, 2] = background[py, px, 2]
                continue
            front = (n_shown + n_other) / (s * s)
            share = n_shown / (n_shown + n_other)
            for c in range(3):
                linear = (share * shade[0, c] if n_shown else 0.0) + ((1.0 - share) * shade[1, c] if n_other else 0.0)
                # A soft shoulder keeps highlights from clipping; the square root is close to sRGB's curve.
                linear = linear if linear < 0.8 else 1.0 - 0.2 * np.exp(-(linear - 0.8) * 5.0)
                displayed = 255.0 * np.sqrt(max(linear, 0.0))
                out[py, px, c] = np.uint8(front * displayed + (1.0 - front) * background[py, px, c] + 0.5)
