# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws measured points and meshes from any side, on the CPU. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hoi_core import camera as cam
from hoi_core import render
from hoi_core.types import F32, F64, U8, Camera

from .picture import Body, meshes

_LIGHT = render.Light(direction=(0.25, -0.35, 0.9), ambient=(0.4,) * 3, diffuse=(0.7,) * 3)
_FIELD = 0.6
# A measured point this close before a surface does not hide it: depth is noisy, and the label is what one looks for.
_VEIL_M = 0.012
_MAX_PITCH = np.radians(88.0)


@dataclass(frozen=True)
class Orbit:
    """Where one looks from: a point on a sphere around what one looks at, z is up."""

    centre_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_rad: float = -1.57
    pitch_rad: float = 0.6
    distance_m: float = 0.45

    def turned(self, yaw_rad: float, pitch_rad: float) -> Orbit:
        """From further around, and from further above."""
        pitch = float(np.clip(self.pitch_rad + pitch_rad, -_MAX_PITCH, _MAX_PITCH))
        return replace(self, yaw_rad=self.yaw_rad + yaw_rad, pitch_rad=pitch)

    def nearer(self, factor: float) -> Orbit:
        """From a part of the distance."""
        return replace(self, distance_m=float(np.clip(self.distance_m * factor, 0.04, 5.0)))

    def shifted(self, right_m: float, up_m: float) -> Orbit:
        """Look at a point further right and up on the screen."""
        axes = self.camera(64, 64).T_world_cam[:3, :3]
        moved = np.asarray(self.centre_m) + right_m * axes[:, 0] - up_m * axes[:, 1]
        return replace(self, centre_m=(float(moved[0]), float(moved[1]), float(moved[2])))

    def camera(self, width: int, height: int) -> Camera:
        """The camera there, for a picture of this size."""
        level = np.cos(self.pitch_rad)
        away = np.array([level * np.cos(self.yaw_rad), level * np.sin(self.yaw_rad), np.sin(self.pitch_rad)])
        centre = np.asarray(self.centre_m)
        pose = cam.look_at(centre + self.distance_m * away, centre, np.array([0.0, 0.0, 1.0]))
        focal = min(width, height) / (2 * np.tan(_FIELD / 2))
        return Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2, T_world_cam=pose)

    @staticmethod
    def of_camera(camera: Camera, centre_m: F64) -> Orbit:
        """The orbit that looks at a point from where a camera stands."""
        away = camera.T_world_cam[:3, 3] - centre_m
        distance = float(np.linalg.norm(away))
        pitch = float(np.clip(np.arcsin(away[2] / max(distance, 1e-6)), -_MAX_PITCH, _MAX_PITCH))
        x, y, z = (float(c) for c in centre_m)
        return Orbit((x, y, z), float(np.arctan2(away[1], away[0])), pitch, 0.45)


@dataclass(frozen=True)
class Scene:
    """What can be looked at."""

    points_m: F64
    """(N, 3) measured points."""
    points_rgb: U8
    """(N, 3)."""
    bodies: Sequence[Body]


def draw_scene(scene: Scene, camera: Camera, background: tuple[int, int, int]) -> tuple[U8, F32]:
    """Draw a scene.

    Args:
        scene: in the world.
        camera: where one looks from.
        background: RGB.

    Returns:
        `(H, W, 3)` RGB and `(H, W)` m, the depth of the meshes, 0 where there is none.
    """
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    picture[:] = background
    depth_m = _splat(scene, camera, picture)
    if not len(scene.bodies):
        return picture, np.zeros(depth_m.shape, np.float32)
    colour, surface_m = render.render_quick(meshes(scene.bodies), camera, _LIGHT, picture)
    behind = depth_m < surface_m - _VEIL_M
    colour[behind] = (0.45 * colour[behind] + 0.55 * picture[behind]).astype(np.uint8)
    return colour, surface_m


def _splat(scene: Scene, camera: Camera, picture: U8) -> F64:
    """Paint the points as squares, near over far; their depth `(H, W)` m, infinite where there is none."""
    depth_m = np.full((camera.height, camera.width), np.inf)
    local = cam.transform(camera.T_cam_world, scene.points_m)
    ahead = local[:, 2] > render.NEAR_M
    local, colours = local[ahead], scene.points_rgb[ahead]
    if not len(local):
        return depth_m
    pixels = np.round(local[:, :2] / local[:, 2:] * camera.fx + [camera.cx, camera.cy]).astype(np.intp)
    order = np.argsort(-local[:, 2])
    pixels, colours, z = pixels[order], colours[order], local[order, 2]
    size = 3 if camera.width < 700 else 4
    for dx in range(size):
        for dy in range(size):
            x, y = pixels[:, 0] + dx, pixels[:, 1] + dy
            some = (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
            # The last of equal indices is kept, which is the nearest of the sorted points.
            flat = y[some] * camera.width + x[some]
            nearer = z[some] <= depth_m.ravel()[flat]
            depth_m.ravel()[flat[nearer]] = z[some][nearer]
            picture.reshape(-1, 3)[flat[nearer]] = colours[some][nearer]
    return depth_m


def surface_point_m(camera: Camera, surface_m: F32, x: int, y: int) -> F64 | None:
    """The point of a mesh that was drawn at a pixel, (3,) m in the world; None where there is none."""
    if not (0 <= x < camera.width and 0 <= y < camera.height) or surface_m[y, x] <= 0:
        return None
    local = cam.unproject(camera, np.array([[x, y]], np.float64), np.array([float(surface_m[y, x])]))
    return np.asarray(cam.transform(camera.T_world_cam, local)[0])
