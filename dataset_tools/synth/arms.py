"""The forearm behind a hand: it grows out of the mesh's wrist, bends there, and may wear a sleeve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians

import numpy as np
from numpy.typing import NDArray

from dataset_tools.synth._posing import arm_rings, turned
from hoi_core.conventions import N_VERTICES
from hoi_core.mano import ManoLayer
from hoi_core.mano.topology import boundary_loop
from hoi_core.scene.anatomy import HandFrame, hand_frame
from hoi_core.types import F64, I64

# Greatest flexion and sideways turn of the wrist.
_FLEXION_RAD, _SIDEWAYS_RAD = radians(50.0), radians(18.0)
_LENGTHS_M = (0.12, 0.26)
# Half axes of the forearm, thumb to little side and palm to back, close to the wrist and 22 cm up.
_HALF_AXES_M = np.array([[0.029, 0.0205], [0.042, 0.038]])
_BENT_STATIONS_M = np.arange(1, 11) * 0.006
_STRAIGHT_SHARES = np.arange(1, 6) / 5.0
_HEM_M = -0.002


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
    """(S,) distance of each ring from the wrist's end; N = 16 S."""
    loop: I64
    """(16,) vertices of the hand's open end; row k of each ring hangs on loop vertex k."""
    sleeve_m: F64
    """(M, 3) m, vertices of the sleeve; none for a bare arm."""
    sleeve_faces: NDArray[np.int32]
    """(G, 3)."""


def random_shapes(n: int, frame: HandFrame, rng: np.random.Generator) -> list[ArmShape]:
    """Any `n` arms that fit a hand."""
    # Single numbers, joined once: small arrays would cost more than the arm that is built in the end.
    draw = rng.random
    turns, rest = [], []
    for _ in range(n):
        turns.append([(2.0 * draw() - 1.0) * _FLEXION_RAD, (2.0 * draw() - 1.0) * _SIDEWAYS_RAD])
        length = _LENGTHS_M[0] + (_LENGTHS_M[1] - _LENGTHS_M[0]) * draw()
        sleeve = 0.01 + 0.11 * draw() if draw() < 0.55 else 2.0 * length
        rest.append((length, sleeve, 0.003 + 0.005 * draw()))
    bends = np.array(turns) @ np.array([frame.axes[:, 0], frame.palm])
    return [ArmShape(bend, *numbers) for bend, numbers in zip(bends, rest, strict=True)]


def directions(shapes: Sequence[ArmShape], frame: HandFrame, R: F64) -> F64:
    """Where the elbows lie. `-> (N, 3)` unit vectors, world; `R` is the hand's rotation."""
    return -np.array([turned(shape.bend_rad) @ frame.forward for shape in shapes]) @ R.T


class ArmBuilder:
    """Hangs forearms on one hand model."""

    def __init__(self, layer: ManoLayer) -> None:
        self.frame = hand_frame(layer)
        self.loop = boundary_loop(layer.faces)
        self._axes = np.ascontiguousarray(self.frame.axes)
        self._faces: dict[tuple[int, int], NDArray[np.int32]] = {}

    def build(self, vertices_m: F64, R: F64, shape: ArmShape) -> Arm:
        """Grow an arm out of a posed hand. `vertices_m (778, 3)` m world, `R` its rotation."""
        start = vertices_m[self.loop]
        centre = start.mean(0)
        offsets = np.ascontiguousarray((start - centre) @ R)
        bent_m = float(_BENT_STATIONS_M[-1])
        stations = np.concatenate([_BENT_STATIONS_M, bent_m + _STRAIGHT_SHARES * (shape.length_m - bent_m)])
        arm = self._rings(offsets, stations, shape, np.zeros(len(stations)))
        kept = stations[stations >= shape.sleeve_from_m]
        sleeve, sleeve_faces = np.zeros((0, 3)), np.zeros((0, 3), np.int32)
        if len(kept) > 1:
            at = np.append(kept[0], kept)
            wider = shape.cloth_m * (1.0 + 0.35 * np.sin(at * 300.0))
            # The hem turns in to the skin.
            wider[0] = _HEM_M
            sleeve = centre + self._rings(offsets, at, shape, wider) @ R.T
            sleeve_faces = self._tube(len(at) - 1, len(self.loop), np.arange(len(self.loop)))
        return Arm(
            centre + arm @ R.T,
            self._tube(len(stations), N_VERTICES, self.loop),
            stations,
            self.loop,
            sleeve,
            sleeve_faces,
        )

    def _rings(self, offsets: F64, stations_m: F64, shape: ArmShape, wider_m: F64) -> F64:
        """`-> (S * 16, 3)` m, template's axes, about the wrist's end."""
        return arm_rings(offsets, stations_m, wider_m, shape.bend_rad, self._axes, _HALF_AXES_M).reshape(-1, 3)

    def _tube(self, rings: int, first: int, loop: I64) -> NDArray[np.int32]:
        if (rings, first) not in self._faces:
            self._faces[rings, first] = _tube_faces(len(loop), rings, first, loop)
        return self._faces[rings, first]


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
