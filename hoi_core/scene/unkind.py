"""Hands that the model cannot represent: truth must not be kinder than reality.

A real hand lies off the ten shape directions. We displace the template by bone-length changes, tip offsets and a
smooth random field, keep only what is orthogonal to the shape basis, and let the joints follow the displaced surface.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hoi_core.biomechanics import bone_ends
from hoi_core.conventions import FINGERS, MANO_PARENTS, N_BETAS, finger_joints, fingertips
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import finger_of_vertices, hand_frame
from hoi_core.types import F64


@dataclass(frozen=True)
class Unkindness:
    """How far the true hand is from anything the model can be."""

    field_m: float = 0.0012
    """Spread of the smooth displacement of the surface, m."""
    field_size_m: float = 0.025
    """Size of its bumps, m."""
    bone_share: float = 0.015
    """Spread of the change in length of each finger bone, relative."""
    tip_m: float = 0.0015
    """Length of the offset of each fingertip, m."""


def unkind_layer(layer: ManoLayer, rng: np.random.Generator, amount: Unkindness | None = None) -> ManoLayer:
    """A hand of the same kind whose template lies off the shape basis.

    Args:
        layer: the hand that the fit knows.
        rng: the person.
        amount: how unkind; None for the default.

    Returns:
        A layer to pose with the same parameters. Its joints are regressed from the displaced template, and its tips
        are vertices of it, so both move with the surface.
    """
    amount = amount or Unkindness()
    displacement = _bones(layer, rng, amount.bone_share) + _field(layer.model.v_template, rng, amount)
    displacement += _tips(layer, rng, amount.tip_m)
    off_basis = off_shape_basis(layer, displacement)
    return ManoLayer(replace(layer.model, v_template=layer.model.v_template + off_basis))


def off_shape_basis(layer: ManoLayer, displacement_m: F64) -> F64:
    """The part of a displacement that no betas and no translation make. `(778, 3) m -> (778, 3) m`."""
    shifts = np.tile(np.eye(3), (len(displacement_m), 1, 1)).reshape(-1, 3)
    basis = np.concatenate([layer.model.shapedirs.reshape(-1, N_BETAS), shifts], axis=1)
    q, _ = np.linalg.qr(basis)
    flat = displacement_m.reshape(-1)
    return (flat - q @ (q.T @ flat)).reshape(-1, 3)


def _field(points_m: F64, rng: np.random.Generator, amount: Unkindness) -> F64:
    """A sum of random waves, so that neighbours move alike."""
    waves = rng.normal(0.0, 1.0 / amount.field_size_m, (24, 3))
    phase = points_m @ waves.T + rng.uniform(0.0, 2.0 * np.pi, 24)
    field = np.cos(phase) @ rng.normal(0.0, 1.0, (24, 3))
    return field / np.sqrt((field**2).mean()) * amount.field_m / np.sqrt(3.0)


def _bones(layer: ManoLayer, rng: np.random.Generator, share: float) -> F64:
    """Lengthen or shorten every finger bone; what lies further out moves along."""
    joints = layer.model.J_regressor @ layer.model.v_template
    tips = layer.model.v_template[list(fingertips())]
    bones = np.concatenate([np.zeros((1, 3)), bone_ends(joints, tips) - joints[1:]])
    shift = np.zeros((len(joints), 3))
    stretch = np.zeros((len(joints), 3))
    for joint in range(1, len(joints)):
        stretch[joint] = rng.normal(0.0, share) * bones[joint]
        parent = MANO_PARENTS[joint]
        shift[joint] = shift[parent] + (stretch[parent] if parent > 0 else 0.0)
    out = np.zeros_like(layer.model.v_template)
    for joint in range(1, len(joints)):
        bone = bones[joint]
        along = np.clip((layer.model.v_template - joints[joint]) @ bone / (bone @ bone), 0.0, 1.0)
        out += layer.model.weights[:, joint, None] * (shift[joint] + along[:, None] * stretch[joint])
    return out


def _tips(layer: ManoLayer, rng: np.random.Generator, length_m: float) -> F64:
    """Move each fingertip in a random direction across and along its bone, fading over a centimetre."""
    joints = hand_frame(layer).joints_m
    owner = finger_of_vertices(layer)
    out = np.zeros_like(layer.model.v_template)
    for i, finger in enumerate(FINGERS):
        tip = joints[finger_joints(finger)[-1]]
        direction = rng.normal(0.0, 1.0, 3)
        near = np.exp(-((layer.model.v_template - tip) ** 2).sum(-1) / (2 * 0.008**2)) * (owner == i)
        out += near[:, None] * length_m * direction / np.linalg.norm(direction)
    return out
