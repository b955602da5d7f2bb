"""A square picture around the hand with every label in its own camera: what a shard for training holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataset_tools.writers import pixels_of
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F64, HandParams, Sample

MARGIN = 2.25
"""Side of the picture over that of the joints' box: turned and enlarged crops of training still lie within it."""


def cut_out(sample: Sample, size_px: int, margin: float = MARGIN) -> Sample:
    """The sample as a square picture from a pinhole camera that looks at the hand; left hands stay left.

    Args:
        sample: any sample of which some joint is known, in space or in the picture.
        size_px: side of the picture.
        margin: side of the picture over that of the joints' box.

    Raises:
        ValueError: no joint is known.
    """
    pixels = pixels_of(sample)
    crop = crops.around(sample.camera, crops.box_of(pixels), size_px, crops.Placement(scale=margin))
    turn = np.eye(4)
    turn[:3, :3] = crop.R_cam_crop.T
    labelled = sample.joints_px
    if labelled is not None:
        known = np.isfinite(labelled).all(-1, keepdims=True)
        rays = cameras.rays(sample.camera, np.where(known, labelled, 0.0))
        labelled = np.where(known, cameras.project(crop.camera, crops.to_crop(crop, rays)), np.nan)
    return replace(
        sample,
        image=crops.warp(sample.image, sample.camera, crop),
        camera=replace(crop.camera, T_world_cam=sample.camera.T_world_cam @ turn.T),
        joints_m=crops.to_crop(crop, sample.joints_m),
        vertices_m=None if sample.vertices_m is None else crops.to_crop(crop, sample.vertices_m),
        joints_px=labelled,
        params=None if sample.params is None else _turned(sample.params, sample.joints_m[0], turn[:3, :3]),
        objects=tuple(replace(shown, T_cam_obj=turn @ shown.T_cam_obj) for shown in sample.objects),
    )


def _turned(params: HandParams, wrist_m: F64, turn: F64) -> HandParams:
    """Parameters in a turned camera: the hand turns about its wrist, so the wrist's place in the template stays."""
    template_m = wrist_m - params.trans_m
    return replace(params, orient=log_so3(turn @ exp_so3(params.orient)), trans_m=turn @ wrist_m - template_m)
