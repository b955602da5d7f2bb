"""Normal equations of one hand against points where it should be, and the bending constraint, compiled.

The slopes of pose corrections are left out of the equations: a point would then move with all 45 angles instead of its
own finger's six, at ten times the cost. They are in the positions, so that where the residual vanishes is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hoi_core.ik._kernel import Pose, place_points, pose_skeleton, shape_rows, turn_rows
from hoi_core.ik.hand import Arrays
from hoi_core.types import F64


class State(NamedTuple):
    """The unknowns of one hand."""

    turned: F64
    """(3, 3) global rotation."""
    shift_m: F64
    """(3,) m."""
    angles: F64
    """(n,) rad."""
    betas: F64
    """(10,)."""


class Aim(NamedTuple):
    """What one hand should meet."""

    points_m: F64
    """(N, 3) m."""
    weights: F64
    """(N,) of the squared distances; 0 where a point is unknown."""
    betas: F64
    """(10,) the shape that is expected."""
    shape_weight: float
    """m^2 that a unit of shape away from it costs."""
    bend_m2: float
    """m^2 that fingers bent against themselves by one cost, Eq. 3 of Fan and Wang 2023; 0 leaves it out."""
    with_shape: bool
    """Whether the shape is solved."""


class Equations(NamedTuple):
    """Half the slopes of the cost: `H step = -g` is the Gauss-Newton step. u = 16 + n unknowns."""

    H: F64
    """(u, u)."""
    g: F64
    """(u,)."""


class Room(NamedTuple):
    """Where the kernels write. N points, A angles at most that move one."""

    pose: Pose
    """The skeleton."""
    carried: F64
    """(N, S, 3) m."""
    points_m: F64
    """(N, 3) m."""
    rows: F64
    """(N, 3, 3 + A) by the turn and the angles."""
    shapes: F64
    """(N, 3, 10) by the shape."""


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def room_for(hand: Arrays) -> Room:
    """Room for one hand."""
    n, count = len(hand.joint), len(hand.template_m)
    pose = Pose(
        np.zeros((16, 3, 3)),
        np.zeros((16, 3, 3)),
        np.zeros((16, 3)),
        np.zeros((16, 3)),
        np.zeros((16, 3)),
        np.zeros((16, 3, 10)),
        np.zeros((n, 3)),
        np.zeros((n, 3)),
        np.zeros(135),
    )
    return Room(
        pose,
        np.zeros((count, hand.support.shape[1], 3)),
        np.zeros((count, 3)),
        np.zeros((count, 3, 3 + hand.moved_by.shape[1])),
        np.zeros((count, 3, 10)),
    )


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=True)
def _accumulate(hand: Arrays, aim: Aim, room: Room, to: Equations) -> float:
    """Add the residuals of all points; returns what they cost."""
    n, width = len(hand.joint), hand.moved_by.shape[1]
    columns, by, weighted = np.empty(13 + n, np.int64), np.empty((3, 13 + n)), np.empty((3, 13 + n))
    H, g, cost = to.H, to.g, 0.0
    for i in range(len(hand.template_m)):
        weight = aim.weights[i]
        if weight == 0.0:
            continue
        count = 3
        for a in range(width):
            if hand.moved_by[i, a] < 0:
                break
            columns[count] = 6 + hand.moved_by[i, a]
            count += 1
        for c in range(3):
            columns[c] = 3 + c
            for a in range(count):
                by[c, a] = room.rows[i, c, a]
        if aim.with_shape:
            for b in range(10):
                columns[count + b] = 6 + n + b
                for c in range(3):
                    by[c, count + b] = room.shapes[i, c, b]
            count += 10
        for c in range(3):
            for a in range(count):
                weighted[c, a] = weight * by[c, a]
        a0 = room.points_m[i, 0] - aim.points_m[i, 0]
        a1 = room.points_m[i, 1] - aim.points_m[i, 1]
        a2 = room.points_m[i, 2] - aim.points_m[i, 2]
        cost += weight * (a0 * a0 + a1 * a1 + a2 * a2)
        g[0] += weight * a0
        g[1] += weight * a1
        g[2] += weight * a2
        for c in range(3):
            H[c, c] += weight
        for a in range(count):
            p = columns[a]
            r0, r1, r2 = weighted[0, a], weighted[1, a], weighted[2, a]
            g[p] += r0 * a0 + r1 * a1 + r2 * a2
            H[p, 0] += r0
            H[p, 1] += r1
            H[p, 2] += r2
            for b in range(a + 1):
                H[p, columns[b]] += r0 * by[0, b] + r1 * by[1, b] + r2 * by[2, b]
    return cost


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _bend(at_m: F64, finger: int, slopes: F64) -> float:
    """Eq. 3 of a finger, divided by the lengths of its bones: the cosine of its two planes times both sines.

    Fills `slopes (4, 3)` of it by the positions of the knuckle, the two joints and the tip, the lengths held.
    """
    first = 5 + 4 * finger
    ab, bd, ad, aa, bb, dd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for c in range(3):
        a = at_m[first + 3, c] - at_m[first + 2, c]
        b = at_m[first + 2, c] - at_m[first + 1, c]
        d = at_m[first + 1, c] - at_m[first, c]
        ab, bd, ad = ab + a * b, bd + b * d, ad + a * d
        aa, bb, dd = aa + a * a, bb + b * b, dd + d * d
    scale = 1.0 / max(np.sqrt(aa * dd) * bb, 1e-18)
    for c in range(3):
        a = at_m[first + 3, c] - at_m[first + 2, c]
        b = at_m[first + 2, c] - at_m[first + 1, c]
        d = at_m[first + 1, c] - at_m[first, c]
        by_a, by_b, by_d = b * bd - d * bb, a * bd + d * ab - 2.0 * b * ad, b * ab - a * bb
        slopes[0, c] = -by_d * scale
        slopes[1, c] = (by_d - by_b) * scale
        slopes[2, c] = (by_b - by_a) * scale
        slopes[3, c] = by_a * scale
    return (ab * bd - ad * bb) * scale


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _add_bends(hand: Arrays, weight: float, room: Room, to: Equations) -> float:
    """Add Eq. 3 of the four fingers; returns what it costs."""
    n, width = len(hand.joint), hand.moved_by.shape[1]
    cost, own, row = 0.0, np.empty((4, 3)), np.empty(6 + n)
    for finger in range(4):
        value = _bend(room.points_m, finger, own)
        if value >= 0.0:
            continue
        cost += weight * value * value
        for p in range(6 + n):
            row[p] = 0.0
        for k in range(4):
            i = 5 + 4 * finger + k
            for c in range(3):
                row[c] += own[k, c]
                for a in range(3):
                    row[3 + a] += own[k, c] * room.rows[i, c, a]
                for a in range(width):
                    if hand.moved_by[i, a] >= 0:
                        row[6 + hand.moved_by[i, a]] += own[k, c] * room.rows[i, c, 3 + a]
        for p in range(6 + n):
            to.g[p] += weight * value * row[p]
            for q in range(p + 1):
                to.H[p, q] += weight * row[p] * row[q]
    return cost


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def equations(hand: Arrays, state: State, aim: Aim, room: Room, to: Equations) -> float:
    """Fill the normal equations of a state (the lower half of `H`) and return its cost, m^2."""
    n = len(hand.joint)
    for p in range(16 + n):
        to.g[p] = 0.0
        for q in range(p + 1):
            to.H[p, q] = 0.0
    pose_skeleton(hand, state.turned, state.shift_m, state.angles, state.betas, room.pose)
    place_points(hand, room.pose, state.betas, room.carried, room.points_m)
    turn_rows(hand, room.pose, room.points_m, room.carried, room.rows)
    if aim.with_shape:
        shape_rows(hand, room.pose, room.shapes)
    cost = _accumulate(hand, aim, room, to)
    if aim.bend_m2 > 0.0:
        cost += _add_bends(hand, aim.bend_m2, room, to)
    if aim.with_shape:
        for b in range(10):
            off = state.betas[b] - aim.betas[b]
            cost += aim.shape_weight * off * off
            to.H[6 + n + b, 6 + n + b] += aim.shape_weight
            to.g[6 + n + b] += aim.shape_weight * off
    return cost
