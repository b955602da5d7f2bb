"""Collect shots of the board while a person moves it, and say what is still missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capture.calibrate.board import Board
from capture.calibrate.detect import Detection
from capture.calibrate.result import Shot
from hoi_core.types import F64, I64, U8, Camera

GRID = (4, 6)
"""Rows and columns of the coverage map."""


@dataclass(frozen=True)
class ViewGuidance:
    """What one view has seen so far."""

    corners: int
    """Corners found in the last image."""
    corners_px: F64
    """(N, 2) px, to draw on the last image."""
    coverage: I64
    """(4, 6) how many accepted corners fell into each cell of the image."""
    count: int
    """Accepted shots in which the view saw the board."""
    tilt: float
    """Variety of the board's tilt, 0 to 1."""


@dataclass(frozen=True)
class Guidance:
    """What to do next."""

    accepted: bool
    """Whether the last images became a shot."""
    text: str
    """One sentence for the person with the board."""
    views: Mapping[str, ViewGuidance]
    """view -> what it has seen."""
    shots: int
    """Accepted shots."""
    progress: float
    """0 to 1."""
    ready: bool
    """Whether there is enough to calibrate."""


class Collector:
    """Chooses shots from a stream of images.

    Args:
        board: what the person holds.
        views: names of the views, the reference first.
        factory: cameras as the factory knows them, where it does.
    """

    def __init__(self, board: Board, views: Sequence[str], factory: Mapping[str, Camera] | None = None) -> None:
        self.board = board
        self.views = tuple(views)
        self.factory = dict(factory or {})
        self._shots: list[Shot] = []

    @property
    def shots(self) -> tuple[Shot, ...]:
        """Accepted shots, for `calibrate`."""
        return tuple(self._shots)

    @property
    def detections(self) -> tuple[Mapping[str, Detection], ...]:
        """Accepted corners by view, one mapping for each shot."""
        return tuple(shot.detections for shot in self._shots)

    def add(self, images: Mapping[str, U8]) -> Guidance:
        """Look at the newest image of each view. `view -> (H, W, 3) RGB or (H, W)`."""
        raise NotImplementedError
