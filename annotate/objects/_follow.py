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
    best, chosen = np.inf, len(R) - 1
    H, g = np.zeros((6, 6)), np.zeros(6)
    first_H, first_g = np.zeros((6, 6)), np.zeros(6)
    for k in range(len(R)):
        cost = _added(cells, centre, views, (R[k], s[k]), strictness, (H, g), limits)
        if cost < best:
            best, chosen = cost, k
            first_H[:] = H
            first_g[:] = g
    at, where = R[chosen].copy(), s[chosen].copy()
    moved = np.zeros(6)
    for i in range(int(limits[2])):
        if i == 0:
            H[:] = first_H
            g[:] = first_g
        else:
            _added(cells, centre, views, (at, where), strictness, (H, g), limits)
        for a in range(6):
            for b in range(a):
                H[b, a] = H[a, b]
            H[a, a] += prior[a] ** -2.0
            g[a] += moved[a] / prior[a] ** 2
        step = -np.linalg.solve(H, g)
        moved += step
        where += step[:3]
        at = at @ turned(step[3:])
        if np.abs(step).max() < limits[3]:
            break
    return at, where, _added(cells, centre, views, (at, where), strictness, (H, g), limits)


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
def turned(w: F64) -> F64:
    """Rotation matrix of an axis-angle vector. `(3,) rad -> (3, 3)`."""
    squared = w[0] ** 2 + w[1] ** 2 + w[2] ** 2
    angle = np.sqrt(squared)
    a = 1.0 - squared / 6.0 if angle < 1e-4 else np.sin(angle) / angle
    b = 0.5 - squared / 24.0 if angle < 1e-4 else (1.0 - np.cos(angle)) / squared
    K = np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])
    return np.eye(3) + a * K + b * (K @ K)
