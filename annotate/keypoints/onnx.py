"""A 2D hand network in an ONNX file, run on every colour image; a JSON file beside it says what it takes and gives."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotate.keypoints import Keypoints
from annotate.keypoints._network import HeatmapNetwork, Network, read_sidecar
from annotate.keypoints._search import MovingThings
from hoi_core import crop as crops
from hoi_core import runtime, shipped
from hoi_core.conventions import Side
from hoi_core.crop import Box
from hoi_core.detect import DetectorModel
from hoi_core.errors import AssetError
from hoi_core.grasp_model import GraspModel
from hoi_core.held import about_hand
from hoi_core.keypoint_model import KeypointModel
from hoi_core.sequence import Capture, View
from hoi_core.types import F64, U8, Camera, HandKeypoints

MODEL = "HOI_KEYPOINTS"
SHIPPED = "shipped"
_FEWEST = 6


@dataclass(frozen=True)
class Config:
    """Which network, and when its hand is believed."""

    model: str = ""
    """The `.onnx` file, with its `.json` beside it; `shipped` for the one that comes with the project, which knows
    rendered hands; empty for `$HOI_KEYPOINTS`."""
    side: Side = "right"
    """Which hand the recording shows; a network of the other side sees it mirrored."""
    least_confidence: float = 0.3
    """Mean confidence of the joints below which the hand was not found, and is looked for elsewhere."""
    detector: str = ""
    """What finds a hand that is not followed yet: `shipped`, or the file of an exported detector; empty for none. Where
    it finds none, and without it, the hand is looked for where something moved and in the whole image."""


def provide(config: Config, folder: Path, capture: Capture) -> Keypoints | None:
    """Detect one hand in every colour image of every view; None where it is in none.

    Raises:
        AssetError: the network or its description is missing, foreign or damaged, or ONNX Runtime is.
    """
    model = config.model or os.environ.get(MODEL, "")
    network = load(shipped.path(shipped.KEYPOINTS) if model == SHIPPED else Path(model))
    detector = _detector(config.detector)
    by_view = {
        name: _detect(_Search(network, detector, view, capture), view, capture, config)
        for name, view in capture.views.items()
    }
    if not any(np.isfinite(points).any() for points in by_view.values()):
        return None
    return Keypoints({config.side: HandKeypoints(by_view)}, "detected")


def _detector(name: str) -> DetectorModel | None:
    if not name:
        return None
    path = shipped.path(shipped.HAND_DETECTOR) if name == SHIPPED else Path(name)
    return runtime.load_as(DetectorModel, path, threads=1)


def load(path: Path) -> Network:
    """The network of a file: one of ours (`hoi-export`), or any that a `hoi-keypoints` sidecar describes.

    Raises:
        AssetError: a file is missing, foreign or damaged.
    """
    if not path.is_file() or path.suffix != ".onnx":
        raise AssetError(
            f"the provider onnx needs a network (.onnx), got {str(path)!r}.",
            f"Set ${MODEL} to the file of a 2D hand network.",
        )
    beside = path.with_suffix(".json")
    try:
        told = json.loads(beside.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise AssetError(
            f"{path} needs a description in {beside.name}: {error}.", "Write one, see docs/annotate_keypoints.md."
        ) from error
    if isinstance(told, dict) and told.get("format") == runtime.FORMAT:
        if told.get("task") == KeypointModel.TASK:
            return runtime.load_as(KeypointModel, path, threads=1)
        model = runtime.load(path, threads=1)
        return _OfGrasps(model) if isinstance(model, GraspModel) else _OwnNetwork(model)
    return HeatmapNetwork(path, read_sidecar(told, str(beside)))


class _OwnNetwork:
    """A hand model of `hoi-export`, of which only the joints in the image are used."""

    def __init__(self, model: runtime.HandModel) -> None:
        self.model = model

    def find(self, rgb: U8, camera: Camera, box: Box, side: Side) -> F64:
        found = self.model.predict(rgb, camera, box, side=side)
        return np.concatenate([found.joints_px, found.confidence[:, None]], axis=-1)


class _OfGrasps:
    """A model of hands with objects, of which only the joints in the image are used."""

    def __init__(self, model: GraspModel) -> None:
        self.model = model

    def find(self, rgb: U8, camera: Camera, box: Box, side: Side) -> F64:
        # It was trained on hands that hold something: about the hand is where that would be.
        found = self.model.predict(rgb, camera, box, about_hand(box), side=side).hand
        return np.concatenate([found.joints_px, found.confidence[:, None]], axis=-1)


class _Search:
    """Looks for the hand of one view."""

    def __init__(self, network: Network, detector: DetectorModel | None, view: View, capture: Capture) -> None:
        self._network, self._detector = network, detector
        self._view, self._moving = view, MovingThings(view, capture)

    def read(self, rgb: U8, box: Box, config: Config) -> F64 | None:
        """The joints `(21, 3)` in a box; None where they are not believed."""
        points = self._network.find(rgb, self._view.camera, box, config.side)
        known = np.isfinite(points).all(-1)
        if known.sum() < _FEWEST or points[known, 2].mean() < config.least_confidence:
            return None
        return points

    def anywhere(self, rgb: U8, moment: int, config: Config) -> F64 | None:
        """Look where the detector says, else where something moved, else in the whole image; then again closely."""
        for box in self._places(rgb, moment):
            rough = self.read(rgb, box, config)
            if rough is not None:
                close = self.read(rgb, crops.box_of(rough[:, :2]), config)
                return rough if close is None else close
        return None

    def _places(self, rgb: U8, moment: int) -> Iterator[Box]:
        """Boxes in which the hand may be, the likeliest first; found one by one, as each costs time."""
        if self._detector is not None:
            yield from [found.box for found in self._detector.detect(rgb)]
        moving = self._moving.box(moment)
        if moving is not None:
            yield moving
        yield (-0.5, -0.5, self._view.camera.width - 0.5, self._view.camera.height - 0.5)


def _detect(search: _Search, view: View, capture: Capture, config: Config) -> F64:
    """(M, 21, 3) px and confidence in one view; NaN where the hand was not found."""
    frames = capture.sync.index[f"{view.name}/color"]
    out = np.full((len(frames), 21, 3), np.nan)
    last: Box | None = None
    for m, frame in enumerate(frames):
        if frame < 0:
            continue
        rgb = np.asarray(view.color[int(frame)], dtype=np.uint8)
        points = None if last is None else search.read(rgb, last, config)
        if points is None:
            points = search.anywhere(rgb, m, config)
        last = None if points is None else crops.box_of(points[:, :2])
        if points is not None:
            out[m] = points
    return out
