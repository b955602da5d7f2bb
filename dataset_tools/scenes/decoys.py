"""What is no hand but might be taken for one: rods, balls and boxes of skin, stumps of arms, and things."""

from __future__ import annotations

from functools import cache

import numpy as np

from dataset_tools.synth.mesh_objects import Thing, repainted
from dataset_tools.synth.studio import Material, Surface
from dataset_tools.synth.types import OBJECT, OCCLUDER
from hoi_core import rotation
from hoi_core.scene import _shapes as shapes
from hoi_core.scene.objects import ObjectModel
from hoi_core.types import F64

_SKIN = Material(gloss=0.035, shininess=18.0, grain=0.1, bleed=0.3)


def thing(found: Thing, place_m: F64, rng: np.random.Generator) -> Surface:
    """An object that stands or floats somewhere, in other colours. `place_m (3,)` m, world."""
    model = repainted(found.model, rng)
    return as_painted(model, place_m + model.shape.vertices_m @ random_turn(rng).T)


def as_painted(model: ObjectModel, vertices_m: F64) -> Surface:
    """An object in its own colours, its vertices at `vertices_m (N, 3)` m, world."""
    look = Material(model.gloss, 40.0, model.grain, 0.0025, 0.05)
    return Surface(vertices_m, model.faces, (model.colors / 255.0) ** 2, OBJECT, look, model.shape.vertices_m)


def fleshy(albedo: F64, place_m: F64, rng: np.random.Generator) -> list[Surface]:
    """Something of the colour of skin that has no fingers, or nothing but fingers.

    Args:
        albedo: `(3,)` linear RGB of the skin.
        place_m: `(3,)` m, world.
        rng: decides what it is and how it is turned.
    """
    kind, turn = int(rng.integers(4)), random_turn(rng)
    if kind == 0:  # a forearm whose hand is elsewhere
        return [_tube(albedo, place_m, turn, rng.uniform(0.2, 0.6), rng.uniform(0.025, 0.045))]
    if kind == 1:  # a ball, as a head far away or a bent knee
        return [_as_surface(_unit(0.98), albedo, place_m, turn * rng.uniform(0.03, 0.11))]
    if kind == 2:
        return [_as_surface(_unit(0.3), albedo, place_m, turn * rng.uniform(0.015, 0.06, 3))]
    side = turn @ np.array([1.0, 0.0, 0.0])
    gap = rng.uniform(0.02, 0.05)
    return [
        _tube(albedo, place_m + k * gap * side, turn, rng.uniform(0.05, 0.15), rng.uniform(0.006, 0.012))
        for k in range(int(rng.integers(1, 4)))
    ]


def random_turn(rng: np.random.Generator) -> F64:
    """A rotation, all alike. `-> (3, 3)`."""
    # Four normal numbers are a quaternion of any direction (Marsaglia 1972); its logarithm is what exp_so3 takes.
    w, *v = rng.normal(0.0, 1.0, 4)
    length = float(np.linalg.norm(v))
    return rotation.exp_so3(np.array(v) * (2.0 * np.arctan2(length, w) / max(length, 1e-12)))


@cache
def _unit(radius: float) -> shapes.Shape:
    """A box of half axes 1 that is rounded, up to a ball; made once, for that takes as long as a picture."""
    return shapes.rounded_box(np.ones(3), radius, 0.25)


def _tube(albedo: F64, place_m: F64, turn: F64, length_m: float, radius_m: float) -> Surface:
    centres = np.linspace([0.0, 0.0, -0.5 * length_m], [0.0, 0.0, 0.5 * length_m], 8)
    radii = radius_m * np.linspace(0.85, 1.15, 8)
    return _as_surface(shapes.tube(centres, radii, 14), albedo, place_m, turn)


def _as_surface(shape: shapes.Shape, albedo: F64, place_m: F64, turn: F64) -> Surface:
    """A shape in the colour of skin; `turn (3, 3)` may scale, too."""
    local = shape.vertices_m
    colors = np.tile(albedo, (len(local), 1))
    return Surface(place_m + local @ turn.T, shape.faces, colors, OCCLUDER, _SKIN, local)
