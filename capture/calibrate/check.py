"""The daily check: has a camera moved since the calibration?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from capture.calibrate import lens as optics
from capture.calibrate import refuse
from capture.calibrate.board import Board
from capture.calibrate.bundle import Scene, adjust, errors_px, pose_numbers, rms_px
from capture.calibrate.detect import detect
from capture.calibrate.problem import Problem
from capture.calibrate.result import Calibration, Options, Shot
from capture.calibrate.start import board_pose
from hoi_core import camera as cam
from hoi_core.errors import CalibrationError
from hoi_core.types import F64, U8, Camera

# One board in one image is less exact than a calibration, which is refused above 1 px.
_MOST_PX = 1.5
# A camera that was turned by 0.3 degrees moves what it sees at 1 m by so much.
_MOST_MM = 5.0


@dataclass(frozen=True)
class CheckResult:
    """Whether a calibration still holds."""

    ok: bool
    """Whether it may be used today."""
    text: str
    """What was found, in words."""
    rms_px: float
    """RMS distance over all views with one board pose, px."""
    disagreement_mm: float
    """Largest distance between where two views, each alone, see the board's corners, mm."""
    view_px: Mapping[str, float]
    """view -> RMS distance, px."""


def check_calibration(
    calibration: Calibration | Mapping[str, Camera], board: Board, images: Mapping[str, U8]
) -> CheckResult:
    """Compare one image of the board in each view with the calibration.

    Args:
        calibration: what is to be checked.
        board: what is shown.
        images: view -> `(H, W, 3)` RGB or `(H, W)`, all of one still moment.

    Raises:
        CalibrationError: the board is not seen by two calibrated views, or an image has another size.
    """
    cameras = calibration.cameras if isinstance(calibration, Calibration) else calibration
    found = {view: detect(board, image) for view, image in images.items() if view in cameras}
    seen = {view: detection for view, detection in found.items() if detection is not None}
    if len(seen) < 2:
        raise CalibrationError(
            f"expected the board in two views, found it in {', '.join(seen) or 'none'}.",
            "Hold it still where two cameras see all of it.",
        )
    shot, views = Shot(seen), tuple(seen)
    problem = Problem(board, views, (shot,), refuse.wrong_sizes([shot], cameras), cameras, Options(intrinsics="fixed"))
    lenses = np.stack([optics.to_numbers(cameras[view]) for view in views])
    poses = {view: board_pose(board, seen[view], lenses[v]) for v, view in enumerate(views)}
    corners = problem.corners(views, [0])
    in_world = {view: cameras[view].T_world_cam @ T for view, T in poses.items() if T is not None}
    T_cam_world = np.stack([cam.inverse_rigid(cameras[view].T_world_cam) for view in views])
    start = pose_numbers(next(iter(in_world.values()), np.eye(4)))
    scene = Scene(lenses, pose_numbers(T_cam_world), start[None])
    freedom = problem.freedom(views)
    only_board = replace(freedom, cameras=np.zeros_like(freedom.cameras))
    scene, _ = adjust(scene, corners, only_board, rounds=0)
    errors = errors_px(scene, corners)
    view_px = {view: rms_px(errors[corners.view == v]) for v, view in enumerate(views)}
    return _judge(rms_px(errors), _apart_mm(board, in_world), view_px)


def _apart_mm(board: Board, T_world_board: Mapping[str, F64]) -> float:
    """Largest mean distance of the outline's corners as two views see them, mm."""
    outlines = [cam.transform(T, board.outline_m) for T in T_world_board.values()]
    apart = [np.linalg.norm(a - b, axis=-1).mean() for a, b in combinations(outlines, 2)]
    return float(1e3 * max(apart, default=np.nan))


def _judge(rms: float, apart_mm: float, view_px: Mapping[str, float]) -> CheckResult:
    ok = rms <= _MOST_PX and apart_mm <= _MOST_MM
    figures = f"{rms:.2f} px RMS, the views see the board {apart_mm:.1f} mm apart"
    if ok:
        return CheckResult(True, f"The calibration holds: {figures}.", rms, apart_mm, view_px)
    text = f"The calibration no longer holds: {figures} (at most {_MOST_PX:g} px and {_MOST_MM:g} mm). Calibrate again."
    return CheckResult(False, text, rms, apart_mm, view_px)
