"""Normal equations of one hand against points where it should be, and the bending constraint, compiled.

The slopes of pose corrections are left out of the equations: a point would then move with all 45 angles instead of its
own finger's six, at ten times the cost. They are in the positions, so that where the residual vanishes is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hoi_core.ik._kernel import Pose, angle_rows, point, pose_skeleton, rest_point, shape_rows, turn_rows
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


@njit(cache=True, nogil=True, fastmath=True)
def _add(to: Equations, weight: float, away: F64, rows: F64, columns: np.ndarray, count: int) -> None:
    """Add the three residuals of a point, the first three columns of whose slopes are the identity."""
    a0, a1, a2 = weight * away[0], weight * away[1], weight * away[2]
    for c in range(3):
        to.H[c, c] += weight
        to.g[c] += weight * away[c]
    for a in range(count):
        p = columns[a]
        r0, r1, r2 = weight * rows[0, a], weight * rows[1, a], weight * rows[2, a]
        to.g[p] += rows[0, a] * a0 + rows[1, a] * a1 + rows[2, a] * a2
        to.H[p, 0] += r0
        to.H[p, 1] += r1
        to.H[p, 2] += r2
        for b in range(a + 1):
            to.H[p, columns[b]] += r0 * rows[0, b] + r1 * rows[1, b] + r2 * rows[2, b]


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _add_bends(to: Equations, weight: float, at_m: F64, joints: F64, angles: int) -> float:
    """Add Eq. 3 of the four fingers; returns what it costs. `joints (21, 3, 6 + n)` are the joints' slopes."""
    cost, own, row = 0.0, np.empty((4, 3)), np.empty(6 + angles)
    for finger in range(4):
        value = _bend(at_m, finger, own)
        if value >= 0.0:
            continue
        cost += weight * value * value
        for p in range(6 + angles):
            row[p] = 0.0
            for i in range(4):
                for c in range(3):
                    row[p] += own[i, c] * joints[5 + 4 * finger + i, c, p]
            to.g[p] += weight * value * row[p]
            for q in range(p + 1):
                to.H[p, q] += weight * row[p] * row[q]
    return cost


@njit(cache=True, nogil=True)
def equations(hand: Arrays, state: State, aim: Aim, pose: Pose, to: Equations) -> float:
    """Fill the normal equations of a state (the lower half of `H`) and return its cost, m^2."""
    n = len(hand.joint)
    to.H[:] = 0.0
    to.g[:] = 0.0
    pose_skeleton(hand, state.turned, state.shift_m, state.angles, state.betas, pose)
    rest, carried, at_m = np.empty(3), np.empty((hand.support.shape[1], 3)), np.empty(3)
    away, rows, columns = np.empty(3), np.empty((3, 13 + n)), np.empty(13 + n, np.int64)
    joints, joint_slopes = np.zeros((21, 3)), np.zeros((21, 3, 6 + n))
    cost = 0.0
    for i in range(len(hand.template_m)):
        if aim.weights[i] == 0.0 and i > 20:
            continue
        rest_point(hand, i, pose, state.betas, rest)
        point(hand, i, pose, rest, carried, at_m)
        turn_rows(at_m, pose, rows)
        count = 3 + angle_rows(hand, i, pose, carried, rows)
        for a in range(count):
            columns[a] = 3 + a if a < 3 else 6 + hand.moved_by[i, a - 3]
        if i < 21:
            for c in range(3):
                joints[i, c] = at_m[c]
                joint_slopes[i, c, c] = 1.0
                for a in range(count):
                    joint_slopes[i, c, columns[a]] = rows[c, a]
        if aim.weights[i] == 0.0:
            continue
        if aim.with_shape:
            shape_rows(hand, i, pose, rows, count)
            for b in range(10):
                columns[count + b] = 6 + n + b
            count += 10
        for c in range(3):
            away[c] = at_m[c] - aim.points_m[i, c]
            cost += aim.weights[i] * away[c] * away[c]
        _add(to, aim.weights[i], away, rows, columns, count)
    if aim.bend_m2 > 0.0:
        cost += _add_bends(to, aim.bend_m2, joints, joint_slopes, n)
    if aim.with_shape:
        for b in range(10):
            off = state.betas[b] - aim.betas[b]
            cost += aim.shape_weight * off * off
            to.H[6 + n + b, 6 + n + b] += aim.shape_weight
            to.g[6 + n + b] += aim.shape_weight * off
    return cost
