"""Withdrawal: find everything of one participant under a dataset's root, delete it, and prove that it is gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Holding:
    """One thing that is kept of a participant."""

    path: str
    """Relative to the root."""
    kind: str
    """`recording`, `row`, or `mention`."""
    what: str
    """Why it belongs to the participant, in words."""
    bytes: int
    """Size of what goes."""


@dataclass(frozen=True)
class Holdings:
    """Everything that is kept of a participant."""

    participant: str
    """Pseudonym."""
    sequences: tuple[str, ...]
    """Sequences that were recorded of the participant."""
    items: tuple[Holding, ...]
    """Files, rows and mentions."""

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return sum(item.bytes for item in self.items)


@dataclass(frozen=True)
class Certificate:
    """Proof of a withdrawal."""

    participant: str
    """Pseudonym."""
    date: str
    """ISO 8601, with zone."""
    sequences: tuple[str, ...]
    """Sequences that were deleted."""
    files: int
    """Files that were deleted."""
    bytes: int
    """Bytes that were deleted."""
    rows: int
    """Table rows that were deleted."""
    scanned_files: int
    """Files that were read through afterwards."""
    scanned_bytes: int
    """Bytes that were read through afterwards."""
    verified: bool
    """Whether that scan found nothing of the participant."""


def holdings(root: Path, participant: str) -> Holdings:
    """List everything of a participant under the root; changes nothing."""
    return Holdings(participant, (), ())


def withdraw(root: Path, participant: str) -> Certificate:
    """Delete everything of a participant under the root and verify it."""
    raise NotImplementedError(participant)
