"""What an automatic fit of a sequence did, for people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Report:
    """What an automatic fit did."""

    revision: str
    """Name of the new revision; empty where none was written."""
    frames: int
    """Moments of the sequence."""
    valid_share: float
    """Share of the moments with a label, of all hands."""
    reprojection_px: float
    """Median distance of projected joints from keypoints, px."""
    depth_mm: float
    """Median distance of depth points from the surface, mm; NaN without depth."""
    seconds: float
    """Time of the fit, reading included."""
    iterations: int
    """Steps of the fit over the sequence, of all hands."""
    hands: tuple[str, ...] = ()
    """Sides that were fitted."""
    objects: Mapping[str, float] = field(default_factory=dict)
    """Object -> share of the moments with a label."""
    objects_failed: str = ""
    """Why no object could be fitted, where one was clicked."""
    problems: Mapping[str, int] = field(default_factory=dict)
    """Reason -> moments of a hand without a label."""
    guesses: Mapping[str, str] = field(default_factory=dict)
    """Of a network of hands with objects: object, or `hand` -> what its guess was taken for, or why it was not."""

    def figures(self) -> dict[str, object]:
        """The figures for machines."""
        return {
            "revision": self.revision,
            "frames": self.frames,
            "valid_share": self.valid_share,
            "median_reprojection_px": self.reprojection_px,
            "median_depth_mm": self.depth_mm,
            "seconds": self.seconds,
            "seconds_per_frame": self.seconds / max(self.frames, 1),
            "iterations": self.iterations,
            "hands": list(self.hands),
            "objects": dict(self.objects),
            "objects_failed": self.objects_failed,
            "problems": dict(self.problems),
            **({"guesses": dict(self.guesses)} if self.guesses else {}),
        }
