"""What goes into a calibration and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.detect import Detection
from hoi_core.types import F64, U8, Camera

NAN = float("nan")
_INNER = 0.95


@dataclass(frozen=True)
class DepthPoints:
    """Points of a depth image, in the frame of the view's colour camera."""

    points_m: F64
    """(N, 3) m."""
    pixels: F64
    """(N, 2) px, where they fall in the colour image."""

    def within(self, detection: Detection, most: int = 600) -> DepthPoints:
        """The points between the corners of a board, at most so many."""
        hull = cv2.convexHull(detection.corners_px.astype(np.float32))[:, 0]
        middle = hull.mean(0)
        # The outermost corners are as near to the board's edge as depth pixels are wide.
        hull = middle + _INNER * (hull - middle)
        low, high = hull.min(0), hull.max(0)
        near = np.nonzero(((self.pixels >= low) & (self.pixels <= high)).all(1))[0]
        ring = hull[:, None].astype(np.float32)
        inside = [k for k in near if cv2.pointPolygonTest(ring, self.pixels[k].tolist(), measureDist=False) > 0]
        chosen = np.array(inside[:: max(len(inside) // most, 1)], dtype=int)
        return DepthPoints(self.points_m[chosen], self.pixels[chosen])


@dataclass(frozen=True)
class Shot:
    """The board at one instant, seen by several views."""

    detections: Mapping[str, Detection]
    """view -> corners, only where the board was found."""
    images: Mapping[str, U8] = field(default_factory=dict)
    """view -> (H, W) gray image of views whose pixels are too coarse for corners."""
    depth: Mapping[str, DepthPoints] = field(default_factory=dict)
    """view -> depth on the board."""
    name: str = ""
    """What it is called in the report."""


@dataclass(frozen=True)
class Options:
    """How to calibrate, and what is refused."""

    reference: str = ""
    """View whose camera frame is the world; empty: `left`, else the first."""
    table_shot: str = ""
    """Name of a shot with the board flat on the table: the world is then on the table, z up."""
    intrinsics: Literal["auto", "alone", "joint", "fixed"] = "auto"
    """Lenses from each view's own images (`alone`), from all views together (`joint`), or as the factory says
    (`fixed`). `auto`: `joint` near the factory's where those of all views are known, else `alone`."""
    free_k3: bool = False
    """Also estimate the third radial coefficient; it is 0 by default."""
    free_tangential: bool = False
    """Also estimate the tangential coefficients; they are 0 by default."""
    outlier_rounds: int = 3
    """How often corners far from their prediction are left out and everything is solved again."""
    holdout_every: int = 5
    """Every so-many-th shot is left out to measure the hold-out error."""
    min_shots: int = 8
    """Fewest shots of each view."""
    min_shared: int = 5
    """Fewest shots that link a view to another."""
    max_rms_px: float = 1.0
    """Largest RMS of a view or of all, px."""
    max_holdout_px: float = 1.0
    """Largest hold-out error, px."""
    max_loop_mm: float = 4.0
    """Largest loop error, mm."""
    max_scale_error: float = 0.03
    """Largest difference of the board's distance from the depth camera's, as a share."""
    known_baseline_mm: float = NAN
    """Distance of the first two views' cameras as measured otherwise, mm; NaN: unknown."""
    max_baseline_error: float = 0.05
    """Largest difference from the known baseline, as a share."""


@dataclass(frozen=True)
class Figures:
    """How good a calibration is. NaN where a figure could not be had."""

    rms_px: Mapping[str, float]
    """view -> RMS distance of its corners from where its own lens puts them, each view for itself, px."""
    stereo_rms_px: float
    """RMS distance over all views with one board pose for each shot, px."""
    baseline_mm: float
    """Distance of the first two views' cameras, mm."""
    holdout_px: float
    """RMS distance in shots that the cameras were not fitted to, px."""
    loop_mm: float
    """How far a point on the board moves on a closed way through the cameras, mm."""
    plane_mm: Mapping[str, float] = field(default_factory=dict)
    """view -> median distance of depth pixels from the board's plane, mm."""
    depth_scale: Mapping[str, float] = field(default_factory=dict)
    """view -> measured depth of the board divided by its depth from the corners."""
    shots: Mapping[str, int] = field(default_factory=dict)
    """view -> number of shots that it saw the board in."""
    corners: Mapping[str, int] = field(default_factory=dict)
    """view -> number of corners used."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """view -> number of corners left out."""
    baselines_mm: Mapping[str, float] = field(default_factory=dict)
    """`a-b` -> distance of two cameras, mm."""


@dataclass(frozen=True)
class ViewResiduals:
    """Distances of a view's corners from their prediction."""

    corners_px: F64
    """(N, 2) where they were found, px."""
    error_px: F64
    """(N, 2) found minus predicted, px."""
    shot: tuple[str, ...]
    """(N,) name of the shot of each."""


@dataclass(frozen=True)
class Calibration:
    """Cameras of a rig, and how well they are known."""

    id: str
    """Name under `<root>/calibrations`; empty before it is written."""
    cameras: Mapping[str, Camera]
    """view -> colour camera (or the sensor's) with its pose."""
    board: Board
    """What was shown."""
    figures: Figures
    """How good it is."""
    created: str = ""
    """When, ISO 8601, UTC."""
    options: Options = field(default_factory=Options)
    """How it was made."""
    residuals: Mapping[str, ViewResiduals] = field(default_factory=dict)
    """view -> residuals; not stored in the file."""
    notes: tuple[str, ...] = ()
    """What a person should know."""
