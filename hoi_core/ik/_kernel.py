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


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def turn(axis: F64, angle: float, out: F64) -> None:
    """Rotation about a unit axis (Rodrigues)."""
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = axis[0], axis[1], axis[2]
    out[0, 0], out[0, 1], out[0, 2] = c + x * x * (1 - c), x * y * (1 - c) - z * s, x * z * (1 - c) + y * s
    out[1, 0], out[1, 1], out[1, 2] = y * x * (1 - c) + z * s, c + y * y * (1 - c), y * z * (1 - c) - x * s
    out[2, 0], out[2, 1], out[2, 2] = z * x * (1 - c) - y * s, z * y * (1 - c) + x * s, c + z * z * (1 - c)


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def times(a: F64, b: F64, out: F64) -> None:
    """Product of two 3 x 3 matrices; `out` is neither of them."""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
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


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=True)
def place_points(hand: Arrays, pose: Pose, betas: F64, carried: F64, points_m: F64) -> None:
    """Skin all points.

    Args:
        hand: of `ik_hand`.
        pose: of `pose_skeleton`.
        betas: `(10,)`.
        carried: `(N, S, 3)` m, where each carrier brings a point; filled.
        points_m: `(N, 3)` m; filled.
    """
    feature = pose.feature
    for i in range(len(hand.template_m)):
        x, y, z = hand.template_m[i, 0], hand.template_m[i, 1], hand.template_m[i, 2]
        for b in range(10):
            x += hand.shape_m[i, 0, b] * betas[b]
            y += hand.shape_m[i, 1, b] * betas[b]
            z += hand.shape_m[i, 2, b] * betas[b]
        for f in range(135):
            x += hand.pose_m[i, 0, f] * feature[f]
            y += hand.pose_m[i, 1, f] * feature[f]
            z += hand.pose_m[i, 2, f] * feature[f]
        points_m[i, 0], points_m[i, 1], points_m[i, 2] = 0.0, 0.0, 0.0
        for s in range(hand.support.shape[1]):
            j = hand.support[i, s]
            if j < 0:
                break
            for c in range(3):
                carried[i, s, c] = (
                    pose.turned[j, c, 0] * x + pose.turned[j, c, 1] * y + pose.turned[j, c, 2] * z + pose.shift_m[j, c]
                )
                points_m[i, c] += hand.weights[i, s] * carried[i, s, c]


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=True)
def turn_rows(hand: Arrays, pose: Pose, points_m: F64, carried: F64, rows: F64) -> None:
    """How points move with a turn about the wrist, and with the angles of their carriers; not by pose corrections.

    Args:
        hand: of `ik_hand`.
        pose: of `pose_skeleton`.
        points_m: `(N, 3)` m.
        carried: `(N, S, 3)` m of `place_points`.
        rows: `(N, 3, 3 + A)`, filled as far as `moved_by (N, A)` goes.
    """
    for i in range(len(points_m)):
        x, y, z = (
            points_m[i, 0] - pose.at_m[0, 0],
            points_m[i, 1] - pose.at_m[0, 1],
            points_m[i, 2] - pose.at_m[0, 2],
        )
        rows[i, 0, 0], rows[i, 0, 1], rows[i, 0, 2] = 0.0, z, -y
        rows[i, 1, 0], rows[i, 1, 1], rows[i, 1, 2] = -z, 0.0, x
        rows[i, 2, 0], rows[i, 2, 1], rows[i, 2, 2] = y, -x, 0.0
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
                if hand.below[j, q]:
                    w = hand.weights[i, s]
                    x += w * (carried[i, s, 0] - pose.at_m[j, 0])
                    y += w * (carried[i, s, 1] - pose.at_m[j, 1])
                    z += w * (carried[i, s, 2] - pose.at_m[j, 2])
            rows[i, 0, 3 + a] = pose.axes[k, 1] * z - pose.axes[k, 2] * y
            rows[i, 1, 3 + a] = pose.axes[k, 2] * x - pose.axes[k, 0] * z
            rows[i, 2, 3 + a] = pose.axes[k, 0] * y - pose.axes[k, 1] * x


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=True)
def shape_rows(hand: Arrays, pose: Pose, rows: F64) -> None:
    """How points move with the shape. Fills `rows (N, 3, 10)` m per unit."""
    for i in range(len(rows)):
        for c in range(3):
            for b in range(10):
                rows[i, c, b] = 0.0
        for s in range(hand.support.shape[1]):
            j = hand.support[i, s]
            if j < 0:
                break
            w = hand.weights[i, s]
            for c in range(3):
                by_x, by_y, by_z = w * pose.turned[j, c, 0], w * pose.turned[j, c, 1], w * pose.turned[j, c, 2]
                for b in range(10):
                    rows[i, c, b] += (
                        by_x * hand.shape_m[i, 0, b]
                        + by_y * hand.shape_m[i, 1, b]
                        + by_z * hand.shape_m[i, 2, b]
                        + w * pose.shift_shape[j, c, b]
                    )


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def correction_rows(hand: Arrays, pose: Pose, slopes: F64) -> None:
    """How the pose corrections of points move them with each angle. Adds to columns 6 to 5 + n of `slopes`."""
    cross, slope, blend = np.zeros((3, 3)), np.empty((3, 3)), np.zeros((3, 3))
    for i in range(len(slopes)):
        for a in range(3):
            for b in range(3):
                blend[a, b] = 0.0
                for s in range(hand.support.shape[1]):
                    if hand.support[i, s] >= 0:
                        blend[a, b] += hand.weights[i, s] * pose.turned[hand.support[i, s], a, b]
        for k in range(len(hand.joint)):
            j, u = hand.joint[k], pose.own_axes[k]
            cross[0, 1], cross[0, 2], cross[1, 2] = -u[2], u[1], -u[0]
            cross[1, 0], cross[2, 0], cross[2, 1] = u[2], -u[1], u[0]
            times(cross, pose.local[j], slope)
            for d in range(3):
                change = 0.0
                for a in range(3):
                    for b in range(3):
                        change += hand.pose_m[i, d, 9 * (j - 1) + 3 * a + b] * slope[a, b]
                for c in range(3):
                    slopes[i, c, 6 + k] += blend[c, d] * change


@njit(cache=True, nogil=True)
def points_and_slopes(hand: Arrays, pose: Pose, betas: F64, points_m: F64, slopes: F64) -> None:
    """All points and how they move with every unknown, exactly.

    Args:
        hand: of `ik_hand`.
        pose: of `pose_skeleton`.
        betas: `(10,)`.
        points_m: `(N, 3)` m; filled.
        slopes: `(N, 3, 16 + n)`; filled.
    """
    n, count, width = len(hand.joint), len(hand.template_m), hand.moved_by.shape[1]
    carried, rows = np.zeros((count, hand.support.shape[1], 3)), np.zeros((count, 3, 3 + width))
    shapes = np.empty((count, 3, 10))
    place_points(hand, pose, betas, carried, points_m)
    turn_rows(hand, pose, points_m, carried, rows)
    shape_rows(hand, pose, shapes)
    for i in range(count):
        for c in range(3):
            for p in range(16 + n):
                slopes[i, c, p] = 0.0
    correction_rows(hand, pose, slopes)
    for i in range(count):
        for c in range(3):
            slopes[i, c, c] = 1.0
            for b in range(3):
                slopes[i, c, 3 + b] = rows[i, c, b]
            for a in range(width):
                if hand.moved_by[i, a] >= 0:
                    slopes[i, c, 6 + hand.moved_by[i, a]] += rows[i, c, 3 + a]
            for b in range(10):
                slopes[i, c, 6 + n + b] = shapes[i, c, b]
