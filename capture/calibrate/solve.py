"""Calibrate a rig from shots of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capture.calibrate.board import Board
from capture.calibrate.result import Calibration, Options, Shot
from hoi_core.types import Camera


def calibrate(
    board: Board,
    shots: Sequence[Shot],
    factory: Mapping[str, Camera] | None = None,
    options: Options | None = None,
) -> Calibration:
    """Calibrate all views that the shots show."""
    raise NotImplementedError
