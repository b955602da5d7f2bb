"""Positions of a hand's points and how they move with every unknown, compiled.

Unknowns in order: shift (3 m), a turn about the wrist in the world's axes (3 rad), the n angles, the shape (10).
Equations: linear blend skinning with pose corrections, Romero et al. 2017 (MANO), section 3; a point carried by joint
s moves with an angle of joint j, if s hangs on j, by `axis x (x_s - p_j)`, the axis in the world.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hoi_core.ik.hand import Arrays
from hoi_core.types import F64


class Pose(NamedTuple):
    """A posed skeleton, filled by `pose_skeleton`. n angles."""

    local: F64
    """(16, 3, 3) rotation of each joint."""
    turned: F64
    """(16, 3, 3) the same in the world."""
    at_m: F64
    """(16, 3) m where the joints are."""
    rest_m: F64
    """(16, 3) m where the shaped joints were."""
    shift_m: F64
    """(16, 3) m: a rest point x carried by joint j comes to `turned @ x + shift`."""
    shift_shape: F64
    """(16, 3, 10) m per unit of shape, of the shifts."""
    own_axes: F64
    """(n, 3) axis of each angle in the template's axes."""
    axes: F64
    """(n, 3) the same in the world."""
    feature: F64
    """(135,) the rotations of the finger joints less the identity."""


def new_pose(angles: int) -> Pose:
    """Room for a pose."""
    shapes = ((16, 3, 3), (16, 3, 3), (16, 3), (16, 3), (16, 3), (16, 3, 10), (angles, 3), (angles, 3), (135,))
    return Pose(*(np.zeros(shape) for shape in shapes))


@njit(cache=True, nogil=True)
def turn(axis: F64, angle: float, out: F64) -> None:
    """Rotation about a unit axis (Rodrigues)."""
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = axis[0], axis[1], axis[2]
    out[0, 0], out[0, 1], out[0, 2] = c + x * x * (1 - c), x * y * (1 - c) - z * s, x * z * (1 - c) + y * s
    out[1, 0], out[1, 1], out[1, 2] = y * x * (1 - c) + z * s, c + y * y * (1 - c), y * z * (1 - c) - x * s
    out[2, 0], out[2, 1], out[2, 2] = z * x * (1 - c) - y * s, z * y * (1 - c) + x * s, c + z * z * (1 - c)


@njit(cache=True, nogil=True)
def times(a: F64, b: F64, out: F64) -> None:
    """Product of two 3 x 3 matrices; `out` is neither of them."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@njit(cache=True, nogil=True)
def _turn_joints(hand: Arrays, angles: F64, pose: Pose) -> None:
    """Rotation of each finger joint, flexion then abduction then twist, and its axes in the template's."""
    by_angle, before = np.empty((3, 3)), np.empty((3, 3))
    for j in range(1, 16):
        for a in range(3):
            for b in range(3):
                pose.local[j, a, b] = 1.0 if a == b else 0.0
    for k in range(len(hand.joint)):  # the angles of a joint follow each other in the order in which they turn
        j = hand.joint[k]
        own = hand.frames[j - 1, :, hand.axis[k]]
        for a in range(3):
            for b in range(3):
                before[a, b] = pose.local[j, a, b]
        for c in range(3):
            pose.own_axes[k, c] = before[c, 0] * own[0] + before[c, 1] * own[1] + before[c, 2] * own[2]
        turn(own, angles[k], by_angle)
        times(before, by_angle, pose.local[j])
    for j in range(1, 16):
        for a in range(3):
            for b in range(3):
                pose.feature[9 * (j - 1) + 3 * a + b] = pose.local[j, a, b] - (1.0 if a == b else 0.0)


@njit(cache=True, nogil=True)
def pose_skeleton(hand: Arrays, global_turn: F64, shift_m: F64, angles: F64, betas: F64, pose: Pose) -> None:
    """Fill a pose.

    Args:
        hand: of `ik_hand`.
        global_turn: `(3, 3)`.
        shift_m: `(3,)` m.
        angles: `(n,)` rad.
        betas: `(10,)`.
        pose: filled.
    """
    _turn_joints(hand, angles, pose)
    at_shape = np.zeros((16, 3, 10))
    for j in range(16):
        for c in range(3):
            pose.local[0, c, j % 3] = global_turn[c, j % 3]
            pose.rest_m[j, c] = hand.rest_m[j, c]
            for b in range(10):
                pose.rest_m[j, c] += hand.rest_shape_m[j, c, b] * betas[b]
    for j in range(16):
        p = hand.parents[j]
        if p < 0:
            for c in range(3):
                pose.at_m[0, c] = pose.rest_m[0, c] + shift_m[c]
                for d in range(3):
                    pose.turned[0, c, d] = global_turn[c, d]
                for b in range(10):
                    at_shape[0, c, b] = hand.rest_shape_m[0, c, b]
        else:
            times(pose.turned[p], pose.local[j], pose.turned[j])
            for c in range(3):
                pose.at_m[j, c] = pose.at_m[p, c]
                for b in range(10):
                    at_shape[j, c, b] = at_shape[p, c, b]
                for d in range(3):
                    pose.at_m[j, c] += pose.turned[p, c, d] * (pose.rest_m[j, d] - pose.rest_m[p, d])
                    for b in range(10):
                        at_shape[j, c, b] += pose.turned[p, c, d] * (
                            hand.rest_shape_m[j, d, b] - hand.rest_shape_m[p, d, b]
                        )
        for c in range(3):
            pose.shift_m[j, c] = pose.at_m[j, c]
            for b in range(10):
                pose.shift_shape[j, c, b] = at_shape[j, c, b]
            for d in range(3):
                pose.shift_m[j, c] -= pose.turned[j, c, d] * pose.rest_m[j, d]
                for b in range(10):
                    pose.shift_shape[j, c, b] -= pose.turned[j, c, d] * hand.rest_shape_m[j, d, b]
    for k in range(len(hand.joint)):
        p = hand.parents[hand.joint[k]]
        for c in range(3):
            pose.axes[k, c] = 0.0
            for d in range(3):
                pose.axes[k, c] += pose.turned[p, c, d] * pose.own_axes[k, d]


@njit(cache=True, nogil=True, fastmath=True)
def rest_point(hand: Arrays, i: int, pose: Pose, betas: F64, out: F64) -> None:
    """Rest position of a point, with its shape and pose corrections. Fills `out (3,)` m."""
    for c in range(3):
        x = hand.template_m[i, c]
        for b in range(10):
            x += hand.shape_m[i, c, b] * betas[b]
        correction = 0.0
        for f in range(135):
            correction += hand.pose_m[i, c, f] * pose.feature[f]
        out[c] = x + correction


@njit(cache=True, nogil=True, fastmath=True)
def point(hand: Arrays, i: int, pose: Pose, rest: F64, carried: F64, out: F64) -> None:
    """Position of a point. Fills `carried (S, 3)` m, where each carrier brings it, and `out (3,)` m."""
    out[0], out[1], out[2] = 0.0, 0.0, 0.0
    for s in range(hand.support.shape[1]):
        j = hand.support[i, s]
        if j < 0:
            break
        R = pose.turned[j]
        for c in range(3):
            carried[s, c] = R[c, 0] * rest[0] + R[c, 1] * rest[1] + R[c, 2] * rest[2] + pose.shift_m[j, c]
            out[c] += hand.weights[i, s] * carried[s, c]


@njit(cache=True, nogil=True)
def turn_rows(at_m: F64, pose: Pose, rows: F64) -> None:
    """How a point moves with a turn about the wrist. Fills columns 0 to 2 of `rows`."""
    x, y, z = at_m[0] - pose.at_m[0, 0], at_m[1] - pose.at_m[0, 1], at_m[2] - pose.at_m[0, 2]
    rows[0, 0], rows[0, 1], rows[0, 2] = 0.0, z, -y
    rows[1, 0], rows[1, 1], rows[1, 2] = -z, 0.0, x
    rows[2, 0], rows[2, 1], rows[2, 2] = y, -x, 0.0


@njit(cache=True, nogil=True, fastmath=True)
def angle_rows(hand: Arrays, i: int, pose: Pose, carried: F64, rows: F64) -> int:
    """How a point moves with the angles that move it by its carriers; pose corrections are left out.

    Fills `rows (3, >= 3 + m)` from its column 3 on; returns m.
    """
    count = 0
    for a in range(hand.moved_by.shape[1]):
        k = hand.moved_by[i, a]
        if k < 0:
            break
        j = hand.joint[k]
        x, y, z = 0.0, 0.0, 0.0
        for s in range(hand.support.shape[1]):
            q = hand.support[i, s]
            if q < 0:
                break
            w = hand.weights[i, s] * hand.below[j, q]
            x += w * (carried[s, 0] - pose.at_m[j, 0])
            y += w * (carried[s, 1] - pose.at_m[j, 1])
            z += w * (carried[s, 2] - pose.at_m[j, 2])
        u = pose.axes[k]
        rows[0, 3 + a] = u[1] * z - u[2] * y
        rows[1, 3 + a] = u[2] * x - u[0] * z
        rows[2, 3 + a] = u[0] * y - u[1] * x
        count += 1
    return count


@njit(cache=True, nogil=True, fastmath=True)
def shape_rows(hand: Arrays, i: int, pose: Pose, rows: F64, start: int) -> None:
    """How a point moves with the shape. Fills columns `start` to `start + 9` of `rows`."""
    for c in range(3):
        for b in range(10):
            rows[c, start + b] = 0.0
    for s in range(hand.support.shape[1]):
        j = hand.support[i, s]
        if j < 0:
            break
        w, R = hand.weights[i, s], pose.turned[j]
        for c in range(3):
            for b in range(10):
                rows[c, start + b] += w * (
                    R[c, 0] * hand.shape_m[i, 0, b]
                    + R[c, 1] * hand.shape_m[i, 1, b]
                    + R[c, 2] * hand.shape_m[i, 2, b]
                    + pose.shift_shape[j, c, b]
                )


@njit(cache=True, nogil=True, fastmath=True)
def correction_rows(hand: Arrays, i: int, pose: Pose, out: F64) -> None:
    """How the pose corrections of a point move it with each angle. Adds to `out (3, n)` m per rad."""
    blend = np.zeros((3, 3))
    for s in range(hand.support.shape[1]):
        j = hand.support[i, s]
        if j < 0:
            break
        for a in range(3):
            for b in range(3):
                blend[a, b] += hand.weights[i, s] * pose.turned[j, a, b]
    slope, change = np.empty((3, 3)), np.empty(3)
    cross = np.zeros((3, 3))
    for k in range(len(hand.joint)):
        j, u = hand.joint[k], pose.own_axes[k]
        cross[0, 1], cross[0, 2], cross[1, 2] = -u[2], u[1], -u[0]
        cross[1, 0], cross[2, 0], cross[2, 1] = u[2], -u[1], u[0]
        times(cross, pose.local[j], slope)
        for c in range(3):
            change[c] = 0.0
            for a in range(3):
                for b in range(3):
                    change[c] += hand.pose_m[i, c, 9 * (j - 1) + 3 * a + b] * slope[a, b]
        for c in range(3):
            out[c, k] += blend[c, 0] * change[0] + blend[c, 1] * change[1] + blend[c, 2] * change[2]


@njit(cache=True, nogil=True)
def points_and_slopes(hand: Arrays, pose: Pose, betas: F64, points_m: F64, slopes: F64) -> None:
    """All points and how they move with every unknown, exactly.

    Args:
        hand: of `ik_hand`.
        pose: of `pose_skeleton`.
        betas: `(10,)`.
        points_m: `(N, 3)` m; filled.
        slopes: `(N, 3, 16 + n)`, or no rows to leave them out; filled.
    """
    n = len(hand.joint)
    rest, carried = np.empty(3), np.empty((hand.support.shape[1], 3))
    rows = np.empty((3, 13 + n))
    for i in range(len(hand.template_m)):
        rest_point(hand, i, pose, betas, rest)
        point(hand, i, pose, rest, carried, points_m[i])
        if len(slopes) == 0:
            continue
        own = slopes[i]
        turn_rows(points_m[i], pose, rows)
        count = angle_rows(hand, i, pose, carried, rows)
        for c in range(3):
            for b in range(6 + n):
                own[c, b] = rows[c, b - 3] if 3 <= b < 6 else 0.0
            own[c, c] = 1.0
            for a in range(count):
                own[c, 6 + hand.moved_by[i, a]] = rows[c, 3 + a]
        correction_rows(hand, i, pose, own[:, 6 : 6 + n])
        shape_rows(hand, i, pose, own, 6 + n)
