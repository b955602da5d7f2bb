"""The fit's cost written again in torch, for solvers that need its gradient alone.

Nothing of the fit's own derivatives is used: autograd differentiates the whole model, pose corrections included. What
the terms prepare (correspondences, velocities, robust scales, weights) is taken from the terms themselves, so that both
costs are of the same evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from annotate.evidence import Evidence
from annotate.fit import Prepared
from annotate.hand import HandState
from annotate.state import FitState, Points
from annotate.terms.pose_prior import RELAXED_RAD
from hoi_core import rotation
from hoi_core.biomechanics import LIMITS_RAD
from hoi_core.conventions import MANO_PARENTS, N_BETAS
from hoi_core.types import Camera

Tensor = torch.Tensor
KNOWN = ("keypoints2d", "depth", "smooth", "limits", "pose_prior", "shape_prior")
"""Terms that are written here."""
_TINY = 1e-12
_FREE_SIGMA = 1e-5


def exp_so3(w: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors. `(..., 3) -> (..., 3, 3)`."""
    angle = torch.sqrt((w * w).sum(-1, keepdim=True) + _TINY)
    a, b = (torch.sin(angle) / angle)[..., None], ((1 - torch.cos(angle)) / angle**2)[..., None]
    x, y, z = w.unbind(-1)
    nothing = torch.zeros_like(x)
    K = torch.stack([nothing, -z, y, z, nothing, -x, -y, x, nothing], -1).reshape(*w.shape, 3)
    return torch.eye(3, dtype=w.dtype) + a * K + b * (K @ K)


def log_so3(R: Tensor) -> Tensor:
    """Rotation vectors of matrices that turn by less than half a turn. `(..., 3, 3) -> (..., 3)`."""
    w = 0.5 * torch.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1)
    sine = torch.sqrt((w * w).sum(-1) + _TINY)
    cosine = 0.5 * (R[..., 0, 0] + R[..., 1, 1] + R[..., 2, 2] - 1)
    return w * (torch.atan2(sine, cosine) / sine)[..., None]


def _robust(squared: Tensor, scale: float) -> Tensor:
    return squared / (1 + squared / scale**2)


@dataclass(frozen=True)
class _Unknowns:
    trans: Tensor
    rotations: Tensor
    betas: Tensor
    views: Tensor


class Peer:
    """The cost as a function of `trans (M, 3)`, rotation vectors `(M, 16, 3)`, betas `(10,)` and views' corrections.

    The corrections count in units of their prior's sigma, or a step of 1e-3 would throw them about; those that the
    prior fixes are no unknowns.
    """

    def __init__(self, evidence: Evidence, start: FitState, dtype: torch.dtype) -> None:
        hand = start.hands.hand
        self.dtype, self.hand, self.evidence, self.views = dtype, hand, evidence, start.views
        self._template, self._shape = self._tensor(hand.template_m), self._tensor(hand.shape_m)
        self._pose, self._weights = self._tensor(hand.pose_m), self._tensor(hand.weights)
        self._anatomy, self._relaxed = self._tensor(hand.anatomy), self._tensor(RELAXED_RAD)
        self._limits = self._tensor(LIMITS_RAD)
        self._terms: dict[str, Any] = {}
        self._sigma = np.zeros(start.views.size)
        self._scale = self._tensor(self._sigma)

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(np.asarray(values), dtype=self.dtype)

    def renew(self, prepared: Prepared) -> None:
        """Take over what the terms prepared."""
        made = {module.__name__.rpartition(".")[2]: held for module, held in prepared}
        unknown = set(made) - set(KNOWN)
        if unknown:
            raise ValueError(f"no torch version of the terms {unknown}")
        sigma = 1 / np.sqrt(np.diagonal(made["shape_prior"].precision)[N_BETAS:])
        self._sigma = np.where(sigma > _FREE_SIGMA, sigma, 0.0)
        self._scale = self._tensor(self._sigma)
        self._terms = {
            "keypoints2d": [
                (self._camera(camera), self._points(points), self._tensor(pixels), self._tensor(expected))
                for camera, points, pixels, expected in made["keypoints2d"].views
            ],
            "depth": [
                (self._points(points), *map(self._tensor, rest))
                for points, *rest in (made["depth"].views if "depth" in made else ())
            ],
            "smooth": tuple(map(self._tensor, (made["smooth"].weights, made["smooth"].before, made["smooth"].after))),
            "made": made,
            "shape": (self._tensor(made["shape_prior"].precision), self._tensor(made["shape_prior"].expected)),
            "pose": self._tensor(made["pose_prior"].precision),
            "limits": self._tensor(made["limits"].precision),
        }

    def _points(self, points: Points) -> tuple[Any, ...]:
        index = torch.tensor(points.moment * len(self.hand.template_m) + points.point)
        held = map(self._tensor, (points.eye_m, points.velocity, points.lag_s))
        return (points.view, index, *held)

    def start(self, state: FitState) -> list[Tensor]:
        """The unknowns of a state, as leaves that want gradients."""
        vectors = rotation.log_so3(state.hands.rotations)
        corrections = np.divide(state.views.ravel(), self._sigma, out=np.zeros_like(self._sigma), where=self._sigma > 0)
        arrays = (state.hands.trans_m, vectors, state.hands.betas, corrections)
        return [self._tensor(a).clone().requires_grad_() for a in arrays]

    def state(self, leaves: list[Tensor]) -> FitState:
        """The state of unknowns."""
        trans, vectors, betas, corrections = (leaf.detach().numpy().astype(np.float64) for leaf in leaves)
        hands = HandState(self.hand, trans, rotation.exp_so3(vectors), betas)
        return FitState(hands, (corrections * self._sigma).reshape(self.views.shape))

    def __call__(self, leaves: list[Tensor]) -> Tensor:
        """The cost."""
        trans, vectors, betas, corrections = leaves
        views = (corrections * self._scale).reshape(self.views.shape)
        at = _Unknowns(trans, exp_so3(vectors), betas, views)
        points = self._skinned(at)
        return self._keypoints(at, points) + self._depth(at, points) + self._smooth(at) + self._priors(at)

    def _skinned(self, at: _Unknowns) -> Tensor:
        """(M, N, 3) m of every point."""
        moments, vertices = len(at.trans), self.hand.vertices
        shaped = self._template + self._shape @ at.betas
        features = (at.rotations[:, 1:] - torch.eye(3, dtype=self.dtype)).reshape(moments, -1)
        corrected = shaped[:vertices] + (features @ self._pose).reshape(moments, vertices, 3)
        rest, joints = torch.cat([corrected, shaped[vertices:].expand(moments, -1, 3)], 1), shaped[vertices:]
        turned, position = [at.rotations[:, 0]], [joints[0] + at.trans]
        for joint in range(1, len(MANO_PARENTS)):
            parent = MANO_PARENTS[joint]
            position.append(position[parent] + turned[parent] @ (joints[joint] - joints[parent]))
            turned.append(turned[parent] @ at.rotations[:, joint])
        R = torch.stack(turned, 1)
        moved = torch.stack(position, 1) - (R @ joints[..., None])[..., 0]
        columns = torch.cat([R, moved[..., None]], -1).permute(3, 0, 1, 2)
        x, y, z, shift = self._weights @ columns
        return shift + x * rest[..., :1] + y * rest[..., 1:2] + z * rest[..., 2:]

    def _observed(self, at: _Unknowns, points: Tensor, what: tuple[Any, ...]) -> Tensor:
        view, index, eye, velocity, lag = what
        own = at.views[view]
        x = points.reshape(-1, 3).index_select(0, index) + (lag + own[0])[:, None] * velocity
        return x + torch.cross(own[1:4].expand_as(x), x - eye, dim=-1) + own[4:7]

    def _keypoints(self, at: _Unknowns, points: Tensor) -> Tensor:
        held, total = self._terms["made"]["keypoints2d"], torch.zeros((), dtype=self.dtype)
        for camera, what, pixels, expected in self._terms["keypoints2d"]:
            miss = (self._project(camera, self._observed(at, points, what)) - pixels) / expected[:, None]
            total = total + 0.5 * held.weight * _robust((miss**2).sum(-1), held.scale).sum()
        return total

    def _camera(self, camera: Camera) -> tuple[Tensor, ...]:
        T = camera.T_cam_world
        return tuple(map(self._tensor, (T[:3, :3].T, T[:3, 3], [camera.fx, camera.fy], [camera.cx, camera.cy])))

    @staticmethod
    def _project(camera: tuple[Tensor, ...], x: Tensor) -> Tensor:
        turn, shift, focal, centre = camera
        local = x @ turn + shift
        return local[:, :2] / local[:, 2:].clamp(min=0.05) * focal + centre

    def _depth(self, at: _Unknowns, points: Tensor) -> Tensor:
        total = torch.zeros((), dtype=self.dtype)
        for what, normals, target, rays in self._terms["depth"]:
            held = self._terms["made"]["depth"]
            away = self._observed(at, points, what) - target + at.views[what[0], 7] * rays
            miss = (normals * away).sum(-1) / held.sigma_m
            total = total + 0.5 * held.weight * _robust(miss**2, held.scale).sum()
        return total

    def _smooth(self, at: _Unknowns) -> Tensor:
        weights, before, after = self._terms["smooth"]
        before, after = before[:, None], after[:, None]
        middle = at.rotations[1:-1].transpose(-1, -2)
        back, ahead = log_so3(middle @ at.rotations[:-2]), log_so3(middle @ at.rotations[2:])
        turned = before[..., None] * back + after[..., None] * ahead
        shifted = before * (at.trans[:-2] - at.trans[1:-1]) + after * (at.trans[2:] - at.trans[1:-1])
        return 0.5 * (weights[..., None] * torch.cat([shifted[:, None], turned], 1) ** 2).sum()

    def _priors(self, at: _Unknowns) -> Tensor:
        M = self._anatomy.transpose(-1, -2) @ at.rotations[:, 1:] @ self._anatomy
        flexion = torch.atan2(-M[..., 1, 2], M[..., 2, 2])
        abduction = torch.asin(M[..., 0, 2].clamp(-1 + 1e-6, 1 - 1e-6))
        angles = torch.stack([flexion, abduction, torch.atan2(-M[..., 0, 1], M[..., 0, 0])], -1)
        beyond = angles - torch.minimum(torch.maximum(angles, self._limits[..., 0]), self._limits[..., 1])
        limits = 0.5 * (self._terms["limits"] * beyond**2).sum()
        pose = 0.5 * (self._terms["pose"] * (angles - self._relaxed) ** 2).sum()
        precision, expected = self._terms["shape"]
        away = torch.cat([at.betas, at.views.reshape(-1)]) - expected
        return limits + pose + 0.5 * away @ (precision @ away)
