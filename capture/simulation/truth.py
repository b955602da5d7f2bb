"""What really happened in a simulated recording, and what a person would have clicked in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capture.simulation.twin import HAND, OBJECT, OTHER_HAND, VIEWS, Stage
from hoi_core import camera as cam
from hoi_core.conventions import Side
from hoi_core.scene.motion import Moments
from hoi_core.types import F64, I64, STATUSES, Bool, HandKeypoints, HandTrack, ObjectPoints, ObjectTrack, Revision

# A joint lies inside the finger: surfaces up to this much nearer than it do not hide it.
_FLESH_M = 0.022
# A vertex whose surface is drawn so near to it is seen.
_SURFACE_M = 0.003
# Where in a recording a person clicks the object (shares of its length), and how many points in each view.
_OBJECT_FRAMES = (0.05, 0.5, 0.95)
_OBJECT_CLICKS = 6


@dataclass(frozen=True)
class ClickNoise:
    """How a person clicks."""

    sigma_px: float = 2.0
    """Spread of the error of a visible joint, px in each direction."""
    correlation: float = 0.9
    """Between one clicked frame and the next: people repeat their mistakes."""
    occluded_factor: float = 2.0
    """How much worse a guess at a hidden joint is."""
    every: int = 5
    """Click every so many moments; between them there is nothing."""


OPPOSITE: Mapping[Side, Side] = {"right": "left", "left": "right"}


def truth_revision(moments: Moments, t_ns: I64, side: Side, object_name: str) -> Revision:
    """The truth at the simulator's moments, laid out as a revision; `side` takes the object."""
    m = len(t_ns)
    accepted = np.full(m, STATUSES.index("accepted"), np.uint8)
    hands = {side: moments.hand} | ({} if moments.other is None else {OPPOSITE[side]: moments.other})
    tracks = {
        which: HandTrack(
            orient=hand.orient,
            pose=hand.pose,
            betas=hand.betas,
            trans_m=hand.trans_m,
            joints_m=hand.joints_m,
            joint_cov_m2=np.zeros((m, 21, 3, 3)),
            valid=np.ones(m, bool),
            status=accepted,
            joint_source=np.zeros((m, 21), np.uint8),
        )
        for which, hand in hands.items()
    }
    body = ObjectTrack(moments.T_world_obj, np.ones(m, bool), accepted)
    return Revision(
        t_ns=t_ns,
        hands=tracks,
        objects={object_name: body},
        keypoints={},
        frame_index={},
        author="simulator",
        comment="The true hand lies off the model's shape basis: joints_m is right, the parameters alone are not.",
        keypoint_source="none",
    )


def joint_visibility(stage: Stage, view: str, moments: Moments, i: int, *, other: bool = False) -> tuple[F64, Bool]:
    """Where a hand's joints fall in a view, and which are seen there. `-> (21, 2) px, (21,) bool`.

    Args:
        stage: the true scene.
        view: whose colour image.
        moments: what it shows.
        i: which of them.
        other: the hand that does not take the object.
    """
    hand, own = (moments.other, OTHER_HAND) if other and moments.other is not None else (moments.hand, HAND)
    camera = stage.cameras.true[f"{view}/color"]
    local = cam.transform(camera.T_cam_world, hand.joints_m[i])
    pixels = cam.project(camera, local)
    depth_m, labels = stage.labels(view, stage.meshes(moments, i))
    inside = cam.inside(camera, pixels)
    column = np.clip(np.rint(np.nan_to_num(pixels[:, 0])), 0, camera.width - 1).astype(int)
    row = np.clip(np.rint(np.nan_to_num(pixels[:, 1])), 0, camera.height - 1).astype(int)
    surface, label = depth_m[row, column], labels[row, column]
    hidden = (surface > 0) & (surface < local[:, 2] - np.where(label == own, _FLESH_M, 0.006))
    return pixels, inside & ~hidden


def click(
    stage: Stage,
    moments: Mapping[str, Moments],
    frame_index: Mapping[str, I64],
    noise: ClickNoise,
    seed: int,
    *,
    other: bool = False,
) -> dict[str, F64]:
    """What a person clicks in each view.

    Args:
        stage: the true scene.
        moments: view -> hand and object at the true times of its frames, one for each of M moments.
        frame_index: view -> `(M,)`; -1 where the view has no frame.
        noise: how the person clicks.
        seed: of the errors.
        other: the hand that does not take the object.

    Returns:
        view -> `(M, 21, 3)`: u px, v px, confidence; NaN where nothing was clicked.
    """
    out = {}
    for k, view in enumerate(VIEWS):
        rng = np.random.default_rng([seed, 10 if other else 7, k])
        index = frame_index[view]
        points = np.full((len(index), 21, 3), np.nan)
        error = rng.normal(0.0, 1.0, (21, 2))
        for m in range(0, len(index), noise.every):
            fresh = rng.normal(0.0, 1.0, (21, 2))
            error = noise.correlation * error + np.sqrt(1.0 - noise.correlation**2) * fresh
            if index[m] < 0:
                continue
            pixels, seen = joint_visibility(stage, view, moments[view], m, other=other)
            spread = noise.sigma_px * np.where(seen, 1.0, noise.occluded_factor)
            clicked = pixels + spread[:, None] * error
            inside = cam.inside(stage.cameras.true[f"{view}/color"], clicked)
            points[m, inside, :2] = clicked[inside]
            points[m, inside, 2] = np.where(seen, 0.95, 0.35)[inside]
        out[view] = points
    return out


def click_object(
    stage: Stage,
    moments: Mapping[str, Moments],
    frame_index: Mapping[str, I64],
    noise: ClickNoise,
    seed: int,
) -> ObjectPoints:
    """Points of the object's mesh that a person clicks in a few frames of each view: six that are seen, far apart.

    Args:
        stage: the true scene.
        moments: view -> hand and object at the true times of its frames, one for each of M moments.
        frame_index: view -> `(M,)`; -1 where the view has no frame.
        noise: how the person clicks; errors of different points have nothing to do with each other.
        seed: of the errors.
    """
    vertices_m = stage.cast.play.model.shape.vertices_m
    rows: list[tuple[int, str, F64, F64]] = []
    for k, view in enumerate(VIEWS):
        rng = np.random.default_rng([seed, 8, k])
        there = np.flatnonzero(frame_index[view] >= 0)
        for m in there[np.rint(np.array(_OBJECT_FRAMES) * (len(there) - 1)).astype(int)] if len(there) else ():
            pixels, seen = _object_visibility(stage, view, moments[view], int(m))
            for vertex in _far_apart(vertices_m, np.flatnonzero(seen), _OBJECT_CLICKS):
                clicked = pixels[vertex] + rng.normal(0.0, noise.sigma_px, 2)
                if cam.inside(stage.cameras.true[f"{view}/color"], clicked[None])[0]:
                    rows.append((int(m), view, clicked, vertices_m[vertex]))
    return ObjectPoints(
        moment=np.array([row[0] for row in rows], np.int64),
        view=tuple(row[1] for row in rows),
        point_px=np.array([row[2] for row in rows]).reshape(-1, 2),
        point_m=np.array([row[3] for row in rows]).reshape(-1, 3),
    )


def _object_visibility(stage: Stage, view: str, moments: Moments, i: int) -> tuple[F64, Bool]:
    """Where the vertices of the object's mesh fall in a view, and which are seen. `-> (V, 2) px, (V,) bool`."""
    camera = stage.cameras.true[f"{view}/color"]
    world = cam.transform(moments.T_world_obj[i], stage.cast.play.model.shape.vertices_m)
    local = cam.transform(camera.T_cam_world, world)
    pixels = cam.project(camera, local)
    depth_m, labels = stage.labels(view, stage.meshes(moments, i))
    inside = cam.inside(camera, pixels)
    column = np.clip(np.rint(np.nan_to_num(pixels[:, 0])), 0, camera.width - 1).astype(int)
    row = np.clip(np.rint(np.nan_to_num(pixels[:, 1])), 0, camera.height - 1).astype(int)
    near = np.abs(depth_m[row, column] - local[:, 2]) < _SURFACE_M
    return pixels, inside & near & (labels[row, column] == OBJECT)


def _far_apart(points_m: F64, candidates: I64, count: int) -> list[int]:
    """Of the candidates those that are farthest from each other, the first one farthest from their middle."""
    if not len(candidates):
        return []
    points = points_m[candidates]
    far = np.linalg.norm(points - points.mean(0), axis=1)
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        chosen.append(int(np.argmax(far)))
        away = np.linalg.norm(points - points[chosen[-1]], axis=1)
        far = away if len(chosen) == 1 else np.minimum(far, away)
    return [int(candidates[i]) for i in chosen]


def clicked_revision(
    t_ns: I64,
    keypoints: Mapping[Side, Mapping[str, F64]],
    frame_index: dict[str, I64],
    comment: str,
    object_points: Mapping[str, ObjectPoints] | None = None,
) -> Revision:
    """Revision r000: clicks and nothing else."""
    m = len(t_ns)
    nothing = HandTrack(
        orient=np.full((m, 3), np.nan),
        pose=np.full((m, 45), np.nan),
        betas=np.zeros(10),
        trans_m=np.full((m, 3), np.nan),
        joints_m=np.full((m, 21, 3), np.nan),
        joint_cov_m2=np.full((m, 21, 3, 3), np.nan),
        valid=np.zeros(m, bool),
        status=np.zeros(m, np.uint8),
        joint_source=np.zeros((m, 21), np.uint8),
    )
    return Revision(
        t_ns=t_ns,
        hands=dict.fromkeys(keypoints, nothing),
        objects={},
        keypoints={side: HandKeypoints(by_view) for side, by_view in keypoints.items()},
        frame_index=frame_index,
        object_points=object_points or {},
        author="simulated",
        comment=comment,
        keypoint_source="clicked",
    )
