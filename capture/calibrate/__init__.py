"""Calibration of a rig with a ChArUco board.

In the order in which things happen: `board`, `printing`; `detect`; shots from a preview (`live`, `collect`) or from
files (`images`, and `diagnose` for boards that are not found); `solve`, which sets up a `problem`, starts it (`start`),
adjusts it (`bundle`, `lens`), adds coarse sensors (`coarse`), judges and refuses (`judge`, `refuse`); the `result`, its
`store` and `report`; and the daily `check`.
"""

from capture.calibrate.board import Board
from capture.calibrate.check import CheckResult, check_calibration
from capture.calibrate.collect import Collector, Guidance, ViewGuidance
from capture.calibrate.detect import Detection, detect
from capture.calibrate.live import LiveCollector
from capture.calibrate.report import report_html
from capture.calibrate.result import Calibration, DepthPoints, Figures, Options, Shot
from capture.calibrate.solve import calibrate
from capture.calibrate.store import load_calibration, next_identifier, read_calibration, write_calibration

__all__ = [
    "Board",
    "Calibration",
    "CheckResult",
    "Collector",
    "DepthPoints",
    "Detection",
    "Figures",
    "Guidance",
    "LiveCollector",
    "Options",
    "Shot",
    "ViewGuidance",
    "calibrate",
    "check_calibration",
    "detect",
    "load_calibration",
    "next_identifier",
    "read_calibration",
    "report_html",
    "write_calibration",
]
