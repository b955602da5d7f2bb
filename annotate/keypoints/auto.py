"""The provider that suits a recording, where nobody has named one.

The network that comes with this project was trained on rendered hands: it is for simulated recordings. Real ones need a
detector for real hands, or a person's clicks.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from annotate.keypoints import Keypoints, mediapipe, onnx, stored
from hoi_core.errors import AssetError
from hoi_core.sequence import Capture
from hoi_core.sequence.layout import TRUTH

logger = logging.getLogger(__name__)
_LEAST_CONFIDENCE = 0.4
"""The shipped network's is above 0.6 for 99 hands in 100 on the simulated rig, elsewhere mostly below 0.4."""


@dataclass(frozen=True)
class Config:
    """Which model, where one is named."""

    model: str = ""
    """A `.onnx` or `.task` file; empty for `$HOI_KEYPOINTS`, else for what suits the recording."""


def provide(config: Config, folder: Path, capture: Capture) -> Keypoints | None:
    """Keypoints of a recording; None where there are none.

    A model that is named is used: `.task` by MediaPipe, any other by ONNX Runtime. Else a simulated recording gets the
    network that comes with the project, and what is stored where that finds nothing; a real one what is stored.

    Raises:
        AssetError: a real recording without keypoints, which needs a model; or the model is missing or damaged.
    """
    model = config.model or os.environ.get(onnx.MODEL, "")
    if model.endswith(".task"):
        return mediapipe.provide(mediapipe.Config(model=model), folder, capture)
    if model:
        return onnx.provide(onnx.Config(model=model), folder, capture)
    if is_simulated(folder):
        logger.info("%s is simulated: its keypoints come from the network trained on rendered hands", folder.name)
        rendered = onnx.Config(model=onnx.SHIPPED, detector=onnx.SHIPPED, least_confidence=_LEAST_CONFIDENCE)
        found = onnx.provide(rendered, folder, capture)
        return found or stored.provide(stored.Config(), folder, capture)
    found = stored.provide(stored.Config(), folder, capture)
    if found is None:
        install = "" if find_spec("mediapipe") is not None else "pip install 'hoi-toolkit[mediapipe]', "
        raise AssetError(
            f"{folder.name} is a real recording without keypoints, and the network that comes with this project knows "
            "rendered hands only.",
            f"MediaPipe knows real ones: {install}download its hand_landmarker.task and name that file with "
            f"--keypoint-model or in ${onnx.MODEL}. Or name a network of yours (.onnx) there, or click.",
        )
    return found


def is_simulated(folder: Path) -> bool:
    """Whether the simulated rig made a recording: it alone writes down what really happened."""
    return (folder / TRUTH).exists()
