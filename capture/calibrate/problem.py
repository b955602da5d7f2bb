"""From shots to a bundle adjustment and back: who sees what, what may change, where to start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capture.calibrate import lens as optics
from capture.calibrate.board import Board
from capture.calibrate.bundle import Corners, Freedom, Scene, adjust, pose_matrix, pose_numbers, without_lenses
from capture.calibrate.result import Options, Shot
from capture.calibrate.start import board_pose, first_lens, place
from hoi_core.types import F64, Bool, Camera

# A corner nearer to its prediction than this share of the image's longer side is not an outlier.
_NEAREST_SHARE = 1 / 320


@dataclass(frozen=True)
class Problem:
    """Views that find corners, and the shots that they found them in."""

    board: Board
    """What is shown."""
    views: tuple[str, ...]
    """The reference first."""
    shots: tuple[Shot, ...]
    """S shots."""
    sizes: Mapping[str, tuple[int, int]]
    """view -> width and height, px."""
    factory: Mapping[str, Camera]
    """view -> camera as known before."""
    options: Options
    """What may change."""

    @property
    def joint(self) -> bool:
        """Whether all views together decide about the lenses."""
        known = all(view in self.factory for view in self.views)
        return self.options.intrinsics == "joint" or (self.options.intrinsics == "auto" and known)

    def corners(self, views: Sequence[str], shots: Sequence[int]) -> Corners:
        """All corners of some views in some shots; `Corners.view` counts in `views`, `Corners.shot` in all shots."""
        parts = [
            (v, s, self.shots[s].detections[view])
            for v, view in enumerate(views)
            for s in shots
            if view in self.shots[s].detections
        ]
        if not parts:
            nothing = np.zeros(0, dtype=np.int64)
            return Corners(nothing, nothing, np.zeros((0, 3)), np.zeros((0, 2)))
        return Corners(
            np.concatenate([np.full(len(d.ids), v) for v, _, d in parts]),
            np.concatenate([np.full(len(d.ids), s) for _, s, d in parts]),
            np.concatenate([self.board.corners_m[d.ids] for _, _, d in parts]),
            np.concatenate([d.corners_px for _, _, d in parts]),
        )

    def freedom(self, views: Sequence[str]) -> Freedom:
        """Lenses as the options say, the first view's pose kept, all boards free."""
        free = optics.freedom(tangential=self.options.free_tangential, k3=self.options.free_k3)
        prior = np.zeros((len(views), optics.COUNT))
        sigma = np.full((len(views), optics.COUNT), np.inf)
        for v, view in enumerate(views):
            if view in self.factory:
                prior[v] = optics.to_numbers(self.factory[view])
                sigma[v] = optics.factory_sigma(prior[v], self.sizes[view])
        fixed = np.array([self.options.intrinsics == "fixed" and view in self.factory for view in views])
        cameras = np.arange(len(views)) > 0
        return Freedom(free & ~fixed[:, None], cameras, np.ones(len(self.shots), dtype=bool), prior, sigma)


@dataclass(frozen=True)
class Solution:
    """A solved rig or a part of it."""

    views: tuple[str, ...]
    """As in `Scene`; the first is the reference."""
    scene: Scene
    """What was found."""
    corners: Corners
    """All corners of these views and shots."""
    kept: Bool
    """(N,) which were used."""
    shots: tuple[int, ...]
    """Shots that were used."""


def solve_start(problem: Problem) -> tuple[Scene, dict[str, Solution]]:
    """Each view for itself, then chained.

    Returns:
        The scene to start from, and each view's own solution.

    Raises:
        CalibrationError: a lens cannot be solved for, or a view is linked to no other.
    """
    alone: dict[str, Solution] = {}
    poses: list[dict[int, F64]] = []
    for view in problem.views:
        detections = {s: shot.detections[view] for s, shot in enumerate(problem.shots) if view in shot.detections}
        lens = first_lens(problem.board, list(detections.values()), problem.factory.get(view))
        alone[view] = _solve_alone(problem, view, lens)
        lens = alone[view].scene.lenses[0]
        found = {s: board_pose(problem.board, d, lens) for s, d in detections.items()}
        poses.append({s: pose for s, pose in found.items() if pose is not None})
    lenses = np.stack([alone[view].scene.lenses[0] for view in problem.views])
    scene = place(poses, lenses, len(problem.shots), problem.options.min_shared)
    return scene, alone


def _solve_alone(problem: Problem, view: str, lens: F64) -> Solution:
    boards = np.zeros((len(problem.shots), 6))
    seen = []
    for s, shot in enumerate(problem.shots):
        pose = board_pose(problem.board, shot.detections[view], lens) if view in shot.detections else None
        if pose is not None:
            boards[s] = pose_numbers(pose)
            seen.append(s)
    return solve_views(problem, (view,), seen, Scene(lens[None], np.zeros((1, 6)), boards))


def solve_views(
    problem: Problem, views: tuple[str, ...], shots: Sequence[int], start: Scene, *, joint: bool | None = None
) -> Solution:
    """Solve some views from some shots.

    Args:
        problem: what is seen.
        views: the first is the reference.
        shots: shots to use.
        start: of these views, and of all shots.
        joint: whether all views together decide about the lenses; None: as the options say.
    """
    corners = problem.corners(views, shots)
    freedom = problem.freedom(views)
    used = np.isin(np.arange(len(problem.shots)), corners.shot)
    freedom = replace(freedom, boards=freedom.boards & used)
    if len(views) > 1 and not (problem.joint if joint is None else joint):
        lenses = [_lens_alone(problem, start, v, view, shots) for v, view in enumerate(views)]
        start, freedom = replace(start, lenses=np.stack(lenses)), without_lenses(freedom)
    nearest = np.array([max(problem.sizes[view]) * _NEAREST_SHARE for view in views])
    scene, kept = adjust(start, corners, freedom, problem.options.outlier_rounds, nearest)
    return Solution(views, scene, corners, kept, tuple(shots))


def _lens_alone(problem: Problem, start: Scene, v: int, view: str, shots: Sequence[int]) -> F64:
    T_cam_ref = pose_matrix(start.cameras[v])
    boards = pose_numbers(T_cam_ref @ pose_matrix(start.boards))
    alone = solve_views(problem, (view,), shots, Scene(start.lenses[v : v + 1], np.zeros((1, 6)), boards))
    return np.asarray(alone.scene.lenses[0])


def sub_scene(solution: Solution, views: Sequence[str]) -> Scene:
    """The part of a solution with other views, the first of them the new reference."""
    index = [solution.views.index(view) for view in views]
    T_cam_ref = pose_matrix(solution.scene.cameras)
    T_first_ref = T_cam_ref[index[0]]
    cameras = pose_numbers(T_cam_ref[index] @ np.linalg.inv(T_first_ref))
    boards = pose_numbers(T_first_ref @ pose_matrix(solution.scene.boards))
    return Scene(solution.scene.lenses[index], cameras, boards)
