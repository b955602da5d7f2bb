"""One sample to one row of a batch of hands with their objects: the crop of both, and the targets in its frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.conventions import N_CONTROL
from hoi_core.errors import DatasetError
from hoi_core.grasp_model import HAND_BOX, OBJECT_BOX, crop_box, enlarged
from hoi_core.known_object import MIRROR, KnownObject
from hoi_core.mano import ManoLayer
from hoi_core.pnp import pose_in_crop
from hoi_core.rotation import exp_so3
from hoi_core.types import F64, Bool, HandParams, ObjectPose, Sample
from learning.augment import Augment, changed, random_placement, silhouette
from learning.items import (
    FEWEST_JOINTS,
    DataConfig,
    Framed,
    Item,
    covered_by,
    cut_around,
    in_crop,
    item_of,
    outlined,
    pixel_labels,
    shown,
)
from learning.object_table import ObjectTable

MASK_STRIDE = 8
_LEAST_IN_IMAGE = 0.05


@dataclass(frozen=True)
class GraspItem(Item):
    """One row of a `GraspBatch`, whose fields these are."""

    hand_box: F64
    """(4,) px."""
    object_box: F64
    """(4,) px; 0 where there is no object."""
    hand_R: F64  # noqa: N815
    """(16, 3, 3); NaN where unknown."""
    betas: F64
    """(10,); NaN where unknown."""
    T_crop_obj: F64
    """(4, 4) m; NaN where unknown."""
    object_id: int
    """-1 where unknown."""
    object_scale: float
    """1 where unknown."""
    control_m: F64
    """(21, 3) m; 0 where unknown."""
    control_px: F64
    """(21, 2) px; 0 where unknown."""
    mask: Bool
    """(S/8, S/8)."""


@dataclass(frozen=True)
class Grasped:
    """The object that a sample's hand holds, or is nearest to."""

    pose: ObjectPose
    """In the camera's frame."""
    number: int
    """In the table."""
    about: KnownObject
    """As large as it is, not mirrored."""


def grasped(sample: Sample, table: ObjectTable, name: str | None = None) -> Grasped | None:
    """The object that belongs to the hand: the one that the dataset says, else the nearest one whose mesh is known.

    Args:
        sample: labels in the camera frame, with the whole image.
        table: objects that are known.
        name: of the one that is held, where the dataset says it.

    Returns:
        None where none is known, or it lies behind the camera, or hardly any of it in the image.
    """
    found = []
    for pose in sample.objects:
        number = table.number(pose.name)
        if number is not None and name in (None, pose.name):
            found.append(Grasped(pose, number, table[number].scaled(pose.scale)))
    if not found:
        return None
    nearest = min(found, key=lambda each: _apart_m(sample, each)) if len(found) > 1 else found[0]
    surface_m = cameras.transform(nearest.pose.T_cam_obj, nearest.about.vertices_m)
    if not np.isfinite(surface_m).all() or surface_m[:, 2].min() <= 0:
        return None
    inside = cameras.inside(sample.camera, cameras.project(sample.camera, surface_m))
    return nearest if inside.mean() >= _LEAST_IN_IMAGE else None


def held_of(sample: Sample, table: ObjectTable) -> Grasped | None:
    """The object of a sample of which nothing but what is held was kept."""
    for pose in sample.objects:
        number = table.number(pose.name)
        if number is not None:
            return Grasped(pose, number, table[number].scaled(pose.scale))
    return None


def _apart_m(sample: Sample, one: Grasped) -> float:
    joints_m = sample.joints_m[sample.joints_valid]
    surface_m = cameras.transform(one.pose.T_cam_obj, one.about.vertices_m)
    return float(np.linalg.norm(joints_m[:, None] - surface_m[None], axis=-1).min())


def around_both(sample: Sample, held: Grasped | None, augment: Augment | None) -> Sample:
    """The sample with no other object, and its image cut to what any crop of hand and object can reach.

    Raises:
        DatasetError: so few joints are known that nothing tells where the hand is.
    """
    if sample.joints_valid.sum() < FEWEST_JOINTS:
        raise DatasetError(
            f"{sample.key} of {sample.dataset} has {sample.joints_valid.sum()} joints in space; a crop needs "
            f"{FEWEST_JOINTS}.",
            "Choose a split whose labels are published.",
        )
    cut = cut_around(sample, both_boxes(sample, held), augment, 1.0)
    return replace(cut, objects=() if held is None else (held.pose,))


def both_boxes(sample: Sample, held: Grasped | None) -> crops.Box:
    """The box around hand and object, each enlarged; of the hand alone where no object is known. px of the image."""
    object_box = None
    if held is not None:
        surface_m = cameras.transform(held.pose.T_cam_obj, held.about.vertices_m)
        object_box = crops.box_of(cameras.project(sample.camera, surface_m))
    return crop_box(crops.box_of(*pixel_labels(sample)), object_box)


def framed_both(
    sample: Sample, held: Grasped | None, size: int, augment: Augment | None, rng: np.random.Generator
) -> Framed:
    """Place a crop around hand and object and move the hand's labels into it.

    Args:
        sample: labels in the camera frame.
        held: the object.
        size: side of the crop, px.
        augment: how far the place may vary, or None for the crop of evaluation.
        rng: randomness.
    """
    mirror = sample.side == "left"
    still = crops.Placement(scale=1.0, mirror=mirror)
    place = random_placement(augment, rng, mirror=mirror, margin=1.0) if augment else still
    return in_crop(sample, crops.around(sample.camera, both_boxes(sample, held), size, place))


def make_grasp_item(
    sample: Sample,
    held: Grasped | None,
    config: DataConfig,
    augment: Augment | None = None,
    rng: np.random.Generator | None = None,
) -> GraspItem:
    """Crop a sample around hand and object and turn it into network input and targets.

    Args:
        sample: image and labels in the camera frame.
        held: the object, from `grasped`.
        config: what the network is shown.
        augment: random changes, or None for the crop of evaluation.
        rng: randomness for `augment`.
    """
    rng = rng or np.random.default_rng(0)
    frame = framed_both(sample, held, config.size, augment, rng)
    seen = _seen(held, frame.crop)
    image = crops.warp(sample.image, sample.camera, frame.crop)
    if augment:
        other_ground = rng.random() < augment.background and outlined(frame, sample.side)
        image = changed(image, _covered(frame, sample, seen) if other_ground else None, augment, rng)
    hand_R, betas = rotations(sample.params, sample.side, frame.crop)
    hand_box = enlarged(np.array(crops.box_of(frame.joints_px, frame.pixels_valid)), HAND_BOX)
    return GraspItem(
        **vars(item_of(sample, frame, shown(image, config, edge_alone=False))),
        hand_box=hand_box,
        object_box=np.zeros(4) if seen is None else seen.box,
        hand_R=hand_R,
        betas=betas,
        T_crop_obj=np.full((4, 4), np.nan) if seen is None else seen.T_crop_obj,
        object_id=-1 if held is None else held.number,
        object_scale=1.0 if held is None else held.pose.scale,
        control_m=np.zeros((N_CONTROL, 3)) if seen is None else seen.about.control_m,
        control_px=np.zeros((N_CONTROL, 2)) if seen is None else seen.project(seen.about.control_m),
        mask=_mask(seen, config.size // MASK_STRIDE),
    )


@dataclass(frozen=True)
class _Seen:
    """An object in the frame of a crop, mirrored where the crop is."""

    about: KnownObject
    T_crop_obj: F64
    crop: crops.HandCrop
    surface_px: F64
    """(N, 2) px."""
    box: F64
    """(4,) px."""

    def project(self, points_m: F64) -> F64:
        """Points of the object in the crop. `(N, 3) m -> (N, 2) px`."""
        return np.asarray(cameras.project(self.crop.camera, cameras.transform(self.T_crop_obj, points_m)))


def _seen(held: Grasped | None, crop: crops.HandCrop) -> _Seen | None:
    if held is None:
        return None
    about = held.about.mirrored if crop.mirrored else held.about
    T = about.plainest(pose_in_crop(held.pose.T_cam_obj, crop.R_cam_crop))
    surface_px = cameras.project(crop.camera, cameras.transform(T, about.vertices_m))
    box = enlarged(np.array(crops.box_of(surface_px)), OBJECT_BOX)
    return _Seen(about, T, crop, np.asarray(surface_px), box)


def rotations(params: HandParams | None, side: str, crop: crops.HandCrop) -> tuple[F64, F64]:
    """Rotations of the joints and shape as a network learns them, of a left hand those of its mirror image.

    Args:
        params: of the hand, or None.
        side: which hand.
        crop: where it is seen.

    Returns:
        `(16, 3, 3)` and `(10,)`; NaN where unknown.
    """
    unknown = np.full((16, 3, 3), np.nan), np.full(10, np.nan)
    if params is None or not (np.isfinite(params.orient).all() and np.isfinite(params.pose).all()):
        return unknown
    left = side == "left"
    mean = 0.0 if params.flat_hand_mean else ManoLayer.from_env("left" if left else "right").model.hands_mean
    R = exp_so3(np.concatenate([params.orient, params.pose + mean]).reshape(16, 3))
    if left:
        R = MIRROR @ R @ MIRROR
        R[0] = MIRROR @ R[0]  # back to the camera's frame, which the crop mirrors itself
    R[0] = crop.R_cam_crop.T @ R[0]
    return R, params.betas


def _mask(seen: _Seen | None, cells: int) -> Bool:
    """Cells of its box that the object covers. `(cells, cells)`."""
    if seen is None:
        return np.zeros((cells, cells), np.bool_)
    side = np.maximum(seen.box[2:] - seen.box[:2], 1e-6)
    return silhouette((seen.surface_px - seen.box[:2]) / side * cells - 0.5, seen.about.faces.astype(np.int64), cells)


def _covered(frame: Framed, sample: Sample, seen: _Seen | None) -> Bool:
    """Pixels of the crop that hand or object cover. `(S, S)`."""
    hand = covered_by(frame, sample.side)
    if seen is None:
        return hand
    covered: Bool = hand | silhouette(seen.surface_px, seen.about.faces.astype(np.int64), frame.crop.size)
    return covered
