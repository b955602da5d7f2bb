"""Keypoints of the current revision: clicked by a person, or written when the sequence was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotate.keypoints import Keypoints
from hoi_core.conventions import N_JOINTS
from hoi_core.sequence import Capture, open_annotation
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F64, I64, U8, HandKeypoints, Revision


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
    hands = {}
    for side, points in revision.keypoints.items():
        found = at_moments(points, revision, capture)
        if any(np.isfinite(values[..., :2]).any() for values in found.by_view.values()):
            hands[side] = found
    return Keypoints(hands, revision.keypoint_source, name) if hands else None


def at_moments(points: HandKeypoints, revision: Revision, capture: Capture) -> HandKeypoints:
    """Keypoints at the recording's moments, matched through the frames they were set on."""
    by_view: dict[str, F64] = {}
    marks: dict[str, U8] = {}
    for view in (v for v in points.by_view if v in capture.views):
        frames: I64 = capture.sync.index[f"{view}/color"]
        by_view[view] = np.full((len(frames), N_JOINTS, 3), np.nan)
        marks[view] = np.zeros((len(frames), N_JOINTS), np.uint8)
        row = {int(frame): m for m, frame in enumerate(revision.frame_index[view]) if frame >= 0}
        for m, frame in enumerate(frames):
            if int(frame) in row:
                by_view[view][m] = points.by_view[view][row[int(frame)]]
                if view in points.marks:
                    marks[view][m] = points.marks[view][row[int(frame)]]
    return HandKeypoints(by_view, marks)
