"""What shape and pose add to the stand-in hand's template: ten directions of growth, and bulges at bent joints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hoi_core.biomechanics import LIMITS_RAD
from hoi_core.conventions import MANO_PARENTS
from hoi_core.mano.stand_in.poses import skeleton_frames
from hoi_core.mano.stand_in.skeleton import Finger, fingers, joints_m
from hoi_core.mano.stand_in.surface import gradient, hand_distance
from hoi_core.rotation import exp_so3
from hoi_core.types import F64

_LIMIT_M = 6e-3  # no correction moves a vertex farther
_RIDGE = 0.02


def _shares(weights: F64) -> F64:
    """How much each vertex belongs to each finger. `(778, 16) -> (778, 5)`."""
    return np.stack([weights[:, list(finger.joints)].sum(-1) for finger in fingers()], axis=-1)


def _stretch(vertices: F64, finger: Finger, rates: tuple[float, float, float]) -> F64:
    """Displacement when each bone of a finger grows by its rate, carrying what lies beyond. `(778, 3)` m."""
    out = np.zeros_like(vertices)
    for k, rate in enumerate(rates):
        a, b = finger.points_m[k], finger.points_m[k + 1]
        length = np.linalg.norm(b - a)
        d = (b - a) / length
        reach = length if k < 2 else np.inf
        out += rate * np.clip((vertices - a) @ d, 0.0, reach)[:, None] * d
    return out


def _radial(vertices: F64, finger: Finger) -> F64:
    """Offset of each vertex from the nearest point of a finger's bones. `(778, 3)` m."""
    best = np.full(len(vertices), np.inf)
    out = np.zeros_like(vertices)
    for k in range(3):
        a, d = finger.points_m[k], finger.points_m[k + 1] - finger.points_m[k]
        t = np.clip((vertices - a) @ d / (d @ d), 0.0, 1.0)
        offset = vertices - a - t[:, None] * d
        distance = np.linalg.norm(offset, axis=-1)
        closer = distance < best
        out[closer], best[closer] = offset[closer], distance[closer]
    return out


def _palm(vertices: F64, share: F64, scale: tuple[float, float, float]) -> F64:
    """Displacement when the palm grows about the wrist; the fingers are carried by their knuckles. `(778, 3)` m."""
    wrist, rate = joints_m()[0], np.array(scale)
    rest = 1.0 - share.sum(-1, keepdims=True)
    out = rest * (vertices - wrist) * rate
    for i, finger in enumerate(fingers()):
        out += share[:, i : i + 1] * (finger.points_m[0] - wrist) * rate
    return out


def shape_directions(vertices: F64, weights: F64) -> F64:
    """Ten orthogonal directions for standard normal coefficients, the first of them size. `-> (778, 3, 10)` m."""
    share, five = _shares(weights), fingers()
    by_name = {finger.name: i for i, finger in enumerate(five)}

    def longer(**rates: float) -> F64:
        parts = [share[:, by_name[n], None] * _stretch(vertices, five[by_name[n]], (r,) * 3) for n, r in rates.items()]
        return np.sum(parts, axis=0)

    radial = [share[:, i : i + 1] * _radial(vertices, finger) for i, finger in enumerate(five)]
    distal = weights[:, [3, 6, 9, 12, 15]].sum(-1) - weights[:, [1, 4, 7, 10, 14]].sum(-1)
    fields = [
        0.045 * (vertices - joints_m()[0]),
        longer(index=0.05, middle=0.05, ring=0.05, little=0.05, thumb=0.03),
        0.09 * np.sum(radial, axis=0),
        _palm(vertices, share, (0.0, 0.0, 0.05)),
        _palm(vertices, share, (0.05, 0.0, 0.0)),
        longer(thumb=0.06),
        longer(index=0.04, ring=-0.04),
        longer(little=0.06),
        0.12 * radial[by_name["thumb"]],
        0.08 * distal[:, None] * np.sum(radial, axis=0),
    ]
    out: list[F64] = []
    for one in fields:
        rest = one
        for other in out:
            rest = rest - (rest * other).sum() / (other * other).sum() * other
        out.append(rest)
    return np.stack(out, axis=-1)


def _world(joints: F64, rotations: F64) -> F64:
    """Moves of the skin with each joint. `(16, 3) m, (16, 3, 3) -> (16, 4, 4)`."""
    out = np.tile(np.eye(4), (16, 1, 1))
    for j in range(16):
        local = np.eye(4)
        local[:3, :3] = rotations[j]
        local[:3, 3] = joints[j] - rotations[j] @ joints[j]
        out[j] = local if j == 0 else out[MANO_PARENTS[j]] @ local
    return out


def _correction(vertices: F64, weights: F64, rotations: F64) -> F64:
    """Rest-pose offsets that put the skinned vertices on the posed distance field. `(N, 3) m -> (N, 3)` m."""
    T = _world(joints_m(), rotations)
    blended = np.einsum("vj,jab->vab", weights, T)
    posed = np.einsum("vab,vb->va", blended[:, :3, :3], vertices) + blended[:, :3, 3]
    to_rest = np.asarray(np.linalg.inv(T), dtype=np.float64)
    gap = np.clip(hand_distance(posed, to_rest), -_LIMIT_M, _LIMIT_M)
    target = posed - gap[:, None] * gradient(posed, to_rest)
    return np.linalg.solve(blended[:, :3, :3], (target - posed)[..., None])[..., 0]


def pose_directions(vertices: F64, weights: F64, smooth: Callable[[F64], F64]) -> F64:
    """Corrections linear in the joints' rotation matrices (SMPL eq. 9). `-> (778, 3, 135)` m.

    Each joint is bent on its own through its range; the offsets that keep the skin on the posed distance field are
    fitted by ridge regression to the nine entries of `R - I`.

    Args:
        vertices: `(778, 3)` m.
        weights: `(778, 16)`.
        smooth: averages `(778, K)` values over the mesh.
    """
    out = np.zeros((len(vertices), 3, 135))
    frames = skeleton_frames()
    for joint in range(1, 16):
        moved = (weights[:, joint] > 0.01) & (weights[:, joint] < 0.999)
        rotations = exp_so3(_bends(joint) @ frames[joint - 1].T)
        offsets = np.zeros((len(rotations), len(vertices), 3))
        for n, R in enumerate(rotations):
            alone = np.tile(np.eye(3), (16, 1, 1))
            alone[joint] = R
            offsets[n, moved] = _correction(vertices[moved], weights[moved], alone)
        by_vertex = smooth(offsets.transpose(1, 0, 2).reshape(len(vertices), -1))
        offsets = by_vertex.reshape(len(vertices), -1, 3).transpose(1, 0, 2)
        feature = (rotations - np.eye(3)).reshape(len(rotations), 9)
        normal = feature.T @ feature + _RIDGE * np.eye(9)
        fit = np.linalg.solve(normal, feature.T @ offsets.reshape(len(rotations), -1))
        out[..., 9 * (joint - 1) : 9 * joint] = fit.reshape(9, -1, 3).transpose(1, 2, 0)
    return out


def _bends(joint: int) -> F64:
    """Rotation vectors in the joint's anatomical frame that cover its range. `-> (n, 3)` rad."""
    low, high = LIMITS_RAD[joint - 1, 0]
    bends = [(f, 0.0, 0.0) for f in (low, *np.linspace(0.25, 1.0, 4) * min(high, 1.5))]
    for axis in (1, 2):
        for angle in LIMITS_RAD[joint - 1, axis]:
            if angle:
                bends.append((0.0, angle, 0.0) if axis == 1 else (0.0, 0.0, angle))
    return np.array(bends)
