"""Procedural everyday objects: closed textured meshes in metres, and where a hand can hold them.

Object frame: origin where the object's centre touches the table, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cam
from hoi_core.plugins import unknown_name
from hoi_core.render import Mesh
from hoi_core.scene import _shapes as shapes
from hoi_core.types import F64, U8


@dataclass(frozen=True)
class GraspHint:
    """One way to take the object."""

    approach: Literal["side", "top"]
    """`side`: the palm faces the object, the thumb is up; `top`: the palm faces down."""
    centre_m: tuple[float, float, float]
    """Middle of the grasped part, object frame, m."""
    yaw_deg: float = 0.0
    """Preferred direction of the hand about z, relative to the object's x axis."""


@dataclass(frozen=True)
class ObjectModel:
    """A rigid object."""

    name: str
    """Identifier, such as `o01`."""
    kind: str
    """What it is, such as `mug`."""
    shape: shapes.Shape
    """Surface and signed distance."""
    colors: U8
    """(N, 3) RGB."""
    gloss: float
    """Strength of its highlight."""
    grain: float
    """Strength of its texture."""
    grasps: tuple[GraspHint, ...]
    """Ways to take it."""

    @property
    def faces(self) -> NDArray[np.int32]:
        """(F, 3)."""
        return self.shape.faces

    def mesh(self, T_world_obj: F64, label: int) -> Mesh:
        """The object in the world, ready to render."""
        vertices = self.shape.vertices_m
        world = cam.transform(T_world_obj, vertices)
        return Mesh(world, self.faces, self.colors, label, self.gloss, self.grain, 0.0025, vertices)


KINDS = ("box", "can", "mug", "bottle", "ball", "banana", "bowl", "remote")
NAMES = tuple(f"o{i + 1:02d}" for i in range(len(KINDS)))


def make(name: str) -> ObjectModel:
    """The object `o01` ... or by its kind, always the same.

    Raises:
        ConfigError: there is no such object.
    """
    key = NAMES[KINDS.index(name)] if name in KINDS else name
    if key not in NAMES:
        raise unknown_name("object", name, [*NAMES, *KINDS])
    kind = KINDS[NAMES.index(key)]
    builder = {
        "box": _box, "can": _can, "mug": _mug, "bottle": _bottle, "ball": _ball, "banana": _banana, "bowl": _bowl,
        "remote": _remote,
    }[kind]  # fmt: skip
    shape, colors, gloss, grain, grasps = builder()
    return ObjectModel(key, kind, shape, colors, gloss, grain, grasps)


_Parts = tuple[shapes.Shape, U8, float, float, tuple[GraspHint, ...]]


def _paint(n: int, base: tuple[int, int, int]) -> U8:
    return np.tile(np.array(base, np.uint8), (n, 1))


def _blocks(u: F64, v: F64, seed: int, cell_m: tuple[float, float]) -> NDArray[np.bool_]:
    """A repeatable pattern of filled cells, like print on a label. `(N,), (N,) m -> (N,)`."""
    i, j = np.floor(u / cell_m[0]).astype(np.int64), np.floor(v / cell_m[1]).astype(np.int64)
    mixed = (i * 73856093) ^ (j * 19349663) ^ (seed * 83492791)
    return (mixed * 2654435761 >> 7) % 5 < 2


def _box() -> _Parts:
    half = np.array([0.035, 0.022, 0.06])
    shape = shapes.moved(shapes.rounded_box(half, 0.003), np.array([0.0, 0.0, half[2]]))
    x, y, z = shape.vertices_m.T
    colors = _paint(len(x), (190, 40, 38))
    colors[(z > 0.035) & (z < 0.085)] = (240, 225, 190)
    colors[(z > 0.035) & (z < 0.085) & _blocks(x + y, z, 3, (0.014, 0.012))] = (35, 60, 130)
    colors[(z > 0.098) & (z < 0.108)] = (245, 200, 60)
    hints = (GraspHint("side", (0.0, 0.0, 0.06), 0.0), GraspHint("top", (0.0, 0.0, 0.095), 0.0))
    return shape, colors, 0.10, 0.05, hints


def _can() -> _Parts:
    profile = np.array([[0, 0.002], [0.026, 0.002], [0.030, 0.0], [0.033, 0.005], [0.033, 0.096], [0.030, 0.102]])
    profile = np.concatenate([profile, [[0.028, 0.102], [0.027, 0.099], [0.0, 0.099]]])
    shape = shapes.revolve(profile)
    x, y, z = shape.vertices_m.T
    radius, angle = np.hypot(x, y), np.arctan2(y, x) * 0.033
    colors = _paint(len(x), (30, 110, 70))
    colors[(z > 0.03) & (z < 0.07) & _blocks(angle, z, 1, (0.018, 0.011))] = (235, 235, 225)
    colors[(z < 0.008) | (z > 0.093) | (radius < 0.029)] = (178, 180, 184)
    colors[(z > 0.076) & (z < 0.084)] = (230, 170, 40)
    return shape, colors, 0.45, 0.03, (GraspHint("side", (0.0, 0.0, 0.055)),)


def _mug() -> _Parts:
    profile = np.array(
        [[0, 0.003], [0.034, 0.003], [0.036, 0.0], [0.039, 0.004], [0.040, 0.088], [0.0385, 0.091], [0.036, 0.089]]
    )
    profile = np.concatenate([profile, [[0.0355, 0.010], [0.030, 0.006], [0.0, 0.006]]])
    body = shapes.revolve(profile)
    turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 21)
    centres = np.stack([0.0385 + 0.030 * np.cos(turn), np.zeros(21), 0.047 + 0.028 * np.sin(turn)], axis=-1)
    shape = shapes.union(body, shapes.tube(centres, np.full(21, 0.0055), 16))
    x, y, z = shape.vertices_m.T
    colors = _paint(len(x), (228, 222, 208))
    outside = (np.hypot(x, y) > 0.0365) & (np.arange(len(x)) < len(body.vertices_m))
    colors[outside & (z > 0.02) & (z < 0.072)] = (54, 92, 150)
    colors[outside & (z > 0.034) & (z < 0.058) & _blocks(np.arctan2(y, x) * 0.04, z, 8, (0.02, 0.008))] = (240, 200, 80)
    return shape, colors, 0.35, 0.02, (GraspHint("side", (0.0, 0.0, 0.050)),)


def _bottle() -> _Parts:
    profile = np.array(
        [[0, 0.004], [0.028, 0.0], [0.032, 0.005], [0.032, 0.12], [0.028, 0.14], [0.016, 0.165], [0.0125, 0.175]]
    )
    profile = np.concatenate([profile, [[0.0125, 0.185], [0.0155, 0.186], [0.0155, 0.203], [0.014, 0.205], [0, 0.205]]])
    shape = shapes.revolve(profile)
    x, y, z = shape.vertices_m.T
    colors = _paint(len(x), (90, 150, 175))
    colors[(z > 0.045) & (z < 0.115)] = (238, 238, 232)
    colors[(z > 0.055) & (z < 0.105) & _blocks(np.arctan2(y, x) * 0.032, z, 5, (0.021, 0.009))] = (200, 60, 110)
    colors[z > 0.1855] = (225, 120, 30)
    return shape, colors, 0.40, 0.02, (GraspHint("side", (0.0, 0.0, 0.085)),)


def _ball() -> _Parts:
    radius, turn = 0.034, np.linspace(-0.5 * np.pi, 0.5 * np.pi, 33)
    profile = np.stack([radius * np.cos(turn), radius + radius * np.sin(turn)], axis=-1)
    profile[[0, -1], 0] = 0.0
    shape = shapes.revolve(profile, 56)
    x, y, z = shape.vertices_m.T
    panel = (np.sin(np.arctan2(y, x) * 3.0) * np.cos((z - radius) * 60.0)) > 0.1
    colors = _paint(len(x), (235, 120, 35))
    colors[panel] = (245, 235, 215)
    colors[np.abs(z - radius) < 0.003] = (40, 40, 45)
    return shape, colors, 0.15, 0.05, (GraspHint("top", (0.0, 0.0, radius)),)


def _banana() -> _Parts:
    s = np.linspace(-1.0, 1.0, 41)
    radii = 0.0165 * np.sqrt(np.clip(1.0 - 0.92 * np.abs(s) ** 4, 0.0, 1.0))
    radii = np.where(s > 0.88, np.maximum(0.005, radii * 0.45), radii)
    turn = s * 0.75
    centres = np.stack([0.105 * np.sin(turn), 0.105 * (np.cos(turn) - 0.9), np.full(41, 0.0166)], axis=-1)
    shape = shapes.tube(centres, radii, 28)
    vertices = shape.vertices_m
    along = np.concatenate([np.repeat(s, 28), [-1.0, 1.0]])
    colors = _paint(len(vertices), (236, 200, 52))
    spots = _blocks(vertices[:, 0] * 1.7, vertices[:, 1] + vertices[:, 2], 4, (0.009, 0.008))
    colors[spots & (np.sin(along * 40.0) > 0.3)] = (190, 140, 40)
    colors[along < -0.95] = (80, 60, 30)
    colors[along > 0.9] = (150, 150, 50)
    return shape, colors, 0.15, 0.05, (GraspHint("top", (0.0, 0.008, 0.018), 0.0),)


def _bowl() -> _Parts:
    outer = np.array([[0, 0.0], [0.022, 0.0], [0.026, 0.004], [0.036, 0.018], [0.043, 0.034], [0.046, 0.048]])
    inner = np.array([[0.0445, 0.050], [0.043, 0.048], [0.040, 0.034], [0.033, 0.019], [0.022, 0.008], [0.0, 0.005]])
    shape = shapes.revolve(np.concatenate([outer, inner]) * [1.0, 1.5], 56)
    x, y, z = shape.vertices_m.T
    colors = _paint(len(x), (170, 205, 180))
    colors[np.sin(np.arctan2(y, x) * 12.0) * np.cos(z * 150.0) > 0.35] = (40, 95, 90)
    colors[z > 0.068] = (120, 60, 40)
    return shape, colors, 0.35, 0.03, (GraspHint("side", (0.0, 0.0, 0.052)),)


def _remote() -> _Parts:
    half = np.array([0.075, 0.022, 0.011])
    shape = shapes.moved(shapes.rounded_box(half, 0.006, 0.004), np.array([0.0, 0.0, half[2]]))
    x, y, z = shape.vertices_m.T
    colors = _paint(len(x), (52, 52, 58))
    keys = (z > 0.018) & (np.abs(y) < 0.016) & (np.mod(x, 0.015) > 0.006) & (np.mod(y + 0.016, 0.011) > 0.003)
    colors[keys] = (200, 200, 205)
    colors[keys & (x > 0.055)] = (200, 50, 45)
    return shape, colors, 0.20, 0.06, (GraspHint("top", (0.0, 0.0, 0.011), 0.0),)
