"""Where `hoi-run` puts what was read: a window, a video, lines of JSON; and what it counts."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from hoi_core import draw
from hoi_core.crop import Box
from hoi_core.errors import ConfigError, StorageError
from hoi_core.live import LiveHand
from hoi_core.plain import plain
from hoi_core.shots import Film, Shot
from hoi_core.types import U8

if TYPE_CHECKING:
    from hoi_cli.run import Config

_SIDE_COLOUR = {"right": (250, 110, 90), "left": (90, 150, 250)}
_OBJECT_COLOUR = (240, 200, 80)
_RECENT = 30


class Show(Protocol):
    """Takes what was read of each image."""

    def add(self, shot: Shot, hands: Sequence[LiveHand], per_second: float) -> None:
        """The next image."""


class Tally:
    """What was read so far."""

    def __init__(self) -> None:
        self.images = self._with_hands = self._asked = self._with_objects = 0
        self._seen: set[int] = set()
        self._times: deque[float] = deque([time.monotonic()], maxlen=_RECENT + 1)

    def add(self, hands: Sequence[LiveHand]) -> None:
        """Count an image."""
        self.images += 1
        self._with_hands += bool(hands)
        held = [hand.reading.held for hand in hands if hand.reading.held is not None]
        self._asked += bool(held)
        self._with_objects += any(thing.found for thing in held)
        self._seen |= {hand.identity for hand in hands}
        self._times.append(time.monotonic())

    @property
    def per_second(self) -> float:
        """Images a second, over the last second or so."""
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)

    @property
    def share(self) -> float:
        """Share of the images with a hand."""
        return self._with_hands / max(self.images, 1)

    @property
    def identities(self) -> int:
        """Hands that were followed."""
        return len(self._seen)

    def figures(self) -> dict[str, object]:
        """For machines."""
        figures: dict[str, object] = {
            "images": self.images,
            "images_per_second": self.per_second,
            "share_with_hands": self.share,
            "identities": self.identities,
        }
        return figures | ({"share_with_objects": self._with_objects / self.images} if self._asked else {})

    def about_objects(self) -> list[str]:
        """In words, where a model was asked for objects."""
        if not self._asked:
            return []
        if not self._with_objects:
            return ["no pose of an object: the network was never sure enough, or --object must say which it is"]
        return [f"an object's pose in {self._with_objects / self.images:.0%} of them"]


def overlay(shot: Shot, hands: Sequence[LiveHand], per_second: float | None = None) -> U8:
    """An image with boxes of hands and objects, skeletons and the rate. `-> (H, W, 3)`."""
    out = shot.rgb.copy()
    held = [hand.reading.held for hand in hands if hand.reading.held is not None]
    for thing in shot.objects:
        if not any(one.found and one.name == thing.name for one in held):
            _boxed(out, thing.box, thing.name, _OBJECT_COLOUR)
    for one in held:
        sure = f" {one.confidence:.0%}" if np.isfinite(one.confidence) else ""
        out = draw.box_edges(out, one.control_px, _OBJECT_COLOUR)
        if one.found and np.isfinite(one.control_px).any():
            x, y = np.nanmin(one.control_px, axis=0)
            _named(out, (round(float(x)), round(float(y))), one.name + sure, _OBJECT_COLOUR)
    for hand in hands:
        out = draw.skeleton(out, hand.reading.joints_px, thickness=1, radius=2)
        _boxed(out, hand.box, f"{hand.side} {hand.identity}", _SIDE_COLOUR[hand.side])
    return out if per_second is None else draw.label(out, f"{per_second:.0f} fps", scale=0.4)


def _boxed(image: U8, box: Box, words: str, colour: tuple[int, int, int]) -> None:
    """Draw a box and its name into an image."""
    x0, y0, x1, y1 = (round(v) for v in box)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, 1, cv2.LINE_AA)
    _named(image, (x0, y0), words, colour)


def _named(image: U8, corner: tuple[int, int], words: str, colour: tuple[int, int, int]) -> None:
    """Write a name above a corner."""
    x, y = corner
    cv2.putText(image, words, (x, max(y - 4, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)


class _Video:
    """A video file that grows."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: cv2.VideoWriter | None = None

    def add(self, shot: Shot, hands: Sequence[LiveHand], per_second: float) -> None:
        height, width = shot.rgb.shape[:2]
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._fps, (width, height))
            if not self._writer.isOpened():
                raise StorageError(f"cannot write {self._path}.", "Name another --out.")
        self._writer.write(np.ascontiguousarray(overlay(shot, hands, per_second)[..., ::-1]))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


class _Picture:
    """A picture of one image."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, shot: Shot, hands: Sequence[LiveHand], per_second: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(self._path), np.ascontiguousarray(overlay(shot, hands)[..., ::-1])):
            raise StorageError(f"cannot write {self._path}.", "Name another --out.")


class _Lines:
    """A line of JSON per image."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf8")

    def add(self, shot: Shot, hands: Sequence[LiveHand], per_second: float) -> None:
        row = {"index": shot.index, "t_s": shot.t_s, "hands": [_row(h) for h in hands]}
        things = _things(shot, hands)
        if things:
            row["objects"] = things
        self._file.write(json.dumps(plain(row)))
        self._file.write("\n")

    def close(self) -> None:
        self._file.close()


class _Angles:
    """A line of JSON per hand: its joint angles. The first line says what they are called and how far they go."""

    def __init__(self, path: Path, ik_net: Path | None = None) -> None:
        from hoi_core import ik_model
        from hoi_core.ik.live import AngleReader, described

        self._reader = AngleReader(None if ik_net is None else ik_model.load(ik_net).guesser)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf8")
        self._write(described())

    def _write(self, row: dict[str, object]) -> None:
        self._file.write(json.dumps(plain(row)) + "\n")
        self._file.flush()  # a robot reads along

    def add(self, shot: Shot, hands: Sequence[LiveHand], per_second: float) -> None:
        for hand in hands:
            found = hand.reading
            if found.joints_m is None:  # of a model that reads none, which the command refuses
                continue
            angles = self._reader.read(hand.identity, hand.side, found.joints_m, found.vertices_m)
            where = {"index": shot.index, "t_s": shot.t_s, "identity": hand.identity, "side": hand.side}
            self._write(where | angles)

    def close(self) -> None:
        self._file.close()


def _row(hand: LiveHand) -> dict[str, object]:
    found = hand.reading
    row: dict[str, object] = {
        "identity": hand.identity,
        "side": hand.side,
        "box_px": list(hand.box),
        "joints_px": found.joints_px.tolist(),
        "confidence": found.confidence.tolist(),
    }
    return row if found.joints_m is None else row | {"joints_m": found.joints_m.tolist()}


def _things(shot: Shot, hands: Sequence[LiveHand]) -> list[dict[str, object]]:
    """Objects of an image: those that a network read in a hand, then those that only labels know."""
    rows: list[dict[str, object]] = []
    for hand in hands:
        held = hand.reading.held
        if held is not None:
            rows.append(
                {
                    "object": held.name or None,
                    "box_px": list(held.box),
                    "box_from": held.clue,
                    "held_by": hand.identity,
                    "T_cam_object": held.T_cam_obj.tolist() if held.found else None,
                    "control_px": held.control_px.tolist() if np.isfinite(held.control_px).all() else None,
                    "confidence": held.confidence,
                }
            )
    read = {row["object"] for row in rows}
    others = [thing for thing in shot.objects if thing.name not in read]
    return rows + [{"object": thing.name, "box_px": list(thing.box)} for thing in others]


@contextmanager
def open_shows(config: Config, film: Film, stop: Event) -> Iterator[list[Show]]:
    """Everything that the flags ask for; a window too, where there is a display and nothing is written instead."""
    with ExitStack() as stack:
        shows: list[Show] = []
        if config.out is not None:
            if config.image is None:
                video = _Video(config.out, film.fps)
                stack.callback(video.close)
                shows.append(video)
            else:
                shows.append(_Picture(config.out))
        if config.jsonl is not None:
            lines = _Lines(config.jsonl)
            stack.callback(lines.close)
            shows.append(lines)
        if config.angles is not None:
            angles = _Angles(config.angles, config.ik_net)
            stack.callback(angles.close)
            shows.append(angles)
        if config.window and not shows:
            shows += _window(film, stop)
        yield shows


def _window(film: Film, stop: Event) -> list[Show]:
    """A window; none without PyQt or a display."""
    try:
        from gui.live_window import LiveWindow

        return [LiveWindow(f"hoi-run {film.name}", overlay, stop)]
    except ConfigError:
        return []
