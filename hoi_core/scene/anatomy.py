"""Directions of a hand that its template tells: fingers, thumb side and palm, and which vertices belong to a finger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core.conventions import FINGERS, MANO_FINGERS
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, I64


@dataclass(frozen=True)
class HandFrame:
    """Axes of a flat hand in the template's frame."""

    axes: F64
    """(3, 3), columns: towards the thumb's side, towards the fingertips, out of the palm."""
    joints_m: F64
    """(21, 3) m, the flat hand's joints."""

    @property
    def palm(self) -> F64:
        """(3,) unit vector out of the palm."""
        return self.axes[:, 2]

    @property
    def forward(self) -> F64:
        """(3,) unit vector towards the fingertips."""
        return self.axes[:, 1]


def hand_frame(layer: ManoLayer, betas: F64 | None = None) -> HandFrame:
    """Measure the axes of a hand. `betas (10,)`, None for the mean shape."""
    joints = layer(np.zeros((1, 3)), np.zeros((1, 45)), betas).joints_m[0]
    knuckles = joints[[5, 9, 13, 17]]
    forward = knuckles.mean(0) - joints[0]
    forward /= np.linalg.norm(forward)
    lateral = knuckles[0] - knuckles[3]
    lateral -= (lateral @ forward) * forward
    lateral /= np.linalg.norm(lateral)
    # Thumb side x fingers points out of a right palm, into a left one.
    palm = np.cross(lateral, forward) * (1.0 if layer.side == "right" else -1.0)
    return HandFrame(np.stack([lateral, forward, palm], axis=-1), joints)


def finger_of_vertices(layer: ManoLayer) -> I64:
    """Which finger moves each vertex: index into `FINGERS`, -1 for the palm. `-> (778,)`."""
    finger_of_joint = np.array([-1, *np.repeat([FINGERS.index(f) for f in MANO_FINGERS], 3)])
    return finger_of_joint[phalanx_of_vertices(layer)]


def phalanx_of_vertices(layer: ManoLayer) -> I64:
    """Which MANO joint (0..15) moves each vertex most. `-> (778,)`."""
    return layer.model.weights.argmax(1)


def mano_rows(finger: str) -> slice:
    """Rows of a finger among the fifteen MANO joints, base to tip."""
    start = 3 * MANO_FINGERS.index(finger)
    return slice(start, start + 3)
