"""The forearm behind a hand: it grows out of the mesh's wrist, bends there, and may wear a sleeve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoi_core import rotation
from hoi_core.mano import ManoLayer
from hoi_core.mano.topology import boundary_loop
from hoi_core.scene.anatomy import HandFrame, hand_frame
from hoi_core.types import F64, I64

BEND_RAD = np.deg2rad([50.0, 18.0])
"""Greatest flexion and sideways turn of the wrist."""
_BEND_M = 0.040
_LENGTHS_M = (0.12, 0.26)
# Half axes of the forearm, thumb to little side and palm to back, close to the wrist and 22 cm up.
_WRIST_M, _ELBOW_M = np.array([0.029, 0.0205]), np.array([0.042, 0.038])
_ELBOW_AT_M = 0.22


@dataclass(frozen=True)
class ArmShape:
    """How one arm hangs on its hand."""

    bend_rad: F64
    """(3,) rad, turn of the forearm against the hand, hand's template frame."""
    length_m: float
    """Visible length."""
    sleeve_from_m: float
    """Where the sleeve begins; behind the arm's end for a bare arm."""
    cloth_m: float
    """Distance between skin and cloth."""


@dataclass(frozen=True)
class Arm:
    """The forearm of a posed hand."""

    vertices_m: F64
    """(N, 3) m, world; they follow the hand's 778."""
    faces: NDArray[np.int32]
    """(F, 3) into the hand's vertices and these."""
    along_m: F64
    """(N,) distance from the wrist's end."""
    loop: I64
    """(16,) vertices of the hand's open end; row k of each ring hangs on loop vertex k."""
    sleeve_m: F64
    """(M, 3) m, vertices of the sleeve; none for a bare arm."""
    sleeve_faces: NDArray[np.int32]
    """(G, 3)."""


def random_shape(frame: HandFrame, rng: np.random.Generator) -> ArmShape:
    """Any arm that fits a hand."""
    flexion, sideways = rng.uniform(-1.0, 1.0, 2) * BEND_RAD
    bend = flexion * frame.axes[:, 0] + sideways * frame.palm
    length = rng.uniform(*_LENGTHS_M)
    sleeve = rng.uniform(0.01, 0.12) if rng.random() < 0.55 else 2.0 * length
    return ArmShape(bend, float(length), float(sleeve), float(rng.uniform(0.003, 0.008)))


def directions(shapes: Sequence[ArmShape], frame: HandFrame, R: F64) -> F64:
    """Where the elbows lie. `-> (N, 3)` unit vectors, world; `R` is the hand's rotation."""
    bends = rotation.exp_so3(np.stack([shape.bend_rad for shape in shapes]))
    return -(bends @ frame.forward) @ R.T


class ArmBuilder:
    """Hangs forearms on one hand model."""

    def __init__(self, layer: ManoLayer) -> None:
        self.frame = hand_frame(layer)
        self.loop = boundary_loop(layer.faces)
        self._n = len(self.loop)

    def build(self, vertices_m: F64, R: F64, shape: ArmShape) -> Arm:
        """Grow an arm out of a posed hand. `vertices_m (778, 3)` m world, `R` its rotation."""
        start = vertices_m[self.loop]
        centre = start.mean(0)
        stations = np.append(np.arange(0.006, _BEND_M + 0.02, 0.006), 0.0)
        stations = np.unique(np.append(stations, np.linspace(_BEND_M + 0.02, shape.length_m, 6)))[1:]
        offsets = (start - centre) @ R
        rings = self._rings(offsets, stations, shape, np.zeros(len(stations)))
        arm = centre + rings @ R.T
        faces = _tube_faces(self._n, len(stations), 778, self.loop)
        along = np.repeat(stations, self._n)
        kept = stations >= shape.sleeve_from_m
        sleeve, sleeve_faces = np.zeros((0, 3)), np.zeros((0, 3), np.int32)
        if kept.sum() > 1:
            at = np.concatenate([[stations[kept][0]], stations[kept]])
            wider = shape.cloth_m * (1.0 + 0.35 * np.sin(at * 300.0))
            # The hem turns in to the skin.
            wider[0] = -0.002
            cloth = self._rings(offsets, at, shape, wider)
            sleeve = (centre + cloth @ R.T).reshape(-1, 3)
            sleeve_faces = _tube_faces(self._n, len(at) - 1, self._n, np.arange(self._n))
        return Arm(arm.reshape(-1, 3), faces, along, self.loop, sleeve, sleeve_faces)

    def _rings(self, offsets: F64, stations_m: F64, shape: ArmShape, wider_m: F64) -> F64:
        """Rings of points about the arm's axis, template's axes, wrist's end at the origin. `-> (S, n, 3)` m."""
        fine = np.linspace(0.0, float(stations_m[-1]), 64)
        turned = rotation.exp_so3(_smooth(fine / _BEND_M)[:, None] * shape.bend_rad)
        steps = turned @ -self.frame.forward
        path = np.concatenate(
            [np.zeros((1, 3)), np.cumsum(0.5 * (steps[1:] + steps[:-1]) * np.diff(fine)[:, None], axis=0)]
        )
        centres = np.stack([np.interp(stations_m, fine, path[:, k]) for k in range(3)], axis=-1)
        plane = self.frame.axes[:, [0, 2]]
        flat = offsets @ plane
        angle = np.arctan2(flat[:, 1] / _WRIST_M[1], flat[:, 0] / _WRIST_M[0])
        grown = np.clip(stations_m / _ELBOW_AT_M, 0.0, 1.3)[:, None]
        scale = np.abs(flat).max(0).mean() / _WRIST_M.mean()
        half = scale * (_WRIST_M + grown * (_ELBOW_M - _WRIST_M)) + wider_m[:, None]
        round_ = np.stack([half[:, :1] * np.cos(angle), half[:, 1:] * np.sin(angle)], axis=-1) @ plane.T
        melt = _smooth(stations_m / 0.05)[:, None, None]
        unit = offsets / np.linalg.norm(offsets, axis=-1, keepdims=True)
        section = (1.0 - melt) * (offsets + wider_m[:, None, None] * unit) + melt * round_
        R = rotation.exp_so3(_smooth(stations_m / _BEND_M)[:, None] * shape.bend_rad)
        return centres[:, None] + section @ np.swapaxes(R, -1, -2)


def _smooth(x: F64) -> F64:
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _tube_faces(n: int, rings: int, first: int, loop: I64) -> NDArray[np.int32]:
    """Triangles from a loop of vertices through rings that start at vertex `first`, closed at the far end.

    The loop runs as the triangles of its own mesh do at their open side.
    """
    rows = np.concatenate([loop[None], first + np.arange(rings * n).reshape(rings, n)])
    a, b = rows[:-1], rows[1:]
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    walls = np.stack([np.stack([a2, a, b], -1), np.stack([a2, b, b2], -1)]).reshape(-1, 3)
    last = rows[-1]
    cap = np.stack([np.full(n - 2, last[0]), last[2:], last[1:-1]], axis=-1)
    return np.ascontiguousarray(np.concatenate([walls, cap]), np.int32)
