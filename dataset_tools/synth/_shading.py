"""The compiled parts of shading: which points of a picture are lit, their colours, and how these make pixels.

Arrays are passed one by one, never in tuples: numba counts the references of a tuple's arrays again at every use, which
took longer than the light.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from dataset_tools.synth._kernels import ALBEDO, DORSAL, N_ATTRIBUTES, OPEN
from hoi_core._raster import _grain
from hoi_core.types import F32, F64, U8

GLOSS, SHININESS, GRAIN, CELLS, BLEED, PRINTED = range(6)
"""Columns of a material: highlight's strength and exponent, grain's strength and cells per m, how far light spreads
under the surface, and whether the skin's atlas is printed on it."""
LAMP, LAMP_RGB, SKY_RGB, GROUND_RGB, FILL, FILL_RGB, EYE, UP = range(8)
"""Rows of the light's numbers."""
PIXEL, FACE, SAMPLE, KIND, COUNT = range(5)
"""Columns of a point that is lit: its pixel and buffer sample (row by row), its face and material, and how many of the
pixel's samples it stands for."""
N_POINT = 5
SAMPLES = 3
"""Colour samples per pixel and axis: odd, so that one of them is the pixel's centre, which depth and labels take."""

_SHADOW_LIFT_M = 0.003
_SAME_SURFACE_M = 0.004


@njit(cache=True, nogil=True)
def resolve(face_of: np.ndarray, nearest: F32, material_of: np.ndarray, size: int, points: np.ndarray) -> int:
    """Choose the points of a square picture that are lit: at most two for each pixel, one after another.

    Args:
        face_of: `(size * s, size * s)` face at every sample, -1 where there is none.
        nearest: inverse depth there, 1/m.
        material_of: `(F,)` of the faces.
        size: edge of the picture, px.
        points: `(2 * size * size, 5)` int32, written.

    Returns:
        How many points.
    """
    s, half, n = SAMPLES, SAMPLES // 2, 0
    for py in range(size):
        for px in range(size):
            y0, x0 = py * s, px * s
            # One light for what the middle shows and what lies on the same surface nearby, one for all else.
            shown, other, at = face_of[y0 + half, x0 + half], -1, 0
            n_shown, n_other = 0, 0
            far, kind, reach = np.float32(0.0), -1, np.float32(0.0)
            if shown >= 0:
                far, kind = nearest[y0 + half, x0 + half], material_of[shown]
                reach = np.float32(_SAME_SURFACE_M) * far * far
            for y in range(y0, y0 + s):
                for x in range(x0, x0 + s):
                    t = face_of[y, x]
                    if t < 0:
                        continue
                    if t == shown or (shown >= 0 and material_of[t] == kind and abs(nearest[y, x] - far) < reach):
                        n_shown += 1
                        continue
                    n_other += 1
                    if other < 0:
                        other, at = t, y * face_of.shape[1] + x
            pixel = py * size + px
            if shown >= 0:
                points[n, PIXEL], points[n, FACE], points[n, KIND], points[n, COUNT] = pixel, shown, kind, n_shown
                points[n, SAMPLE] = (y0 + half) * face_of.shape[1] + x0 + half
                n += 1
            if other >= 0:
                points[n, PIXEL], points[n, FACE], points[n, SAMPLE] = pixel, other, at
                points[n, KIND], points[n, COUNT] = material_of[other], n_other
                n += 1
    return n


@njit(cache=True, nogil=True)
def centres(face_of: np.ndarray, nearest: F32, face: np.ndarray, depth: F32) -> None:
    """Face and depth at the middle of each pixel.

    Args:
        face_of: `(h * s, w * s)`, -1 where there is none.
        nearest: inverse depth there, 1/m.
        face: `(h, w)` int32, written.
        depth: `(h, w)` m, 0 where there is nothing, written.
    """
    half = SAMPLES // 2
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            t = face_of[y * SAMPLES + half, x * SAMPLES + half]
            face[y, x] = t
            depth[y, x] = 1.0 / nearest[y * SAMPLES + half, x * SAMPLES + half] if t >= 0 else 0.0


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def interpolate(
    points: np.ndarray, width: int, faces: np.ndarray, xy: F64, inverse_z: F64, attributes: F32, values: F32
) -> None:
    """Attributes of points, perspective-correct.

    Args:
        points: `(P, 5)`, of `resolve`.
        width: of the buffer, samples.
        faces: `(F, 3)`.
        xy: `(N, 2)` buffer coordinates.
        inverse_z: `(N,)` 1/m.
        attributes: `(N, 14)`.
        values: `(P, 14)`, written.
    """
    for p in range(points.shape[0]):
        y, x = divmod(points[p, SAMPLE], width)
        t = points[p, FACE]
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        xa, ya, xb, yb, xc, yc = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1], xy[c, 0], xy[c, 1]
        wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * inverse_z[a]
        wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * inverse_z[b]
        wc = ((xa - x) * (yb - y) - (xb - x) * (ya - y)) * inverse_z[c]
        scale = 1.0 / (wa + wb + wc)
        va, vb, vc = np.float32(wa * scale), np.float32(wb * scale), np.float32(wc * scale)
        for k in range(N_ATTRIBUTES):
            values[p, k] = va * attributes[a, k] + vb * attributes[b, k] + vc * attributes[c, k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def texture(points: np.ndarray, materials: F64, noise: F32, atlas: U8, frame: F64, ink: F64, values: F32) -> None:
    """Grain and the skin's print on the albedo of points.

    Args:
        points: `(P, 5)`.
        materials: `(M, 6)`.
        noise: volume of the grain.
        atlas: `(2, H, W, C)` palm and back.
        frame: `(2, 4)` place on the template m -> texel.
        ink: `(C, 3)` change of the logarithm of the albedo at full detail.
        values: `(P, 14)`, updated.
    """
    for p in range(points.shape[0]):
        kind = points[p, KIND]
        u, v, w = values[p, 9], values[p, 10], values[p, 11]
        if materials[kind, GRAIN] > 0:
            cells = materials[kind, CELLS]
            grain = max(1.0 + materials[kind, GRAIN] * _grain(noise, u * cells, v * cells, w * cells), 0.0)
            for k in range(ALBEDO, ALBEDO + 3):
                values[p, k] *= grain
        if materials[kind, PRINTED] > 0:
            x = u * frame[0, 0] + v * frame[0, 1] + w * frame[0, 2] + frame[0, 3]
            y = u * frame[1, 0] + v * frame[1, 1] + w * frame[1, 2] + frame[1, 3]
            # Texels are finer than pixels: the nearest will do.
            i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            if i < 0 or j < 0 or i >= atlas.shape[1] or j >= atlas.shape[2]:
                continue
            back = min(max(2.0 * values[p, DORSAL] - 0.5, 0.0), 1.0) / 255.0
            front = 1.0 / 255.0 - back
            red, green, blue = 0.0, 0.0, 0.0
            for c in range(atlas.shape[3]):
                amount = front * atlas[0, i, j, c] + back * atlas[1, i, j, c]
                red, green, blue = red + amount * ink[c, 0], green + amount * ink[c, 1], blue + amount * ink[c, 2]
            values[p, ALBEDO] *= _exp(red)
            values[p, ALBEDO + 1] *= _exp(green)
            values[p, ALBEDO + 2] *= _exp(blue)


@njit(inline="always", fastmath=True)
def _exp(x: float) -> float:
    """The exponential of small numbers, near enough for colours."""
    y = max(1.0 + 0.125 * x, 0.0)
    y *= y
    y *= y
    return y * y


@njit(nogil=True, fastmath=True, error_model="numpy")
def _shadow(x: float, y: float, depth: float, lamp_map: F32) -> float:
    """Share of the lamp that is hidden at a texel, smooth between texels."""
    i, j = int(np.floor(y)), int(np.floor(x))
    if i < 0 or j < 0 or i >= lamp_map.shape[0] - 1 or j >= lamp_map.shape[1] - 1:
        return 0.0
    fy, fx = y - i, x - j
    top = (1.0 - fx) * (lamp_map[i, j] > depth) + fx * (lamp_map[i, j + 1] > depth)
    low = (1.0 - fx) * (lamp_map[i + 1, j] > depth) + fx * (lamp_map[i + 1, j + 1] > depth)
    return (1.0 - fy) * top + fy * low


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def radiance(
    points: np.ndarray, values: F32, materials: F64, light: F64, lamp_frame: F64, lamp_map: F32, out: F32
) -> None:
    """Linear RGB of points.

    Args:
        points: `(P, 5)`.
        values: `(P, 14)` attributes.
        materials: `(M, 6)`.
        light: `(8, 3)`.
        lamp_frame: `(3, 4)` texels and height m of a place.
        lamp_map: `(m, m)` heights.
        out: `(P, 3)`, written.
    """
    e0, e1, e2 = light[EYE, 0], light[EYE, 1], light[EYE, 2]
    l0, l1, l2 = light[LAMP, 0], light[LAMP, 1], light[LAMP, 2]
    for p in range(points.shape[0]):
        kind = points[p, KIND]
        n0, n1, n2 = values[p, 3], values[p, 4], values[p, 5]
        v0, v1, v2 = e0 - values[p, 0], e1 - values[p, 1], e2 - values[p, 2]
        n = 1.0 / max(np.sqrt(n0 * n0 + n1 * n1 + n2 * n2), 1e-12)
        v = 1.0 / max(np.sqrt(v0 * v0 + v1 * v1 + v2 * v2), 1e-12)
        # At a silhouette the interpolated normal may look away a little, though the surface does not.
        facing = max((n0 * v0 + n1 * v1 + n2 * v2) * n * v, 0.0)
        n0, n1, n2 = n0 * n, n1 * n, n2 * n
        cosine = n0 * l0 + n1 * l1 + n2 * l2
        bleed = materials[kind, BLEED]
        lit = 1.0
        if cosine > -bleed:
            x = values[p, 0] + _SHADOW_LIFT_M * n0
            y = values[p, 1] + _SHADOW_LIFT_M * n1
            z = values[p, 2] + _SHADOW_LIFT_M * n2
            u = x * lamp_frame[0, 0] + y * lamp_frame[0, 1] + z * lamp_frame[0, 2] + lamp_frame[0, 3]
            w = x * lamp_frame[1, 0] + y * lamp_frame[1, 1] + z * lamp_frame[1, 2] + lamp_frame[1, 3]
            depth = x * lamp_frame[2, 0] + y * lamp_frame[2, 1] + z * lamp_frame[2, 2] + lamp_frame[2, 3]
            lit = 1.0 - _shadow(u, w, depth, lamp_map)
        fill = max(n0 * light[FILL, 0] + n1 * light[FILL, 1] + n2 * light[FILL, 2], 0.0)
        upward = 0.5 + 0.5 * (n0 * light[UP, 0] + n1 * light[UP, 1] + n2 * light[UP, 2])
        h0, h1, h2 = v0 * v + l0, v1 * v + l1, v2 * v + l2
        shine = (n0 * h0 + n1 * h1 + n2 * h2) / max(np.sqrt(h0 * h0 + h1 * h1 + h2 * h2), 1e-12)
        specular = 0.0
        if cosine > 0 and shine > 0.5:
            # Schlick's stand-in for the power; grazing surfaces mirror more.
            peak = shine / (materials[kind, SHININESS] * (1.0 - shine) + shine)
            edge = (1.0 - facing) * (1.0 - facing)
            specular = materials[kind, GLOSS] * peak * cosine * (1.0 + 3.0 * edge * edge) * lit
        room = values[p, OPEN]
        for k in range(3):
            # Light that enters skin leaves it nearby, red the furthest: the border of its own shade is soft and warm.
            soft = bleed * (1.0 if k == 0 else (0.45 if k == 1 else 0.3))
            direct = max(cosine + soft, 0.0) / (1.0 + soft)
            direct *= lit + (1.0 - lit) * 0.25 * soft
            from_room = light[GROUND_RGB, k] + upward * (light[SKY_RGB, k] - light[GROUND_RGB, k])
            indirect = room * (from_room + fill * light[FILL_RGB, k])
            out[p, k] = values[p, ALBEDO + k] * (direct * light[LAMP_RGB, k] + indirect) + specular * light[LAMP_RGB, k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def develop(points: np.ndarray, colors: F32, out: U8) -> None:
    """Average the points of each pixel over what lies behind.

    Args:
        points: `(P, 5)`, those of a pixel one after another.
        colors: `(P, 3)` linear RGB.
        out: `(H * W, 3)`, the background; updated.
    """
    p = 0
    while p < points.shape[0]:
        pixel = points[p, PIXEL]
        own = float(points[p, COUNT])
        two = p + 1 < points.shape[0] and points[p + 1, PIXEL] == pixel
        other = float(points[p + 1, COUNT]) if two else 0.0
        front, share = (own + other) / SAMPLES**2, own / (own + other)
        for c in range(3):
            linear = share * colors[p, c] + ((1.0 - share) * colors[p + 1, c] if two else 0.0)
            # A soft shoulder keeps highlights from clipping; the square root is close to sRGB's curve.
            linear = linear if linear < 0.8 else 1.0 - 0.2 * np.exp(-(linear - 0.8) * 5.0)
            displayed = 255.0 * np.sqrt(max(linear, 0.0))
            out[pixel, c] = np.uint8(front * displayed + (1.0 - front) * out[pixel, c] + 0.5)
        p += 2 if two else 1
