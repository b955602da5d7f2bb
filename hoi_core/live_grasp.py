"""Hands and the objects that they hold, in a stream of images: what a network says of both. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from hoi_core.conventions import Side
from hoi_core.crop import Box
from hoi_core.errors import AssetError, ConfigError
from hoi_core.grasp_model import Grasp, GraspModel
from hoi_core.held import HeldObject, ObjectWatch
from hoi_core.known_object import control_points
from hoi_core.live import Reading
from hoi_core.object_pose_model import ObjectPoseModel
from hoi_core.runtime import Engine, load, read_sidecar
from hoi_core.types import F64, U8, Camera

NO_OBJECT = "none"
"""The name that says that hands hold nothing."""
_SAME_M = 0.003
"""Boxes of one object that differ by more are of two."""


class GraspReader:
    """Reads hands, and the object that each holds where the watch says one is."""

    least_confidence: ClassVar[float] = 0.02
    """Peaks of maps of joints are low even where they are right."""
    in_space: ClassVar[bool] = True

    def __init__(self, model: GraspModel, watch: ObjectWatch | None) -> None:
        """Take a model.

        Args:
            model: it.
            watch: says where objects are; None for hands alone.

        Raises:
            AssetError: its hand is another one than the user's.
            ConfigError: it was trained on objects alone.
        """
        learnt = model.sidecar.training.get("options", {}).get("learn", "joint")
        if learnt == "object":
            raise ConfigError(
                "the network was trained on objects alone (--learn object): it says nothing of hands.",
                "Take one that was trained on both.",
            )
        _ = model.layer  # before the first image
        self.model, self.watch = model, None if learnt == "hand" else watch
        self.computed_by = model.computed_by

    def read(self, rgb: U8, camera: Camera, box: Box, side: Side) -> Reading:
        """The hand in a box of its joints, and what it holds; see `live.Reader`."""
        placed = None if self.watch is None else self.watch.place(box)
        if placed is None or self.watch is None:
            return _reading(self.model.predict(rgb, camera, box, side=side), None)
        name, where, clue = placed
        control_m = self.watch.control_m.get(name)
        grasp = said(self.model, rgb, camera, (box, where), side=side, name=name, control_m=control_m)
        held = HeldObject(name, where, clue, grasp.T_cam_obj, grasp.control_px, grasp.object_confidence)
        return _reading(grasp, held)


def said(
    model: GraspModel,
    rgb: U8,
    camera: Camera,
    boxes: tuple[Box, Box],
    *,
    side: Side,
    name: str,
    control_m: F64 | None,
) -> Grasp:
    """What a network of either kind says of one image.

    Args:
        model: HFL-Net's, which asks what the object looks like; or the CVAE's, which asks for its name.
        rgb: `(H, W, 3)`.
        camera: of it.
        boxes: of the hand's joints and of the object, px.
        side: which hand.
        name: of the object; empty where it is not known.
        control_m: `(21, 3)` m; None where its size is not known.
    """
    if isinstance(model, ObjectPoseModel):
        known = name if name in model.objects else None
        return model.predict(rgb, camera, *boxes, control_m=control_m, side=side, name=known)
    return model.predict(rgb, camera, *boxes, control_m=control_m, side=side)


def _reading(grasp: Grasp, held: HeldObject | None) -> Reading:
    hand = grasp.hand
    return Reading(hand.joints_px, hand.confidence, hand.joints_m, hand.vertices_m, held)


def is_of_grasps(path: Path) -> bool:
    """Whether an exported file is of hands with objects.

    Raises:
        AssetError: it is none, or damaged.
    """
    return read_sidecar(path).task in (GraspModel.TASK, ObjectPoseModel.TASK)


def open_grasps(path: Path, threads: int = 0, engine: Engine = "onnxruntime") -> GraspModel:
    """A model of hands with objects of an exported file.

    Raises:
        AssetError: missing, damaged, or a model of hands alone.
    """
    model = load(path, threads=threads, engine=engine)
    if not isinstance(model, GraspModel):
        raise AssetError(
            f"expected a model of a hand with an object (hfl, cvae), {path} is of hands alone.", "Name another file."
        )
    return model


def known_objects(
    model: GraspModel, meshes: Mapping[str, F64], name: str = "", labelled: Sequence[str] = ()
) -> dict[str, F64]:
    """Control points of the objects that a network can be asked for.

    Args:
        model: it.
        meshes: object -> vertices `(N, 3)` m that the dataset has.
        name: the only one that is wanted; empty for all that are labelled, and without any for all that are known.
        labelled: objects of a recording.

    Returns:
        Object -> `(21, 3)` m.

    Raises:
        ConfigError: the network does not know an object that is asked for by its name alone.
        AssetError: an object's size is known from nowhere, or its mesh is of another object than the network's.
    """
    wanted = [name] if name else list(labelled)
    found: dict[str, F64] = {}
    for each in wanted or model.objects:
        own = model.control_m(each)
        mesh = control_points(meshes[each].min(0), meshes[each].max(0)) if each in meshes else None
        if own is not None and mesh is not None and np.abs(own - mesh).max() > _SAME_M:
            raise AssetError(
                f"the mesh of {each} is another object's than the one that the network was trained with: their boxes "
                f"differ by {1e3 * np.abs(own - mesh).max():.0f} mm.",
                "Copy the mesh that it was trained with into objects/, or give the object another name.",
            )
        if isinstance(model, ObjectPoseModel):
            # Its poses are those of the objects it knows; nothing is known of the frame of any other.
            if own is None and (name or len(wanted) == 1):
                model.number(each)
            if own is not None:
                found[each] = own
        elif mesh is not None or own is not None:
            found[each] = mesh if mesh is not None else np.asarray(own)
        elif name or len(wanted) == 1:
            raise AssetError(
                f"the network needs the size of {each}, which it was not trained with, and there is no mesh of it.",
                f"Put its mesh at objects/{each}/mesh.obj of the dataset, in metres; `hoi-data scan` makes one. "
                f"Or add --object {NO_OBJECT} for the hands alone.",
            )
    if wanted and not found:
        raise ConfigError(
            f"the network knows none of {', '.join(wanted)}, only {', '.join(model.objects) or 'no object'}.",
            f"Train it with them, or add --object {NO_OBJECT} for the hands alone.",
        )
    return found
