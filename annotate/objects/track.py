"""One object through a sequence: first poses, following by depth, the whole track at once, and what has no label."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from annotate.evidence import undistorted_px, without_distortion
from annotate.hand import HandState
from annotate.medians import of_moments
from annotate.objects import trajectory
from annotate.objects.depth_points import ObjectCloud, PointReader, PointsConfig, joined
from annotate.objects.first_pose import place
from annotate.objects.follow import follow, palm_poses
from annotate.objects.mesh import SolidMesh
from annotate.objects.settle import Clicks, Problem, SettleConfig, Settled, settle
from annotate.objects.solid import Solid
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.conventions import Side
from hoi_core.errors import FitError
from hoi_core.sequence import Capture
from hoi_core.types import F32, F64, I64, PROBLEMS, STATUSES, U8, Bool, ObjectPoints, ObjectTrack

log = logging.getLogger(__name__)
_NS = 1e-9
_SUPPORT = 30
_TOUCHING_M = 0.006
_FEWEST_TOUCHING = 5
_LONGEST_GAP_S = 0.5
_DISAGREE_M = 0.006


@dataclass(frozen=True)
class TrackConfig:
    """How an object is tracked."""

    points: PointsConfig = field(default_factory=PointsConfig)
    """Choice of depth points."""
    settle: SettleConfig = field(default_factory=SettleConfig)
    """Strictness of the terms."""


@dataclass(frozen=True)
class Scene:
    """What is known besides the object itself."""

    capture: Capture
    """The open recording."""
    hands: Mapping[Side, HandState]
    """The hands over its moments; their depth points are not the object's."""
    corrections: Mapping[str, F64] = field(default_factory=dict)
    """view -> (8,) as in `Revision.corrections`; views without one are taken as they are calibrated."""

    def correction(self, view: str) -> F64:
        """`(8,)` of a view."""
        return np.asarray(self.corrections.get(view, np.zeros(8)), dtype=np.float64)


@dataclass(frozen=True)
class Start:
    """What the track of an object begins with."""

    mesh: SolidMesh
    """Its surface."""
    points: ObjectPoints
    """Clicks."""
    poses: Mapping[int, F64]
    """Moment -> `(4, 4)` m, object to world."""


@dataclass(frozen=True)
class ObjectFit:
    """An object over the moments of a sequence."""

    track: ObjectTrack
    """Its poses."""
    solid: Solid
    """The same with its mesh, also where the track is not valid."""
    residual_m: F64
    """(M,) m median distance of its depth points from its surface; NaN without any."""
    covariance: F64
    """(M, 6, 6) of shift (m, world) and turn (rad, object)."""
    problems: U8
    """(M,) index into `PROBLEMS`: why a moment has no label."""
    iterations: int
    """Steps over the whole sequence."""


def track_object(
    scene: Scene,
    start: Start,
    before: ObjectTrack | None = None,
    config: TrackConfig | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> ObjectFit:
    """Find an object at every moment.

    Args:
        scene: recording, hands, corrections.
        start: mesh, clicks and first poses.
        before: its track so far: poses that a person edited or accepted stay bit for bit.
        config: how.
        on_progress: told (share done, what is being done).
    """
    mesh, points = start.mesh, start.points
    config = config or TrackConfig()
    tell = on_progress or _quiet
    held = np.zeros(len(scene.capture.sync), dtype=bool) if before is None else settled(before)
    readers = [
        PointReader(scene.capture, view, scene.correction(view), config.points)
        for view in scene.capture.views
        if f"{view}/depth" in scene.capture.streams
    ]
    found = follow(
        mesh, start.poses, readers, scene.hands, len(held), lambda i, n: tell(0.8 * i / n, f"following {mesh.name}")
    )
    clouds = [joined([rows.get(v, _nothing()) for rows in found.points], r) for v, r in enumerate(readers)]
    tell(0.8, f"fitting {mesh.name}")
    body = trajectory.from_poses(_with(found.T_world_obj, before, held), mesh.centre_m)
    problem = _problem(scene, mesh, points, clouds, body, held)
    result = settle(problem, body, config.settle)
    tell(1.0, f"{mesh.name} done")
    return _fit(problem, result, before, _in_some_image(scene.capture, result.body.s_m))


def _in_some_image(capture: Capture, points_m: F64) -> Bool:
    """(M,) whether any view's image holds a point. `(M, 3)` m."""
    found = np.zeros(len(points_m), dtype=bool)
    for view in capture.views.values():
        camera = view.camera
        found |= cameras.inside(camera, cameras.project(camera, cameras.transform(camera.T_cam_world, points_m)))
    return found


def _quiet(share: float, what: str) -> None:
    """Progress that nobody asked for."""


def _nothing() -> tuple[F64, F64]:
    return np.zeros((0, 3)), np.zeros(0)


def settled(track: ObjectTrack) -> Bool:
    """(M,) poses that a person edited or accepted."""
    return np.asarray(np.isin(track.status, [STATUSES.index("edited"), STATUSES.index("accepted")]) & track.valid)


def _with(T_world_obj: F64, before: ObjectTrack | None, held: Bool) -> F64:
    return T_world_obj if before is None else np.where(held[:, None, None], before.T_world_obj, T_world_obj)


def first_poses(
    capture: Capture, mesh: SolidMesh, points: ObjectPoints, before: ObjectTrack | None = None
) -> dict[int, F64]:
    """Moment -> `(4, 4)` pose, from clicks and from what a person settled.

    Args:
        capture: the open recording.
        mesh: of the object.
        points: clicks, of one moment at least unless `before` has poses that a person settled.
        before: its track so far.

    Raises:
        FitError: no pose to start from.
    """
    starts: dict[int, F64] = {}
    failure: FitError | None = None
    for m in np.unique(points.moment):
        try:
            starts[int(m)] = _placed(capture, mesh, of_moment(points, int(m)), int(m))
        except FitError as error:
            failure = error
            log.warning("moment %d: %s", m, error)
    if before is not None:
        starts |= {int(m): before.T_world_obj[m] for m in np.flatnonzero(settled(before))}
    if starts:
        return starts
    raise failure or FitError(
        f"object {mesh.name} has no clicked points and no pose to start from.",
        "Click at least three points of it in one frame, in the window of `hoi-annotate`.",
    )


def of_moment(points: ObjectPoints, moment: int) -> ObjectPoints:
    """The clicks of one moment."""
    rows = np.flatnonzero(points.moment == moment)
    view = tuple(points.view[k] for k in rows)
    return ObjectPoints(points.moment[rows], view, points.point_px[rows], points.point_m[rows])


def _placed(capture: Capture, mesh: SolidMesh, points: ObjectPoints, moment: int) -> F64:
    depth: dict[str, F32] = {}
    for name, view in capture.views.items():
        if f"{name}/depth" in capture.streams:
            frame = int(capture.sync.index[f"{name}/depth"][moment])
            if frame >= 0:
                depth[name] = view.depth_in_color_m(frame)
    views = {name: view.camera for name, view in capture.views.items()}
    return place(mesh, views, points, depth)


def _problem(
    scene: Scene,
    mesh: SolidMesh,
    points: ObjectPoints,
    clouds: list[ObjectCloud],
    start: trajectory.Trajectory,
    held: Bool,
) -> Problem:
    t_ns = scene.capture.sync.t_ns
    solid = Solid(mesh, start.poses(mesh.centre_m))
    palms: dict[str, tuple[F64, Bool]] = {}
    for side, hand in scene.hands.items():
        moment, point = solid.reached(hand.vertices_m, _TOUCHING_M)
        distance, _ = solid.distance_m(hand.vertices_m[moment, point], moment)
        touches = np.bincount(moment[distance < _TOUCHING_M], minlength=len(t_ns))
        touching = touches >= _FEWEST_TOUCHING
        palms[side] = palm_poses(hand), touching
    return Problem(mesh, (t_ns - t_ns[0]) * _NS, clouds, _clicks(scene, mesh, points), palms, held)


def _clicks(scene: Scene, mesh: SolidMesh, points: ObjectPoints) -> Clicks:
    views = scene.capture.views
    rows = [k for k, view in enumerate(points.view) if view in views and np.isfinite(points.point_px[k]).all()]
    T, focal, xy, lag = np.zeros((len(rows), 4, 4)), np.zeros(len(rows)), np.zeros((len(rows), 2)), np.zeros(len(rows))
    for i, k in enumerate(rows):
        view = points.view[k]
        camera = views[view].camera
        T[i] = _corrected_pose(camera.T_world_cam, scene.correction(view))
        focal[i] = 0.5 * (camera.fx + camera.fy)
        xy[i] = cameras.rays(without_distortion(camera), undistorted_px(camera, points.point_px[k][None]))[0, :2]
        stream = f"{view}/color"
        if scene.capture.sync.index[stream][points.moment[k]] >= 0:
            lag[i] = scene.capture.sync.skew_ns[stream][points.moment[k]] * _NS + scene.correction(view)[0]
    return Clicks(points.moment[rows], points.point_m[rows] - mesh.centre_m, T, focal, xy, lag)


def _corrected_pose(T_world_cam: F64, correction: F64) -> F64:
    """`T_cam_world` of a camera that meets points where the correction says. `(4, 4), (8,)`."""
    eye = T_world_cam[:3, 3]
    turn = rotation.exp_so3(correction[1:4])
    moved = cameras.rigid(turn, eye - turn @ eye + correction[4:7])
    return np.asarray(cameras.inverse_rigid(T_world_cam) @ moved, dtype=np.float64)


def _fit(problem: Problem, result: Settled, before: ObjectTrack | None, in_image: Bool) -> ObjectFit:
    mesh, held = problem.mesh, problem.held
    T = _with(result.body.poses(mesh.centre_m), before, held)
    residual, support = _residual(problem, result)
    problems = np.where(held, 0, _problems(problem, result, residual, support, in_image)).astype(np.uint8)
    valid = problems == 0
    status = np.where(valid, STATUSES.index("auto"), STATUSES.index("none")).astype(np.uint8)
    if before is not None:
        status[held] = before.status[held]
    return ObjectFit(
        track=ObjectTrack(np.where(valid[:, None, None], T, np.nan), valid, status),
        solid=Solid(mesh, T),
        residual_m=residual,
        covariance=trajectory.covariance(result.equations),
        problems=problems,
        iterations=result.iterations,
    )


def _residual(problem: Problem, result: Settled) -> tuple[F64, I64]:
    """(M,) m median distance of the points, and how many there are."""
    moments, distances = [np.zeros(0, np.int64)], [np.zeros(0)]
    for cloud, away in zip(problem.clouds, result.away_m, strict=True):
        moment = np.repeat(np.arange(len(problem.t_s)), np.diff(cloud.start))
        known = np.isfinite(away)
        moments.append(moment[known])
        distances.append(np.abs(away[known]))
    return of_moments(len(problem.t_s), np.concatenate(moments), np.concatenate(distances))


def _problems(problem: Problem, result: Settled, residual_m: F64, support: I64, in_image: Bool) -> U8:
    """(M,) index into `PROBLEMS`."""
    codes = np.zeros(len(support), dtype=np.uint8)
    known = support >= _SUPPORT
    known[problem.clicks.moment] = True
    known |= problem.held
    gap_s = np.full(len(known), np.inf)
    if known.any():
        gap_s = np.abs(problem.t_s[:, None] - problem.t_s[known]).min(1)
    far = gap_s > _LONGEST_GAP_S
    codes[far] = PROBLEMS.index("no evidence")
    codes[far & ~in_image] = PROBLEMS.index("out of view")
    with np.errstate(invalid="ignore"):
        codes[residual_m > _DISAGREE_M] = PROBLEMS.index("no agreement")
    codes[~np.isfinite(result.body.s_m).all(-1)] = PROBLEMS.index("not converged")
    return codes
