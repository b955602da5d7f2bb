"""Things that hide a part of the hand: boxes, rods and balls that float between it and the first camera."""

from __future__ import annotations

import numpy as np

from dataset_tools.synth.studio import Material, Surface
from dataset_tools.synth.types import OCCLUDER
from hoi_core import rotation
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
    shape = _random_shape(rng)
    vertices = shape.vertices_m @ rotation.exp_so3(rng.normal(0.0, 1.5, 3)).T
    radius = float(np.linalg.norm(vertices, axis=1).max())
    aside = np.cross(view, rng.normal(0.0, 1.0, 3))
    aside *= rng.uniform(0.0, 0.7) * min(radius, 0.04) / np.linalg.norm(aside)
    place = joints_m[int(rng.integers(len(joints_m)))] + aside + 0.03 * view
    for _ in range(12):
        # Balls about the joints stand for the flesh: the thing moves towards the camera until it is free of them.
        if np.linalg.norm(joints_m[:, None] - (place + vertices)[None], axis=-1).min() > _CLEARANCE_M:
            break
        place = place + 0.012 * view
    albedo = np.tile(rng.uniform(0.02, 0.8, 3) ** rng.uniform(1.0, 2.0), (len(vertices), 1))
    material = Material(float(rng.uniform(0.02, 0.4)), 30.0, float(rng.uniform(0.0, 0.2)), 0.003)
    return Surface(vertices + place, shape.faces, albedo, OCCLUDER, material, shape.vertices_m)


def _random_shape(rng: np.random.Generator) -> shapes.Shape:
    kind = rng.integers(3)
    if kind == 0:
        half = rng.uniform(0.010, 0.032, 3)
        return shapes.rounded_box(half, 0.25 * float(half.min()), 0.02)
    if kind == 1:
        length, radius = rng.uniform(0.06, 0.14), rng.uniform(0.005, 0.013)
        centres = np.linspace([0.0, 0.0, -length], [0.0, 0.0, length], 6)
        return shapes.tube(centres, np.full(6, radius), 12)
    radius = rng.uniform(0.018, 0.035)
    turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 13)
    profile = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)
    profile[[0, -1], 0] = 0.0
    return shapes.revolve(profile, 18, 1.0)
