"""A rasteriser on the CPU: colour, depth, segmentation and normals of triangle meshes in any of our cameras.

Vertices go through the camera's own projection, distortion included; attributes are interpolated in a
perspective-correct way, so triangles should be small where the distortion is strong. Pixel centres lie at integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cam
from hoi_core._raster import (
    NOISE_SIZE,
    blend_vertices,
    cover,
    light_vertices,
    normal_image,
    shade,
    vertex_normals,
)
from hoi_core.types import F32, F64, U8, Camera

Window = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are outside."""

NEAR_M = 0.02
"""Nothing nearer than this is drawn; triangles that cross it are cut."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in the world with its look."""

    vertices_m: F64
    """(N, 3) m."""
    faces: NDArray[np.int32]
    """(F, 3), counter-clockwise seen from outside."""
    colors: U8
    """(N, 3) RGB of each vertex."""
    label: int
    """Value in the segmentation, 1..255; 0 is the background."""
    gloss: float = 0.05
    """Strength of the highlight, 0..1."""
    grain: float = 0.0
    """Strength of the procedural texture, relative to the colour."""
    grain_m: float = 0.002
    """Size of the grain, m."""
    rest_m: F64 | None = None
    """(N, 3) m where the grain is looked up, so that it moves with the surface; None takes `vertices_m`."""


@dataclass(frozen=True)
class Light:
    """One lamp and the light of the room, linear RGB in 0..1."""

    direction: tuple[float, float, float] = (0.3, -0.4, 0.87)
    """Towards the lamp, world frame, any length."""
    ambient: tuple[float, float, float] = (0.45, 0.45, 0.47)
    """Light of the room."""
    diffuse: tuple[float, float, float] = (0.75, 0.73, 0.68)
    """Light of the lamp."""
    shininess: float = 24.0
    """Exponent of the highlight."""
    wrap: float = 0.25
    """How far the lamp reaches around an object: 0 is a point, 1 a wall of light."""


@dataclass(frozen=True)
class RenderOutput:
    """Images of the window (or of the whole camera image)."""

    color: U8
    """(h, w, 3) RGB, antialiased with `supersample` > 1."""
    depth_m: F32
    """(h, w) m along z of the nearest surface at the pixel centre, 0 where there is none."""
    segmentation: U8
    """(h, w) label of that surface, 0 where there is none."""
    normals: F32
    """(h, w, 3) unit vectors of the camera frame, 0 where there is none."""


@dataclass(frozen=True)
class _Scene:
    """All meshes in one, in the camera frame."""

    vertices_m: F64
    faces: NDArray[np.int32]
    attributes: F64 = field(repr=False)
    materials: F64
    labels: U8


def render(
    meshes: Sequence[Mesh],
    camera: Camera,
    light: Light,
    background: U8 | None = None,
    *,
    supersample: int = 1,
    window: Window | None = None,
) -> RenderOutput:
    """Draw meshes as the camera sees them.

    Args:
        meshes: in the world frame.
        camera: its `T_world_cam`, intrinsics and distortion are used.
        light: lamp and ambient light.
        background: `(H, W, 3)` of the whole camera image, `(h, w, 3)` of the window, or None for black.
        supersample: colour samples per pixel and axis; depth, segmentation and normals keep the pixel centre.
        window: part of the image to draw, or None for all of it.

    Returns:
        Images of the window's size.
    """
    x0, y0, x1, y1 = window or (0, 0, camera.width, camera.height)
    scene = _assemble(meshes, camera)
    xy, inverse_z = _project(scene, camera)
    depth_m, segmentation, face_of = _nearest(scene, xy - [x0, y0], inverse_z, (y1 - y0, x1 - x0))
    normals = np.zeros((*depth_m.shape, 3), np.float32)
    normal_image(xy - [x0, y0], inverse_z, scene.faces, scene.attributes[:, 3:6], face_of, normals)
    color = render_color(meshes, camera, light, background, supersample=supersample, window=window)
    return RenderOutput(color, depth_m, segmentation, normals)


def render_color(
    meshes: Sequence[Mesh],
    camera: Camera,
    light: Light,
    background: U8 | None = None,
    *,
    supersample: int = 1,
    window: Window | None = None,
) -> U8:
    """The colour image alone, `(h, w, 3)` RGB. Arguments as in `render`."""
    x0, y0, x1, y1 = window or (0, 0, camera.width, camera.height)
    shape = (y1 - y0, x1 - x0, 3)
    behind = np.zeros(shape, np.uint8)
    if background is not None:
        # Of the window's own size it is taken as it is: so a caller may prepare that part alone.
        whole = background.shape[:2] != shape[:2]
        behind = np.ascontiguousarray(background[y0:y1, x0:x1] if whole else background)
    scene = _assemble(meshes, camera)
    xy, inverse_z = _project(scene, camera)
    xy = (xy - [x0, y0] + 0.5) * supersample - 0.5
    face_of = _cover(xy, inverse_z, scene.faces, shape[0] * supersample, shape[1] * supersample)[1]
    geometry = (xy, inverse_z, scene.faces, face_of)
    color = np.zeros(shape, np.uint8)
    look = (scene.attributes, scene.materials, _light_matrix(light, camera), grain_noise())
    shade(geometry, look, behind, supersample, color)
    return color


def render_depth(meshes: Sequence[Mesh], camera: Camera, *, window: Window | None = None) -> tuple[F32, U8]:
    """Depth and segmentation only, several times as fast as `render`.

    Returns:
        `(h, w)` m, 0 where there is nothing, and `(h, w)` labels.
    """
    x0, y0, x1, y1 = window or (0, 0, camera.width, camera.height)
    scene = _assemble(meshes, camera)
    xy, inverse_z = _project(scene, camera)
    depth_m, segmentation, _ = _nearest(scene, xy - [x0, y0], inverse_z, (y1 - y0, x1 - x0))
    return depth_m, segmentation


def render_quick(meshes: Sequence[Mesh], camera: Camera, light: Light, background: U8) -> tuple[U8, F32]:
    """Draw meshes lit at their vertices, without grain: several times as fast as `render`, for what must keep up.

    Args:
        meshes: in the world frame; their triangles should be small in the picture.
        camera: as in `render`.
        light: lamp and ambient light.
        background: `(H, W, 3)`.

    Returns:
        `(H, W, 3)` RGB, and `(H, W)` m of the nearest surface, 0 where there is none.
    """
    scene = _assemble(meshes, camera)
    xy, inverse_z = _project(scene, camera)
    nearest, face_of = _cover(xy, inverse_z, scene.faces, camera.height, camera.width)
    colour = background.copy()
    blend_vertices(xy, inverse_z, scene.faces, _lit_vertices(scene, camera, light), face_of, colour)
    return colour, _depth_of(nearest, face_of)


def render_overlay(meshes: Sequence[Mesh], camera: Camera, light: Light, opacity: float) -> tuple[U8, Window] | None:
    """Draw meshes as in `render_quick`, on nothing and no larger than needed.

    Args:
        meshes: in the world frame.
        camera: as in `render`.
        light: lamp and ambient light.
        opacity: of the meshes, 0..1.

    Returns:
        `(h, w, 4)`, colours multiplied by the opacity, and the window of the image that it covers; None where nothing
        is seen.
    """
    scene = _assemble(meshes, camera)
    xy, inverse_z = _project(scene, camera)
    window = _window_around(xy[inverse_z > 0], camera, 1)
    if window is None:
        return None
    x0, y0, x1, y1 = window
    xy -= [x0, y0]
    face_of = _cover(xy, inverse_z, scene.faces, y1 - y0, x1 - x0)[1]
    values = np.full((len(xy), 4), 255.0 * opacity)
    values[:, :3] = opacity * _lit_vertices(scene, camera, light)
    picture = np.zeros((y1 - y0, x1 - x0, 4), np.uint8)
    blend_vertices(xy, inverse_z, scene.faces, values, face_of, picture)
    return picture, window


def _lit_vertices(scene: _Scene, camera: Camera, light: Light) -> F64:
    """`(N, 3)` RGB of the vertices as displayed, 0..255."""
    out = np.zeros((len(scene.attributes), 3))
    light_vertices(scene.attributes, scene.faces, scene.materials, _light_matrix(light, camera), out)
    return out


def shadow(meshes: Sequence[Mesh], camera: Camera, light: Light, *, window: Window, height_m: float = 0.0) -> F32:
    """Where the lamp's shadow falls on the plane z = `height_m`. `-> (h, w)`, 1 in shadow, 0 in the light."""
    towards = np.asarray(light.direction, np.float64)
    flat = [
        replace(mesh, vertices_m=mesh.vertices_m - (mesh.vertices_m[:, 2:] - height_m) / towards[2] * towards)
        for mesh in meshes
    ]
    depth_m, _ = render_depth(flat, camera, window=window)
    return (depth_m > 0).astype(np.float32)


def window_of(points_m: F64, camera: Camera, margin_px: int = 4) -> Window | None:
    """The window that holds all projections of world points `(N, 3) m`; None where they miss the image."""
    local = cam.transform(camera.T_cam_world, points_m)
    return _window_around(cam.project(camera, local[local[:, 2] > NEAR_M]), camera, margin_px)


def _window_around(pixels: F64, camera: Camera, margin_px: int) -> Window | None:
    if not len(pixels):
        return None
    low, high = np.floor(pixels.min(0)) - margin_px, np.ceil(pixels.max(0)) + margin_px + 1
    x0, y0 = int(max(low[0], 0)), int(max(low[1], 0))
    x1, y1 = int(min(high[0], camera.width)), int(min(high[1], camera.height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _assemble(meshes: Sequence[Mesh], camera: Camera) -> _Scene:
    """Join meshes and bring them into the camera frame, cut at the near plane."""
    to_camera = camera.T_cam_world
    vertices, faces, attributes, materials, labels = [np.zeros((0, 3))], [np.zeros((0, 3), np.int32)], [], [], []
    start = 0
    for mesh in meshes:
        local = cam.transform(to_camera, np.asarray(mesh.vertices_m, np.float64))
        triangles = np.ascontiguousarray(mesh.faces, np.int32)
        normals = np.zeros_like(local)
        vertex_normals(local, triangles, normals)
        # Colours are given as they look on a display: square them back to linear light.
        linear = (np.asarray(mesh.colors, np.float64) / 255.0) ** 2
        cells = (mesh.vertices_m if mesh.rest_m is None else mesh.rest_m) / mesh.grain_m
        attributes.append(np.concatenate([local, normals, linear, cells], axis=1))
        vertices.append(local)
        faces.append(triangles + np.int32(start))
        materials.append(np.tile([mesh.gloss, mesh.grain], (len(triangles), 1)))
        labels.append(np.full(len(triangles), mesh.label, np.uint8))
        start += len(local)
    scene = _Scene(
        np.concatenate(vertices),
        np.concatenate(faces),
        np.concatenate([np.zeros((0, 12)), *attributes]),
        np.concatenate([np.zeros((0, 2)), *materials]),
        np.concatenate([np.zeros(0, np.uint8), *labels]),
    )
    return _clip(scene) if (scene.vertices_m[:, 2] < NEAR_M).any() else scene


def _clip(scene: _Scene) -> _Scene:
    """Cut triangles at z = NEAR_M; the cut edges get new vertices with interpolated attributes."""
    z = scene.vertices_m[:, 2]
    ahead = z[scene.faces] >= NEAR_M
    whole = ahead.all(1)
    attributes, faces, sources = list(scene.attributes), list(scene.faces[whole]), list(np.flatnonzero(whole))
    for t in np.flatnonzero(ahead.any(1) & ~whole):
        polygon: list[int] = []
        for k in range(3):
            i, j = int(scene.faces[t, k]), int(scene.faces[t, (k + 1) % 3])
            if z[i] >= NEAR_M:
                polygon.append(i)
            if (z[i] >= NEAR_M) != (z[j] >= NEAR_M):
                share = (NEAR_M - z[i]) / (z[j] - z[i])
                polygon.append(len(attributes))
                attributes.append((1 - share) * scene.attributes[i] + share * scene.attributes[j])
        for k in range(1, len(polygon) - 1):
            faces.append(np.array([polygon[0], polygon[k], polygon[k + 1]], np.int32))
            sources.append(t)
    joined = np.array(attributes)
    triangles = np.array(faces, np.int32).reshape(-1, 3)
    kept = np.array(sources, np.intp)
    return _Scene(joined[:, :3], triangles, joined, scene.materials[kept], scene.labels[kept])


def _project(scene: _Scene, camera: Camera) -> tuple[F64, F64]:
    """Vertices in pixels `(N, 2)` and their inverse depth `(N,)` 1/m."""
    z = scene.vertices_m[:, 2]
    usable = z >= NEAR_M * 0.999
    xy = np.full((len(z), 2), np.nan)
    xy[usable] = cam.project(camera, scene.vertices_m[usable])
    return xy, np.where(usable, 1.0 / np.where(usable, z, 1.0), 0.0)


def _cover(xy: F64, inverse_z: F64, faces: NDArray[np.int32], height: int, width: int) -> tuple[F64, NDArray[np.int32]]:
    nearest = np.zeros((height, width))
    face_of = np.full((height, width), -1, np.int32)
    cover(xy, inverse_z, faces, nearest, face_of)
    return nearest, face_of


def _nearest(scene: _Scene, xy: F64, inverse_z: F64, shape: tuple[int, int]) -> tuple[F32, U8, NDArray[np.int32]]:
    """Depth, labels and faces at the pixel centres."""
    nearest, face_of = _cover(xy, inverse_z, scene.faces, *shape)
    labels = np.concatenate([scene.labels, np.zeros(1, np.uint8)])
    return _depth_of(nearest, face_of), labels[face_of], face_of


def _depth_of(nearest: F64, face_of: NDArray[np.int32]) -> F32:
    """Inverse depth 1/m to depth m, 0 where nothing lies."""
    return np.divide(1.0, nearest, out=np.zeros_like(nearest), where=face_of >= 0).astype(np.float32)


def _light_matrix(light: Light, camera: Camera) -> F64:
    """The light as the kernel takes it, its direction in the camera frame."""
    towards = camera.T_cam_world[:3, :3] @ np.asarray(light.direction)
    return np.array(
        [towards / np.linalg.norm(towards), light.ambient, light.diffuse, (light.shininess, light.wrap, 0.0)]
    )


@cache
def grain_noise() -> F32:
    """A periodic volume of smooth noise with unit spread, always the same."""
    white = np.random.default_rng(20_26).standard_normal((NOISE_SIZE,) * 3)
    frequency = np.fft.fftfreq(NOISE_SIZE)
    radius2 = sum(f**2 for f in np.meshgrid(frequency, frequency, frequency, indexing="ij"))
    smooth = np.fft.ifftn(np.fft.fftn(white) * np.exp(-radius2 * 24.0)).real
    return np.ascontiguousarray((smooth - smooth.mean()) / smooth.std(), dtype=np.float32)
