"""A hand model arranged for inverse kinematics: every vertex and joint a skinned point, and what moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hoi_core.conventions import (
    MANO_PARENTS,
    N_BETAS,
    N_JOINTS,
    N_MANO_JOINTS,
    N_VERTICES,
    fingertips,
    permutation,
)
from hoi_core.ik.dof import BIOMECHANICAL, Dof
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, I64

_NO_WEIGHT = 1e-6


class Arrays(NamedTuple):
    """What the kernels read. N points, n angles, S joints at most that carry a point."""

    template_m: F64
    """(N, 3) m rest positions."""
    shape_m: F64
    """(N, 3, 10) m per unit of shape."""
    pose_m: F64
    """(N, 3, 135) m pose corrections; zero of joints."""
    support: I64
    """(N, S) joints that carry the point, -1 beyond."""
    weights: F64
    """(N, S) their weights."""
    moved_by: I64
    """(N, n) angles that move the point, ascending, -1 beyond."""
    rest_m: F64
    """(16, 3) m joints of the template."""
    rest_shape_m: F64
    """(16, 3, 10) m per unit of shape."""
    frames: F64
    """(15, 3, 3) anatomical axes in columns."""
    parents: I64
    """(16,) parent of each joint, -1 for the wrist."""
    below: I64
    """(16, 16) `below[j, k]` is 1 where joint k is j or hangs on it."""
    joint: I64
    """(n,) joint of each angle, 1 to 15."""
    axis: I64
    """(n,) its axis."""


@dataclass(frozen=True)
class IkHand:
    """A hand whose 21 joints and chosen vertices are fitted."""

    arrays: Arrays
    """Of the points: 21 joints in the order `openpose21`, then the vertices."""
    vertices: I64
    """(V,) ids of the vertices that are fitted."""
    dof: Dof
    """The angles that turn."""

    @property
    def unknowns(self) -> int:
        """Shift, global rotation, angles and shape."""
        return 6 + len(self.dof) + N_BETAS


def spread_vertices(layer: ManoLayer, count: int = 100) -> I64:
    """Vertices that lie far from each other, so that few of them stand for all (farthest point sampling).

    Args:
        layer: the hand model.
        count: how many; 778 or more for all.

    Returns:
        `(count,)` ids, ascending.
    """
    points = layer.model.v_template
    if count >= len(points):
        return np.arange(len(points), dtype=np.int64)
    chosen = np.zeros(count, dtype=np.int64)
    away = np.full(len(points), np.inf)
    for i in range(1, count):
        away = np.minimum(away, ((points - points[chosen[i - 1]]) ** 2).sum(-1))
        chosen[i] = int(away.argmax())
    return np.sort(chosen)


def ik_hand(layer: ManoLayer, dof: Dof = BIOMECHANICAL, vertices: I64 | None = None) -> IkHand:
    """Arrange a hand model for inverse kinematics.

    Args:
        layer: the hand model.
        dof: the angles that turn.
        vertices: `(V,)` ids of the vertices to fit; None for none.

    Raises:
        ValueError: an id that no vertex has.
    """
    ids = np.zeros(0, np.int64) if vertices is None else np.asarray(vertices, dtype=np.int64)
    if len(ids) and (ids.min() < 0 or ids.max() >= N_VERTICES):
        raise ValueError(f"vertices are 0 to {N_VERTICES - 1}, got {ids.min()} to {ids.max()}")
    model = layer.model
    tips = np.array(fingertips())
    chosen = np.concatenate([tips, ids])
    # A joint is a point fixed to its parent: MANO's joints depend on the shape alone.
    to_parent = np.zeros((N_MANO_JOINTS, N_MANO_JOINTS))
    to_parent[np.arange(N_MANO_JOINTS), np.maximum(MANO_PARENTS, 0)] = 1.0
    regress = model.J_regressor
    order = np.concatenate([permutation("mano21", "openpose21"), N_JOINTS + np.arange(len(ids))])
    rest, rest_shape = regress @ model.v_template, np.einsum("jv,vcs->jcs", regress, model.shapedirs)
    weights = np.concatenate([to_parent, model.weights[chosen]])[order]
    below = _below()
    support, kept = _support(weights)
    carried = np.zeros((len(weights), N_MANO_JOINTS), dtype=bool)
    np.put_along_axis(carried, np.maximum(support, 0), support >= 0, axis=1)
    on_chain = (carried.astype(np.int64) @ below.T > 0)[:, 1:]
    return IkHand(
        Arrays(
            template_m=np.concatenate([rest, model.v_template[chosen]])[order],
            shape_m=np.ascontiguousarray(np.concatenate([rest_shape, model.shapedirs[chosen]])[order]),
            pose_m=np.ascontiguousarray(
                np.concatenate([np.zeros((N_MANO_JOINTS, 3, 135)), model.posedirs[chosen]])[order]
            ),
            support=support,
            weights=kept,
            moved_by=_lists(on_chain[:, dof.joint]),
            rest_m=rest,
            rest_shape_m=np.ascontiguousarray(rest_shape),
            frames=np.ascontiguousarray(layer.joint_frames),
            parents=np.array(MANO_PARENTS, dtype=np.int64),
            below=below,
            joint=dof.joint + 1,
            axis=dof.axis,
        ),
        ids,
        dof,
    )


def _below() -> I64:
    below = np.eye(N_MANO_JOINTS, dtype=np.int64)
    for joint in range(N_MANO_JOINTS - 1, 0, -1):
        below[MANO_PARENTS[joint]] |= below[joint]
    return below


def _support(weights: F64) -> tuple[I64, F64]:
    """Carrying joints of each row, and their weights, which sum to what they did."""
    support = _lists(weights > _NO_WEIGHT)
    kept = np.where(support >= 0, np.take_along_axis(weights, np.maximum(support, 0), axis=1), 0.0)
    return support, kept * (weights.sum(1) / kept.sum(1))[:, None]


def _lists(mask: np.ndarray) -> I64:
    """Indices of the true entries of each row, ascending, padded with -1."""
    out = np.full(mask.shape, -1, dtype=np.int64)
    for row, entries in enumerate(mask):
        found = np.flatnonzero(entries)
        out[row, : len(found)] = found
    return np.ascontiguousarray(out[:, : max(1, int(mask.sum(1).max()))])
