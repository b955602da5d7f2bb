"""How far labels lie from keypoints, brought up to date after a person changed either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from annotate.document.flat import flatten
from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.types import F64, I64, Camera, Revision

_NAME = "reprojection_px"


def touched(before: Revision, after: Revision) -> I64:
    """(K,) frames whose joints or keypoints differ between two states of the same labels."""
    old, new = flatten(before), flatten(after)
    changed = np.zeros(len(after.t_ns), bool)
    for path in old.keys() | new.keys():
        if path.startswith("keypoints/") or path.endswith("/joints_m"):
            a, b = old.get(path), new.get(path)
            there = b if b is not None else a
            if a is not b and there is not None:
                other = np.full_like(there, np.nan) if a is None or b is None else a
                same = (there == other) | (np.isnan(there) & np.isnan(other))
                changed |= ~same.reshape(len(changed), -1).all(1)
    return np.flatnonzero(changed)


def refreshed(revision: Revision, views: Mapping[str, Camera], frames: I64) -> Revision:
    """The labels with `reprojection_px` of some frames measured again: the worse hand's, and each hand's where kept.

    Args:
        revision: the labels.
        views: view -> colour camera, distortion included.
        frames: (K,) which.
    """
    if not revision.hands or not len(frames):
        return revision
    own = {side: _median_px(revision, views, side, frames) for side in revision.hands}
    residuals = dict(revision.residuals)
    new = {_NAME: np.fmax.reduce(list(own.values())), **{f"{side}_{_NAME}": values for side, values in own.items()}}
    for name, values in new.items():
        if name in residuals or name == _NAME:
            held = residuals.get(name)
            residuals[name] = np.full(len(revision.t_ns), np.nan) if held is None else held.copy()
            residuals[name][frames] = values
    return replace(revision, residuals=residuals)


def _median_px(revision: Revision, views: Mapping[str, Camera], side: Side, frames: I64) -> F64:
    """(K,) px median distance of the projected joints from the keypoints; NaN where there is nothing to compare."""
    points = revision.keypoints.get(side)
    joints_m = revision.hands[side].joints_m[frames]
    misses = [np.full((len(frames), 0), np.nan)]
    for view, pixels in points.by_view.items() if points else ():
        local = cameras.transform(views[view].T_cam_world, joints_m)
        misses.append(np.linalg.norm(cameras.project(views[view], local) - pixels[frames, :, :2], axis=-1))
    found = np.concatenate(misses, axis=1)
    return np.array([float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else np.nan for row in found])
