"""Providers of 2D keypoints: one file each, found by file name.

A provider is a module with `Config`, a frozen dataclass, and
`provide(config, folder, capture) -> Keypoints | None`: keypoints of every moment, or None where it has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hoi_core.conventions import Side
from hoi_core.types import HandKeypoints, JointSource


@dataclass(frozen=True)
class Keypoints:
    """2D joints of hands over the M moments of a recording."""

    hands: Mapping[Side, HandKeypoints]
    """What is known of each hand."""
    source: JointSource
    """How they were made."""
    parent: str = ""
    """The revision that they come from, if any."""
