"""Views of painted rooms as backdrops: tables with prints and clutter, walls with shelves, floors."""

from __future__ import annotations

import cv2
import numpy as np

from dataset_tools.synth.backdrops import Backdrops
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.render import Mesh
from hoi_core.scene import objects
from hoi_core.scene.background import Room, random_room, still
from hoi_core.scene.light import random_light
from hoi_core.types import U8, Camera

_ROOMS, _VIEWS = 10, 4
_EDGE_PX = 256
_LOOKED_AT_M = np.array([0.0, 0.05, 0.05])


class Rooms:
    """Pictures of a few rooms, painted when they are first needed, and other backdrops between them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._others = Backdrops(seed, None)
        self._room: dict[int, Room] = {}
        self._views: dict[int, U8] = {}

    def draw(self, size_px: int, rng: np.random.Generator) -> U8:
        """A backdrop, half of them parts of rooms. `-> (S, S, 3)` RGB."""
        if rng.random() < 0.5:
            return self._others.draw(size_px, rng)
        picture = self._view(int(rng.integers(_ROOMS * _VIEWS)))
        edge = int(_EDGE_PX * rng.uniform(0.55, 1.0))
        x, y = rng.integers(0, _EDGE_PX - edge + 1, 2)
        piece = picture[y : y + edge, x : x + edge]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        scaled = cv2.resize(np.ascontiguousarray(piece), (size_px, size_px), interpolation=cv2.INTER_AREA)
        gain, lift = rng.uniform(0.7, 1.2), rng.uniform(0.0, 12.0)
        return np.asarray(cv2.convertScaleAbs(scaled, alpha=float(gain), beta=float(lift)), np.uint8)

    def _view(self, k: int) -> U8:
        """View `k` of all."""
        if k not in self._views:
            number = k // _VIEWS
            if number not in self._room:
                self._room[number] = random_room(np.random.default_rng([self._seed, 81, number]))
            rng = np.random.default_rng([self._seed, 82, k])
            self._views[k] = still(self._room[number], _camera(rng), random_light(rng), _clutter(rng)).color
        return self._views[k]


def _camera(rng: np.random.Generator) -> Camera:
    """A camera that looks at the table from anywhere in front of it."""
    azimuth, elevation = rng.uniform(-1.2, 1.2), np.deg2rad(rng.uniform(15.0, 80.0))
    away = np.array([np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
    aim = _LOOKED_AT_M + rng.normal(0.0, 0.06, 3)
    pose = cam.look_at(aim + rng.uniform(0.45, 0.95) * away, aim, np.array([0.0, 0.0, 1.0]))
    focal, middle = _EDGE_PX * rng.uniform(0.8, 1.2), (_EDGE_PX - 1) / 2
    return Camera(_EDGE_PX, _EDGE_PX, focal, focal, middle, middle, T_world_cam=pose)


def _clutter(rng: np.random.Generator) -> list[Mesh]:
    """Things that stand on the table."""
    meshes = []
    for _ in range(int(rng.integers(0, 5))):
        turn = rotation.exp_so3(np.array([0.0, 0.0, rng.uniform(-3.0, 3.0)]))
        T = cam.rigid(turn, np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.1, 0.45), 0.0]))
        meshes.append(objects.make(objects.NAMES[int(rng.integers(len(objects.NAMES)))]).mesh(T, 1))
    return meshes
