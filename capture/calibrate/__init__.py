"""Calibration of a rig with a ChArUco board: detect, collect, solve, judge, store, check."""

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
