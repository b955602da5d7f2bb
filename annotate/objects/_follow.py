"""Compiled: the pose of an object at one moment, from guesses and depth points."""

from __future__ import annotations

import numba
import numpy as np

from annotate.objects._match import add_span
from annotate.objects._triangles import Cells
from hoi_core.types import F64, I64

Views = tuple[I64, F64, F64, F64]
"""Points of view v are `start[v]:start[v + 1]`; points (K, 3) m; distance from the hands (K,) m; eyes (V, 3) m."""


@numba.njit(cache=True, nogil=True)
def best_pose(
    cells: Cells,
    centre: F64,
    views: Views,
    guesses: tuple[F64, F64],
    strictness: tuple[float, float, float, float],
    prior: F64,
    limits: F64,
) -> tuple[F64, F64, float]:
    """Refine the guess that explains most.

    Args:
        cells: of the mesh.
        centre: `(3,)` m, object.
        views: the points.
        guesses: rotations `(G, 3, 3)` and positions of the middle `(G, 3)` m.
        strictness: gate m, sigma m, robust scale in sigmas, weight.
        prior: `(6,)` expected shift (world, m) and turn (object, rad) from the guess: depth alone may leave some open.
        limits: every so many points count; points nearer to a hand (m) do not say whether a pose is right; steps at
            most; step (m, rad) that is small enough.

    Returns:
        Rotation, position, and the share of points that it does not explain, 0 to 1; NaN without any.
    """
    R, s = guesses
    tried, last = len(R), len(R) + int(limits[2]) - 1
    best, chosen, cost = np.inf, tried - 1, np.nan
    H, g, best_H, best_g = np.zeros((6, 6)), np.zeros(6), np.zeros((6, 6)), np.zeros(6)
    at, where, step, moved = R[chosen], s[chosen], np.zeros(6), np.zeros(6)
    # Guesses and then steps in one loop: what is called from one place is compiled once.
    for k in range(last + 1):
        if k < tried:
            at, where = R[k], s[k]
        cost = _added(cells, centre, views, (at, where), strictness, (H, g), limits)
        if k < tried and cost < best:
            best, chosen = cost, k
            best_H[:] = H
            best_g[:] = g
        if k + 1 < tried:
            continue
        if k + 1 == tried:
            at, where = R[chosen].copy(), s[chosen].copy()
            H[:] = best_H
            g[:] = best_g
        elif k == last or np.abs(step).max() < limits[3]:
            break
        for c in range(6):
            H[c, c] += prior[c] ** -2.0
            step[c] = -g[c] - moved[c] / prior[c] ** 2
        _solve(H, step)
        moved += step
        where += step[:3]
        at = at @ turned(step[3:])
    return at, where, cost


@numba.njit(cache=True, nogil=True)
def _added(
    cells: Cells,
    centre: F64,
    views: Views,
    pose: tuple[F64, F64],
    strictness: tuple[float, float, float, float],
    system: tuple[F64, F64],
    limits: F64,
) -> float:
    """Share of the points that a pose does not explain; `system` becomes the normal equations there."""
    start, points, hand, eyes = views
    H, g = system
    H[:] = 0.0
    g[:] = 0.0
    away = np.empty(len(points))
    every = int(limits[0])
    total, count = 0.0, 0
    for v in range(len(start) - 1):
        span = (start[v], start[v + 1], every)
        add_span(cells, centre, (points, hand, eyes[v]), span, pose, strictness, (H, g, away))
        for k in range(start[v], start[v + 1], every):
            if hand[k] > limits[1]:
                total += min(abs(away[k]) / strictness[0], 1.0) if np.isfinite(away[k]) else 1.0
                count += 1
    return total / count if count else np.nan


@numba.njit(cache=True, nogil=True)
def _solve(H: F64, x: F64) -> None:
    """Solve `H x = b` in place, by Cholesky's factor, which H becomes; its lower triangle counts.

    NumPy's way takes seconds to compile.
    """
    for i in range(len(x)):
        for j in range(i + 1):
            for k in range(j):
                H[i, j] -= H[i, k] * H[j, k]
            H[i, j] = np.sqrt(H[i, i]) if i == j else H[i, j] / H[j, j]
            if j < i:
                x[i] -= H[i, j] * x[j]
        x[i] /= H[i, i]
    for i in range(len(x) - 1, -1, -1):
        for k in range(i + 1, len(x)):
            x[i] -= H[k, i] * x[k]
        x[i] /= H[i, i]


@numba.njit(cache=True, nogil=True)
def turned(w: F64) -> F64:
    """Rotation matrix of an axis-angle vector. `(3,) rad -> (3, 3)`."""
    squared = w[0] ** 2 + w[1] ** 2 + w[2] ** 2
    angle = np.sqrt(squared)
    a = 1.0 - squared / 6.0 if angle < 1e-4 else np.sin(angle) / angle
    b = 0.5 - squared / 24.0 if angle < 1e-4 else (1.0 - np.cos(angle)) / squared
    K = np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])
    return np.eye(3) + a * K + b * (K @ K)
