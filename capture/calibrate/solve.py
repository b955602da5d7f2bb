"""Calibrate a rig from shots of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import numpy as np

from capture.calibrate import judge, refuse
from capture.calibrate import lens as optics
from capture.calibrate.board import Board
from capture.calibrate.bundle import errors_px, pose_matrix
from capture.calibrate.coarse.place import CoarseView, require_images, solve_coarse
from capture.calibrate.problem import Problem, Solution, solve_start, solve_views
from capture.calibrate.result import Calibration, Figures, Options, Shot, ViewResiduals
from hoi_core import camera as cam
from hoi_core.errors import CalibrationError
from hoi_core.types import F64, Camera


def calibrate(
    board: Board,
    shots: Sequence[Shot],
    factory: Mapping[str, Camera] | None = None,
    options: Options | None = None,
) -> Calibration:
    """Calibrate all views that the shots show.

    Args:
        board: what was shown.
        shots: the board at different places, see `Collector`.
        factory: view -> camera as known before; its lens is where the solver starts and what it stays near. Views
            that find no corners but have images need one.
        options: how, and what is refused.

    Returns:
        The cameras, with the reference view's frame as world, and how good they are.

    Raises:
        CalibrationError: too few views or shots, images of the wrong size, a wrong board, views that contradict each
            other, two cameras at the same place, or figures that are too poor.
    """
    options = options or Options()
    factory = dict(factory or {})
    problem = make_problem(board, shots, factory, options)
    require_images(problem)
    start, alone = solve_start(problem)
    solution = solve_views(problem, problem.views, range(len(problem.shots)), start)
    refuse.same_place(_cameras(problem, solution))
    coarse = solve_coarse(problem, solution)
    cameras = _cameras(problem, solution) | {view: found.result.camera for view, found in coarse.items()}
    figures = _with_coarse(_figures(problem, solution, alone), cameras, coarse)
    refuse.same_place(cameras)
    refuse.poor_figures(figures, options)
    return Calibration(
        id="",
        cameras=_in_world(cameras, problem, solution),
        board=board,
        figures=figures,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        options=options,
        residuals=_residuals(problem, solution),
    )


def make_problem(board: Board, shots: Sequence[Shot], factory: Mapping[str, Camera], options: Options) -> Problem:
    """Choose the reference and check that there is enough.

    Raises:
        CalibrationError: too few views or shots, or images of the wrong size.
    """
    views = list(dict.fromkeys(view for shot in shots for view in shot.detections))
    reference = options.reference or ("left" if "left" in views else next(iter(views), ""))
    if views and reference not in views:
        raise CalibrationError(
            f"expected the board in the reference view {reference}, it is only in {', '.join(views)}.",
            "Choose another reference.",
        )
    views.sort(key=lambda view: view != reference)
    refuse.too_few(views, shots, options)
    sizes = refuse.wrong_sizes(shots, factory)
    used = tuple(shot for shot in shots if shot.detections)
    return Problem(board, tuple(views), used, sizes, factory, options)


def _cameras(problem: Problem, solution: Solution) -> dict[str, Camera]:
    T_ref_cam = cam.inverse_rigid(pose_matrix(solution.scene.cameras))
    return {
        view: optics.to_camera(solution.scene.lenses[v], problem.sizes[view], T_ref_cam[v])
        for v, view in enumerate(solution.views)
    }


def _figures(problem: Problem, solution: Solution, alone: Mapping[str, Solution]) -> Figures:
    views = solution.views
    baselines = _baselines_mm(_cameras(problem, solution))
    own = [solution.corners.view == v for v in range(len(views))]
    depth = {view: judge.plane_against_depth(problem, solution, view) for view in views}
    return Figures(
        rms_px={view: judge.solution_rms_px(alone[view]) for view in views},
        stereo_rms_px=judge.solution_rms_px(solution),
        baseline_mm=baselines[f"{views[0]}-{views[1]}"],
        holdout_px=judge.holdout_px(problem, solution),
        loop_mm=judge.loop_mm(problem, solution),
        plane_mm={view: plane for view, (plane, _) in depth.items() if np.isfinite(plane)},
        depth_scale={view: scale for view, (_, scale) in depth.items() if np.isfinite(scale)},
        shots={view: sum(view in shot.detections for shot in problem.shots) for view in views},
        corners={view: int((mask & solution.kept).sum()) for view, mask in zip(views, own, strict=True)},
        left_out={view: int((mask & ~solution.kept).sum()) for view, mask in zip(views, own, strict=True)},
        baselines_mm=baselines,
    )


def _baselines_mm(cameras: Mapping[str, Camera]) -> dict[str, float]:
    centres = {view: camera.T_world_cam[:3, 3] for view, camera in cameras.items()}
    return {f"{a}-{b}": float(1e3 * np.linalg.norm(centres[a] - centres[b])) for a, b in combinations(centres, 2)}


def _with_coarse(figures: Figures, cameras: Mapping[str, Camera], coarse: Mapping[str, CoarseView]) -> Figures:
    return replace(
        figures,
        rms_px={**figures.rms_px, **{view: found.result.rms_px for view, found in coarse.items()}},
        loop_mm=float(np.fmax(figures.loop_mm, max((found.loop_mm for found in coarse.values()), default=np.nan))),
        shots={**figures.shots, **{view: len(found.result.shots) for view, found in coarse.items()}},
        baselines_mm=_baselines_mm(cameras),
    )


def _residuals(problem: Problem, solution: Solution) -> dict[str, ViewResiduals]:
    error = -errors_px(solution.scene, solution.corners)
    out = {}
    for v, view in enumerate(solution.views):
        own = (solution.corners.view == v) & solution.kept
        names = tuple(problem.shots[s].name or str(s) for s in solution.corners.shot[own])
        out[view] = ViewResiduals(solution.corners.pixel[own], error[own], names)
    return out


def _in_world(cameras: Mapping[str, Camera], problem: Problem, solution: Solution) -> dict[str, Camera]:
    """Move the world to the board on the table, where the options name its shot."""
    wanted = problem.options.table_shot
    if not wanted:
        return dict(cameras)
    names = [shot.name for shot in problem.shots]
    if wanted not in names:
        raise CalibrationError(f"no shot is called {wanted}.", f"Name one of {', '.join(names[:3])}, ...")
    T_world_ref = _table(problem.board) @ cam.inverse_rigid(pose_matrix(solution.scene.boards[names.index(wanted)]))
    return {view: replace(camera, T_world_cam=T_world_ref @ camera.T_world_cam) for view, camera in cameras.items()}


def _table(board: Board) -> F64:
    """T_world_board of a board that lies face up: the origin in its middle, z up."""
    width, height = board.size_m
    # The board's z points into the table, as the camera that looks at it does.
    return cam.rigid(np.diag([1.0, -1.0, -1.0]), np.array([-width / 2, height / 2, 0.0]))
