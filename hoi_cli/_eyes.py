"""What looks for hands in the recording window: which model suits the cameras, or why none does."""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture.hand_watch import Eye, OpenEye
    from hoi_core.crop import Box
    from hoi_core.types import U8, Camera

_MODEL = "HOI_KEYPOINTS"


def eye_for(named: Path | None, *, simulated: bool) -> OpenEye | str:
    """What looks at one view, or why nobody does.

    The networks that come with the project have seen rendered hands only: they look at simulated cameras.

    Args:
        named: a keypoint network (.onnx) or MediaPipe's landmarker (.task); None for `$HOI_KEYPOINTS`, else what suits.
        simulated: whether the cameras show rendered hands.
    """
    told = os.environ.get(_MODEL, "")
    model = named or (Path(told) if told else None)
    if model is None and not simulated:
        install = "" if find_spec("mediapipe") is not None else "pip install 'hoi-toolkit[mediapipe]', "
        return (
            "The network that comes with this project knows rendered hands only. For real ones: "
            f"{install}download MediaPipe's hand_landmarker.task and name it with --hand-model or in ${_MODEL}; "
            "or name a keypoint network of yours."
        )
    if model is not None and model.suffix == ".task":
        return lambda: _LandmarkerEye(model)
    return lambda: _network_eye(model, simulated=simulated)


def _network_eye(model: Path | None, *, simulated: bool) -> Eye:
    """An eye that reads joints.

    Raises:
        AssetError: a file is missing, damaged, or a model of another task.
    """
    from capture.hand_watch import NetworkEye
    from hoi_core import shipped
    from hoi_core.live import open_finder, open_keypoints

    finder = open_finder(shipped.path(shipped.HAND_DETECTOR), threads=1) if simulated else None
    return NetworkEye(open_keypoints(model or shipped.path(shipped.KEYPOINTS), threads=1), finder)


class _LandmarkerEye:
    """MediaPipe, which finds and reads at once."""

    def __init__(self, model: Path) -> None:
        from annotate.keypoints.mediapipe import HandsInImages

        # Open as long as the thread that looks.
        self._open = ExitStack()
        self._hands = self._open.enter_context(HandsInImages(hands=1, model=str(model)))

    def look(self, rgb: U8, _camera: Camera | None, _near: Box | None) -> float:
        return max((found.score for found in self._hands.detect(rgb)), default=0.0)
