"""The compiled parts of the synthesis: coverage from the lamp, nearness of fingers, and the light at every sample."""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core._raster import _grain, _weights
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

_SHADOW_LIFT_M = 0.003
_SAME_SURFACE_M = 0.004


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


@njit(cache=True, nogil=True, fastmath=True)
def _shadow(x: float, y: float, depth: float, lamp_map: F32) -> float:
    """Share of the lamp that is hidden at a texel, smooth between texels."""
    i, j = int(np.floor(y)), int(np.floor(x))
    if i < 0 or j < 0 or i >= lamp_map.shape[0] - 1 or j >= lamp_map.shape[1] - 1:
        return 0.0
    fy, fx = y - i, x - j
    top = (1.0 - fx) * (lamp_map[i, j] > depth) + fx * (lamp_map[i, j + 1] > depth)
    low = (1.0 - fx) * (lamp_map[i + 1, j] > depth) + fx * (lamp_map[i + 1, j + 1] > depth)
    return (1.0 - fy) * top + fy * low


@njit(cache=True, nogil=True, fastmath=True)
def _print(value: F64, atlas: U8, frame: F64, ink: F64, albedo: F64) -> None:
    """Multiply the albedo by the skin's details at a place of the template.

    Args:
        value: `(14,)` attributes of the sample.
        atlas: `(2, H, W, C)` details of palm and back, 0..255.
        frame: `(3, 2)`: directions across and along the hand in texels per m, and the texel of the origin.
        ink: `(C, 3)` change of the logarithm of the albedo at full detail.
        albedo: `(3,)`, changed.
    """
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
    albedo[0] *= _exp(r)
    albedo[1] *= _exp(g)
    albedo[2] *= _exp(b)


@njit(cache=True, nogil=True, fastmath=True)
def _exp(x: float) -> float:
    """The exponential of small numbers, near enough for colours."""
    y = max(1.0 + 0.125 * x, 0.0)
    y *= y
    y *= y
    return y * y


@njit(cache=True, nogil=True, fastmath=True)
def _radiance(value: F64, material: F64, room: tuple[F64, F64, F32, F32], albedo: F64, out: F64) -> None:
    """Linear RGB of one surface point. `albedo (3,)` as it is there, `out (3,)`; the others as in `shade_scene`."""
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
    bleed = material[BLEED]
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
    if cosine > 0 and shine > 0.6:
        # Grazing surfaces mirror more.
        specular = material[GLOSS] * shine ** material[SHININESS] * cosine * (1.0 + 3.0 * (1.0 - facing) ** 4) * lit
    for k in range(3):
        # Light that enters skin leaves it nearby, red the furthest: the border of its own shade is soft and warm.
        soft = bleed * (1.0 if k == 0 else (0.45 if k == 1 else 0.3))
        direct = max(cosine + soft, 0.0) / (1.0 + soft)
        direct *= lit + (1.0 - lit) * 0.25 * soft
        from_room = value[OPEN] * (light[GROUND_RGB, k] + upward * (light[SKY_RGB, k] - light[GROUND_RGB, k]))
        from_fill = value[OPEN] * fill * light[FILL_RGB, k]
        out[k] = albedo[k] * (direct * light[LAMP_RGB, k] + from_room + from_fill) + specular * light[LAMP_RGB, k]


@njit(cache=True, nogil=True, fastmath=True)
def _interpolate(x: int, y: int, xy: F64, inverse_z: F64, face: np.ndarray, attributes: F64, value: F64) -> None:
    """Attributes of a triangle at a buffer sample."""
    wa, wb, wc = _weights(x, y, xy, inverse_z, face)
    a, b, c = face[0], face[1], face[2]
    for k in range(N_ATTRIBUTES):
        value[k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]


@njit(cache=True, nogil=True, fastmath=True)
def _albedo(value: F64, material: F64, noise: F32, skin: tuple[U8, F64, F64], albedo: F64) -> None:
    """Albedo of a sample, with grain and print."""
    grain = 1.0
    if material[GRAIN] > 0:
        cells = material[CELLS]
        grain += material[GRAIN] * _grain(noise, value[9] * cells, value[10] * cells, value[11] * cells)
    for k in range(3):
        albedo[k] = value[ALBEDO + k] * max(grain, 0.0)
    if material[PRINTED] > 0:
        _print(value, skin[0], skin[1], skin[2], albedo)


@njit(cache=True, nogil=True, fastmath=True)
def shade_scene(
    geometry: tuple[F64, F64, np.ndarray, np.ndarray, F32],
    surface: tuple[F64, np.ndarray, F64],
    room: tuple[F64, F64, F32, F32],
    skin: tuple[U8, F64, F64],
    background: U8,
    out: U8,
) -> None:
    """Light every sample and average those of each pixel over the background.

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
    height, width = out.shape[:2]
    s = face_of.shape[0] // height
    middle = (s * s) // 2
    value, albedo, seen = np.empty(N_ATTRIBUTES), np.empty(3), np.empty(3)
    shade = np.empty((2, 3))
    share = 1.0 / (s * s)
    for py in range(height):
        for px in range(width):
            covered, known = 0, 0
            seen[:] = 0.0
            far0, far1, kind0, kind1 = 0.0, 0.0, -1, -1
            for step in range(s * s):
                # The middle sample first: neighbours on the same surface take its light, others are lit themselves.
                k = middle if step == 0 else (step - 1 if step <= middle else step)
                y, x = py * s + k // s, px * s + k % s
                t = face_of[y, x]
                if t < 0:
                    continue
                covered += 1
                iz, kind = nearest[y, x], surface[1][t]
                reach = _SAME_SURFACE_M * iz * iz
                if known > 0 and kind == kind0 and abs(iz - far0) < reach:
                    row = 0
                elif known > 1 and kind == kind1 and abs(iz - far1) < reach:
                    row = 1
                else:
                    row = min(known, 1)
                    known += 1
                    if row == 0:
                        far0, kind0 = iz, kind
                    else:
                        far1, kind1 = iz, kind
                    _interpolate(x, y, xy, inverse_z, faces[t], surface[0], value)
                    _albedo(value, surface[2][kind], room[3], skin, albedo)
                    _radiance(value, surface[2][kind], room, albedo, shade[row])
                for c in range(3):
                    seen[c] += shade[row, c]
            if covered == 0:
                for c in range(3):
                    out[py, px, c] = background[py, px, c]
                continue
            rest = 1.0 - covered * share
            for c in range(3):
                linear = seen[c] / covered
                # A soft shoulder keeps highlights from clipping; the square root is close to sRGB's curve.
                linear = linear if linear < 0.8 else 1.0 - 0.2 * np.exp(-(linear - 0.8) * 5.0)
                shown = 255.0 * np.sqrt(max(linear, 0.0))
                out[py, px, c] = np.uint8((1.0 - rest) * shown + rest * background[py, px, c] + 0.5)
