"""A still room: a table with print and clutter, a wall with shelves and posters. Many edges on purpose.

Rendered once for each camera by casting a ray through every pixel; hands and objects are drawn over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hoi_core import camera as cam
from hoi_core.render import Light, Mesh, Window, render_color, render_depth, shadow
from hoi_core.types import F32, F64, U8, Bool, Camera

PIXELS_PER_M = 1000.0
TABLE_M = (-0.85, -0.60, 0.85, 0.50)
"""x0, y0, x1, y1 of the table's top at z = 0, m."""
WALL_Y_M = 0.90
_WALL_M = (-2.2, -0.8, 2.2, 1.2)
_FLOOR_Z_M = -0.74
_RAYS_PER_PIXEL = 2


@dataclass(frozen=True)
class Still:
    """The empty scene as one camera sees it."""

    color: U8
    """(H, W, 3) RGB."""
    depth_m: F32
    """(H, W) m along z; 0 where a ray meets nothing."""
    on_table: Bool
    """(H, W) where the table's top is seen, which takes shadows."""


@dataclass(frozen=True)
class Room:
    """Painted surfaces of a room."""

    table: U8
    """Texture of the table's top, 1 mm per pixel."""
    wall: U8
    """Texture of the wall, 1 mm per pixel."""
    floor: tuple[float, float, float]
    """Colour of the floor."""


def random_room(rng: np.random.Generator) -> Room:
    """Paint a room; the same generator state gives the same room."""
    floor = rng.uniform(60.0, 110.0) * np.array([1.0, 0.96, 0.9])
    return Room(paint_table(rng), _paint_wall(rng), (float(floor[0]), float(floor[1]), float(floor[2])))


def still(room: Room, camera: Camera, light: Light, clutter: Sequence[Mesh] = ()) -> Still:
    """The room with still clutter on the table, as `camera` sees it."""
    fine = cam.resize(camera, camera.width * _RAYS_PER_PIXEL, camera.height * _RAYS_PER_PIXEL)
    many = _paint(room, _Surfaces(fine))
    color = np.asarray(cv2.resize(many, (camera.width, camera.height), interpolation=cv2.INTER_AREA), np.uint8)
    surfaces = _Surfaces(camera)
    depth_m, on_table = surfaces.depth_m, surfaces.on_table
    window = (0, 0, camera.width, camera.height)
    if clutter:
        color = darken(color, soft_shadow(clutter, camera, light, window), on_table)
        color = render_color(clutter, camera, light, color, supersample=3)
        near, _ = render_depth(clutter, camera)
        in_front = near > 0
        depth_m, on_table = np.where(in_front, near, depth_m), on_table & ~in_front
    return Still(np.ascontiguousarray(color), depth_m.astype(np.float32), on_table)


def empty_depth(camera: Camera, clutter: Sequence[Mesh] = ()) -> F32:
    """Depth of the room and its clutter alone. `-> (H, W)` m along z; 0 where a ray meets nothing."""
    surfaces = _Surfaces(camera)
    near, _ = render_depth(clutter, camera)
    return np.where(near > 0, near, surfaces.depth_m).astype(np.float32)


def soft_shadow(meshes: Sequence[Mesh], camera: Camera, light: Light, window: Window) -> F32:
    """The blurred shadow of a wide lamp on the table, in a window. `-> (h, w)`, 0 in the light, 1 in full shadow."""
    x0, y0, x1, y1 = window
    # Half the resolution is enough for what is blurred anyway.
    half = cam.resize(cam.crop(camera, x0, y0, x1 - x0, y1 - y0), (x1 - x0 + 1) // 2, (y1 - y0 + 1) // 2)
    mask = shadow(meshes, half, light, window=(0, 0, half.width, half.height))
    soft = cv2.GaussianBlur(mask, (0, 0), max(camera.width / 320.0, 0.5))
    return np.asarray(cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR), np.float32)


def darken(color: U8, soft: F32, on_table: Bool) -> U8:
    """Lay a soft shadow on the table. `(h, w, 3), (h, w), (h, w) -> (h, w, 3)`."""
    shade = (256.5 - 256.0 * 0.42 * soft * on_table).astype(np.uint16)
    return ((color * shade[..., None]) >> 8).astype(np.uint8)


class _Surfaces:
    """Which plane of the room each pixel's ray meets first, and where."""

    def __init__(self, camera: Camera) -> None:
        v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
        rays = cam.rays(camera, np.stack([u, v], -1)) @ camera.T_world_cam[:3, :3].T
        origin = camera.T_world_cam[:3, 3]
        depth = np.full((camera.height, camera.width), np.inf)
        self.hits: list[tuple[str, Bool, F64, F64]] = []
        # Rays have z = 1 in the camera frame, so the length along the ray is the depth.
        for name, axis, level in (("floor", 2, _FLOOR_Z_M), ("wall", 1, WALL_Y_M), ("table", 2, 0.0)):
            with np.errstate(divide="ignore", invalid="ignore"):
                length = (level - origin[axis]) / rays[..., axis]
            hit = (length > 0) & (length < depth)
            x = origin[0] + length * rays[..., 0]
            other = origin[3 - axis] + length * rays[..., 3 - axis]
            if name == "table":
                hit &= (x > TABLE_M[0]) & (x < TABLE_M[2]) & (other > TABLE_M[1]) & (other < TABLE_M[3])
                self.on_table = hit
            depth[hit] = length[hit]
            self.hits.append((name, hit, x, other))
        self.depth_m: F32 = np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)


def _paint(room: Room, surfaces: _Surfaces) -> U8:
    """The colour of every ray."""
    color = np.zeros((*surfaces.depth_m.shape, 3), np.uint8)
    for name, hit, x, other in surfaces.hits:
        if name == "floor":
            color[hit] = np.array(room.floor, np.uint8)
        elif name == "wall":
            color[hit] = _look_up(room.wall, x - _WALL_M[0], _WALL_M[3] - other)[hit]
        else:
            color[hit] = _look_up(room.table, x - TABLE_M[0], TABLE_M[3] - other)[hit]
    return color


def _look_up(texture: U8, x_m: F64, y_m: F64) -> U8:
    """Read a texture at metres from its top left corner. `(h, w) -> (h, w, 3)`."""
    x = np.clip(np.nan_to_num(x_m) * PIXELS_PER_M, -1e4, 1e4).astype(np.float32)
    y = np.clip(np.nan_to_num(y_m) * PIXELS_PER_M, -1e4, 1e4).astype(np.float32)
    texels = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(texels, np.uint8)


def _noise(rng: np.random.Generator, shape: tuple[int, int], spread: tuple[float, float]) -> F32:
    """Smooth noise with unit spread; `spread` is its size in px along x and y."""
    small = rng.standard_normal((int(shape[0] / spread[1]) + 3, int(shape[1] / spread[0]) + 3)).astype(np.float32)
    return np.asarray(cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def paint_table(rng: np.random.Generator) -> U8:
    """Wood or laminate with a printed mat, papers, tape and small marks."""
    height, width = int((TABLE_M[3] - TABLE_M[1]) * PIXELS_PER_M), int((TABLE_M[2] - TABLE_M[0]) * PIXELS_PER_M)
    base = np.array([[164, 122, 82], [196, 178, 152], [120, 92, 70], [168, 170, 172]])[rng.integers(4)]
    rings = _noise(rng, (height, width), (260.0, 9.0)) * 9.0 + _noise(rng, (height, width), (90.0, 2.5)) * 6.0
    image = np.clip(base + rings[..., None] * [1.0, 0.9, 0.75], 0, 255).astype(np.uint8)
    for x in range(int(rng.integers(100, 200)), width, 280):
        cv2.line(image, (x, 0), (x, height), (base * 0.6).tolist(), 2)
    _paint_mat(image, rng)
    for _ in range(int(rng.integers(5, 8))):
        centre = (rng.uniform(0.05, 0.95) * width, rng.uniform(0.05, 0.9) * height)
        _paint_sheet(image, rng, centre, (rng.uniform(90, 210), rng.uniform(70, 150)), rng.uniform(-40, 40))
    for _ in range(60):
        spot = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(image, spot, int(rng.integers(1, 5)), rng.integers(30, 220, 3).tolist(), -1, cv2.LINE_AA)
    return image


def _paint_mat(image: U8, rng: np.random.Generator) -> None:
    """A cutting mat or cloth in the working area, with a grid or a woven pattern."""
    width = image.shape[1]
    centre = (int(width * 0.5 + rng.normal(0, 15)), int(TABLE_M[3] * PIXELS_PER_M + rng.normal(0, 15)))
    half = (int(rng.uniform(190, 250)), int(rng.uniform(150, 190)))
    color = np.array([[46, 92, 78], [70, 76, 110], [150, 72, 62], [205, 200, 188]])[rng.integers(4)]
    x0, y0, x1, y1 = centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]
    patch = np.clip(color + _noise(rng, (y1 - y0, x1 - x0), (3.0, 3.0))[..., None] * 7.0, 0, 255).astype(np.uint8)
    line = np.clip(color * 1.35 + 25, 0, 255).tolist()
    step = int(rng.integers(18, 34))
    for x in range(0, patch.shape[1], step):
        cv2.line(patch, (x, 0), (x, patch.shape[0]), line, 2 if x % (5 * step) == 0 else 1)
    for y in range(0, patch.shape[0], step):
        cv2.line(patch, (0, y), (patch.shape[1], y), line, 2 if y % (5 * step) == 0 else 1)
    cv2.rectangle(patch, (4, 4), (patch.shape[1] - 5, patch.shape[0] - 5), line, 3)
    image[y0:y1, x0:x1] = patch


def _paint_sheet(
    image: U8, rng: np.random.Generator, centre: tuple[float, float], size: tuple[float, float], turn_deg: float
) -> None:
    """A printed page: a frame, lines of words and a picture."""
    w, h = int(size[0]), int(size[1])
    page = np.full((h, w, 3), rng.integers(190, 245), np.uint8)
    ink = rng.integers(20, 110, 3).tolist()
    for y in range(10, h - 8, int(rng.integers(8, 13))):
        x = 8
        while x < w - 14:
            word = int(rng.integers(5, 22))
            cv2.line(page, (x, y), (min(x + word, w - 8), y), ink, 2)
            x += word + 5
    corner = (int(rng.uniform(0.1, 0.5) * w), int(rng.uniform(0.1, 0.5) * h))
    cv2.rectangle(page, corner, (corner[0] + w // 3, corner[1] + h // 3), rng.integers(40, 230, 3).tolist(), -1)
    cv2.circle(
        page, (corner[0] + w // 6, corner[1] + h // 6), h // 8, rng.integers(40, 230, 3).tolist(), -1, cv2.LINE_AA
    )
    cv2.rectangle(page, (0, 0), (w - 1, h - 1), (90, 90, 90), 1)
    reach = int(np.hypot(w, h) / 2) + 2
    x0, y0 = max(int(centre[0]) - reach, 0), max(int(centre[1]) - reach, 0)
    place = image[y0 : int(centre[1]) + reach, x0 : int(centre[0]) + reach]
    if place.size == 0:
        return
    matrix = np.array(cv2.getRotationMatrix2D((w / 2, h / 2), turn_deg, 1.0))
    matrix[:, 2] += np.array([centre[0] - x0 - w / 2, centre[1] - y0 - h / 2])
    mask = cv2.warpAffine(np.full((h, w), 255, np.uint8), matrix, place.shape[1::-1])
    warped = cv2.warpAffine(page, matrix, place.shape[1::-1], flags=cv2.INTER_LINEAR)
    place[mask > 127] = warped[mask > 127]


def _paint_wall(rng: np.random.Generator) -> U8:
    """A painted wall with shelves, books, posters and a socket rail."""
    height, width = int((_WALL_M[3] - _WALL_M[1]) * PIXELS_PER_M), int((_WALL_M[2] - _WALL_M[0]) * PIXELS_PER_M)
    base = np.array([[172, 176, 178], [186, 178, 160], [140, 156, 170], [150, 165, 150]])[rng.integers(4)]
    patches = _noise(rng, (height // 20, width // 20), (15.0, 15.0))[..., None] * 8.0
    small = np.clip(base + patches, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    for row in (0.30, 0.62):
        y = int(height * row)
        x = int(rng.integers(0, 120))
        while x < width - 60:
            thick, tall = int(rng.integers(18, 60)), int(rng.integers(130, 240))
            if rng.random() < 0.8:
                cv2.rectangle(image, (x, y - tall), (x + thick, y), rng.integers(30, 215, 3).tolist(), -1)
                cv2.line(image, (x + thick, y - tall), (x + thick, y), (30, 30, 30), 2)
                cv2.rectangle(image, (x + 5, y - tall + 25), (x + thick - 5, y - tall + 60), (225, 220, 205), -1)
            x += thick + int(rng.integers(2, 30))
        cv2.rectangle(image, (0, y), (width, y + 22), (105, 80, 58), -1)
        cv2.rectangle(image, (0, y + 22), (width, y + 30), (60, 46, 34), -1)
    for _ in range(int(rng.integers(7, 11))):
        centre = (rng.uniform(0.02, 0.98) * width, rng.uniform(0.72, 0.95) * height)
        _paint_sheet(image, rng, centre, (rng.uniform(160, 340), rng.uniform(120, 220)), rng.uniform(-4, 4))
    return image
