"""Add coarse sensors to a solved rig, and say how well each half of the images agrees with the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capture.calibrate.bundle import pose_matrix
from capture.calibrate.coarse.align import CoarseResult, align
from capture.calibrate.problem import Problem, Solution
from hoi_core import camera as cam
from hoi_core.errors import CalibrationError
from hoi_core.types import F64, U8, Camera

# Its pose and lens have 16 numbers, and each half of the images must still find them.
_FEWEST = 6


@dataclass(frozen=True)
class CoarseView:
    """A coarse sensor among the cameras."""

    result: CoarseResult
    """Its camera in the reference's frame."""
    loop_mm: float
    """How far the middle of the boards moves between the poses from one half of its images and the other, mm."""


def require_images(problem: Problem) -> None:
    """Refuse what the coarse sensors of the shots lack, before anything is solved.

    Raises:
        CalibrationError: no factory lens, images of the wrong size, or too few.
    """
    for view in _views(problem):
        factory = problem.factory.get(view)
        if factory is None:
            raise CalibrationError(
                f"expected the lens of {view}, whose pixels are too coarse to calibrate it from nothing.",
                "Give its focal length and size in the rig file.",
            )
        images = [shot.images[view] for shot in problem.shots if view in shot.images]
        _check_size(view, images, factory)
        _check_count(view, images, problem.options.min_shots)


def solve_coarse(problem: Problem, solution: Solution) -> dict[str, CoarseView]:
    """Place all coarse sensors of the shots, for which `require_images` holds.

    Raises:
        CalibrationError: the boards are not found in their images.
    """
    return {view: _place(problem, solution, view) for view in _views(problem)}


def _views(problem: Problem) -> list[str]:
    named = dict.fromkeys(view for shot in problem.shots for view in shot.images)
    return [view for view in named if view not in problem.views]


def _place(problem: Problem, solution: Solution, view: str) -> CoarseView:
    factory = problem.factory[view]
    used = [s for s in solution.shots if view in problem.shots[s].images and np.abs(solution.scene.boards[s]).sum() > 0]
    images = [problem.shots[s].images[view] for s in used]
    _check_count(view, images, problem.options.min_shots)
    T_ref_board = pose_matrix(solution.scene.boards[used])
    fixed = problem.options.intrinsics == "fixed"
    whole = align(problem.board, images, T_ref_board, factory, fixed_lens=fixed)
    start = cam.inverse_rigid(whole.camera.T_world_cam)
    halves = []
    for half in (whole.shots[::2], whole.shots[1::2]):
        chosen = list(half)
        part = align(problem.board, [images[s] for s in chosen], T_ref_board[chosen], factory, start, fixed_lens=fixed)
        halves.append(part.camera.T_world_cam)
    middle = T_ref_board[:, :3, 3].mean(0)
    there = cam.transform(cam.inverse_rigid(halves[0]), middle[None])
    back: F64 = cam.transform(halves[1], there)[0]
    return CoarseView(whole, float(1e3 * np.linalg.norm(back - middle)))


def _check_size(view: str, images: Sequence[U8], factory: Camera) -> None:
    size = (factory.height, factory.width)
    for image in images:
        if image.shape != size:
            raise CalibrationError(
                f"expected images of {view} to have {size[1]}x{size[0]} px, got {image.shape[1]}x{image.shape[0]}.",
                "Use images as the sensor delivers them.",
            )


def _check_count(view: str, images: Sequence[U8], fewest: int) -> None:
    if len(images) < max(_FEWEST, fewest):
        raise CalibrationError(
            f"expected at least {max(_FEWEST, fewest)} images of {view} with the board, got {len(images)}.",
            "Take more, with the board wholly in its image.",
        )
