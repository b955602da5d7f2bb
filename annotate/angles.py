"""Anatomical joint angles with their derivatives, and how terms add residuals that depend on one joint's rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from annotate import _angles
from hoi_core.biomechanics import rotations_to_angles
from hoi_core.types import F64

if TYPE_CHECKING:
    from annotate.equations import NormalEquations

_SMALLEST_COSINE = 0.1


def angles_and_slopes(rotations: F64, frames: F64) -> tuple[F64, F64]:
    """Flexion, abduction and twist, and their derivatives by a step `R <- R exp(d)`.

    Args:
        rotations: `(M, 15, 3, 3)` of the finger joints.
        frames: `(15, 3, 3)` anatomical frames, axes in columns.

    Returns:
        `(M, 15, 3)` rad and `(M, 15, 3, 3)`.
    """
    angles = rotations_to_angles(rotations, frames)
    abduction, twist = angles[..., 1], angles[..., 2]
    c, s = np.cos(twist), np.sin(twist)
    # At an abduction of 90 degrees flexion and twist are one; no finger gets there, a wrong first guess may.
    steep = np.maximum(np.cos(abduction), _SMALLEST_COSINE)
    slopes = np.zeros((*angles.shape, 3))
    slopes[..., 0, 0], slopes[..., 0, 1] = c / steep, -s / steep
    slopes[..., 1, 0], slopes[..., 1, 1] = s, c
    lean = np.sin(abduction) / steep
    slopes[..., 2, 0], slopes[..., 2, 1], slopes[..., 2, 2] = -lean * c, lean * s, 1.0
    return angles, slopes @ np.swapaxes(frames, -1, -2)


def add_angle_rows(equations: NormalEquations, slopes: F64, residual: F64, weight: F64) -> None:
    """Add three residuals of each finger joint.

    Args:
        equations: added to.
        slopes: `(M, 15, 3, 3)` residual by the joint's step.
        residual: `(M, 15, 3)`.
        weight: of the squared residuals, broadcast to `(M, 15, 3)`.
    """
    precision = np.ascontiguousarray(np.broadcast_to(weight, residual.shape))
    _angles.add_rows(slopes, residual, precision, equations.H, equations.g)
