"""What the maker of scenes gives: a whole image and every hand in it."""

from __future__ import annotations

from dataclasses import dataclass

from hoi_core.conventions import Side
from hoi_core.crop import Box
from hoi_core.types import F64, U8, Camera


@dataclass(frozen=True)
class SceneHand:
    """One hand of a scene."""

    side: Side
    """Which hand it is."""
    joints_px: F64
    """(21, 2) px, openpose21; outside of the image too."""
    box: Box
    """x0, y0, x1, y1 px around the joints, cut at the border of the image."""
    visible: float
    """Share of the hand's pixels in the image that nothing hides, 0 to 1."""
    clear: bool
    """Whether enough of it is seen for a detector to be asked for it; others are neither right nor wrong to find."""


@dataclass(frozen=True)
class Scene:
    """One image."""

    index: int
    """Its number."""
    color: U8
    """(S, S, 3) RGB."""
    camera: Camera
    """Intrinsics and place; no distortion."""
    hands: tuple[SceneHand, ...]
    """All hands of which anything is seen; none in many images."""
