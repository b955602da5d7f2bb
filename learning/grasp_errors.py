"""Errors of hands together with the objects that they hold, one for each sample; NaN where nothing is known.

What a network says lies in the crops' frames, left hands and their objects mirrored, as the labels of a `GraspBatch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hoi_core import camera as cameras
from hoi_core import object_metrics
from hoi_core.known_object import KnownObject
from hoi_core.mano import ManoLayer
from hoi_core.types import F64
from learning.grasps import GraspBatch
from learning.hand_errors import Errors, hand_errors

MM = 1000.0
WRIST = 0


@dataclass(frozen=True)
class SaidGrasps:
    """What a network says of a batch of B crops."""

    joints_m: F64
    """(B, 21, 3) m."""
    vertices_m: F64
    """(B, 778, 3) m."""
    T_crop_obj: F64
    """(B, 4, 4) m, of the mirrored object where the crop is mirrored; NaN where no pose was found."""


def grasp_errors(said: SaidGrasps, batch: GraspBatch, *, allow_reflection: bool) -> Errors:
    """What is wrong with each hand (`learning.hand_errors.hand_errors`) and with each object. `(B,)` each.

    Args:
        said: by a network.
        batch: what it was shown.
        allow_reflection: align hands as the official evaluators do, mirroring included.
    """
    true = np.where(batch.joints_valid.numpy()[..., None], batch.joints_m.double().numpy(), np.nan)
    meshes = said.vertices_m, batch.vertices_m.double().numpy()
    hands = hand_errors(said.joints_m, true, *meshes, allow_reflection=allow_reflection)
    return hands | object_errors(said, batch)


def object_errors(said: SaidGrasps, batch: GraspBatch) -> Errors:
    """What is wrong with each object's pose. `(B,)` each; NaN where the object is not labelled.

    Returns:
        `object_found`: 1 where there is a pose; `object_add_mm`: ADD, of symmetric objects ADD-S; `object_add01d`:
        whether that is below a tenth of the diameter, 0 where nothing was found; `object_add01d_box` with the diagonal
        of the box instead, as HFL-Net counts; `object_mce_mm`: mean corner error; `object_mce_rel_mm` the same with the
        wrist of both hands at one place.
    """
    names = ("found", "add_mm", "add01d", "add01d_box", "mce_mm", "mce_rel_mm")
    errors = {f"object_{name}": np.full(len(batch.object_id), np.nan) for name in names}
    for k, about, T_true in labelled(batch):
        T = said.T_crop_obj[k]
        apart = said.joints_m[k, WRIST] - batch.joints_m[k, WRIST].double().numpy()
        relative = T.copy()
        relative[:3, 3] -= apart if batch.joints_valid[k, WRIST] else np.nan
        add_m = object_metrics.pose_error_m(about, T, T_true)
        found = {
            "found": float(np.isfinite(T).all()),
            "add_mm": float(add_m) * MM,
            "add01d": float(object_metrics.add_right(add_m, np.array(about.diameter_m))),
            "add01d_box": float(object_metrics.add_right(add_m, np.array(about.diagonal_m))),
            "mce_mm": object_metrics.corner_error_mm(about, T, T_true),
            "mce_rel_mm": object_metrics.corner_error_mm(about, relative, T_true),
        }
        for name, value in found.items():
            errors[f"object_{name}"][k] = value
    return errors


def meeting_errors(said: SaidGrasps, batch: GraspBatch) -> Errors:
    """How each predicted hand meets its predicted object; takes a tenth of a second each. `(B,)` each.

    Returns:
        `penetration_mm` of the hand's deepest vertex; `intersection_cm3` in cells of 2 mm; `contact`: whether both
        touch; `object_chamfer_mm2` and `object_chamfer_mm` of the object's vertices in both conventions of
        `hoi_core.object_metrics.Chamfer`; `true_distance_mm`: from hand to object by the labels.
    """
    names = ("penetration_mm", "intersection_cm3", "contact", "object_chamfer_mm2", "object_chamfer_mm")
    errors = {name: np.full(len(batch.object_id), np.nan) for name in (*names, "true_distance_mm")}
    hand_faces = ManoLayer.from_env("right").closed_faces
    for k, about, T_true in labelled(batch):
        placed, true = (cameras.transform(T, about.vertices_m) for T in (said.T_crop_obj[k], T_true))
        met = object_metrics.meeting(said.vertices_m[k], placed, about.faces)
        apart = object_metrics.chamfer(placed, true)
        found = {
            "penetration_mm": met.penetration_mm,
            "intersection_cm3": object_metrics.intersection_cm3(said.vertices_m[k], hand_faces, placed, about.faces),
            "contact": object_metrics.touches(met.distance_m),
            "object_chamfer_mm2": apart.squared_mm2,
            "object_chamfer_mm": apart.mean_mm,
            "true_distance_mm": object_metrics.meeting(_true_hand(batch, k), true, about.faces).distance_m * MM,
        }
        for name, value in found.items():
            errors[name][k] = value
    return errors


def in_contact(errors: Errors, limit_mm: float = object_metrics.CONTACT_ONLY_M * MM) -> Errors:
    """The errors of those samples alone in which hand and object are near by the labels; the others are NaN."""
    near = errors["true_distance_mm"] <= limit_mm
    return {name: np.where(near.reshape(-1, *[1] * (each.ndim - 1)), each, np.nan) for name, each in errors.items()}


def labelled(batch: GraspBatch) -> Iterator[tuple[int, KnownObject, F64]]:
    """Row, object (as large as it is, mirrored where the crop is) and pose `(4, 4)` m of those that are labelled."""
    for k in np.flatnonzero(batch.object_valid.numpy()).tolist():
        about = batch.objects[int(batch.object_id[k])].scaled(float(batch.object_scale[k]))
        yield k, about.mirrored if batch.mirrored[k] else about, batch.T_crop_obj[k].double().numpy()


def _true_hand(batch: GraspBatch, k: int) -> F64:
    """The labelled mesh of a hand, else its joints. `(V, 3)` m."""
    if batch.vertices_valid[k]:
        return np.asarray(batch.vertices_m[k].double().numpy())
    return np.asarray(batch.joints_m[k][batch.joints_valid[k]].double().numpy())
