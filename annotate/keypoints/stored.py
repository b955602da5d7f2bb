"""Keypoints of the current revision: clicked by a person, or written when the sequence was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotate.keypoints import Keypoints
from hoi_core.conventions import N_JOINTS
from hoi_core.sequence import Capture, open_annotation
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F64, I64, Revision


@dataclass(frozen=True)
class Config:
    """Which revision to read."""

    revision: str = ""
    """Name such as r000; empty for the current one."""


def provide(config: Config, folder: Path, capture: Capture) -> Keypoints | None:
    """The keypoints of a revision, brought to the moments of the recording; None without any.

    Raises:
        SequenceError: the annotation file is damaged.
        ConfigError: no such revision.
    """
    if not (folder / ANNOTATION).exists():
        return None
    with open_annotation(folder) as annotation:
        name = config.revision or annotation.current
        revision = annotation.load(config.revision or None)
    by_view = {view: at_moments(revision, capture, view) for view in revision.keypoints if view in capture.views}
    if not any(np.isfinite(points[..., :2]).any() for points in by_view.values()):
        return None
    side = next(iter(revision.hands)) if len(revision.hands) == 1 else None
    return Keypoints(by_view, revision.keypoint_source, side, name)


def at_moments(revision: Revision, capture: Capture, view: str) -> F64:
    """(M, 21, 3) keypoints of a view at the recording's moments, matched through the frames they were set on."""
    frames: I64 = capture.sync.index[f"{view}/color"]
    out = np.full((len(frames), N_JOINTS, 3), np.nan)
    row = {int(frame): m for m, frame in enumerate(revision.frame_index[view]) if frame >= 0}
    for m, frame in enumerate(frames):
        if int(frame) in row:
            out[m] = revision.keypoints[view][row[int(frame)]]
    return out
