"""Does each view show a hand? What a network says, some times a second; recording comes first.

A thread of its own looks at the newest image of each view. It takes nothing from the threads that record but those
images, and looks at nothing while the recorder's rings fill. It has no lower priority than they have: a thread that
waits for the processor while it holds the interpreter's lock would hold up everybody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from capture.hand_blob import BlobDetector
from hoi_core import camera as cameras
from hoi_core.conventions import SIDES, Side
from hoi_core.crop import Box, box_of
from hoi_core.errors import HoiError
from hoi_core.live import Finder, Reader, Reading
from hoi_core.types import U8, Camera, Frame, StreamInfo

log = logging.getLogger(__name__)

SURE, UNSURE = 0.5, 0.4
"""Confidence from which on a hand is seen, and below which none is. On the simulated rig the shipped network gives 99
hands in 100 more than 0.6, and 95 places in 100 without a hand less than 0.4."""
_LOOKS_PER_S = 3.0
_BUSY = 0.25
_MOST_FOUND = 2
"""Detections that are read in one look."""


@dataclass(frozen=True)
class Sight:
    """Whether a view shows a hand."""

    level: Literal["good", "warn", "unknown"]
    """`warn` where it shows none, or hardly; `unknown` where nobody looks."""
    confidence: float
    """Of the network, 0 to 1; NaN where nobody looks."""
    mark: str
    """A word or two for a small mark."""
    text: str
    """What a technician should know or do."""


class Eye(Protocol):
    """Looks at one view."""

    def look(self, rgb: U8, camera: Camera | None, near: Box | None) -> float:
        """How surely an image shows a hand, 0 to 1.

        Args:
            rgb: `(H, W, 3)`.
            camera: of it, where it is known.
            near: x0, y0, x1, y1 px where depth has the hand; None where it has none.
        """


OpenEye = Callable[[], Eye]
"""Makes the eye of one view; called on the thread that looks, as it may load a network."""


class NetworkEye:
    """Reads joints where a hand may be, and believes the surest reading.

    Args:
        reader: of joints, whose confidence is a probability.
        finder: of hands in whole images; None where depth alone says where the hand may be.
    """

    def __init__(self, reader: Reader, finder: Finder | None = None) -> None:
        self._reader, self._finder = reader, finder
        self._last: tuple[Box, Side] | None = None

    def look(self, rgb: U8, camera: Camera | None, near: Box | None) -> float:
        """As `Eye.look`."""
        seen_by = camera or cameras.guessed(rgb.shape[1], rgb.shape[0])
        best, where = 0.0, self._last
        for box, sides in self._places(rgb, near):
            for side in sides:
                found = self._reader.read(rgb, seen_by, box, side)
                sure = _mean(found)
                if sure > best:
                    best, where = sure, (_box(found, box), side)
            if best >= SURE:
                break
        self._last = where if best >= UNSURE else None
        return best

    def _places(self, rgb: U8, near: Box | None) -> Iterator[tuple[Box, Sequence[Side]]]:
        """Where it may be, the likeliest first, and which hand; one by one, as looking costs time."""
        if self._last is not None:
            yield self._last[0], (self._last[1],)
        if near is not None:
            yield near, SIDES
        if self._finder is not None:
            yield from ((found.box, SIDES) for found in self._finder.detect(rgb)[:_MOST_FOUND])


def _mean(found: Reading) -> float:
    return float(np.nan_to_num(found.confidence).mean())


def _box(found: Reading, otherwise: Box) -> Box:
    """Where the joints are."""
    known = found.joints_px[np.isfinite(found.joints_px).all(-1)]
    return box_of(known) if len(known) > 1 else otherwise


class HandWatch(threading.Thread):
    """Asks of each view's newest image whether it shows a hand, until `end`.

    Args:
        streams: all streams.
        latest: the newest frame of a stream, None before its first.
        busy: share in use of the recorder's rings; above a quarter nothing is looked at.
        open_eye: makes the eye of a view; or why nobody looks, empty where nobody asks.
        per_s: looks at each view in a second.
    """

    def __init__(
        self,
        streams: Sequence[StreamInfo],
        latest: Callable[[str], Frame | None],
        busy: Callable[[], float],
        open_eye: OpenEye | str,
        per_s: float = _LOOKS_PER_S,
    ) -> None:
        super().__init__(name="hand watch", daemon=True)
        self._infos = {info.name: info for info in streams}
        self._views = [info.view for info in streams if info.content == "color"]
        self._latest, self._busy, self._open, self._every_s = latest, busy, open_eye, 1.0 / per_s
        self._ending = threading.Event()
        self._looked: dict[str, int] = {}
        self._seen: dict[str, Sight] = {}
        if isinstance(open_eye, str) and open_eye:
            self._say(open_eye)

    @property
    def seen(self) -> Mapping[str, Sight]:
        """What is known of each view now; views that nobody has looked at yet are missing."""
        return dict(self._seen)

    def start(self) -> None:
        """Begin to look, if there is anything to look with."""
        if not isinstance(self._open, str) and self._views:
            super().start()

    def end(self) -> None:
        """Stop looking and wait for the thread."""
        self._ending.set()
        if self.is_alive():
            self.join(timeout=5.0)

    def run(self) -> None:
        """Look until `end`."""
        try:
            self._look_on()
        except HoiError as error:
            self._say(str(error))
        except Exception:
            # A bug in what looks must never end a recording, nor its preview.
            log.exception("looking for hands met an error")
            self._say("looking for hands met an error; the log has more")

    def _look_on(self) -> None:
        if isinstance(self._open, str):
            return
        eyes = {view: self._open() for view in self._views}
        by_depth = {view: self._depth(view) for view in self._views}
        while not self._ending.is_set():
            began = time.monotonic()
            for view in self._views:
                frame = self._latest(f"{view}/color")
                if frame is None or self._looked.get(view) == frame.frame_number or self._busy() > _BUSY:
                    continue
                self._looked[view] = frame.frame_number
                rgb = np.asarray(frame.image, dtype=np.uint8)
                near = self._near(view, by_depth[view], rgb)
                self._seen[view] = sight(eyes[view].look(rgb, self._infos[f"{view}/color"].camera, near))
            self._ending.wait(max(began + self._every_s - time.monotonic(), 0.01))

    def _depth(self, view: str) -> BlobDetector | None:
        depth = self._infos.get(f"{view}/depth")
        return BlobDetector(depth, self._infos[f"{view}/color"]) if depth is not None else None

    def _near(self, view: str, detector: BlobDetector | None, rgb: U8) -> Box | None:
        """Where depth has the hand."""
        frame = self._latest(f"{view}/depth") if detector is not None else None
        if detector is None or frame is None:
            return None
        region = detector.find(rgb, frame.image, self._infos[f"{view}/depth"].depth_scale_m or 0.0)
        if region is None:
            return None
        x, y, width, height = region.box
        return float(x), float(y), float(x + width), float(y + height)

    def _say(self, why: str) -> None:
        """Nobody looks, and why."""
        nobody = Sight("unknown", float("nan"), "hand not looked for", why)
        self._seen = dict.fromkeys(self._views, nobody)


def sight(confidence: float) -> Sight:
    """What a confidence says."""
    share = f"{confidence:.0%}".replace("%", " %")
    if confidence >= SURE:
        return Sight("good", confidence, f"hand {share}", f"the network reads a hand's joints, {share} sure")
    if confidence >= UNSURE:
        text = f"the network is {share} sure of a hand's joints: it may be hidden, cut off or blurred"
        return Sight("warn", confidence, f"hand? {share}", text)
    return Sight("warn", confidence, "no hand", "the network reads no hand here: bring it into view")
