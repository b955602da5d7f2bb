"""How good a calibration is: residuals, hold-out error, loop closure, the board's plane against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from capture.calibrate.bundle import Scene, adjust, errors_px, pose_matrix, rms_px, without_lenses
from capture.calibrate.problem import Problem, Solution, solve_views, sub_scene
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.types import F64, Camera

# So many depth pixels make the noise of a plane's distance a seventh of a pixel's.
_FEWEST_POINTS = 50


def solution_rms_px(solution: Solution) -> float:
    """RMS distance of the corners used, px."""
    return rms_px(errors_px(solution.scene, solution.corners)[solution.kept])


def holdout_px(problem: Problem, solution: Solution) -> float:
    """RMS distance, px, in every k-th shot, after the cameras were solved for without those shots.

    In the shots held out only the board's pose is solved for, and no corner is left out. NaN where too few shots
    are seen by two views.
    """
    shared = [s for s in solution.shots if len(problem.shots[s].detections) > 1]
    every = problem.options.holdout_every
    held = shared[every // 2 :: every]
    rest = [s for s in solution.shots if s not in held]
    if not held or len(rest) < 3:
        return float("nan")
    fitted = solve_views(problem, solution.views, rest, solution.scene)
    corners = problem.corners(solution.views, held)
    freedom = without_lenses(problem.freedom(solution.views))
    only_boards = replace(
        freedom,
        cameras=np.zeros_like(freedom.cameras),
        boards=np.isin(np.arange(len(problem.shots)), held),
    )
    scene, _ = adjust(fitted.scene, corners, only_boards, rounds=0)
    return rms_px(errors_px(scene, corners))


def loop_mm(problem: Problem, solution: Solution) -> float:
    """How far a point amid the boards moves on a closed way, mm; the worst of all ways.

    With three views or more, each pair is calibrated for itself, and the way leads through three pairs. With two, it
    leads there by one half of the shots and back by the other. NaN where too few shots are shared.
    """
    views = solution.views
    if len(views) == 2:
        return _halves_mm(problem, solution)
    pairs = {}
    for a, b in combinations(views, 2):
        shots = [s for s in solution.shots if {a, b} <= set(problem.shots[s].detections)]
        if len(shots) >= problem.options.min_shared:
            pairs[a, b] = _pair_pose(problem, solution, (a, b), shots)
    loops = []
    for a, b, c in combinations(views, 3):
        if {(a, b), (b, c), (a, c)} <= set(pairs):
            around = cam.inverse_rigid(pairs[a, c]) @ pairs[b, c] @ pairs[a, b]
            loops.append(_moved_mm(around, _working_point(sub_scene(solution, (a,)))))
    return max(loops) if loops else _halves_mm(problem, replace(solution, views=views))


def _halves_mm(problem: Problem, solution: Solution) -> float:
    worst = []
    for a, b in combinations(solution.views, 2):
        shots = [s for s in solution.shots if {a, b} <= set(problem.shots[s].detections)]
        if len(shots) < 2 * 3:
            continue
        first, second = (_pair_pose(problem, solution, (a, b), half) for half in (shots[::2], shots[1::2]))
        worst.append(_moved_mm(cam.inverse_rigid(second) @ first, _working_point(sub_scene(solution, (a,)))))
    return max(worst) if worst else float("nan")


def _pair_pose(problem: Problem, solution: Solution, pair: tuple[str, str], shots: Sequence[int]) -> F64:
    """T_b_a from these shots and no others, lenses included: errors of the lens open the loop too."""
    solved = solve_views(problem, pair, shots, sub_scene(solution, pair), joint=True)
    return np.asarray(pose_matrix(solved.scene.cameras[1]))


def _working_point(scene: Scene) -> F64:
    """The middle of all boards, `(3,)` m."""
    used = np.abs(scene.boards).sum(1) > 0
    return np.asarray(scene.boards[used, 3:].mean(0))


def _moved_mm(T: F64, point_m: F64) -> float:
    return float(1e3 * np.linalg.norm(cam.transform(T, point_m[None])[0] - point_m))


def plane_against_depth(problem: Problem, solution: Solution, view: str) -> tuple[float, float]:
    """Depth pixels against the board's plane in one view.

    Returns:
        Median distance from the plane, mm, and measured depth divided by the plane's: its median over all shots.
        NaN without depth.
    """
    v = solution.views.index(view)
    T_view_ref = pose_matrix(solution.scene.cameras[v])
    distances, ratios = [], []
    for s in solution.shots:
        depth = problem.shots[s].depth.get(view)
        if depth is None or len(depth.points_m) < _FEWEST_POINTS:
            continue
        T = T_view_ref @ pose_matrix(solution.scene.boards[s])
        normal, origin = T[:3, 2], T[:3, 3]
        along = depth.points_m @ normal
        distances.append(np.abs(along - origin @ normal))
        ratios.append(np.median(along) / (origin @ normal))
    if not distances:
        return float("nan"), float("nan")
    return float(1e3 * np.median(np.concatenate(distances))), float(np.median(ratios))


def pose_errors(found: Mapping[str, Camera], true: Mapping[str, Camera]) -> dict[str, tuple[float, float]]:
    """How far poses are from the truth of a simulated rig, relative to the first view of `found`.

    Args:
        found: view -> camera; the first is the reference.
        true: view -> camera, in any world.

    Returns:
        view -> (mm, degrees), without the reference.
    """
    reference = next(iter(found))
    out = {}
    for view in found:
        if view == reference or view not in true:
            continue
        a, b = (cam.inverse_rigid(c[reference].T_world_cam) @ c[view].T_world_cam for c in (found, true))
        out[view] = (
            float(1e3 * np.linalg.norm(a[:3, 3] - b[:3, 3])),
            float(np.rad2deg(rotation.geodesic_angle(a[:3, :3], b[:3, :3]))),
        )
    return out
