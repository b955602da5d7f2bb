"""What a calibration is refused for, before and after it is solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from capture.calibrate.result import Figures, Options, Shot
from hoi_core import rotation
from hoi_core.errors import CalibrationError
from hoi_core.types import Camera

# Housings are centimetres wide: cameras nearer than this, and turned alike, are one camera's images given twice.
_SAME_PLACE_M = 0.002
_SAME_ANGLE_RAD = 0.02
# Joint solutions cost a little: where they cost this much, the views do not show the same board at the same time.
_DISAGREE_FACTOR = 3.0


def too_few(views: Sequence[str], shots: Sequence[Shot], options: Options) -> None:
    """Refuse one view alone, and views that saw the board too rarely.

    Raises:
        CalibrationError: with what each view has.
    """
    if len(views) < 2:
        raise CalibrationError(
            f"expected the board in two views or more, got {', '.join(views) or 'none'}.",
            "Connect a second camera, or hold the board where both see it.",
        )
    counts = {view: sum(view in shot.detections for shot in shots) for view in views}
    poor = {view: n for view, n in counts.items() if n < options.min_shots}
    if poor:
        seen = ", ".join(f"{n} of {view}" for view, n in poor.items())
        raise CalibrationError(
            f"expected at least {options.min_shots} images with the board in each view, got {seen}.",
            "Take more, with the board in every part of the image and tilted in different directions.",
        )


def wrong_sizes(shots: Sequence[Shot], factory: Mapping[str, Camera]) -> dict[str, tuple[int, int]]:
    """Refuse images of several sizes, or of another size than the camera's.

    Returns:
        view -> width and height, px.

    Raises:
        CalibrationError: with the sizes.
    """
    sizes: dict[str, tuple[int, int]] = {v: (camera.width, camera.height) for v, camera in factory.items()}
    found: dict[str, tuple[int, int]] = {}
    for shot in shots:
        for view, detection in shot.detections.items():
            expected = sizes.setdefault(view, detection.size)
            found[view] = expected
            if detection.size != expected:
                raise CalibrationError(
                    f"expected images of {view} to have {expected[0]}x{expected[1]} px, got "
                    f"{detection.size[0]}x{detection.size[1]}{f' in {shot.name}' if shot.name else ''}.",
                    "Use images as the camera delivers them, neither scaled nor cropped.",
                )
    return found


def same_place(cameras: Mapping[str, Camera]) -> None:
    """Refuse two cameras at numerically the same place: one view's images were given twice.

    Raises:
        CalibrationError: with the two views.
    """
    for a, b in combinations(cameras, 2):
        Ta, Tb = cameras[a].T_world_cam, cameras[b].T_world_cam
        apart = float(np.linalg.norm(Ta[:3, 3] - Tb[:3, 3]))
        turned = float(rotation.geodesic_angle(Ta[:3, :3], Tb[:3, :3]))
        if apart < _SAME_PLACE_M and turned < _SAME_ANGLE_RAD:
            raise CalibrationError(
                f"expected {a} and {b} at different places, got {1e3 * apart:.2f} mm and {np.rad2deg(turned):.2f} "
                "degrees between them.",
                "Check that the images of one camera were not given for both.",
            )


def poor_figures(figures: Figures, options: Options) -> None:
    """Refuse figures that are worse than the options allow.

    Raises:
        CalibrationError: with the worst figure, and what it usually means.
    """
    for view, rms in figures.rms_px.items():
        if not rms <= options.max_rms_px:
            raise CalibrationError(
                f"expected an RMS of at most {options.max_rms_px:g} px, got {rms:.2f} px in {view}.",
                "Hold the board still, flat and in focus; check that the printed board is the one of the board file.",
            )
    _scale(figures, options)
    alone = max(figures.rms_px.values())
    if not figures.stereo_rms_px <= options.max_rms_px:
        disagree = figures.stereo_rms_px > _DISAGREE_FACTOR * alone
        raise CalibrationError(
            f"expected a joint RMS of at most {options.max_rms_px:g} px, got {figures.stereo_rms_px:.2f} px "
            f"(each view alone {alone:.2f} px).",
            "Each view is good alone but they contradict each other: images of one shot are not of the same "
            "instant, or a camera was moved."
            if disagree
            else "Hold the board still while the images are taken.",
        )
    if figures.loop_mm > options.max_loop_mm:
        raise CalibrationError(
            f"expected a loop error of at most {options.max_loop_mm:g} mm, got {figures.loop_mm:.1f} mm, though the "
            f"RMS is {figures.stereo_rms_px:.2f} px.",
            "A low RMS alone proves little: take more images with the board near, tilted, and seen by all cameras.",
        )
    if figures.holdout_px > options.max_holdout_px:
        raise CalibrationError(
            f"expected a hold-out error of at most {options.max_holdout_px:g} px, got {figures.holdout_px:.2f} px.",
            "Take more images: the cameras fit those they have, but not new ones.",
        )


def _scale(figures: Figures, options: Options) -> None:
    """A board of another size moves every camera by the same share, at no residual: only other measures tell."""
    for view, ratio in figures.depth_scale.items():
        if abs(ratio - 1.0) > options.max_scale_error:
            raise CalibrationError(
                f"expected the depth camera of {view} to agree with the board within "
                f"{100 * options.max_scale_error:g} %, got {100 * (ratio - 1):+.1f} %.",
                "Measure the squares of the printed board and correct square_length: it was perhaps scaled in print.",
            )
    known = options.known_baseline_mm
    if known > 0 and abs(figures.baseline_mm / known - 1.0) > options.max_baseline_error:
        raise CalibrationError(
            f"expected a baseline of about {known:.0f} mm, got {figures.baseline_mm:.0f} mm.",
            "Measure the squares of the printed board and correct square_length, or correct the known baseline.",
        )
