"""Things that hide a part of the hand: boxes, rods and balls that float between it and the first camera."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dataset_tools.synth._kernels import nearest_m
from dataset_tools.synth._posing import turned
from dataset_tools.synth.studio import Material, Surface
from dataset_tools.synth.types import OCCLUDER
from hoi_core.scene import _shapes as shapes
from hoi_core.types import F64

_CLEARANCE_M = 0.018


def random_occluder(joints_m: F64, view: F64, rng: np.random.Generator) -> Surface:
    """One thing before one of the joints, touching none.

    Args:
        joints_m: `(21, 3)` m, world.
        view: `(3,)` unit vector from the hand to the camera.
        rng: decides everything.
    """
    shape, faces = _random_shape(rng)
    vertices = shape @ turned(rng.normal(0.0, 1.5, 3)).T
    radius = float(np.linalg.norm(vertices, axis=1).max())
    aside = np.cross(view, rng.normal(0.0, 1.0, 3))
    aside *= rng.uniform(0.0, 0.7) * min(radius, 0.04) / np.linalg.norm(aside)
    place = joints_m[int(rng.integers(len(joints_m)))] + aside + 0.03 * view
    for _ in range(12):
        # Balls about the joints stand for the flesh: the thing moves towards the camera until it is free of them.
        if nearest_m(joints_m, vertices, place) > _CLEARANCE_M:
            break
        place = place + 0.012 * view
    albedo = np.tile(rng.uniform(0.02, 0.8, 3) ** rng.uniform(1.0, 2.0), (len(vertices), 1))
    material = Material(float(rng.uniform(0.02, 0.4)), 30.0, float(rng.uniform(0.0, 0.2)), 0.003)
    return Surface(vertices + place, faces, albedo, OCCLUDER, material, shape)


def _random_shape(rng: np.random.Generator) -> tuple[F64, NDArray[np.int32]]:
    """`(N, 3)` m and `(F, 3)`."""
    kind = rng.integers(3)
    if kind == 0:
        half = rng.uniform(0.010, 0.032, 3)
        radius = 0.25 * float(half.min())
        body = half - radius
    elif kind == 1:
        length, radius = rng.uniform(0.06, 0.14), rng.uniform(0.005, 0.013)
        body = np.array([0.0, 0.0, length])
    else:
        body, radius = np.zeros(3), rng.uniform(0.018, 0.035)
    core, around, faces = _rounded(int(kind))
    return core * body + radius * around, faces


@cache
def _rounded(kind: int) -> tuple[F64, F64, NDArray[np.int32]]:
    """A box, rod or ball as a body that is rounded: vertices are `core * half axes + radius * around`."""
    if kind == 0:
        shape, body = shapes.rounded_box(np.full(3, 2.0), 1.0, 0.7), np.ones(3)
    elif kind == 1:
        centres = np.linspace([0.0, 0.0, -1.0], [0.0, 0.0, 1.0], 6)
        shape, body = shapes.tube(centres, np.ones(6), 12), np.array([0.0, 0.0, 1.0])
    else:
        turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 25)
        profile = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        profile[[0, -1], 0] = 0.0
        shape, body = shapes.revolve(profile, 18, 1.0), np.zeros(3)
    core = shape.vertices_m.clip(-body, body)
    return core, shape.vertices_m - core, shape.faces
