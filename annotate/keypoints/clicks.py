"""Only the keypoints that a person placed; what detectors found is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from annotate.keypoints import Keypoints, stored
from hoi_core.sequence import Capture
from hoi_core.types import MARKS, HandKeypoints


@dataclass(frozen=True)
class Config:
    """Which revision to read."""

    revision: str = ""
    """Name such as r000; empty for the current one."""


def provide(config: Config, folder: Path, capture: Capture) -> Keypoints | None:
    """The clicks of a revision, brought to the moments of the recording; None without any.

    Raises:
        SequenceError: the annotation file is damaged.
        ConfigError: no such revision.
    """
    found = stored.provide(stored.Config(config.revision), folder, capture)
    if found is None:
        return None
    if found.source == "clicked" and not any(_marked(points) for points in found.hands.values()):
        return found  # files of format 1.0 have no marks: all of their keypoints are of one source
    hands = {side: _clicked(points) for side, points in found.hands.items()}
    hands = {side: points for side, points in hands.items() if _marked(points)}
    return replace(found, hands=hands, source="clicked") if hands else None


def _marked(points: HandKeypoints) -> bool:
    return any(bool((codes & MARKS["clicked"]).any()) for codes in points.marks.values())


def _clicked(points: HandKeypoints) -> HandKeypoints:
    by_view = {}
    for view, values in points.by_view.items():
        codes = points.marks.get(view, np.zeros(values.shape[:2], np.uint8))
        by_view[view] = np.where((codes & MARKS["clicked"]).astype(bool)[..., None], values, np.nan)
    return HandKeypoints(by_view, points.marks)
