"""Dataset readers: one file each, found by file name.

A reader defines `INFO`, `index(root, split) -> list[str]`, `read(root, key) -> Sample` and `tiny(folder)`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReaderInfo:
    """What a user should know of a dataset before using it."""

    name: str
    """Name of the reader."""
    url: str
    """Where it comes from; empty for one's own."""
    licence: str
    """Licence of the images and labels."""
    citation: str
    """How to cite it."""
    splits: tuple[str, ...]
    """Names of the splits."""
    joint_order: str
    """Native joint order, a key of `hoi_core.conventions.JOINT_ORDERS`."""
    unit: str
    """Native unit of the labels."""
