"""The daily check: has a camera moved since the calibration?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capture.calibrate.board import Board
from capture.calibrate.result import Calibration
from hoi_core.types import U8, Camera


@dataclass(frozen=True)
class CheckResult:
    """Whether a calibration still holds."""

    ok: bool
    """Whether it may be used today."""
    text: str
    """What was found, in words."""
    rms_px: float
    """RMS distance over all views with one board pose, px."""
    disagreement_mm: float
    """Largest distance between where two views see the board, mm."""
    view_px: Mapping[str, float]
    """view -> RMS distance, px."""


def check_calibration(
    calibration: Calibration | Mapping[str, Camera], board: Board, images: Mapping[str, U8]
) -> CheckResult:
    """Compare one image of the board in each view with the calibration."""
    raise NotImplementedError
