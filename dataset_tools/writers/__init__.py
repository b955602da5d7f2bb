"""Export formats: one file each, found by file name.

A writer defines `INFO`, a `WriterInfo`, and `open(folder, split) -> Writer`. Splits are written one after another into
the same folder, which is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from hoi_core import crop as crops
from hoi_core.camera import project
from hoi_core.types import F32, F64, U8, HandParams, Sample

JPEG_QUALITY = 95


@dataclass(frozen=True)
class WriterInfo:
    """What a user should know of a format before choosing it."""

    name: str
    """Name of the writer."""
    url: str
    """Where the format is described."""
    keeps: str
    """What of a sample is written, and what is lost."""
    maps: bool = False
    """Whether it has a place for depth and segmentation; only then are they read."""
    card_files: str = ""
    """Pattern of the files of a `{split}`, for formats whose README tells where they are; empty for others."""


@dataclass(frozen=True)
class Extras:
    """What a reader knows of a sample beyond it."""

    group: str = ""
    """Samples of one group show the same instant or the same recording."""
    camera_known: bool = True
    """False where the camera is a guess."""
    depth_m: F32 | None = None
    """(H, W) m, registered to the image, NaN where unknown; None where the dataset has none."""
    segmentation: U8 | None = None
    """(H, W): 0 background, 1 hand, 2 object; None where the dataset has none."""


PLAIN = Extras()
"""Nothing is known beyond the sample."""


class Writer(Protocol):
    """Takes samples one by one."""

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write one sample; False if the format has no place for it."""

    def close(self) -> None:
        """Finish the split."""


def as_right_hand(sample: Sample, size: int) -> Sample:
    """The sample as a square picture of a right hand from a pinhole camera: what many formats take for granted.

    A left hand is mirrored, picture and labels, so its parameters are dropped: they are of the other model.

    Args:
        sample: any sample with joints in space.
        size: side of the picture, px.
    """
    box = crops.box_of(project(sample.camera, sample.joints_m), sample.joints_valid)
    crop = crops.around(sample.camera, box, size, crops.Placement(scale=2.0, mirror=sample.side == "left"))
    vertices_m = None if sample.vertices_m is None else crops.to_crop(crop, sample.vertices_m)
    return Sample(
        image=crops.warp(sample.image, sample.camera, crop),
        camera=crop.camera,
        side="right",
        joints_m=crops.to_crop(crop, sample.joints_m),
        joints_valid=sample.joints_valid,
        vertices_m=vertices_m,
        dataset=sample.dataset,
        key=sample.key,
    )


def write_jpeg(path: Path, image: U8) -> None:
    """Write a picture.

    Raises:
        OSError: the disk is full or not writable.
    """
    done, coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be encoded")
    path.write_bytes(coded.tobytes())


def pixels_of(sample: Sample) -> F64:
    """`(21, 2)` px of the joints: as the dataset labels them, else projected; NaN where unknown."""
    if sample.joints_px is not None:
        return sample.joints_px
    return np.where(sample.joints_valid[:, None], project(sample.camera, sample.joints_m), np.nan)


def record_of(sample: Sample, extras: Extras = PLAIN) -> dict[str, object]:
    """Everything of a sample but its pictures as plain values: metres, radians, pixels; null where unknown."""
    from hoi_core.plain import plain

    camera = sample.camera
    found: dict[str, object] = {
        "key": sample.key,
        "dataset": sample.dataset,
        "side": sample.side,
        "width": camera.width,
        "height": camera.height,
        "K": camera.K,
        "distortion": camera.distortion,
        "distortion_model": camera.distortion_model,
        "camera_known": extras.camera_known,
        "T_world_cam": camera.T_world_cam,
        "group": extras.group,
        "joints_m": sample.joints_m,
        "joints_px": pixels_of(sample),
        "mano": None if sample.params is None else _params(sample.params),
        "objects": [
            {"name": shown.name, "T_cam_obj": shown.T_cam_obj, "scale": shown.scale, "visible": shown.visible}
            for shown in sample.objects
        ],
    }
    values = plain(found)
    assert isinstance(values, dict)  # noqa: S101 -- narrows the type
    return values


def _params(params: HandParams) -> dict[str, object]:
    return {
        "orient": params.orient,
        "pose": params.pose,
        "betas": params.betas,
        "trans_m": params.trans_m,
        "flat_hand_mean": params.flat_hand_mean,
    }
