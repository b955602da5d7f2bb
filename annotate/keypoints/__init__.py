"""Providers of 2D keypoints: one file each, found by file name.

A provider is a module with `Config`, a frozen dataclass, and
`provide(config, folder, capture) -> Keypoints | None`: keypoints of every moment, or None where it has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hoi_core.conventions import Side
from hoi_core.types import F64, JointSource


@dataclass(frozen=True)
class Keypoints:
    """2D joints of one hand over the M moments of a recording."""

    by_view: Mapping[str, F64]
    """view -> (M, 21, 3): u px, v px of the colour image, confidence in [0, 1]; NaN where absent."""
    source: JointSource
    """How they were made."""
    side: Side | None
    """Which hand they are of, where the provider knows."""
    parent: str = ""
    """The revision that they come from, if any."""
