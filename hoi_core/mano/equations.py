"""The hand model's equations, written once for numpy arrays and torch tensors.

Numbers are those of Loper et al. 2015 (SMPL: A Skinned Multi-Person Linear Model), which Romero et al. 2017
(Embodied Hands, section 4) takes over for MANO. `xp` is the module `numpy` or `torch`; every function used here
has the same name and meaning in both, and is differentiable in torch, also at zero rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")

_SMALL = 1e-8  # rad^2; below it the Taylor series is exact to rounding


@dataclass(frozen=True)
class Coefficients(Generic[Array]):
    """The model's arrays, all numpy or all torch, of one floating type."""

    v_template: Array
    """(V, 3) m."""
    shapedirs: Array
    """(V * 3, 10) m per unit."""
    posedirs: Array
    """(135, V * 3) m."""
    J_regressor: Array
    """(16, V)."""
    weights: Array
    """(V, 16)."""
    parents: Sequence[int]
    """16 parents; -1 for the wrist."""


def rodrigues(xp: ModuleType, axis_angle: Array) -> Array:
    """Rotation matrices (SMPL eq. 1). `(..., 3) rad -> (..., 3, 3)`."""
    t2 = (axis_angle * axis_angle).sum(-1)[..., None, None]
    small = t2 < _SMALL
    # The inner `where` keeps the unused branch finite, or its gradient would be NaN at zero.
    t = xp.sqrt(xp.where(small, xp.ones_like(t2), t2))
    a = xp.where(small, 1.0 - t2 / 6.0, xp.sin(t) / t)
    b = xp.where(small, 0.5 - t2 / 24.0, (1.0 - xp.cos(t)) / (t * t))
    x, y, z = axis_angle[..., 0], axis_angle[..., 1], axis_angle[..., 2]
    zero = xp.zeros_like(x)
    k = xp.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*axis_angle.shape[:-1], 3, 3)
    kk = k @ k
    eye = xp.zeros_like(kk)
    eye[..., range(3), range(3)] = 1.0
    return eye + a * k + b * kk


def shaped(xp: ModuleType, c: Coefficients[Array], betas: Array) -> tuple[Array, Array]:
    """Rest shape (SMPL eq. 8) and its joints (eq. 10). `(B, 10) -> (B, V, 3) m, (B, 16, 3) m`."""
    offsets = (betas @ c.shapedirs.T).reshape(len(betas), -1, 3)
    vertices = c.v_template + offsets
    return vertices, c.J_regressor @ vertices


def pose_offsets(xp: ModuleType, c: Coefficients[Array], rotations: Array) -> Array:
    """Pose blend shapes (SMPL eq. 9). `(B, 16, 3, 3) -> (B, V, 3) m`."""
    eye = xp.zeros_like(rotations[:, 1:])
    eye[..., range(3), range(3)] = 1.0
    feature = (rotations[:, 1:] - eye).reshape(len(rotations), -1)
    return (feature @ c.posedirs).reshape(len(rotations), -1, 3)


def chain(xp: ModuleType, c: Coefficients[Array], rotations: Array, joints: Array) -> tuple[Array, Array]:
    """Joint frames in the world (SMPL eq. 4). `(B, 16, 3, 3), (B, 16, 3) m -> (B, 16, 3, 3), (B, 16, 3) m`."""
    R, t = [rotations[:, 0]], [joints[:, 0]]
    for j in range(1, len(c.parents)):
        p = c.parents[j]
        step = joints[:, j] - joints[:, p]
        R.append(R[p] @ rotations[:, j])
        t.append((R[p] @ step[..., None])[..., 0] + t[p])
    return xp.stack(R, 1), xp.stack(t, 1)


def skin(xp: ModuleType, c: Coefficients[Array], vertices: Array, frames: tuple[Array, Array], joints: Array) -> Array:
    """Linear blend skinning (SMPL eq. 2, 3 and 7). `(B, V, 3) m -> (B, V, 3) m`."""
    R, t = frames
    shift = t - (R @ joints[..., None])[..., 0]
    n = len(R)
    moves = xp.concatenate([R.reshape(n, -1, 9), shift], -1)
    blended = c.weights @ moves
    out = (blended[..., :9].reshape(n, -1, 3, 3) * vertices[..., None, :]).sum(-1)
    return out + blended[..., 9:]
