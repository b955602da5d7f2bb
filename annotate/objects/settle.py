"""The whole track of an object at once: depth, clicks, smoothness, rest on the table, and being carried by a hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from annotate.objects import trajectory
from annotate.objects._match import add_points
from annotate.objects.depth_points import ObjectCloud
from annotate.objects.mesh import SolidMesh
from annotate.objects.trajectory import Equations, Trajectory
from annotate.state import geman_mcclure
from hoi_core import rotation
from hoi_core.types import F64, I64, Bool


@dataclass(frozen=True)
class SettleConfig:
    """How strict the terms are."""

    depth_weight: float = 0.2
    """Weight of a depth point; below 1, as errors of neighbouring points are alike."""
    depth_sigma_m: float = 0.002
    """Expected distance of a depth point from the surface, m."""
    click_px: float = 3.0
    """Expected error of a click, px."""
    shift_m: float = 0.0015
    """Spread of the acceleration, m per frame^2."""
    turn_rad: float = 0.015
    """Spread of the turn's acceleration, rad per frame^2."""
    rest_m: float = 0.0001
    """Spread of the motion of an object at rest, m per frame."""
    rest_rad: float = 0.0005
    """Spread of its turn, rad per frame."""
    carried_m: float = 0.002
    """Spread of its motion in a hand that holds it, m per frame."""
    carried_rad: float = 0.02
    """Spread of its turn in a hand that holds it, rad per frame."""
    free_rad: float = 0.02
    """Spread of a turn that leaves the shape as it is, rad per frame: nothing but clicks sees it."""


@dataclass(frozen=True)
class Clicks:
    """Clicked points of the mesh. K clicks."""

    moment: I64
    """(K,)."""
    point_m: F64
    """(K, 3) m, relative to the object's middle."""
    T_cam_world: F64
    """(K, 4, 4) of the corrected cameras."""
    focal_px: F64
    """(K,)."""
    xy: F64
    """(K, 2) undistorted direction, z = 1."""
    lag_s: F64
    """(K,) s from the moment to the image."""


@dataclass(frozen=True)
class Problem:
    """All that is known of an object's track."""

    mesh: SolidMesh
    """Its surface."""
    t_s: F64
    """(M,) s."""
    clouds: Sequence[ObjectCloud]
    """Depth points of each view."""
    clicks: Clicks
    """Clicked points."""
    palms: Mapping[str, tuple[F64, Bool]]
    """hand -> its frame (M, 4, 4) and whether it touches the object (M,)."""
    held: Bool
    """(M,) moments that a person settled: they do not move."""


@dataclass(frozen=True)
class Settled:
    """Where the track ended."""

    body: Trajectory
    """The track."""
    equations: Equations
    """Normal equations there."""
    away_m: tuple[F64, ...]
    """Of each view, (K,) m signed distances of its points; NaN beyond the gate."""
    resting: Bool
    """(M,) moments at which it lies still."""
    iterations: int
    """Steps tried."""


_STEPS = ((0.008, 4.0, 3), (0.008, 4.0, 3), (0.006, 3.0, 3), (0.005, 2.0, 2), (0.005, 2.0, 1), (0.005, 2.0, 1))
"""Gate m, robust scale in sigmas, and of how many depth points one is used: the first steps only come near."""
_SETTLED_M = 1e-4
_STILL_M_S = 0.012
_STILL_RAD_S = 0.25
_LEAST_REST_S = 0.2
_WINDOW_S = 0.2
_FIXED = 1e10
_DAMPING = 1e-4


def settle(problem: Problem, start: Trajectory, config: SettleConfig) -> Settled:
    """Robust Gauss-Newton over the whole sequence.

    Args:
        problem: what is known.
        start: from following the object.
        config: strictness.
    """
    body = start
    # One thread a view: their sums are added in order, so that the result is always the same.
    with ThreadPoolExecutor(2, thread_name_prefix="settle") as threads:
        for i, (gate, scale, every) in enumerate(_STEPS):
            resting = at_rest(body, problem.t_s) if i >= 2 else np.zeros(len(problem.t_s), bool)
            strict = (gate, config.depth_sigma_m, scale, every * config.depth_weight)
            thinner = replace(problem, clouds=[_thinned(cloud, every) for cloud in problem.clouds])
            equations, away = _evaluate(thinner, body, config, strict, resting, threads)
            step = trajectory.solve(equations, _DAMPING)
            body = body.moved(step)
            if every == 1 and np.abs(step).max() < _SETTLED_M:
                break
    return Settled(body, equations, away, resting, i + 1)


def _thinned(cloud: ObjectCloud, every: int) -> ObjectCloud:
    """Every so-many-th point."""
    if every == 1:
        return cloud
    rows = np.arange(0, len(cloud.points_m), every)
    return replace(
        cloud, start=np.searchsorted(rows, cloud.start), points_m=cloud.points_m[rows], hand_m=cloud.hand_m[rows]
    )


def at_rest(body: Trajectory, t_s: F64) -> Bool:
    """(M,) moments at which the object lies still, for at least a fifth of a second.

    Args:
        body: the track.
        t_s: `(M,)` s.
    """
    moments = len(t_s)
    if moments < 3:
        return np.zeros(moments, bool)
    frame_s = float(np.median(np.diff(t_s)))
    half = max(round(0.5 * _WINDOW_S / frame_s), 1)
    before, after = np.maximum(np.arange(moments) - half, 0), np.minimum(np.arange(moments) + half, moments - 1)
    span_s = t_s[after] - t_s[before]
    smooth = _averaged(body.s_m, half)
    speed = np.linalg.norm(smooth[after] - smooth[before], axis=-1) / span_s
    turn = rotation.geodesic_angle(body.R[before], body.R[after]) / span_s
    still = (speed < _STILL_M_S) & (turn < _STILL_RAD_S)
    least = int(np.ceil(_LEAST_REST_S / frame_s))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
    for first, last in edges.reshape(-1, 2):
        if last - first < least:
            still[first:last] = False
    return still


def _averaged(values: F64, half: int) -> F64:
    """Running mean over `2 half + 1` rows, shorter at the ends."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)[:, None]


_Strict = tuple[float, float, float, float]


def _evaluate(
    problem: Problem, body: Trajectory, config: SettleConfig, strict: _Strict, resting: Bool, threads: Executor
) -> tuple[Equations, tuple[F64, ...]]:
    equations = trajectory.empty(len(problem.t_s))
    away = []
    for H, g, distance in threads.map(lambda cloud: _depth(problem, cloud, body, strict), problem.clouds):
        equations.H[:] += H
        equations.g[:] += g
        away.append(distance)
    _add_clicks(problem, body, config, equations)
    moving = np.array([config.shift_m, config.turn_rad]) ** -2.0
    trajectory.add_acceleration(body, problem.t_s, np.tile(moving, (max(len(problem.t_s) - 2, 0), 1)), equations)
    _add_rest(body, config, resting, equations)
    _add_carried(problem, body, config, resting, equations)
    _add_free(problem, body, config, equations)
    _hold(problem, equations)
    return equations, tuple(away)


def _depth(problem: Problem, cloud: ObjectCloud, body: Trajectory, strict: _Strict) -> tuple[F64, F64, F64]:
    """Normal equations `(M, 6, 6)`, `(M, 6)` of a view's depth points, and their distances `(K,)` m."""
    then = body.at(cloud.lag_s, problem.t_s)
    H, g = np.zeros((len(problem.t_s), 6, 6)), np.zeros((len(problem.t_s), 6))
    distance = np.full(len(cloud.points_m), np.nan)
    views = (cloud.start, cloud.points_m, cloud.hand_m, cloud.eye_m)
    add_points(problem.mesh.cells, problem.mesh.centre_m, views, (then.R, then.s_m), strict, (H, g), distance)
    return H, g, distance


def _add_clicks(problem: Problem, body: Trajectory, config: SettleConfig, equations: Equations) -> None:
    clicks = problem.clicks
    if not len(clicks.moment):
        return
    velocity = np.gradient(body.s_m, problem.t_s, axis=0) if len(problem.t_s) > 1 else np.zeros_like(body.s_m)
    R = body.R[clicks.moment]
    world = (R @ clicks.point_m[..., None])[..., 0] + body.s_m[clicks.moment]
    world += velocity[clicks.moment] * clicks.lag_s[:, None]
    local = (clicks.T_cam_world[:, :3, :3] @ world[..., None])[..., 0] + clicks.T_cam_world[:, :3, 3]
    z = np.maximum(local[:, 2:], 0.05)
    factor = (clicks.focal_px / config.click_px)[:, None]
    residual = (local[:, :2] / z - clicks.xy) * factor
    by_local = np.zeros((len(z), 2, 3))
    by_local[:, 0, 0] = by_local[:, 1, 1] = 1.0 / z[:, 0]
    by_local[:, :, 2] = -local[:, :2] / z**2
    by_shift = factor[..., None] * by_local @ clicks.T_cam_world[:, :3, :3]
    slopes = np.concatenate([by_shift, -by_shift @ R @ rotation.skew(clicks.point_m)], axis=-1)
    _, robust = geman_mcclure((residual**2).sum(-1), 4.0)
    weighted = np.swapaxes(slopes, 1, 2) * robust[:, None, None]
    np.add.at(equations.g, clicks.moment, (weighted @ residual[..., None])[..., 0])
    np.add.at(equations.H, clicks.moment, weighted @ slopes)


def _add_rest(body: Trajectory, config: SettleConfig, resting: Bool, equations: Equations) -> None:
    both = (resting[1:] & resting[:-1])[:, None]
    weights = np.where(both, np.array([config.rest_m, config.rest_rad]) ** -2.0, 0.0)
    still = Trajectory(np.tile(np.eye(3), (len(both), 1, 1)), np.zeros((len(both), 3)))
    trajectory.add_motion(body, still, weights, equations)


def _add_carried(problem: Problem, body: Trajectory, config: SettleConfig, resting: Bool, equations: Equations) -> None:
    """What a hand holds moves with it; robust, as it may slip or be let go."""
    sigma = np.array([config.carried_m, config.carried_rad])
    for palm, touching in problem.palms.values():
        both = touching[1:] & touching[:-1] & ~(resting[1:] & resting[:-1])
        C = palm[1:, :3, :3] @ np.swapaxes(palm[:-1, :3, :3], -1, -2)
        c = palm[1:, :3, 3] - (C @ palm[:-1, :3, 3:])[..., 0]
        carried = Trajectory(C, c)
        _, residual = trajectory.add_motion(body, carried, np.zeros((len(C), 2)), None)
        squared = ((residual**2).sum(-1) / sigma**2).sum(-1)
        _, robust = geman_mcclure(squared, 3.0)
        trajectory.add_motion(body, carried, np.where(both, robust, 0.0)[:, None] / sigma**2, equations)


def _add_free(problem: Problem, body: Trajectory, config: SettleConfig, equations: Equations) -> None:
    """A symmetric object does not turn about its axis by itself: depth cannot see whether it does."""
    axes = problem.mesh.symmetry.free
    if not len(axes) or len(body.R) < 2:
        return
    turn = rotation.log_so3(np.swapaxes(body.R[:-1], -1, -2) @ body.R[1:])
    project = axes.T @ axes / config.free_rad**2
    pull = turn @ project
    equations.g[1:, 3:] += pull
    equations.g[:-1, 3:] -= pull
    equations.H[1:, 3:, 3:] += project
    equations.H[:-1, 3:, 3:] += project
    equations.near[:, 1] -= project


def _hold(problem: Problem, equations: Equations) -> None:
    """Poses that a person settled stay where they are, and pull their neighbours."""
    equations.H[problem.held] += _FIXED * np.eye(6)
    equations.g[problem.held] = 0.0
