"""MediaPipe's hand landmarker: every hand of every image. An optional extra, with a model file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from annotate.keypoints import Keypoints
from annotate.keypoints._hands import Detection, assign_sides
from hoi_core.conventions import N_JOINTS, Side
from hoi_core.crop import box_of
from hoi_core.detect import Detection as Found
from hoi_core.errors import AssetError
from hoi_core.sequence import Capture
from hoi_core.types import U8

MODEL = "HOI_KEYPOINTS"


@dataclass(frozen=True)
class Config:
    """How the landmarker runs."""

    model: str = ""
    """Its `.task` file; empty for `$HOI_KEYPOINTS`."""
    hands: int = 2
    """Hands in an image at most."""
    detection_confidence: float = 0.5
    """Least confidence of a new hand."""
    presence_confidence: float = 0.5
    """Least confidence that a hand which is followed is still there."""
    mirrored: bool = False
    """Whether the landmarker calls right hands left, as versions before 0.10.15 do for images that are not mirrored."""


def provide(config: Config, folder: Path, capture: Capture) -> Keypoints | None:
    """Detect hands in every colour image of every view; None where there are none.

    Raises:
        AssetError: the extra or the model file is missing.
    """
    found = {}
    for view in capture.views:
        with _landmarker(config) as (landmarker, image_of):
            images = capture.views[view].color
            index, t_ns = capture.sync.index[f"{view}/color"], capture.sync.t_ns
            found[view] = [
                _detect(landmarker, image_of, images[int(frame)], int(t_ns[m] - t_ns[0]) // 1_000_000, config)
                if frame >= 0
                else []
                for m, frame in enumerate(index)
            ]
    hands = assign_sides(found, {view: capture.views[view].camera for view in capture.views})
    return Keypoints(hands, "detected") if hands else None


class HandsInImages:
    """Finds hands in one image after the other, as `hoi_core.live` asks for them; a context manager."""

    def __init__(self, hands: int = 2, model: str = "") -> None:
        self._config = Config(model=model, hands=hands)
        self._open = ExitStack()
        self._asked = 0

    def __enter__(self) -> Self:
        self._landmarker, self._image_of = self._open.enter_context(_landmarker(self._config))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def detect(self, rgb: U8) -> list[Found]:
        """Hands of an image `(H, W, 3)`, the surest first."""
        self._asked += 1
        # Times need only rise: hands are followed elsewhere.
        hands = _detect(self._landmarker, self._image_of, rgb, 33 * self._asked, self._config)
        found = []
        for one in hands:
            side: Side = "right" if one.right >= 0.5 else "left"
            found.append(Found(side, box_of(one.points[:, :2]), max(one.right, 1.0 - one.right)))
        return sorted(found, key=lambda hand: -hand.score)


def _detect(landmarker: Any, image_of: Any, rgb: U8, t_ms: int, config: Config) -> list[Detection]:
    result = landmarker.detect_for_video(image_of(np.ascontiguousarray(rgb)), t_ms)
    return detections(result, rgb.shape[1], rgb.shape[0], mirrored=config.mirrored)


def detections(result: Any, width: int, height: int, *, mirrored: bool) -> list[Detection]:
    """A `HandLandmarkerResult` as detections.

    Args:
        result: with `hand_landmarks` and `handedness` of each hand.
        width: of the image, px.
        height: of the image, px.
        mirrored: whether left means right.
    """
    out = []
    for landmarks, categories in zip(result.hand_landmarks, result.handedness, strict=True):
        if len(landmarks) != N_JOINTS:
            continue
        best = max(categories, key=lambda category: category.score)
        right = best.score if best.category_name == "Right" else 1.0 - best.score
        points = np.full((N_JOINTS, 3), np.nan)
        for j, landmark in enumerate(landmarks):
            # Its edges lie at 0 and 1; our pixel centres lie at integers.
            points[j] = landmark.x * width - 0.5, landmark.y * height - 0.5, _confidence(landmark, best.score)
        out.append(Detection(points, 1.0 - right if mirrored else right))
    return out


def _confidence(landmark: Any, of_hand: float) -> float:
    """The joint's own confidence where the landmarker gives one (most models leave it at nothing), else the hand's."""
    given = [value for value in (landmark.presence, landmark.visibility) if value]
    return float(np.clip(min([of_hand, *given]), 0.0, 1.0))


@contextmanager
def _landmarker(config: Config) -> Iterator[tuple[Any, Any]]:
    """A landmarker for one view's video, and what makes its images."""
    path = Path(config.model or os.environ.get(MODEL, ""))
    if not path.is_file() or path.suffix != ".task":
        raise AssetError(
            f"the provider mediapipe needs the file of a hand landmarker (.task), got {str(path)!r}.",
            f"Download `hand_landmarker.task` from MediaPipe's model page and set ${MODEL} to it.",
        )
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise AssetError(
            "the provider mediapipe needs the package mediapipe.", "pip install 'hoi-toolkit[mediapipe]'"
        ) from error
    options = vision.HandLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(path)),
        running_mode=vision.RunningMode.VIDEO,
        num_hands=config.hands,
        min_hand_detection_confidence=config.detection_confidence,
        min_hand_presence_confidence=config.presence_confidence,
    )
    try:
        landmarker = vision.HandLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise AssetError(
            f"{path} is not a hand landmarker that MediaPipe reads: {str(error).splitlines()[0].rstrip('.')}.",
            "Download it again.",
        ) from error
    with landmarker:
        yield landmarker, lambda rgb: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
