"""Biomechanical constraints on joints alone: how far a hand is from any that there is (Spurr et al. 2020, section 3).

Joints are taken in lengths of the bone from the wrist to the base of the middle finger. What is anatomical the paper
reads off labels, as the least and the largest value and as convex hulls; here the user's hand model says it, posed
within `hoi_core.biomechanics.LIMITS_RAD`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from scipy.spatial import ConvexHull
from torch import Tensor
from torch.nn import functional as F

from hoi_core.biomechanics import ABDUCTION, FLEXION, LIMITS_RAD, N_FINGER_JOINTS, TWIST, pose_from_angles
from hoi_core.conventions import FINGERS, N_BETAS, N_JOINTS
from hoi_core.mano import ManoLayer
from hoi_core.types import F64

N_BONES = N_JOINTS - 1
_MIDDLE = 9
_BASES = [1 + 4 * finger for finger in range(len(FINGERS))]
_PARENTS = [0 if joint in _BASES else joint - 1 for joint in range(1, N_JOINTS)]
_HANDS, _EXTREME = 600, 0.5
"""Posed hands that limits are read off, and the share of their angles that are at one end of their range."""
_TINY = 1e-12


@dataclass(frozen=True)
class Limits:
    """What hands can do. Lengths are in those of the bone from the wrist to the base of the middle finger."""

    lengths: Tensor
    """(20, 2) of the bones that end in joints 1 to 20: shortest and longest."""
    curvatures: Tensor
    """(4, 2) of the palm between neighbouring fingers, one over a length."""
    spreads: Tensor
    """(4, 2) rad between the palm's neighbouring bones."""
    hulls: Tensor
    """(15, V, 2) rad: corners of the convex region of flexion and abduction of each joint, counterclockwise; the last
    corner is repeated where a region has fewer."""

    @classmethod
    def of_hand(cls, layer: ManoLayer) -> Limits:
        """The limits of a hand model: shapes as MANO's prior has them, angles within `LIMITS_RAD`."""
        return _limits_of(layer)

    def to(self, like: Tensor) -> Limits:
        """The same in the type and place of a tensor."""
        return Limits(**{field.name: getattr(self, field.name).to(like) for field in fields(self)})


def losses(joints: Tensor, limits: Limits) -> Mapping[str, Tensor]:
    """The three terms of L_BMC, each a mean.

    Args:
        joints: `(B, 21, 3)` openpose21, any unit.
        limits: see there; in the type and place of `joints`.

    Returns:
        `bones` (their lengths), `palm` (its curvatures and spreads) and `angles` (rad outside the hulls).
    """
    vectors = bones(joints)
    curvature, spread = palm(vectors)
    return {
        "bones": outside(_length(vectors), limits.lengths).mean(),
        "palm": outside(curvature, limits.curvatures).mean() + outside(spread, limits.spreads).mean(),
        "angles": outside_hulls(joint_angles(vectors), limits.hulls).mean(),
    }


def bones(joints: Tensor) -> Tensor:
    """Bones that end in joints 1 to 20, in lengths of the one from wrist to middle. `(B, 21, 3) -> (B, 20, 3)`."""
    scale = _length(joints[:, _MIDDLE] - joints[:, 0])
    return (joints[:, 1:] - joints[:, _PARENTS]) / scale[:, None, None]


def palm(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Curvature of the palm between neighbouring fingers and the angle there. `(B, 20, 3) -> (B, 4), (B, 4) rad`.

    With roots b and normals e at them: c = (e' - e) . (b' - b) / |b' - b|^2.
    """
    roots = vectors[:, [base - 1 for base in _BASES]]
    edges = _edge_normals(roots)
    across = roots[:, 1:] - roots[:, :-1]
    curvature = ((edges[:, 1:] - edges[:, :-1]) * across).sum(-1) / across.square().sum(-1).clamp(min=_TINY)
    # Not the arccosine: its slope has no bound where bones are parallel.
    sine = _length(torch.linalg.cross(roots[:, :-1], roots[:, 1:]))
    return curvature, torch.atan2(sine, (roots[:, :-1] * roots[:, 1:]).sum(-1))


def joint_angles(vectors: Tensor) -> Tensor:
    """Flexion and abduction of the bone behind each finger joint against the one before it.

    The frame of a finger's first joint has its bone of the palm as z and the palm's normal, reversed, as x; further
    ones turn with the finger. A bone b of unit length has flexion atan2(b_x, b_z) and abduction asin(b_y).

    Args:
        vectors: `(B, 20, 3)` of `bones`.

    Returns:
        `(B, 15, 2)` rad, thumb to little, three joints each from base to tip.
    """
    fingers = vectors.unflatten(1, (len(FINGERS), 4))
    z = _unit(fingers[:, :, 0])
    y = _unit(torch.linalg.cross(z, -_edge_normals(fingers[:, :, 0])))
    angles = []
    for along in range(1, 4):
        bone = _unit(fingers[:, :, along])
        x = torch.linalg.cross(y, z)
        ahead, aside = (bone * z).sum(-1), (bone * y).sum(-1)
        down = (bone * x).sum(-1)
        flat = (ahead.square() + down.square() + _TINY).sqrt()
        angles.append(torch.stack([torch.atan2(down, ahead), torch.atan2(aside, flat)], -1))
        x = _unit(torch.linalg.cross(y, bone))
        z, y = bone, torch.linalg.cross(bone, x)
    return torch.stack(angles, 2).flatten(1, 2)


def outside(values: Tensor, limits: Tensor) -> Tensor:
    """How far values lie outside their ranges, the paper's I. `(B, N), (N, 2) -> (B, N)`."""
    return F.relu(limits[:, 0] - values) + F.relu(values - limits[:, 1])


def outside_hulls(points: Tensor, hulls: Tensor) -> Tensor:
    """Distance of points from convex regions, 0 within. `(B, N, 2), (N, V, 2) -> (B, N)`."""
    start, along = hulls, hulls.roll(-1, 1) - hulls
    away = points[:, :, None] - start
    share = (away * along).sum(-1) / along.square().sum(-1).clamp(min=_TINY)
    nearest = (away - share.clamp(0.0, 1.0)[..., None] * along).square().sum(-1).amin(-1)
    left = along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0]
    inside = (left >= 0).all(-1)
    return torch.where(inside, nearest.new_zeros(()), nearest.clamp(min=_TINY).sqrt())


def _edge_normals(roots: Tensor) -> Tensor:
    """Normals of the palm at its bones: between two fingers' planes their mean. `(B, 5, 3) -> (B, 5, 3)`."""
    normals = _unit(torch.linalg.cross(roots[:, 1:], roots[:, :-1]))
    between = _unit(normals[:, 1:] + normals[:, :-1])
    return torch.cat([normals[:, :1], between, normals[:, -1:]], 1)


def _length(v: Tensor) -> Tensor:
    return (v.square().sum(-1) + _TINY).sqrt()


def _unit(v: Tensor) -> Tensor:
    return v / _length(v)[..., None]


@lru_cache(maxsize=4)
def _limits_of(layer: ManoLayer) -> Limits:
    rng = np.random.default_rng(0)
    pose = pose_from_angles(_angles_within(rng), layer.joint_frames)
    hands = layer(np.zeros((_HANDS, 3)), pose, rng.normal(0.0, 1.0, (_HANDS, N_BETAS)))
    vectors = bones(torch.as_tensor(hands.joints_m))
    curvature, spread = palm(vectors)
    lengths, curvatures, spreads = (
        torch.stack([x.amin(0), x.amax(0)], 1).float() for x in (_length(vectors), curvature, spread)
    )
    return Limits(lengths, curvatures, spreads, _hulls(joint_angles(vectors).numpy()))


def _angles_within(rng: np.random.Generator) -> F64:
    """Angles within the limits, many of them at an end: `(600, 15, 3)` rad, and each joint's corners among them."""
    low, high = LIMITS_RAD[..., 0], LIMITS_RAD[..., 1]
    share = rng.uniform(0.0, 1.0, (_HANDS, N_FINGER_JOINTS, 3))
    share = np.where(rng.uniform(size=share.shape) < _EXTREME, share.round(), share)
    corners = list(product((0.0, 1.0), repeat=3))
    share[: len(corners), :, [FLEXION, ABDUCTION, TWIST]] = np.array(corners)[:, None]
    return low + share * (high - low)


def _hulls(angles: F64) -> Tensor:
    """Convex hulls of the angles of hands. `(N, 15, 2) -> (15, V, 2)`."""
    corners = [each[ConvexHull(each).vertices] for each in angles.swapaxes(0, 1)]
    most = max(len(each) for each in corners)
    full = [np.concatenate([each, np.repeat(each[-1:], most - len(each), 0)]) for each in corners]
    return torch.as_tensor(np.stack(full)).float()
