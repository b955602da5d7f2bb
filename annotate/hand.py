"""The hand as the fit sees it: rotations as matrices, every vertex and joint a skinned point, and their derivatives.

Vertices and joints share one table of `N = 778 + 16` points: a joint is a point fixed to its parent. The fit turns
joint j by `R_j <- R_j exp(d_j)`, so a point x skinned with weights w moves by
`(W_j d_j) x sum_k w_k (x_k - p_j)`, where k runs over j and what hangs on it.
Pose corrections are in the positions but not in the derivatives, whose rows they would fill: a point would then move
with all joints. Steps stay descent steps, as the fit refuses those that raise the cost.
Equations: linear blend skinning as in Romero et al. 2017 (MANO), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from annotate import _skin
from annotate.angles import angles_and_slopes
from annotate.parts import moment_parts
from hoi_core import rotation
from hoi_core.biomechanics import axes_of_skeleton
from hoi_core.conventions import MANO_PARENTS, N_BETAS, N_MANO_JOINTS, N_VERTICES, fingertips, permutation
from hoi_core.types import F64

if TYPE_CHECKING:
    from hoi_core.mano import ManoModel

DOF = 3 + 3 * N_MANO_JOINTS
"""Unknowns of one moment: 3 translation, 3 global rotation, 45 pose."""
BLOCKS = 1 + N_MANO_JOINTS
"""The unknowns in threes: translation, then the rotation of each joint."""
_NO_WEIGHT = 1e-6


@dataclass(frozen=True)
class Hand:
    """Constant arrays of a hand model. N points, S joints at most that move a point."""

    template_m: F64
    """(N, 3) m rest positions of the vertices and the joints."""
    shape_m: F64
    """(N, 3, 10) m per unit of each shape coefficient."""
    pose_m: F64
    """(135, 778 * 3) m pose corrections of the vertices."""
    weights: F64
    """(N, 16) skinning weights; a joint has 1 on its parent."""
    faces: NDArray[np.int32]
    """(F, 3) vertex ids."""
    around: csr_array
    """(778, F) 1 where the face has the vertex."""
    anatomy: F64
    """(15, 3, 3) axes of flexion, abduction and twist of each finger joint, in columns."""
    openpose: NDArray[np.intp]
    """(21,) points that are the joints of `openpose21`."""
    support: NDArray[np.int32]
    """(N, S) joints whose weight is not zero, ascending; -1 beyond."""
    carriers: NDArray[np.int32]
    """(N, C) as `support`, with joints of next to no weight."""
    chain: NDArray[np.int32]
    """(N, 16) joints whose rotation moves the point, ascending; -1 beyond."""
    below: NDArray[np.bool_]
    """(16, 16) `below[j, k]`: joint k is j or hangs on it."""

    @property
    def vertices(self) -> int:
        """Number of points before the joints: the vertices that are kept."""
        return len(self.template_m) - N_MANO_JOINTS

    @property
    def joints_rest_m(self) -> F64:
        """(16, 3) m joints of the template."""
        return self.template_m[self.vertices :]

    @cached_property
    def rim(self) -> NDArray[np.bool_]:
        """(778,) vertices where the mesh ends, at the wrist: those of edges that one face alone has."""
        edges = np.sort(np.concatenate([self.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
        unique, count = np.unique(edges, axis=0, return_counts=True)
        out = np.zeros(self.vertices, dtype=bool)
        out[unique[count == 1]] = True
        return out

    def without_skin(self) -> Hand:
        """The same hand with no vertices but the fingertips: all that keypoints see, for a fortieth of the work."""
        tips = np.unique(self.openpose[self.openpose < self.vertices])
        kept = np.concatenate([tips, np.arange(self.vertices, len(self.template_m))])
        columns = (3 * tips[:, None] + np.arange(3)).ravel()
        return replace(
            self,
            template_m=self.template_m[kept],
            shape_m=self.shape_m[kept],
            pose_m=np.ascontiguousarray(self.pose_m[:, columns]),
            weights=self.weights[kept],
            faces=self.faces[:0],
            around=csr_array((len(tips), 0)),
            openpose=np.searchsorted(kept, self.openpose),
            support=self.support[kept],
            carriers=self.carriers[kept],
            chain=self.chain[kept],
        )


def from_mano(model: ManoModel) -> Hand:
    """Arrange the arrays of a MANO file for the fit."""
    tips_m = np.asarray(model.v_template)[list(fingertips())]
    regress = np.asarray(model.J_regressor, dtype=np.float64)
    template = np.asarray(model.v_template, dtype=np.float64)
    shape = np.asarray(model.shapedirs, dtype=np.float64)[..., :N_BETAS]
    to_parent = np.zeros((N_MANO_JOINTS, N_MANO_JOINTS))
    to_parent[np.arange(N_MANO_JOINTS), np.maximum(MANO_PARENTS, 0)] = 1.0
    weights = np.concatenate([np.asarray(model.weights, dtype=np.float64), to_parent])
    below = np.eye(N_MANO_JOINTS, dtype=bool)
    for joint in range(N_MANO_JOINTS - 1, 0, -1):
        below[MANO_PARENTS[joint]] |= below[joint]
    tips = dict(zip(range(N_MANO_JOINTS, 21), fingertips(), strict=True))
    raw = [tips.get(i, N_VERTICES + i) for i in range(21)]
    faces = np.asarray(model.faces, dtype=np.int32)
    posedirs = np.asarray(model.posedirs, dtype=np.float64).reshape(N_VERTICES * 3, -1).T
    return Hand(
        template_m=np.concatenate([template, regress @ template]),
        shape_m=np.concatenate([shape, np.einsum("jv,vcs->jcs", regress, shape)]),
        pose_m=np.ascontiguousarray(posedirs),
        weights=weights,
        faces=faces,
        around=csr_array((np.ones(faces.size), (faces.ravel(), np.arange(faces.size) // 3)), (N_VERTICES, len(faces))),
        anatomy=axes_of_skeleton(regress @ template, tips_m, model.side),
        openpose=np.array(raw, dtype=np.intp)[permutation("mano21", "openpose21")],
        support=_lists(weights > _NO_WEIGHT),
        carriers=_lists(weights > 0.0),
        chain=_lists((weights > _NO_WEIGHT) @ below.T),
        below=below,
    )


def _lists(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Indices of the true entries of each row, ascending, padded with -1."""
    count = mask.sum(1, keepdims=True)
    first = np.argsort(~mask, axis=1, kind="stable")[:, : int(count.max())]
    return np.where(np.arange(first.shape[1]) < count, first, -1).astype(np.int32)


@dataclass(frozen=True)
class HandState:
    """The hand over M moments, with everything that follows from the unknowns."""

    hand: Hand
    trans_m: F64
    """(M, 3) m."""
    rotations: F64
    """(M, 16, 3, 3) global rotation, then the pose rotation of each joint."""
    betas: F64
    """(10,)."""

    @cached_property
    def rest_m(self) -> F64:
        """(M, N, 3) m shaped and pose-corrected rest positions."""
        shaped = self.hand.template_m + self.hand.shape_m @ self.betas
        features = (self.rotations[:, 1:] - np.eye(3)).reshape(len(self.trans_m), -1)
        rest = np.empty((len(features), *shaped.shape))
        vertices = self.hand.vertices

        def part(span: tuple[int, int]) -> None:
            corrections = features[slice(*span)] @ self.hand.pose_m
            np.add(corrections.reshape(-1, vertices, 3), shaped[:vertices], out=rest[slice(*span), :vertices])
            rest[slice(*span), vertices:] = shaped[vertices:]

        for _ in moment_parts(part, len(features)):
            pass
        return rest

    @cached_property
    def joints_rest_m(self) -> F64:
        """(16, 3) m shaped joints before posing."""
        return self.hand.joints_rest_m + self.hand.shape_m[self.hand.vertices :] @ self.betas

    @cached_property
    def world_rotations(self) -> F64:
        """(M, 16, 3, 3) from each joint's rest frame to the world."""
        out = self.rotations.copy()
        for joint in range(1, N_MANO_JOINTS):
            out[:, joint] = out[:, MANO_PARENTS[joint]] @ self.rotations[:, joint]
        return out

    @cached_property
    def positions_m(self) -> F64:
        """(M, 16, 3) m of the joints in the world."""
        rest, turned = self.joints_rest_m, self.world_rotations
        out = np.empty((len(self.trans_m), N_MANO_JOINTS, 3))
        out[:, 0] = rest[0] + self.trans_m
        for joint in range(1, N_MANO_JOINTS):
            parent = MANO_PARENTS[joint]
            out[:, joint] = out[:, parent] + turned[:, parent] @ (rest[joint] - rest[parent])
        return out

    @cached_property
    def positions_by_shape(self) -> F64:
        """(M, 16, 3, 10) m per unit of each shape coefficient."""
        step, turned = self.hand.shape_m[self.hand.vertices :], self.world_rotations
        out = np.empty((len(self.trans_m), N_MANO_JOINTS, 3, N_BETAS))
        out[:, 0] = step[0]
        for joint in range(1, N_MANO_JOINTS):
            parent = MANO_PARENTS[joint]
            out[:, joint] = out[:, parent] + turned[:, parent] @ (step[joint] - step[parent])
        return out

    @cached_property
    def origins_by_shape(self) -> F64:
        """(M, 16, 3, 10) m per unit of each shape coefficient, of where each joint's rest frame has its origin."""
        return self.positions_by_shape - self.world_rotations @ self.hand.shape_m[self.hand.vertices :]

    @cached_property
    def points_m(self) -> F64:
        """(M, N, 3) m vertices and joints in the world."""
        turned, rest = self.world_rotations, self.rest_m
        moved = self.positions_m - (turned @ self.joints_rest_m[..., None])[..., 0]
        out = np.empty_like(rest)
        hand = self.hand.carriers, self.hand.weights

        def part(span: tuple[int, int]) -> None:
            at = slice(*span)
            _skin.skin(hand, rest[at], turned[at], moved[at], out[at])

        for _ in moment_parts(part, len(out)):
            pass
        return out

    @property
    def vertices_m(self) -> F64:
        """(M, 778, 3) m."""
        return self.points_m[:, : self.hand.vertices]

    @property
    def joints_m(self) -> F64:
        """(M, 21, 3) m, openpose21."""
        return self.points_m[:, self.hand.openpose]

    @cached_property
    def normals(self) -> F64:
        """(M, 778, 3) outward unit normals of the vertices."""
        points, out = self.points_m, np.empty((len(self.trans_m), self.hand.vertices, 3))

        def part(span: tuple[int, int]) -> None:
            _skin.vertex_normals(points[slice(*span)], self.hand.faces, out[slice(*span)])

        for _ in moment_parts(part, len(out)):
            pass
        return out

    @cached_property
    def angles(self) -> tuple[F64, F64]:
        """`(M, 15, 3)` rad flexion, abduction and twist, and `(M, 15, 3, 3)` their slopes by the joints' steps."""
        return angles_and_slopes(self.rotations[:, 1:], self.hand.anatomy)

    def moved(self, step: F64, betas_step: F64) -> HandState:
        """The state after a step in the tangent space. `(M, 51), (10,)`."""
        turn = rotation.exp_so3(step[:, 3:].reshape(-1, N_MANO_JOINTS, 3))
        return replace(
            self,
            trans_m=self.trans_m + step[:, :3],
            rotations=self.rotations @ turn,
            betas=self.betas + betas_step,
        )

    def taken(self, moments: NDArray[np.integer] | NDArray[np.bool_]) -> HandState:
        """The state at some of the moments."""
        return replace(self, trans_m=self.trans_m[moments], rotations=self.rotations[moments])


def state_from_axis_angle(hand: Hand, orient: F64, pose: F64, betas: F64, trans_m: F64) -> HandState:
    """Build a state from MANO parameters. `(M, 3) rad, (M, 45) rad, (10,), (M, 3) m`."""
    axis_angle = np.concatenate([orient, pose], axis=-1).reshape(len(orient), N_MANO_JOINTS, 3)
    return HandState(hand, np.asarray(trans_m, dtype=np.float64), rotation.exp_so3(axis_angle), np.asarray(betas))
