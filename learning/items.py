"""One sample to one row of a batch: the crop, its colours and edges, and the targets in the crop's frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.conventions import N_JOINTS, N_VERTICES, Side
from hoi_core.edges import EdgeParams, gray, sobel_edges
from hoi_core.errors import ConfigError, DatasetError
from hoi_core.network_input import Input, pixels_of
from hoi_core.types import F64, I64, U8, Bool, Camera, Sample
from learning.augment import Augment, changed, random_placement, silhouette

FEWEST_JOINTS = 4
"""To crop a hand by: the fingertips alone tell where it is, the wrist alone does not."""
_FACES_LOOKED_AT, _LONGEST_EDGE_M = 128, 0.03  # a hand's edges measure 10 mm; vertices in another order lie 80 mm apart
_CACHE_MARGIN = 1.2  # of the largest augmented crop, kept around the box in memory


@dataclass(frozen=True)
class DataConfig:
    """What the network is shown."""

    size: int = 128
    """Side of the crop, px."""
    edges: EdgeParams = field(default_factory=EdgeParams)
    """How edges are made from the crop."""
    input: Input = "edges"
    """What is made of the crop."""
    space: bool = True
    """Whether joints in space are needed; else datasets that label pixels only will do."""
    cache_mb: int = 1500
    """Memory for decoded images, MB per loading process; 0 reads every image anew."""
    edge_alone: bool = False
    """Show a network of edges the edge image and nothing else, as the sensor does."""
    objects: tuple[str, ...] = ()
    """Names of the objects that a network knows, in the order of its numbers; none: all that the datasets have."""

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.edge_alone and self.input != "edges":
            raise ConfigError("a network of colours cannot see an edge image.", "Give a model whose input is edges.")


@dataclass(frozen=True)
class Item:
    """One row of a batch."""

    pixels: U8
    """(C, S, S) of `hoi_core.network_input.pixels_of`."""
    K: F64
    """(3, 3) px."""
    joints_m: F64
    """(21, 3) m, crop frame; 0 where not valid."""
    joints_valid: Bool
    """(21,)."""
    vertices_m: F64
    """(778, 3) m, crop frame; NaN where unknown."""
    joints_px: F64
    """(21, 2) px of the crop; 0 where not valid."""
    pixels_valid: Bool
    """(21,)."""
    R_world_crop: F64
    """(3, 3) orthogonal, crop to world."""
    mirrored: bool
    """A left hand shown as a right one."""


def around_hand(sample: Sample, augment: Augment | None, *, in_space: bool = True) -> Sample:
    """The sample with its image cut to what any crop of its hand can reach; camera and labels move along.

    Args:
        sample: as its dataset has it.
        augment: how far the crop may vary.
        in_space: whether the joints must be known in space, not only in the image.

    Raises:
        DatasetError: so few joints are known that nothing tells where the hand is.
    """
    pixels, seen = pixel_labels(sample)
    known = sample.joints_valid if in_space else seen
    if known.sum() < FEWEST_JOINTS:
        raise DatasetError(
            f"{sample.key} of {sample.dataset} has {known.sum()} joints in {'space' if in_space else 'the image'}; a "
            f"crop of the hand needs {FEWEST_JOINTS}.",
            "Choose a split whose labels are published.",
        )
    return cut_around(sample, crops.box_of(pixels, seen), augment, crops.SCALE)


def cut_around(sample: Sample, box: crops.Box, augment: Augment | None, margin: float) -> Sample:
    """The sample with its image cut to what any crop of a box can reach.

    Args:
        sample: as its dataset has it.
        box: x0, y0, x1, y1 px.
        augment: how far the crop may vary.
        margin: side of the middle crop over that of the box.
    """
    x0, y0, x1, y1 = box
    jitter = augment or Augment(0.0, 0.0, 0.0, 0.0)
    reach = margin * (1.0 + jitter.scale_jitter) * (math.sqrt(2.0) if jitter.roll_deg else 1.0)
    half = _CACHE_MARGIN * max(x1 - x0, y1 - y0) * (reach / 2 + jitter.shift_jitter)
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    h, w = sample.image.shape[:2]
    left, right = (int(min(max(v, 0), w)) for v in (cx - half, cx + half + 1))
    top, bottom = (int(min(max(v, 0), h)) for v in (cy - half, cy + half + 1))
    if right - left < 2 or bottom - top < 2:
        return sample
    image: U8 = np.ascontiguousarray(sample.image[top:bottom, left:right])
    camera: Camera = cameras.crop(sample.camera, left, top, right - left, bottom - top)
    joints_px = None if sample.joints_px is None else sample.joints_px - (left, top)
    return replace(sample, image=image, camera=camera, joints_px=joints_px)


def make_item(
    sample: Sample, config: DataConfig, augment: Augment | None = None, rng: np.random.Generator | None = None
) -> Item:
    """Crop a sample around its projected joints and turn it into network input and targets.

    Args:
        sample: image and labels in the camera frame.
        config: what the network is shown.
        augment: random changes, or None for the crop of evaluation.
        rng: randomness for `augment`.
    """
    rng = rng or np.random.default_rng(0)
    frame = framed(sample, config.size, augment, rng)
    image = crops.warp(sample.image, sample.camera, frame.crop)
    if augment:
        other_ground = rng.random() < augment.background and outlined(frame, sample.side)
        image = changed(image, covered_by(frame, sample.side) if other_ground else None, augment, rng)
    alone = config.edge_alone or (augment is not None and rng.random() < augment.edge_alone)
    return item_of(sample, frame, shown(image, config, edge_alone=alone))


def item_of(sample: Sample, frame: Framed, pixels: U8) -> Item:
    """What a network is shown of a crop, with the hand's labels in its frame.

    Args:
        sample: labels in the camera frame.
        frame: the crop and the labels in it.
        pixels: `(C, S, S)` of `shown`.
    """
    vertices = np.full((N_VERTICES, 3), np.nan) if frame.vertices_m is None else frame.vertices_m
    return Item(
        pixels=pixels,
        K=frame.crop.camera.K,
        joints_m=frame.joints_m,
        joints_valid=frame.joints_valid,
        vertices_m=vertices,
        joints_px=frame.joints_px,
        pixels_valid=frame.pixels_valid,
        R_world_crop=sample.camera.T_world_cam[:3, :3] @ frame.crop.R_cam_crop,
        mirrored=sample.side == "left",
    )


def shown(crop: U8, config: DataConfig, *, edge_alone: bool) -> U8:
    """What the network is shown of a crop; `edge_alone` as if nothing but the edge image had been sent.

    Args:
        crop: `(S, S, 3)`.
        config: what the network is shown.
        edge_alone: of a network of edges.

    Returns:
        `(C, S, S)` of `hoi_core.network_input.pixels_of`.
    """
    if edge_alone and config.input == "edges":
        return pixels_of(sobel_edges(gray(crop), config.edges), config.input, config.edges)
    return pixels_of(crop, config.input, config.edges)


@dataclass(frozen=True)
class Framed:
    """A crop and the labels in its frame."""

    crop: crops.HandCrop
    """Where it looks."""
    joints_m: F64
    """(21, 3) m; 0 where not valid."""
    joints_valid: Bool
    """(21,)."""
    vertices_m: F64 | None
    """(778, 3) m."""
    joints_px: F64
    """(21, 2) px; 0 where not valid."""
    pixels_valid: Bool
    """(21,)."""


def framed(sample: Sample, size: int, augment: Augment | None, rng: np.random.Generator) -> Framed:
    """Place a crop around the hand and move the labels into it.

    Args:
        sample: labels in the camera frame.
        size: side of the crop, px.
        augment: how far the place may vary, or None for the crop of evaluation.
        rng: randomness.
    """
    mirror = sample.side == "left"
    pixels, seen = pixel_labels(sample)
    box = crops.box_of(pixels, seen)
    place = random_placement(augment, rng, mirror=mirror) if augment else crops.Placement(mirror=mirror)
    return in_crop(sample, crops.around(sample.camera, box, size, place))


def in_crop(sample: Sample, crop: crops.HandCrop) -> Framed:
    """The labels of the hand in the frame of a crop."""
    pixels, seen = pixel_labels(sample)
    known = sample.joints_valid & np.isfinite(sample.joints_m).all(-1)
    joints = crops.to_crop(crop, sample.joints_m)
    # Of a joint known in the image only, the ray to it is as good as the joint.
    toward = joints if known.all() else crops.to_crop(crop, cameras.rays(sample.camera, np.nan_to_num(pixels)))
    return Framed(
        crop=crop,
        joints_m=np.where(known[:, None], joints, 0.0),
        joints_valid=known,
        vertices_m=None if sample.vertices_m is None else crops.to_crop(crop, sample.vertices_m),
        joints_px=np.where(seen[:, None], cameras.project(crop.camera, toward), 0.0),
        pixels_valid=seen,
    )


def pixel_labels(sample: Sample) -> tuple[F64, Bool]:
    """Where the joints are in the image: projected from space, and as labelled in the image where space is unknown.

    Returns:
        `(21, 2)` px, and `(21,)` whether it is known.
    """
    labelled = np.full((N_JOINTS, 2), np.nan) if sample.joints_px is None else sample.joints_px
    pixels = np.where(sample.joints_valid[:, None], cameras.project(sample.camera, sample.joints_m), labelled)
    return pixels, np.asarray(np.isfinite(pixels).all(-1))


def outlined(frame: Framed, side: Side) -> bool:
    """Whether the mesh is there, and is one of the hand model in use: another model's has other triangles.

    Public datasets come with meshes of MANO; without the user's MANO files the stand-in hand is in use.
    """
    if frame.vertices_m is None:
        return False
    corners = frame.vertices_m[_closed_faces(side)[:_FACES_LOOKED_AT]]
    edges_m = np.sqrt(((corners[:, 1:] - corners[:, :-1]) ** 2).sum(-1))
    return bool(edges_m.mean() < _LONGEST_EDGE_M)


def covered_by(frame: Framed, side: Side) -> Bool:
    """Pixels of the crop that the hand's mesh covers. `(S, S)`.

    Raises:
        ValueError: the mesh is unknown.
    """
    if frame.vertices_m is None:
        raise ValueError("a silhouette needs the mesh, got none")
    pixels = cameras.project(frame.crop.camera, frame.vertices_m)
    return silhouette(pixels, _closed_faces(side), frame.crop.size)


def _closed_faces(side: Side) -> I64:
    """Faces of the hand with the wrist capped."""
    from hoi_core.mano import ManoLayer

    return np.asarray(ManoLayer.from_env(side).closed_faces, dtype=np.int64)
