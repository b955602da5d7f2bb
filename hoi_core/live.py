"""Hands in a stream of images: find them, follow them, read their joints. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hoi_core.conventions import Side
from hoi_core.crop import Box
from hoi_core.detect import Detection, DetectorModel
from hoi_core.keypoint_model import KeypointModel
from hoi_core.runtime import HandModel, load_as, read_sidecar
from hoi_core.track import HandTracker, Settings
from hoi_core.types import F64, U8, Camera


@dataclass(frozen=True)
class Reading:
    """What a model reads of one hand."""

    joints_px: F64
    """(21, 2) px of the image."""
    confidence: F64
    """(21,) in [0, 1]."""
    joints_m: F64 | None = None
    """(21, 3) m, camera frame; None of models that read pixels only."""
    vertices_m: F64 | None = None
    """(778, 3) m, camera frame."""


class Finder(Protocol):
    """Says where hands are in a whole image."""

    def detect(self, rgb: U8) -> Sequence[Detection]:
        """Hands of an image `(H, W, 3)`."""


class Reader(Protocol):
    """Reads a hand whose box is known."""

    def read(self, rgb: U8, camera: Camera, box: Box, side: Side) -> Reading:
        """Joints of the hand in a box x0, y0, x1, y1 px."""


@dataclass(frozen=True)
class LiveHand:
    """A hand in one image."""

    identity: int
    """The same number in every image."""
    side: Side
    """Which hand."""
    box: Box
    """Where it was looked for, px."""
    reading: Reading
    """Its joints."""


class Follower:
    """Finds hands when it must, and reads those that it follows."""

    def __init__(self, finder: Finder, reader: Reader, settings: Settings | None = None) -> None:
        self._finder, self._reader = finder, reader
        self.tracker = HandTracker(settings)

    def step(self, rgb: U8, camera: Camera) -> list[LiveHand]:
        """The hands of the next image.

        Args:
            rgb: `(H, W, 3)`.
            camera: of it.
        """
        if self.tracker.wants_look:
            self.tracker.looked(self._finder.detect(rgb))
        hands = []
        for track in self.tracker.tracks:
            reading = self._reader.read(rgb, camera, track.box, track.side)
            if self.tracker.read(track.identity, reading.joints_px, reading.confidence):
                hands.append(LiveHand(track.identity, track.side, track.box, reading))
        self.tracker.next_frame()
        alive = {track.identity for track in self.tracker.tracks}
        return [hand for hand in hands if hand.identity in alive]


class _ReadInSpace:
    def __init__(self, model: HandModel) -> None:
        self._model = model

    def read(self, rgb: U8, camera: Camera, box: Box, side: Side) -> Reading:
        found = self._model.predict(rgb, camera, box, side=side)
        return Reading(found.joints_px, found.confidence, found.joints_m, found.vertices_m)


class _ReadInImage:
    def __init__(self, model: KeypointModel) -> None:
        self._model = model

    def read(self, rgb: U8, camera: Camera, box: Box, side: Side) -> Reading:
        found = self._model.find(rgb, camera, box, side)
        return Reading(found[:, :2], found[:, 2])


def open_reader(path: Path, threads: int = 0) -> Reader:
    """A reader that runs an exported model of joints.

    Args:
        path: the `.onnx` file, its sidecar beside it.
        threads: of ONNX Runtime; 0 for one per core.

    Raises:
        AssetError: missing, damaged, or a model of another task.
    """
    if read_sidecar(path).task == KeypointModel.TASK:
        return _ReadInImage(load_as(KeypointModel, path, threads=threads))
    return _ReadInSpace(load_as(HandModel, path, threads=threads))


def open_finder(path: Path, threads: int = 0) -> DetectorModel:
    """A detector of an exported file; as `open_reader`."""
    return load_as(DetectorModel, path, threads=threads)
