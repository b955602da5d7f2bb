"""Hands in a stream of images: find them, follow them, read their joints. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from hoi_core.conventions import SIDES, Side
from hoi_core.crop import Box
from hoi_core.detect import Detection, DetectorModel
from hoi_core.held import Clues, HeldObject, ObjectWatch
from hoi_core.keypoint_model import KeypointModel
from hoi_core.runtime import Engine, HandModel, load_as, load_hand, read_sidecar
from hoi_core.track import HandTracker, Settings, Track
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
    held: HeldObject | None = None
    """The object in it, of models that look for one."""


class Finder(Protocol):
    """Says where hands are in a whole image."""

    def detect(self, rgb: U8) -> Sequence[Detection]:
        """Hands of an image `(H, W, 3)`."""


class Reader(Protocol):
    """Reads a hand whose box is known."""

    least_confidence: ClassVar[float]
    """Mean confidence of the joints below which there is no hand."""
    in_space: ClassVar[bool]
    """Whether it reads joints in space, not in the image alone."""
    computed_by: str
    """Which engine computes what, for people."""

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

    def __init__(
        self, finder: Finder, reader: Reader, settings: Settings | None = None, watch: ObjectWatch | None = None
    ) -> None:
        """Start without any hand.

        Args:
            finder: finds hands in whole images.
            reader: reads those that are followed.
            settings: how they are followed.
            watch: says a reader of objects where these are; the one that it asks.
        """
        self._finder, self._reader, self._watch = finder, reader, watch
        self.tracker = HandTracker(settings or Settings(least_confidence=reader.least_confidence))

    @property
    def computed_by(self) -> str:
        """Which engine reads the hands, for people."""
        return self._reader.computed_by

    @property
    def in_space(self) -> bool:
        """Whether hands are read in space."""
        return self._reader.in_space

    def step(self, rgb: U8, camera: Camera, clues: Clues | None = None) -> list[LiveHand]:
        """The hands of the next image.

        Args:
            rgb: `(H, W, 3)`.
            camera: of it.
            clues: what is known of the objects in it; readers of hands alone do not ask.
        """
        if self._watch is not None:
            self._watch.look(clues or Clues())
        if self.tracker.wants_look:
            self.tracker.looked(self._finder.detect(rgb))
        hands = [hand for track in self.tracker.tracks if (hand := self._hand(rgb, camera, track)) is not None]
        self.tracker.next_frame()
        proven = {track.identity for track in self.tracker.tracks if track.proven}
        shown = [hand for hand in hands if hand.identity in proven]
        if self._watch is not None:
            self._watch.took(camera, [hand.reading.held for hand in shown if hand.reading.held is not None])
        return shown

    def _hand(self, rgb: U8, camera: Camera, track: Track) -> LiveHand | None:
        """What is read of one hand; as either side, where it is asked which it is."""
        side = track.side
        if self.tracker.wants_side(track.identity):
            either = {side: self._reader.read(rgb, camera, track.box, side) for side in SIDES}
            sure = {side: float(np.nan_to_num(found.confidence).mean()) for side, found in either.items()}
            side = self.tracker.judged(track.identity, sure["right"], sure["left"])
            reading = either[side]
        else:
            reading = self._reader.read(rgb, camera, track.box, side)
        believed = self.tracker.read(track.identity, reading.joints_px, reading.confidence)
        return LiveHand(track.identity, side, track.box, reading) if believed else None


class _ReadInSpace:
    least_confidence: ClassVar[float] = 0.02
    """Peaks of heatmaps are low even where they are right: this only refuses what is no peak at all."""
    in_space: ClassVar[bool] = True

    def __init__(self, model: HandModel) -> None:
        self._model = model
        self.computed_by = model.computed_by

    def read(self, rgb: U8, camera: Camera, box: Box, side: Side) -> Reading:
        found = self._model.predict(rgb, camera, box, side=side)
        return Reading(found.joints_px, found.confidence, found.joints_m, found.vertices_m)


class _ReadInImage:
    least_confidence: ClassVar[float] = 0.4
    """Confidence is a probability: on the simulated rig the shipped network's is above 0.6 for 99 hands in 100, and
    below 0.4 for 95 places in 100 without one."""
    in_space: ClassVar[bool] = False

    def __init__(self, model: KeypointModel) -> None:
        self._model = model
        self.computed_by = model.computed_by

    def read(self, rgb: U8, camera: Camera, box: Box, side: Side) -> Reading:
        found = self._model.find(rgb, camera, box, side)
        return Reading(found[:, :2], found[:, 2])


def open_reader(path: Path, threads: int = 0, engine: Engine = "onnxruntime") -> Reader:
    """A reader that runs an exported model of joints; of those that read an object too, see `live_grasp.open_grasps`.

    Args:
        path: the `.onnx` file, its sidecar beside it.
        threads: of ONNX Runtime; 0 for one per core.
        engine: as for `runtime.load`.

    Raises:
        AssetError: missing, damaged, a model of another task, or one that the engine does not run.
    """
    if read_sidecar(path).task == KeypointModel.TASK:
        return open_keypoints(path, threads, engine)
    return _ReadInSpace(load_hand(path, threads=threads, engine=engine))


def open_keypoints(path: Path, threads: int = 0, engine: Engine = "onnxruntime") -> Reader:
    """A reader of joints in the image alone, whose confidence is a probability; as `open_reader`."""
    return _ReadInImage(load_as(KeypointModel, path, threads=threads, engine=engine))


def open_finder(path: Path, threads: int = 0) -> DetectorModel:
    """A detector of an exported file; as `open_reader`."""
    return load_as(DetectorModel, path, threads=threads)
