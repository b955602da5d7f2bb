"""The report of a calibration as one HTML page."""

from __future__ import annotations

from pathlib import Path

from capture.calibrate.result import Calibration


def report_html(calibration: Calibration, path: Path) -> None:
    """Write the page."""
    raise NotImplementedError
