"""Where samples stand among others: which recording, which of its cameras, which of its instants."""

from __future__ import annotations

from typing import NamedTuple

from dataset_tools.writers import Extras
from dataset_tools.writers._pinhole import lens_of
from hoi_core.conventions import Side
from hoi_core.types import Sample


class Place(NamedTuple):
    """Of one sample; all count from 0."""

    recording: int
    """In the order in which they came."""
    camera: int
    """Of the recording, in the order in which they came."""
    instant: int
    """The last number in the sample's key, else the order in which it came."""


class Places:
    """Counts recordings and their cameras as samples come."""

    def __init__(self) -> None:
        self._recordings: dict[str, int] = {}
        self._cameras: dict[int, dict[tuple[object, ...], int]] = {}
        self._taken: set[tuple[Place, Side]] = set()

    def of(self, sample: Sample, extras: Extras) -> Place | None:
        """The place of the next sample; None where another hand of that side has it."""
        recording = self._recordings.setdefault(extras.group, len(self._recordings))
        cameras = self._cameras.setdefault(recording, {})
        seen_by = (*lens_of(sample.camera), sample.camera.T_world_cam.tobytes())
        numbers = [part for part in sample.key.split("/") if part.isdecimal()]
        instant = int(numbers[-1]) if numbers else len(self._taken)
        place = Place(recording, cameras.setdefault(seen_by, len(cameras)), instant)
        if (place, sample.side) in self._taken:
            return None
        self._taken.add((place, sample.side))
        return place
