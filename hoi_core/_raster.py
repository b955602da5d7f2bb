"""The compiled kernels of the rasteriser: coverage, geometry buffers, shading. One thread, no allocation.

A buffer sample (row i, column j) lies at integer buffer coordinates; `render` maps camera pixels to them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core.types import F32, F64, U8

Geometry = tuple[F64, F64, np.ndarray, np.ndarray]
Look = tuple[F64, F64, F64, F32]

NOISE_SIZE = 32
"""Edge of the periodic noise volume that gives materials their grain."""


@njit(cache=True, nogil=True)
def cover(xy: F64, inverse_z: F64, faces: np.ndarray, nearest: F64, face_of: np.ndarray) -> None:
    """Draw triangles into a buffer of inverse depth; the nearest surface wins.

    Args:
        xy: `(N, 2)` buffer coordinates of the vertices.
        inverse_z: `(N,)` 1/m, positive.
        faces: `(F, 3)` int32.
        nearest: `(h, w)` 1/m, zero where nothing lies; updated.
        face_of: `(h, w)` int32, -1 where nothing lies; updated.
    """
    height, width = nearest.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        xa, ya, xb, yb, xc, yc = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1], xy[c, 0], xy[c, 1]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        # Also refuses NaN, which project gives to points behind the camera.
        if not abs(area) > 1e-12:
            continue
        x0, x1 = max(0.0, np.ceil(min(xa, xb, xc))), min(width - 1.0, np.floor(max(xa, xb, xc)))
        y0, y1 = max(0.0, np.ceil(min(ya, yb, yc))), min(height - 1.0, np.floor(max(ya, yb, yc)))
        if x0 > x1 or y0 > y1:
            continue
        scale = 1.0 / area
        ia, ib, ic = inverse_z[a], inverse_z[b], inverse_z[c]
        # Barycentric weights are affine in x: start of the row and step along it.
        step_a, step_b = (yb - yc) * scale, (yc - ya) * scale
        for y in range(int(y0), int(y1) + 1):
            wa = ((xb - x0) * (yc - y) - (xc - x0) * (yb - y)) * scale
            wb = ((xc - x0) * (ya - y) - (xa - x0) * (yc - y)) * scale
            entered = False
            for x in range(int(x0), int(x1) + 1):
                wc = 1.0 - wa - wb
                if wa >= -1e-9 and wb >= -1e-9 and wc >= -1e-9:
                    entered = True
                    value = wa * ia + wb * ib + wc * ic
                    if value > nearest[y, x]:
                        nearest[y, x] = value
                        face_of[y, x] = t
                elif entered:
                    break  # a row of a triangle is one piece
                wa += step_a
                wb += step_b


@njit(cache=True, nogil=True)
def vertex_normals(vertices: F64, faces: np.ndarray, normals: F64) -> None:
    """Area-weighted unit normals. `(N, 3) m, (F, 3) -> (N, 3)`, outward for counter-clockwise faces."""
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for k in range(normals.shape[0]):
        length = np.sqrt(normals[k, 0] ** 2 + normals[k, 1] ** 2 + normals[k, 2] ** 2)
        if length > 0:
            for i in range(3):  # a loop: numba takes seconds to compile what it says of slices that do not fit
                normals[k, i] /= length


@njit(cache=True, nogil=True, fastmath=True)
def _weights(x: float, y: float, xy: F64, inverse_z: F64, face: np.ndarray) -> tuple[float, float, float]:
    """Perspective-correct barycentric weights of the buffer point (x, y) in a triangle."""
    a, b, c = face[0], face[1], face[2]
    xa, ya, xb, yb, xc, yc = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1], xy[c, 0], xy[c, 1]
    wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) * inverse_z[a]
    wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) * inverse_z[b]
    wc = ((xa - x) * (yb - y) - (xb - x) * (ya - y)) * inverse_z[c]
    total = wa + wb + wc
    return wa / total, wb / total, wc / total


@njit(cache=True, nogil=True, fastmath=True)
def normal_image(xy: F64, inverse_z: F64, faces: np.ndarray, normals: F64, face_of: np.ndarray, out: F32) -> None:
    """Interpolate vertex normals into an image, turned towards the camera. `out (h, w, 3)`."""
    height, width = face_of.shape
    for y in range(height):
        for x in range(width):
            t = face_of[y, x]
            if t < 0:
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            wa, wb, wc = _weights(x, y, xy, inverse_z, faces[t])
            n0 = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            n1 = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            n2 = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = max(np.sqrt(n0 * n0 + n1 * n1 + n2 * n2), 1e-12)
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = n0 / length, n1 / length, n2 / length


@njit(cache=True, nogil=True, fastmath=True)
def _grain(noise: F32, x: float, y: float, z: float) -> float:
    """Two octaves of the noise volume at a point in units of its cells."""
    m = NOISE_SIZE - 1
    coarse = noise[int(np.floor(x)) & m, int(np.floor(y)) & m, int(np.floor(z)) & m]
    fine = noise[int(np.floor(x * 3.1)) & m, int(np.floor(y * 3.1)) & m, int(np.floor(z * 3.1)) & m]
    return coarse + 0.5 * fine


@njit(cache=True, nogil=True, fastmath=True)
def _lit(x: int, y: int, t: int, geometry: Geometry, look: Look, value: F64) -> tuple[float, float, float]:
    """Linear RGB of triangle `t` at a buffer sample; `value (12,)` is scratch space. Arguments as in `shade`."""
    xy, inverse_z, faces, _ = geometry
    attributes, materials, light, noise = look
    a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
    wa, wb, wc = _weights(x, y, xy, inverse_z, faces[t])
    for k in range(12):
        value[k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
    diffuse, specular, sky = _light_terms(value, light)
    albedo = 1.0
    if materials[t, 1] > 0:
        albedo += materials[t, 1] * _grain(noise, value[9], value[10], value[11])
    gloss = materials[t, 0] * specular
    red = value[6] * albedo * (light[1, 0] * sky + light[2, 0] * diffuse) + gloss * light[2, 0]
    green = value[7] * albedo * (light[1, 1] * sky + light[2, 1] * diffuse) + gloss * light[2, 1]
    blue = value[8] * albedo * (light[1, 2] * sky + light[2, 2] * diffuse) + gloss * light[2, 2]
    return red, green, blue


@njit(cache=True, nogil=True, fastmath=True)
def shade(
    geometry: Geometry,
    look: Look,
    background: U8,
    supersample: int,
    out: U8,
) -> None:
    """Light every sample and average the samples of each pixel over the background.

    Args:
        geometry: `xy (N, 2)`, `inverse_z (N,)`, `faces (F, 3)`, `face_of (h * s, w * s)`.
        look: attributes `(N, 12)`: camera-frame position m, normal, linear colour 0..1, grain coordinates in cells;
            materials `(F, 2)`: gloss and grain strength of each face;
            light `(4, 3)`: direction towards the light (camera frame), ambient, diffuse, (shininess, wrap, 0);
            noise: periodic volume, zero mean.
        background: `(h, w, 3)`.
        supersample: s.
        out: `(h, w, 3)`, written.
    """
    face_of = geometry[3]
    height, width = out.shape[:2]
    value = np.empty(12)
    share = 1.0 / (supersample * supersample)
    for py in range(height):
        for px in range(width):
            covered, last = 0, -1
            red, green, blue = 0.0, 0.0, 0.0
            r, g, b = 0.0, 0.0, 0.0
            for y in range(py * supersample, (py + 1) * supersample):
                for x in range(px * supersample, (px + 1) * supersample):
                    t = face_of[y, x]
                    if t < 0:
                        continue
                    covered += 1
                    # Coverage is sampled finely, light once per triangle and pixel: twice as fast, looks the same.
                    if t != last:
                        r, g, b = _lit(x, y, t, geometry, look, value)
                        last = t
                    red, green, blue = red + r, green + g, blue + b
            rest = 1.0 - covered * share
            for k, total in enumerate((red, green, blue)):
                # Display encoding: square root is close to sRGB's curve and cheap.
                lit = 255.0 * np.sqrt(min(max(total / max(covered, 1), 0.0), 1.0))
                out[py, px, k] = np.uint8((1.0 - rest) * lit + rest * background[py, px, k] + 0.5)


@njit(cache=True, nogil=True, fastmath=True)
def _light_terms(value: F64, light: F64) -> tuple[float, float, float]:
    """Wrapped diffuse, Blinn-Phong specular, and the share of ambient light of one surface point."""
    n0, n1, n2 = value[3], value[4], value[5]
    v0, v1, v2 = -value[0], -value[1], -value[2]
    n = 1.0 / max(np.sqrt(n0 * n0 + n1 * n1 + n2 * n2), 1e-12)
    v = 1.0 / max(np.sqrt(v0 * v0 + v1 * v1 + v2 * v2), 1e-12)
    facing = (n0 * v0 + n1 * v1 + n2 * v2) * n * v
    if facing < 0:
        n, facing = -n, -facing
    cosine = (n0 * light[0, 0] + n1 * light[0, 1] + n2 * light[0, 2]) * n
    wrap = light[3, 1]
    diffuse = max((cosine + wrap) / (1.0 + wrap), 0.0)
    h0, h1, h2 = v0 * v + light[0, 0], v1 * v + light[0, 1], v2 * v + light[0, 2]
    h = 1.0 / max(np.sqrt(h0 * h0 + h1 * h1 + h2 * h2), 1e-12)
    specular = 0.0
    if cosine > 0:
        shine = (n0 * h0 + n1 * h1 + n2 * h2) * n * h
        # Below that the power is invisible and costs as much as all the rest.
        if shine > 0.7:
            specular = shine ** light[3, 0] * cosine
    # Silhouettes look into the scene, faces towards the camera into the open room.
    return diffuse, specular, 0.6 + 0.4 * facing


@njit(cache=True, nogil=True, fastmath=True)
def light_vertices(attributes: F64, faces: np.ndarray, materials: F64, light: F64, out: F64) -> None:
    """Light vertices rather than samples: enough for meshes of small triangles.

    Args:
        attributes: `(N, 12)` as in `shade`.
        faces: `(F, 3)` int32.
        materials: `(F, 2)` gloss and grain of each face; grain is left out.
        light: `(4, 3)` as in `shade`.
        out: `(N, >= 3)`, the first three become RGB as displayed, 0..255.
    """
    gloss = np.zeros(attributes.shape[0])
    for t in range(faces.shape[0]):
        for k in range(3):
            gloss[faces[t, k]] = materials[t, 0]
    for n in range(attributes.shape[0]):
        diffuse, specular, sky = _light_terms(attributes[n], light)
        for k in range(3):
            lit = attributes[n, 6 + k] * (light[1, k] * sky + light[2, k] * diffuse)
            lit += gloss[n] * specular * light[2, k]
            out[n, k] = 255.0 * np.sqrt(min(max(lit, 0.0), 1.0))


@njit(cache=True, nogil=True, fastmath=True)
def blend_vertices(xy: F64, inverse_z: F64, faces: np.ndarray, values: F64, face_of: np.ndarray, out: U8) -> None:
    """Interpolate what the vertices hold into a picture; samples that nothing covers stay.

    Args:
        xy: `(N, 2)` buffer coordinates of the vertices.
        inverse_z: `(N,)` 1/m.
        faces: `(F, 3)` int32.
        values: `(N, C)` 0..255.
        face_of: `(h, w)` int32, -1 where nothing lies.
        out: `(h, w, C)`, written.
    """
    height, width = face_of.shape
    for y in range(height):
        for x in range(width):
            t = face_of[y, x]
            if t < 0:
                continue
            wa, wb, wc = _weights(x, y, xy, inverse_z, faces[t])
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            for k in range(values.shape[1]):
                out[y, x, k] = np.uint8(wa * values[a, k] + wb * values[b, k] + wc * values[c, k] + 0.5)
