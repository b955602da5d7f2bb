"""Levenberg-Marquardt inside limits, and Adam inside limits, of one hand after the other, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hoi_core.ik._equations import Aim, Equations, State, equations, room_for
from hoi_core.ik._kernel import times, turn
from hoi_core.ik.hand import Arrays
from hoi_core.types import F64, I64

_BARELY = 1e-12  # of the largest diagonal entry: keeps unknowns that nothing sees in place
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-9, 1e8


class Many(NamedTuple):
    """The unknowns of B hands."""

    turned: F64
    """(B, 3, 3)."""
    shift_m: F64
    """(B, 3) m."""
    angles: F64
    """(B, n) rad."""
    betas: F64
    """(B, 10)."""


class Aims(NamedTuple):
    """What B hands should meet; fields as those of `Aim`."""

    points_m: F64
    """(B, N, 3) m."""
    weights: F64
    """(B, N)."""
    betas: F64
    """(B, 10)."""
    shape_weight: float
    """m^2."""
    bend_m2: float
    """m^2."""
    with_shape: bool
    """Whether the shape is solved."""


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath=True)
def _divide(H: F64, g: F64, free: I64, count: int, damping: float, step: F64) -> bool:
    """Solve for the free unknowns, the steps of the others given (Cholesky); whether it could be."""
    L, y = np.zeros((count, count)), np.empty(count)
    most = 0.0
    for a in range(count):
        most = max(most, H[free[a], free[a]])
    for a in range(count):
        p = free[a]
        for b in range(a + 1):
            q = free[b]
            value = H[p, q]
            if a == b:
                value += damping * value + _BARELY * most
            for c in range(b):
                value -= L[a, c] * L[b, c]
            if a == b:
                if not value > 0.0:
                    return False
                L[a, a] = np.sqrt(value)
            else:
                L[a, b] = value / L[b, b]
    for a in range(count):
        value = -g[free[a]]
        for c in range(a):
            value -= L[a, c] * y[c]
        y[a] = value / L[a, a]
    for a in range(count - 1, -1, -1):
        value = y[a]
        for c in range(a + 1, count):
            value -= L[c, a] * y[c]
        y[a] = value / L[a, a]
        step[free[a]] = y[a]
    return True


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _bounded_step(to: Equations, state: State, limits: F64, solved: int, damping: float, step: F64) -> bool:
    """A damped step that ends inside the limits: angles that would leave go to their limit, the rest solves anew."""
    n = len(limits)
    held, free, g = np.zeros(len(step), np.bool_), np.empty(len(step), np.int64), np.empty(len(step))
    for p in range(len(step)):
        step[p] = 0.0
        g[p] = to.g[p]
        held[p] = p >= solved
    for k in range(n):
        low, high = state.angles[k] <= limits[k, 0], state.angles[k] >= limits[k, 1]
        held[6 + k] = limits[k, 0] >= limits[k, 1] or (low and to.g[6 + k] > 0.0) or (high and to.g[6 + k] < 0.0)
    for _ in range(n):
        count = 0
        for p in range(solved):
            if not held[p]:
                free[count] = p
                count += 1
        if not _divide(to.H, g, free, count, damping, step):
            return False
        left = False
        for k in range(n):
            p = 6 + k
            if held[p]:
                continue
            goes = min(max(state.angles[k] + step[p], limits[k, 0]), limits[k, 1]) - state.angles[k]
            if goes != step[p]:
                step[p], held[p], left = goes, True, True
                for q in range(solved):
                    g[q] += goes * (to.H[p, q] if q < p else to.H[q, p])
        if not left:
            break
    return True


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _moved(state: State, step: F64, limits: F64, out: State) -> None:
    """The state after a step."""
    n = len(limits)
    angle = np.sqrt(step[3] * step[3] + step[4] * step[4] + step[5] * step[5])
    by, axis = np.empty((3, 3)), np.empty(3)
    for c in range(3):
        axis[c] = step[3 + c] / angle if angle > 0.0 else 0.0
        out.shift_m[c] = state.shift_m[c] + step[c]
    turn(axis, angle, by)
    times(by, state.turned, out.turned)
    for k in range(n):
        out.angles[k] = min(max(state.angles[k] + step[6 + k], limits[k, 0]), limits[k, 1])
    for b in range(10):
        out.betas[b] = state.betas[b] + step[6 + n + b]


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _copy(source: State, target: State) -> None:
    """Take over a state. In loops, as everywhere here: slices take ten times as long to compile."""
    for a in range(3):
        target.shift_m[a] = source.shift_m[a]
        for b in range(3):
            target.turned[a, b] = source.turned[a, b]
    for k in range(len(source.angles)):
        target.angles[k] = source.angles[k]
    for b in range(10):
        target.betas[b] = source.betas[b]


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _new_state(n: int) -> State:
    return State(np.zeros((3, 3)), np.zeros(3), np.zeros(n), np.zeros(10))


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _new_equations(n: int) -> Equations:
    return Equations(np.zeros((16 + n, 16 + n)), np.zeros(16 + n))


@njit(cache=True, nogil=True)
def levenberg_marquardt(
    hand: Arrays, many: Many, aims: Aims, limits: F64, iterations: int, tolerance: float, report: F64
) -> None:
    """Fit B hands.

    Args:
        hand: of `ik_hand`.
        many: where to start; overwritten by where it ended. Angles start and end inside the limits.
        aims: what to meet.
        limits: `(B, n, 2)` rad; equal ones hold an angle.
        iterations: evaluations at most, after the first.
        tolerance: relative decrease of the cost that ends a hand's fit.
        report: `(B, 2)` filled with the cost, m^2, and the evaluations.
    """
    n = limits.shape[1]
    room, here, there = room_for(hand), _new_state(n), _new_state(n)
    one, other = _new_equations(n), _new_equations(n)
    step = np.zeros(16 + n)
    solved = 16 + n if aims.with_shape else 6 + n
    for h in range(len(many.angles)):
        _copy(State(many.turned[h], many.shift_m[h], many.angles[h], many.betas[h]), here)
        aim = Aim(aims.points_m[h], aims.weights[h], aims.betas[h], aims.shape_weight, aims.bend_m2, aims.with_shape)
        cost, damping, used = equations(hand, here, aim, room, one), _FIRST_DAMPING, 0
        while used < iterations and damping < _MOST_DAMPING:
            if not _bounded_step(one, here, limits[h], solved, damping, step):
                damping *= 10.0
                continue
            _moved(here, step, limits[h], there)
            found = equations(hand, there, aim, room, other)
            used += 1
            if not found < cost:
                damping *= 10.0
                if abs(found - cost) <= 1e-12 * cost:
                    break
                continue
            gained = cost - found
            cost, damping = found, max(_LEAST_DAMPING, 0.1 * damping)
            _copy(there, here)
            one, other = other, one
            if gained <= tolerance * cost or cost < 1e-18:
                break
        _copy(here, State(many.turned[h], many.shift_m[h], many.angles[h], many.betas[h]))
        report[h, 0], report[h, 1] = cost, used


@njit(cache=True, nogil=True)
def adam(hand: Arrays, many: Many, aims: Aims, limits: F64, iterations: int, rates: F64, report: F64) -> None:
    """Fit B hands by Adam (Kingma and Ba 2015), projected on the limits, its rate falling to a tenth.

    Args:
        hand: as `levenberg_marquardt`.
        many: the same.
        aims: the same.
        limits: the same.
        iterations: steps.
        rates: `(16 + n,)` first step of each unknown.
        report: the same; of the state with the least cost, which is kept.
    """
    n = limits.shape[1]
    room, here, there, best = room_for(hand), _new_state(n), _new_state(n), _new_state(n)
    one = _new_equations(n)
    solved = 16 + n if aims.with_shape else 6 + n
    step, mean, square = np.zeros(16 + n), np.zeros(16 + n), np.zeros(16 + n)
    for h in range(len(many.angles)):
        start = State(many.turned[h], many.shift_m[h], many.angles[h], many.betas[h])
        _copy(start, here)
        aim = Aim(aims.points_m[h], aims.weights[h], aims.betas[h], aims.shape_weight, aims.bend_m2, aims.with_shape)
        for p in range(16 + n):
            mean[p], square[p] = 0.0, 0.0
        least = np.inf
        for t in range(iterations + 1):
            cost = equations(hand, here, aim, room, one)
            if cost < least:
                least = cost
                _copy(here, best)
            fall = 1.0 - 0.9 * t / iterations
            for p in range(solved):
                mean[p] = 0.9 * mean[p] + 0.1 * one.g[p]
                square[p] = 0.99 * square[p] + 0.01 * one.g[p] * one.g[p]
                up, down = mean[p] / (1.0 - 0.9 ** (t + 1)), square[p] / (1.0 - 0.99 ** (t + 1))
                step[p] = -rates[p] * fall * up / (np.sqrt(down) + 1e-12)
            _moved(here, step, limits[h], there)
            _copy(there, here)
        _copy(best, start)
        report[h, 0], report[h, 1] = least, iterations
