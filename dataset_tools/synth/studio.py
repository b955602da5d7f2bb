"""Render a scene of skin, cloth and things as a photograph: lamp with shadow, light of the room, soft skin.

Attributes are computed once for a scene and serve all its views.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dataset_tools.synth import _kernels as kernels
from dataset_tools.synth import _shading as shading
from dataset_tools.synth._shading import SAMPLES
from hoi_core._raster import cover, vertex_normals
from hoi_core.render import NEAR_M, grain_noise
from hoi_core.types import F32, F64, U8, Camera

_LAMP_TEXELS = 176
# A lamp that is nearly overhead: its height along the world's z.
_STEEP = 0.9


@dataclass(frozen=True)
class Material:
    """How a surface takes light."""

    gloss: float = 0.05
    """Strength of the highlight."""
    shininess: float = 24.0
    """Exponent of the highlight."""
    grain: float = 0.0
    """Strength of the procedural texture, relative to the albedo."""
    grain_m: float = 0.002
    """Size of the grain, m."""
    bleed: float = 0.1
    """How far light spreads under the surface: 0 stone, 0.3 skin."""
    printed: bool = False
    """Whether the skin's atlas lies on it."""

    def row(self) -> list[float]:
        """Numbers for the kernel."""
        return [self.gloss, self.shininess, self.grain, 1.0 / self.grain_m, self.bleed, float(self.printed)]


@dataclass(frozen=True)
class Surface:
    """A triangle mesh in the world with its look."""

    vertices_m: F64
    """(N, 3) m."""
    faces: NDArray[np.int32]
    """(F, 3), counter-clockwise seen from outside."""
    albedo: F64
    """(N, 3) linear RGB, 0..1."""
    labels: int | U8
    """Value in the segmentation: one, or (F,)."""
    material: Material
    """Its look."""
    rest_m: F64
    """(N, 3) m where texture is looked up."""
    dorsal: F64 | None = None
    """(N,) 1 on the back of a hand, 0 on its palm; None for other things."""


@dataclass(frozen=True)
class Lamps:
    """A lamp that throws shadows, a weak one that does not, and the light of the room; linear RGB."""

    towards: F64
    """(3,) unit vector to the lamp, world."""
    lamp_rgb: F64
    """(3,)."""
    sky_rgb: F64
    """(3,) light from above."""
    ground_rgb: F64
    """(3,) light from below."""
    fill_towards: F64
    """(3,) unit vector to the weak lamp."""
    fill_rgb: F64
    """(3,)."""
    up: F64
    """(3,) unit vector: where above is."""


@dataclass(frozen=True)
class PrintedSkin:
    """Details of the skin that are finer than the mesh."""

    atlas: U8
    """(2, H, W, C) palm and back."""
    frame: F64
    """(2, 4): place on the template m -> texel."""
    ink: F64
    """(C, 3) change of the logarithm of the albedo at full detail."""


@dataclass(frozen=True)
class Capsule:
    """What darkens its surroundings, and whose own flesh it is."""

    starts_m: F64
    """(C, 3) m."""
    ends_m: F64
    """(C, 3) m."""
    radii_m: F64
    """(C,) m."""
    own: NDArray[np.bool_] = field(repr=False)
    """(778, C) capsules that lie in or beside a hand vertex's own flesh; the hand is a scene's first surface."""


@dataclass(frozen=True)
class Picture:
    """A scene through a camera."""

    color: U8
    """(S, S, 3) RGB."""
    depth_m: F32
    """(S, S) m, 0 where there is nothing."""
    segmentation: U8
    """(S, S) labels."""
    face_of: NDArray[np.int32]
    """(S, S) face of the scene at the pixel's centre, -1 where there is none."""


class Film:
    """Buffers of a picture's samples, used again and again: fresh memory costs as much as the drawing."""

    def __init__(self, size_px: int) -> None:
        self._nearest = np.empty((size_px * SAMPLES,) * 2, np.float32)
        self._face_of = np.empty(self._nearest.shape, np.int32)
        self.points = np.empty((2 * size_px**2, shading.N_POINT), np.int32)
        """(2 S S, 5) what is lit, as in `_shading`."""
        self.values = np.empty((len(self.points), kernels.N_ATTRIBUTES), np.float32)
        """(2 S S, 14) its attributes."""
        self.linear = np.empty((len(self.points), 3), np.float32)
        """(2 S S, 3) its colours."""

    def blank(self) -> tuple[F32, NDArray[np.int32]]:
        """Inverse depth, and the face at every sample; what they held before is lost."""
        self._nearest.fill(0.0)
        self._face_of.fill(-1)
        return self._nearest, self._face_of


class Stage:
    """Surfaces under lamps, all of them closed, ready to be seen from anywhere. The first surface is the hand."""

    def __init__(self, surfaces: list[Surface], lamps: Lamps, skin: PrintedSkin, near: Capsule, film: Film) -> None:
        self._lamps, self._skin, self._film = lamps, skin, film
        counts = np.cumsum([0, *[len(s.vertices_m) for s in surfaces]])
        self.faces = np.ascontiguousarray(
            np.concatenate([s.faces + n for s, n in zip(surfaces, counts, strict=False)]), np.int32
        )
        self._labels = np.concatenate([np.broadcast_to(np.uint8(s.labels), len(s.faces)) for s in surfaces])
        self._material_of = np.repeat(np.arange(len(surfaces)), [len(s.faces) for s in surfaces])
        self._materials = np.array([s.material.row() for s in surfaces])
        self._attributes = np.zeros((int(counts[-1]), kernels.N_ATTRIBUTES))
        for surface, start in zip(surfaces, counts, strict=False):
            self._fill(surface, slice(int(start), int(start) + len(surface.vertices_m)))
        self._attributes[:, kernels.OPEN] = 1.0
        kernels.openness(self._attributes, near.starts_m, near.ends_m, near.radii_m, 0, near.own)

    def _fill(self, surface: Surface, rows: slice) -> None:
        block = self._attributes[rows]
        vertex_normals(np.ascontiguousarray(surface.vertices_m), surface.faces, block[:, 3:6])
        block[:, :3], block[:, 6:9], block[:, 9:12] = surface.vertices_m, surface.albedo, surface.rest_m
        if surface.dorsal is not None:
            block[:, kernels.DORSAL] = surface.dorsal

    @cached_property
    def _lamp(self) -> tuple[F64, F32]:
        """The lamp's frame `(3, 4)` (texels and height m of a point) and its map of heights."""
        z0, z1, z2 = self._lamps.towards.tolist()
        across = np.array([z1, -z0, 0.0] if abs(z2) < _STEEP else [0.0, z2, -z1])
        x0, x1, x2 = (across / np.linalg.norm(across)).tolist()
        axes = np.array([[x0, x1, x2], [z1 * x2 - z2 * x1, z2 * x0 - z0 * x2, z0 * x1 - z1 * x0], [z0, z1, z2]])
        frame, xy, height = kernels.lamp_view(self._attributes, axes, _LAMP_TEXELS)
        heights = np.zeros((_LAMP_TEXELS, _LAMP_TEXELS), np.float32)
        unused = np.full(heights.shape, -1, np.int32)
        # From the lamp y runs upward: what faces it appears turned round, so its back sides are drawn; the same shadow.
        faces, _ = kernels.facing(xy, height, self.faces)
        cover(xy, height, faces, heights, unused)
        return frame, heights

    def photograph(self, camera: Camera, background: U8) -> Picture:
        """The scene through a camera without distortion. `background (S, S, 3)` lies behind everything."""
        xy, inverse_z = self._project(camera)
        # What crosses the plane of the camera is left out: nothing that belongs in the picture comes so near.
        faces, kept = kernels.facing(xy, inverse_z, self.faces)
        xy = (xy + 0.5) * SAMPLES - 0.5
        nearest, face_of = self._film.blank()
        cover(xy, inverse_z, faces, nearest, face_of)
        depth, face = np.empty(background.shape[:2], np.float32), np.empty(background.shape[:2], np.int32)
        shading.centres(face_of, nearest, face, depth)
        # Index -1, where nothing lies, finds the entry appended at the end.
        face = np.append(kept, np.int32(-1))[face]
        color = background.copy()
        points = self._film.points[
            : shading.resolve(face_of, nearest, self._material_of[kept], len(face), self._film.points)
        ]
        shading.interpolate(points, len(face_of), faces, xy, inverse_z, self._attributes, self._film.values)
        self._light(points, camera, color)
        return Picture(color, depth, np.append(self._labels, np.uint8(0))[face], face)

    def _light(self, points: NDArray[np.int32], camera: Camera, color: U8) -> None:
        """Light points whose attributes are on the film, and put them on the picture `(S, S, 3)`."""
        values, linear, skin = self._film.values, self._film.linear, self._skin
        shading.texture(points, self._materials, grain_noise(), skin.atlas, skin.frame, skin.ink, values)
        shading.radiance(points, values, self._materials, self._light_rows(camera), *self._lamp, linear)
        shading.develop(points, linear, color.reshape(-1, 3))

    def share_seen(self, camera: Camera, picture: Picture, label: int) -> float:
        """Share of a thing's pixels that nothing hides, of those that lie in the image; NaN where it is outside."""
        faces = np.ascontiguousarray(self.faces[self._labels == label])
        xy, inverse_z = self._project(camera)
        faces, _ = kernels.facing(xy, inverse_z, faces)
        alone = np.full(picture.face_of.shape, -1, np.int32)
        cover(xy, inverse_z, faces, np.zeros(alone.shape, np.float32), alone)
        whole = int((alone >= 0).sum())
        return np.count_nonzero(picture.segmentation == label) / whole if whole else float("nan")

    def _project(self, camera: Camera) -> tuple[F64, F64]:
        """Pixels `(N, 2)` and inverse depth `(N,)` 1/m of all vertices; 0 for those that lie behind the camera."""
        intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        return kernels.projected(camera.T_cam_world, intrinsics, self._attributes, NEAR_M)

    def _light_rows(self, camera: Camera) -> F64:
        lamps = self._lamps
        rows = [lamps.towards, lamps.lamp_rgb, lamps.sky_rgb, lamps.ground_rgb, lamps.fill_towards, lamps.fill_rgb]
        return np.array([*rows, camera.T_world_cam[:3, 3], lamps.up])
