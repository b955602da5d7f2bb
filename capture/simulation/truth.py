"""What really happened in a simulated recording, and what a person would have clicked in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capture.simulation.twin import HAND, VIEWS, Stage
from hoi_core import camera as cam
from hoi_core.conventions import Side
from hoi_core.scene.motion import Moments
from hoi_core.types import F64, I64, STATUSES, Bool, HandKeypoints, HandTrack, ObjectTrack, Revision

# A joint lies inside the finger: surfaces up to this much nearer than it do not hide it.
_FLESH_M = 0.022


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


def truth_revision(moments: Moments, t_ns: I64, side: Side, object_name: str) -> Revision:
    """The truth at the simulator's moments, laid out as a revision."""
    m = len(t_ns)
    accepted = np.full(m, STATUSES.index("accepted"), np.uint8)
    hand = HandTrack(
        orient=moments.orient,
        pose=moments.pose,
        betas=moments.betas,
        trans_m=moments.trans_m,
        joints_m=moments.joints_m,
        joint_cov_m2=np.zeros((m, 21, 3, 3)),
        valid=np.ones(m, bool),
        status=accepted,
        joint_source=np.zeros((m, 21), np.uint8),
    )
    body = ObjectTrack(moments.T_world_obj, np.ones(m, bool), accepted)
    return Revision(
        t_ns=t_ns,
        hands={side: hand},
        objects={object_name: body},
        keypoints={},
        frame_index={},
        author="simulator",
        comment="The true hand lies off the model's shape basis: joints_m is right, the parameters alone are not.",
        keypoint_source="none",
    )


def joint_visibility(stage: Stage, view: str, moments: Moments, i: int) -> tuple[F64, Bool]:
    """Where the joints fall in a view, and which are seen there. `-> (21, 2) px, (21,) bool`."""
    camera = stage.cameras.true[f"{view}/color"]
    local = cam.transform(camera.T_cam_world, moments.joints_m[i])
    pixels = cam.project(camera, local)
    depth_m, labels = stage.labels(view, stage.meshes(moments, i))
    inside = cam.inside(camera, pixels)
    column = np.clip(np.rint(np.nan_to_num(pixels[:, 0])), 0, camera.width - 1).astype(int)
    row = np.clip(np.rint(np.nan_to_num(pixels[:, 1])), 0, camera.height - 1).astype(int)
    surface, label = depth_m[row, column], labels[row, column]
    hidden = (surface > 0) & (surface < local[:, 2] - np.where(label == HAND, _FLESH_M, 0.006))
    return pixels, inside & ~hidden


def click(
    stage: Stage,
    moments: Mapping[str, Moments],
    frame_index: Mapping[str, I64],
    noise: ClickNoise,
    seed: int,
) -> dict[str, F64]:
    """What a person clicks in each view.

    Args:
        stage: the true scene.
        moments: view -> hand and object at the true times of its frames, one for each of M moments.
        frame_index: view -> `(M,)`; -1 where the view has no frame.
        noise: how the person clicks.
        seed: of the errors.

    Returns:
        view -> `(M, 21, 3)`: u px, v px, confidence; NaN where nothing was clicked.
    """
    out = {}
    for k, view in enumerate(VIEWS):
        rng = np.random.default_rng([seed, 7, k])
        index = frame_index[view]
        points = np.full((len(index), 21, 3), np.nan)
        error = rng.normal(0.0, 1.0, (21, 2))
        for m in range(0, len(index), noise.every):
            fresh = rng.normal(0.0, 1.0, (21, 2))
            error = noise.correlation * error + np.sqrt(1.0 - noise.correlation**2) * fresh
            if index[m] < 0:
                continue
            pixels, seen = joint_visibility(stage, view, moments[view], m)
            spread = noise.sigma_px * np.where(seen, 1.0, noise.occluded_factor)
            clicked = pixels + spread[:, None] * error
            inside = cam.inside(stage.cameras.true[f"{view}/color"], clicked)
            points[m, inside, :2] = clicked[inside]
            points[m, inside, 2] = np.where(seen, 0.95, 0.35)[inside]
        out[view] = points
    return out


def clicked_revision(
    t_ns: I64, side: Side, keypoints: dict[str, F64], frame_index: dict[str, I64], comment: str
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
        hands={side: nothing},
        objects={},
        keypoints={side: HandKeypoints(keypoints)},
        frame_index=frame_index,
        author="simulated",
        comment=comment,
        keypoint_source="clicked",
    )
