"""A first guess of hand and object in one frame, from a network that sees both: new labels that nobody settled yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annotate import grasps
from annotate.carried import settled
from annotate.document import edits, object_edits
from annotate.document.residuals import refreshed, touched
from annotate.document.words import named
from annotate.grasps import FEWEST_JOINTS, Picture
from annotate.objects.mesh import load_mesh
from annotate.triangulate import triangulate_frame
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.conventions import Side
from hoi_core.crop import box_of
from hoi_core.errors import ConfigError, HoiError
from hoi_core.held import about_hand
from hoi_core.ik.fit import OF_NETWORK, Fitted, Targets, fit
from hoi_core.ik.hand import ik_hand, spread_vertices
from hoi_core.mano import ManoLayer
from hoi_core.types import F32, F64, JOINT_SOURCES, STATUSES, Bool, HandTrack, Revision

if TYPE_CHECKING:
    from annotate.session import AnnotationSession
    from hoi_core.grasp_model import GraspModel

_NEAR = 15
"""Frames around in which a hand that is known says where it is."""


@dataclass(frozen=True)
class Guessed:
    """What became of a guess."""

    revision: Revision
    """The labels with it; those of before where nothing was believed."""
    told: str
    """What was guessed and what was not, for people."""
    text: str
    """What the step is called."""


class Guesser:
    """Asks a network for hand and object of a frame.

    Args:
        path: exported file of a network of hands with objects; read when it is first asked.
        root: the dataset, which holds the meshes.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root

    @cached_property
    def model(self) -> GraspModel:
        """The network.

        Raises:
            AssetError: missing, damaged, of hands alone, or trained with another hand model.
            ConfigError: trained on objects alone.
        """
        return grasps.open_model(self._path)

    def guess(self, session: AnnotationSession, side: Side, frame: int, name: str) -> Guessed:
        """Guess the hand and the object of a frame; changes nothing itself.

        A frame that a person settled stays. The guess is an automatic label: it holds no fit until somebody accepts or
        corrects it.

        Args:
            session: the labels.
            side: which hand.
            frame: index of the frame.
            name: the object; empty for the hand alone.

        Raises:
            ConfigError: nothing says where the hand is, or everything in the frame is settled.
        """
        pictures = _pictures(session, side, frame)
        if not pictures:
            raise ConfigError(
                f"nothing says where the {side} hand is near frame {frame}.",
                f"Click six joints of it in one view of frame {frame} first.",
            )
        now = session.revision
        hand, words_of_hand = self._hand(session, now, pictures, frame)
        both, about_object = self._object(session, hand, pictures, frame, name)
        if both is not now:
            views = {view: session.camera(view) for view in session.views}
            both = refreshed(both, views, touched(now, both))
        return Guessed(both, f"{words_of_hand} {about_object}".strip(), f"Guess {named([frame])}")

    def _hand(
        self, session: AnnotationSession, now: Revision, pictures: list[Picture], frame: int
    ) -> tuple[Revision, str]:
        side = pictures[0].side
        track = now.hands.get(side) or edits.empty_hand(session.n_frames)
        if settled(track, session.n_frames)[frame]:
            return now, f"The {side} hand is settled, and stays."
        found = _seen_hand(self.model, pictures)
        if found is None:
            return now, "The network sees no hand."
        layer = ManoLayer.from_env(side)
        shape = track.betas if track.valid.any() else None
        return put_hand(now, side, frame, _parameters(layer, *found, shape), layer), f"The {side} hand is a guess."

    def _object(
        self, session: AnnotationSession, now: Revision, pictures: list[Picture], frame: int, name: str
    ) -> tuple[Revision, str]:
        if not name:
            return now, ""
        track = now.objects.get(name) or object_edits.empty_object(session.n_frames)
        if settled(track, session.n_frames)[frame]:
            return now, f"{name} is settled, and stays."
        try:
            depth_m = _depth(session, frame)
            views = {view: session.camera(view) for view in session.views}
            found = grasps.guess_object(self.model, load_mesh(self._root, name), pictures, depth_m, views)
        except HoiError as error:
            return now, f"No guess of {name}: {error}"
        if found is None:
            return now, f"The network is not sure of {name}: mark points of it (U) and place it."
        if depth_m and not found.believed:
            return now, f"Depth does not show {name} where the network sees it: mark points of it (U) and place it."
        checked = f"{found.agreement:.0%} of it lies on depth" if depth_m else "without depth nothing checks it"
        return put_object(now, name, frame, found.T_world_obj), f"{name} is a guess, {checked}."


def _depth(session: AnnotationSession, frame: int) -> dict[str, F32]:
    found = {view: session.depth_m(view, frame) for view in session.views}
    return {view: image for view, image in found.items() if image is not None}


def _pictures(session: AnnotationSession, side: Side, frame: int) -> list[Picture]:
    """The views whose hand is somewhere: by joints that are known at the frame, else by the nearest label."""
    out = []
    for view in session.views:
        rgb, camera = session.image(view, frame), session.camera(view)
        px = _joints_px(session.revision, side, view, camera, frame)
        if rgb is not None and px is not None:
            out.append(Picture(view, rgb, camera, side, box_of(px)))
    return out


def _joints_px(revision: Revision, side: Side, view: str, camera: cameras.Camera, frame: int) -> F64 | None:
    points, track = revision.keypoints.get(side), revision.hands.get(side)
    near = sorted(
        range(max(frame - _NEAR, 0), min(frame + _NEAR + 1, len(revision.t_ns))), key=lambda m: abs(m - frame)
    )
    held = None if points is None else points.by_view.get(view)
    for m in near:
        if held is not None and (known := np.isfinite(held[m, :, :2]).all(-1)).sum() >= FEWEST_JOINTS:
            return np.asarray(held[m, known, :2])
        if track is not None and track.valid[m]:
            px = cameras.project(camera, cameras.transform(camera.T_cam_world, track.joints_m[m]))
            if cameras.inside(camera, px).sum() >= FEWEST_JOINTS:
                return np.asarray(px)
    return None


def _seen_hand(model: GraspModel, pictures: list[Picture]) -> tuple[F64, F64] | None:
    """Joints `(21, 3)` and vertices `(778, 3)` m in the world: the surest view's, laid onto what all views see."""
    said = [model.predict(p.rgb, p.camera, p.hand, about_hand(p.hand), side=p.side).hand for p in pictures]
    known = [(p, hand) for p, hand in zip(pictures, said, strict=True) if np.isfinite(hand.joints_m).all()]
    if not known:
        return None
    best, hand = max(known, key=lambda each: float(each[1].confidence.mean()))
    joints = cameras.transform(best.camera.T_world_cam, hand.joints_m)
    vertices = cameras.transform(best.camera.T_world_cam, np.asarray(hand.vertices_m))
    seen = np.stack([np.concatenate([h.joints_px, h.confidence[:, None]], 1) for _, h in known])
    met = triangulate_frame([p.camera for p, _ in known], seen) if len(known) > 1 else np.full((21, 3), np.nan)
    there: Bool = np.asarray(np.isfinite(met).all(-1))
    if there.sum() < FEWEST_JOINTS:
        return joints, vertices
    R, t = rotation.kabsch(joints[there][None], met[there][None], np.ones((1, int(there.sum()))))
    return joints @ R[0].T + t[0], vertices @ R[0].T + t[0]


def _parameters(layer: ManoLayer, joints_m: F64, vertices_m: F64, shape: F64 | None) -> Fitted:
    """The hand model's parameters of a hand, of a known shape where the labels have one."""
    hand = ik_hand(layer, vertices=spread_vertices(layer))
    targets = Targets(joints_m[None], vertices_m[None])
    config = OF_NETWORK if shape is None else replace(OF_NETWORK, shape="known")
    return fit(hand, targets, shape, config)


def put_hand(revision: Revision, side: Side, frame: int, found: Fitted, layer: ManoLayer) -> Revision:
    """Labels with an automatic one of a hand at a frame.

    Args:
        revision: the labels; where they have the hand already, its shape is that of `found`.
        side: which hand.
        frame: index of the frame.
        found: one hand.
        layer: the hand model.
    """
    track = revision.hands.get(side) or edits.empty_hand(len(revision.t_ns))
    row: Mapping[str, object] = {
        "orient": found.orient[0],
        "pose": found.pose(layer)[0],
        "trans_m": found.trans_m[0],
        "joints_m": found.posed(layer).joints_m[0],
        "joint_cov_m2": np.nan,
        "valid": True,
        "status": STATUSES.index("auto"),
        "joint_source": JOINT_SOURCES.index("detected"),
    }
    arrays = {field.name: getattr(track, field.name).copy() for field in fields(HandTrack)}
    for key, value in row.items():
        arrays[key][frame] = value
    arrays["betas"] = found.betas[0].copy()
    problems = dict(revision.problems)
    if side in problems:
        problems[side] = problems[side].copy()
        problems[side][frame] = 0
    return replace(revision, hands={**revision.hands, side: HandTrack(**arrays)}, problems=problems)


def put_object(revision: Revision, name: str, frame: int, T_world_obj: F64) -> Revision:
    """Labels with an automatic one of an object at a frame."""
    out = object_edits.set_object_pose(revision, name, frame, T_world_obj)
    status = out.objects[name].status.copy()
    status[frame] = STATUSES.index("auto")
    return replace(out, objects={**out.objects, name: replace(out.objects[name], status=status)})
