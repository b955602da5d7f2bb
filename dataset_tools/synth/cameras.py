"""Where cameras stand about a hand, and what part of their image is kept: squares as a detector would cut them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import asin, atan2, cos, sin, sqrt

import numpy as np

from dataset_tools.synth._kernels import bounds_seen
from dataset_tools.synth._posing import turned
from hoi_core import camera as cam
from hoi_core.types import F64, Camera

ELEVATIONS = 31
AZIMUTHS = 72
STEP_RAD = np.pi / 36.0
_DISTANCE_M = (0.35, 0.85)
_LEAN_RAD = 0.25
_APART = cos(np.pi / 6.0)
# Rarely does a hand fill the middle of a picture: the lens's axis passes beside it.
_OFF_AXIS_RAD = 0.20
_MARGIN = (1.12, 1.65)
_TIGHT_MARGIN, _TIGHT_SHARE = (0.86, 1.05), 0.08


@dataclass(frozen=True)
class Standpoint:
    """Direction from the hand to a camera, and how the camera is turned about its axis."""

    azimuth_rad: float
    """About the world's z, from x towards y."""
    elevation_rad: float
    """Above the world's xy plane."""
    roll_rad: float = 0.0
    """About the viewing direction."""

    @property
    def direction(self) -> F64:
        """(3,) unit vector from the hand to the camera."""
        level = cos(self.elevation_rad)
        return np.array([level * cos(self.azimuth_rad), level * sin(self.azimuth_rad), sin(self.elevation_rad)])

    def axes(self) -> F64:
        """(3, 3), columns are the camera's x, y and z in the world; defined at the poles too."""
        ca, sa = cos(self.azimuth_rad), sin(self.azimuth_rad)
        ce, se = cos(self.elevation_rad), sin(self.elevation_rad)
        level = np.array([[-sa, se * ca, -ce * ca], [ca, se * sa, -ce * sa], [0.0, -ce, -se]])
        cr, sr = cos(self.roll_rad), sin(self.roll_rad)
        return level @ np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])

    def turned_by(self, R: F64) -> Standpoint:
        """The standpoint that sees a turned hand as this one sees the hand before. `R (3, 3)`."""
        axes = R @ self.axes()
        x, y, z = -axes[:, 2]
        level = Standpoint(atan2(y, x), asin(min(max(z, -1.0), 1.0)))
        roll = level.axes().T @ axes
        return replace(level, roll_rad=atan2(roll[1, 0], roll[0, 0]))


def ang_render(position: int, rng: np.random.Generator) -> Standpoint:
    """Position 0..2231 of AngRender: elevations from -pi/3 to pi/2 and azimuths at steps of pi/36; almost upright."""
    elevation, azimuth = divmod(position, AZIMUTHS)
    return Standpoint(azimuth * STEP_RAD, -np.pi / 3.0 + elevation * STEP_RAD, float(rng.normal(0.0, 0.15)))


def on_sphere(k: int, n: int, roll_rad: float = 0.0) -> Standpoint:
    """Direction `k` of `n` that cover the sphere evenly (Fibonacci lattice)."""
    azimuth = (k * np.pi * (3.0 - np.sqrt(5.0))) % (2.0 * np.pi)
    return Standpoint(float(azimuth), float(np.arcsin(1.0 - 2.0 * (k + 0.5) / n)), roll_rad)


def anywhere(rng: np.random.Generator) -> Standpoint:
    """Any direction and any roll, all alike."""
    azimuth, roll = rng.uniform(-np.pi, np.pi, 2)
    return Standpoint(float(azimuth), float(np.arcsin(rng.uniform(-1.0, 1.0))), float(roll))


def in_cone(cone_rad: float, rng: np.random.Generator) -> Standpoint:
    """Any direction so near to the world's y, where the back of an upright hand looks; almost upright."""
    along, around = rng.uniform(cos(cone_rad), 1.0), rng.uniform(-np.pi, np.pi)
    across = sqrt(1.0 - along * along)
    return Standpoint(atan2(along, across * cos(around)), asin(across * sin(around)), float(rng.normal(0.0, _LEAN_RAD)))


def pair_in_cone(cone_rad: float, rng: np.random.Generator) -> tuple[Standpoint, Standpoint]:
    """Two cameras of `in_cone` that look from 30 degrees apart or more."""
    while True:
        first, second = in_cone(cone_rad, rng), in_cone(cone_rad, rng)
        if first.direction @ second.direction < _APART:
            return first, second


def beside(first: Standpoint, rng: np.random.Generator) -> Standpoint:
    """A second camera, 30 to 90 degrees further about the hand."""
    away = rng.uniform(np.deg2rad(30.0), np.deg2rad(90.0))
    turn = rng.uniform(-np.pi, np.pi)
    axis = first.axes() @ np.array([np.cos(turn), np.sin(turn), 0.0])
    x, y, z = turned(axis * away) @ first.direction
    return Standpoint(float(np.arctan2(y, x)), float(np.arcsin(np.clip(z, -1.0, 1.0))), float(rng.normal(0.0, 0.4)))


def aim(standpoint: Standpoint, points_m: F64, size_px: int, rng: np.random.Generator) -> Camera:
    """A camera at a standpoint whose square image holds some points, now and then not all of them.

    Args:
        standpoint: where it stands.
        points_m: `(N, 3)` m, world.
        size_px: edge of its image.
        rng: decides distance, margin, place in the image and how far off the lens's axis the points lie.
    """
    centre = 0.5 * (points_m.min(0) + points_m.max(0))
    eye = centre + standpoint.direction * rng.uniform(*_DISTANCE_M)
    off_axis = np.zeros(3)
    off_axis[:2] = rng.normal(0.0, 0.5 * _OFF_AXIS_RAD, 2).clip(-_OFF_AXIS_RAD, _OFF_AXIS_RAD)
    T_world_cam = cam.rigid(standpoint.axes() @ turned(off_axis), eye)
    low, high = bounds_seen(T_world_cam, points_m)
    margin = rng.uniform(*(_TIGHT_MARGIN if rng.random() < _TIGHT_SHARE else _MARGIN))
    focal_px = size_px / (margin * float((high - low).max()))
    # What the margin leaves free is shared out at random, so that the hand is not always in the middle.
    slack = 0.5 * max(margin - 1.0, 0.1) * float((high - low).max())
    middle = 0.5 * (low + high) + rng.uniform(-0.7, 0.7, 2) * slack
    cx, cy = 0.5 * (size_px - 1) - focal_px * middle
    return Camera(size_px, size_px, focal_px, focal_px, float(cx), float(cy), T_world_cam=T_world_cam)
