"""How the stand-in hand's skin follows its bones: joint regressor and skinning weights."""

from __future__ import annotations

import numpy as np

from hoi_core.conventions import N_MANO_JOINTS
from hoi_core.mano.stand_in.skeleton import Finger, fingers, joints_m
from hoi_core.mano.topology import edges
from hoi_core.types import F64, I64

_NEAREST = 48
_SMOOTHING = 2


def regressor(vertices: F64) -> F64:
    """Rows of weights over nearby vertices that give each joint exactly. `(778, 3) m -> (16, 778)`, rows sum to 1."""
    out = np.zeros((N_MANO_JOINTS, len(vertices)))
    for j, joint in enumerate(joints_m()):
        distance = np.linalg.norm(vertices - joint, axis=-1)
        near = np.argsort(distance, kind="stable")[:_NEAREST]
        closeness = np.exp(-0.5 * (distance[near] / np.median(distance[near])) ** 4)
        # Least change of the weights that makes their sum 1 and their mean the joint.
        A = np.concatenate([vertices[near] - joint, np.ones((_NEAREST, 1))], axis=1)
        start = closeness / closeness.sum()
        gap = np.array([0.0, 0.0, 0.0, 1.0]) - start @ A
        out[j, near] = start + start * (A @ np.linalg.solve((A * start[:, None]).T @ A, gap))
    return out


def _step(x: F64) -> F64:
    """Smooth step from 0 at x = -1 to 1 at x = 1."""
    t = np.clip(0.5 * (x + 1.0), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _segment(points_m: F64, a: F64, b: F64) -> tuple[F64, F64]:
    """Length along a segment (unbounded), and distance to it (bounded). `(N, 3) -> (N,), (N,)` m."""
    d = (b - a) / np.linalg.norm(b - a)
    along = (points_m - a) @ d
    nearest = a + np.clip(along, 0.0, np.linalg.norm(b - a))[:, None] * d
    return along, np.linalg.norm(points_m - nearest, axis=-1)


def _membership(vertices: F64) -> F64:
    """How much each vertex belongs to each finger rather than to its neighbours. `(N, 3) -> (N, 5)`."""
    distance = []
    for finger in fingers():
        parts = [_segment(vertices, finger.points_m[k], finger.points_m[k + 1])[1] for k in range(3)]
        distance.append(np.min(parts, axis=0) / finger.radii_m[0])
    nearness = np.exp(-np.array(distance).T / 0.13)
    return nearness / nearness.sum(-1, keepdims=True)


def _chain_steps(vertices: F64, finger: Finger) -> list[F64]:
    """How far each vertex has passed each of a finger's joints, from 0 to 1."""
    p, out = finger.points_m, []
    for k in range(3):
        before = p[k] - p[k - 1] if k else p[1] - p[0]
        after = p[k + 1] - p[k]
        axis = before / np.linalg.norm(before) + after / np.linalg.norm(after)
        along = (vertices - p[k]) @ (axis / np.linalg.norm(axis))
        width = 0.95 * finger.radii_m[k]
        if k == 0:
            width *= 1.35 if finger.name != "thumb" else 1.2
        out.append(_step(along / width))
    return out


def weights(vertices: F64, faces: I64) -> F64:
    """Skinning weights, smooth over each joint and limited to neighbours in a chain. `-> (778, 16)`, rows sum to 1."""
    out = np.zeros((len(vertices), N_MANO_JOINTS))
    member = _membership(vertices)
    for i, finger in enumerate(fingers()):
        s = _chain_steps(vertices, finger)
        base = _thumb_share(vertices, finger) if finger.name == "thumb" else member[:, i] * s[0]
        passed = [base, np.minimum(s[1], 1.0) * (base > 0), s[2]]
        out[:, finger.joints[0]] = base * (1.0 - passed[1])
        out[:, finger.joints[1]] = base * passed[1] * (1.0 - passed[2])
        out[:, finger.joints[2]] = base * passed[1] * passed[2]
    out = smooth(out, faces)
    out[:, 0] = 0.0
    out[out < 1e-3] = 0.0
    total = out.sum(-1)
    out /= np.maximum(total, 1.0)[:, None]
    out[:, 0] = 1.0 - out.sum(-1)
    return out


def _thumb_share(vertices: F64, thumb: Finger) -> F64:
    """The share of the thumb's metacarpal in the ball of the thumb and the web towards the index finger."""
    to_thumb = np.min([_segment(vertices, thumb.points_m[k], thumb.points_m[k + 1])[1] for k in range(3)], axis=0)
    wrist = joints_m()[0]
    to_palm = np.min([_segment(vertices, wrist, f.points_m[0])[1] for f in fingers()[:4]], axis=0)
    to_finger = np.min([_segment(vertices, f.points_m[0], f.points_m[3])[1] for f in fingers()[:4]], axis=0)
    closer = _step((np.minimum(to_palm + 2e-3, to_finger) - to_thumb) / 14e-3)
    along, _ = _segment(vertices, thumb.points_m[0], thumb.points_m[1])
    return closer * _step((along - 8e-3) / 16e-3)


def smooth(values: F64, faces: I64, steps: int = _SMOOTHING) -> F64:
    """Average with the neighbours on the mesh. `(N, K) -> (N, K)`."""
    pairs = edges(faces)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=len(values))[:, None]
    for _ in range(steps):
        sums = np.zeros_like(values)
        np.add.at(sums, both[:, 0], values[both[:, 1]])
        values = 0.5 * values + 0.5 * sums / degree
    return values
