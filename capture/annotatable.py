"""Can what is being recorded be annotated? A level and a sentence for each thing that can spoil it.

The thresholds and their reasons are in docs/protocol.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from capture import view_figures
from capture.hand_blob import STEP, BlobDetector, HandRegion
from hoi_core.edges import sobel_edges
from hoi_core.types import U8, Frame, StreamInfo

Level = Literal["good", "warn", "bad", "unknown"]
LEVELS: tuple[Level, ...] = ("good", "unknown", "warn", "bad")
"""From what needs no attention to what needs it most."""

# Each pair: from where on it is a warning, and from where on bad.
INSIDE = (0.85, 0.6)
"""Share of the hand within the image: below, joints are missing in one view; then most of them."""
SMALL_PX = (64.0, 40.0)
"""Longer side of the hand's box: its 21 joints are then 3 px apart, about as much as people misplace them."""
BLUR = (0.65, 0.75)
"""Simulated hands: sharp 0.46 to 0.56; smeared over 5 px 0.60 to 0.68, over 9 px 0.72 to 0.78 (5 and 9 mm at 0.6 m)."""
DARK = (50.0, 30.0)
"""Median brightness of the hand: skin's contrast of a few per cent sinks into the camera's noise of two levels."""
CLIPPED = (0.05, 0.2)
"""Share of the hand's pixels at the upper end: folds and nails, then the shape of the fingers, are gone."""
HOLES = (0.15, 0.3)
"""Share of the hand without depth: simulated 0.02 to 0.11; beyond a sixth whole fingers are missing."""
EDGES_FEW = (0.02, 0.005)
"""Share of edge pixels: an empty, textured table has 0.09; nothing at all is dark or covered."""
EDGES_MANY = (0.3, 0.45)
"""Simulated scenes have 0.09 to 0.22; more is noise or a patterned background, in which the hand's edges drown."""
SKEW_MS = (8.5, 20.0)
"""A quarter of a frame at 30 fps: half of all unsynchronised pairs; beyond half a frame, frames are mispaired."""
DROPS = (0.0, 0.01)
"""Share of frames lost: any is worth a look; one in a hundred leaves gaps that the fit must guess."""
SHARES = (0.8, 0.5)
"""Share of the take at which a reading was good."""


def worst(levels: Sequence[Level]) -> Level:
    """The level that needs most attention; `unknown` of nothing."""
    return max(levels, key=LEVELS.index, default="unknown")


@dataclass(frozen=True)
class Reading:
    """One thing that was looked at."""

    name: str
    """`hand`, `blur`, `exposure`, `depth_holes`, `edges`, `skew` or `drops`."""
    level: Level
    """How good it is."""
    value: float
    """The figure behind it; NaN where there is none."""
    text: str
    """What a technician should know or do, in words."""


@dataclass(frozen=True)
class Verdict:
    """What a moment, or a whole take, is worth."""

    views: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)
    """View or sensor -> its readings."""
    take: tuple[Reading, ...] = ()
    """Readings of all streams together: skew and drops."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """`view/reading` -> share of the looks at which it was good, over the take."""

    @property
    def level(self) -> Level:
        """The level that needs most attention."""
        return worst([reading.level for readings in (*self.views.values(), self.take) for reading in readings])

    @property
    def words(self) -> tuple[str, ...]:
        """What is not good, the worst first; empty when all is well."""
        found = [(r.level, f"{view}: {r.text}") for view, readings in self.views.items() for r in readings]
        found += [(r.level, r.text) for r in self.take]
        poor = [pair for pair in found if pair[0] in ("warn", "bad")]
        return tuple(text for _, text in sorted(poor, key=lambda pair: -LEVELS.index(pair[0])))


class HandDetector(Protocol):
    """Finds the hand of one view; `capture.hand_blob.BlobDetector` by depth, others may use a trained model."""

    def find(self, color: U8, depth: np.ndarray | None, depth_scale_m: float) -> HandRegion | None:
        """The hand, or None. `(H, W, 3) RGB, (H, W) uint16 units or None`."""


def judge_view(
    color: U8, depth: np.ndarray | None, depth_scale_m: float, detector: HandDetector | None = None
) -> tuple[Reading, ...]:
    """Readings `hand`, `blur`, `exposure` and `depth_holes` of one view; about 3 ms at 640x480.

    Args:
        color: (H, W, 3) RGB.
        depth: (H, W) units, 0 where nothing was measured; None for a view without depth.
        depth_scale_m: metres per unit.
        detector: finds the hand, and may remember the view; None looks at this image only.
    """
    if depth is None and detector is None:
        hand = Reading("hand", "unknown", float("nan"), "without depth the hand is not looked for")
        return (hand, _blur(color), _exposure(color.reshape(-1, 3)[::97], "image"), _no_holes("no depth"))
    region = (detector or BlobDetector()).find(color, depth, depth_scale_m)
    if region is None:
        hand = Reading("hand", "bad", 0.0, _why_no_hand(depth))
        nothing = Reading("blur", "unknown", float("nan"), "no hand to judge sharpness by")
        return (hand, nothing, _exposure(color.reshape(-1, 3)[::97], "image"), _no_holes("no hand"))
    part = view_figures.crop(color, region.box)
    pixels = part.reshape(-1, 3)[::13]
    if region.color_points is not None:
        pixels = view_figures.colors_at(color, region.color_points)
    missing = _no_holes("no depth")
    if depth is not None and region.depth_mask is not None:
        missing = _holes(view_figures.holes(depth, region.depth_mask, STEP))
    return (_hand(region), _blur(part), _exposure(pixels, "hand"), missing)


def _why_no_hand(depth: np.ndarray | None) -> str:
    if depth is None or (missing := 1.0 - view_figures.depth_fill(depth)) < 0.5:
        return "no hand in view"
    return f"no hand found: depth is missing on {missing:.0%} of the view"


def _hand(region: HandRegion) -> Reading:
    size = float(max(region.box[2:]))
    cut, small = _below(region.inside, INSIDE), _below(size, SMALL_PX)
    if LEVELS.index(cut) >= LEVELS.index(small) and cut != "good":
        text = "the hand is mostly out of view" if cut == "bad" else "the image cuts off part of the hand"
        return Reading("hand", cut, region.inside, f"{text}: keep it in the middle, or turn the camera")
    if small != "good":
        return Reading("hand", small, region.inside, f"the hand is small ({size:.0f} px): move the camera nearer")
    return Reading("hand", "good", region.inside, "hand in view")


def _blur(part: U8) -> Reading:
    value = view_figures.blur(part)
    if np.isnan(value):
        return Reading("blur", "unknown", value, "the hand is too small to judge sharpness by")
    level = _above(value, BLUR)
    text = {
        "good": "sharp",
        "warn": "a little blurred: slower, more light, or a shorter exposure",
        "bad": "blurred: shorten the exposure, add light, clean and check the lens",
    }
    return Reading("blur", level, value, text[level])


def _exposure(pixels: U8, what: str) -> Reading:
    brightness, clipped = view_figures.exposure(pixels)
    if np.isnan(brightness):
        return Reading("exposure", "unknown", brightness, f"the {what} cannot be seen")
    dark, bright = _below(brightness, DARK), _above(clipped, CLIPPED)
    if LEVELS.index(dark) >= LEVELS.index(bright) and dark != "good":
        return Reading("exposure", dark, brightness, f"the {what} is too dark: add light or gain")
    if bright != "good":
        text = f"{clipped:.0%} of the {what} is overexposed: less light, exposure or gain"
        return Reading("exposure", bright, brightness, text)
    return Reading("exposure", "good", brightness, "well exposed")


def _holes(share: float) -> Reading:
    level = _above(share, HOLES)
    text = "depth on the hand" if level == "good" else f"no depth on {share:.0%} of the hand"
    fix = "" if level == "good" else ": check distance (0.3 to 1 m), projector and sunlight"
    return Reading("depth_holes", level, share, text + fix)


def _no_holes(why: str) -> Reading:
    return Reading("depth_holes", "unknown", float("nan"), f"depth on the hand not judged: {why}")


def judge_sensor(gray: U8, edge: U8 | None = None) -> tuple[Reading, ...]:
    """Readings `edges` and `exposure` of the sensor; below 0.2 ms. `(H, W), (H, W)` or None: edges made of gray."""
    share = view_figures.edge_share(sobel_edges(gray) if edge is None else edge)
    few, many = _below(share, EDGES_FEW), _above(share, EDGES_MANY)
    if few != "good":
        reading = Reading("edges", few, share, "hardly any edges: too dark, out of focus, or covered")
    elif many != "good":
        reading = Reading("edges", many, share, f"edges on {share:.0%} of the image: noise, or a patterned background")
    else:
        reading = Reading("edges", "good", share, "edges are sparse")
    pixels = np.repeat(np.ascontiguousarray(gray).reshape(-1, 1)[::7], 3, axis=1)
    return (reading, _exposure(pixels, "image"))


def judge_skew(skew_ms: float) -> Reading:
    """Reading `skew` from the median distance in time of the views' frames, ms; NaN for one view."""
    value = abs(skew_ms)
    if np.isnan(value):
        return Reading("skew", "unknown", value, "distance of the views in time not known")
    level = _above(value, SKEW_MS)
    text = {
        "good": f"the views are {value:.1f} ms apart",
        "warn": f"the views are {value:.1f} ms apart: good for slow hands, use 60 fps for fast ones",
        "bad": f"the views are {value:.1f} ms apart, more than half a frame: check cameras and USB load",
    }
    return Reading("skew", level, value, text[level])


def judge_drops(drops: int, frames: int) -> Reading:
    """Reading `drops` from the number of lost frames and of those that should have come (0: not known)."""
    share = drops / frames if frames else float("nan")
    if drops <= 0:
        return Reading("drops", "good", 0.0, "no frame lost")
    level: Level = "bad" if frames and share >= DROPS[1] else "warn"
    lost = f"{drops} frame{'s' if drops > 1 else ''} lost" + (f" ({share:.1%})" if frames else "")
    return Reading("drops", level, share, f"{lost}: check cables, USB ports and the disk")


def _above(value: float, limits: tuple[float, float]) -> Literal["good", "warn", "bad"]:
    return "bad" if value > limits[1] else "warn" if value > limits[0] else "good"


def _below(value: float, limits: tuple[float, float]) -> Literal["good", "warn", "bad"]:
    return "bad" if value < limits[1] else "warn" if value < limits[0] else "good"


class Tally:
    """Many looks at one thing, summed up as they come."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._levels: Counter[Level] = Counter()
        self._latest: dict[Level, Reading] = {}

    def add(self, look: Reading) -> None:
        """One more look."""
        self._levels[look.level] += 1
        self._latest[look.level] = look
        if look.level != "unknown":
            self._values.append(look.value)

    @property
    def share(self) -> float:
        """Share of the looks, as far as they told anything, that were good; NaN of none."""
        return self._levels["good"] / len(self._values) if self._values else float("nan")

    def reading(self) -> Reading:
        """One reading for all: by how often it was good, with the commonest kind of fault; after the first look."""
        if not self._values:
            return self._latest["unknown"]
        level, value = _below(self.share, SHARES), float(np.median(self._values))
        if level == "good":
            return replace(self._latest["good"], value=value)
        if level == "bad" and not self._levels["bad"]:
            level = "warn"  # never more than a blemish, however often
        fault = self._latest["bad" if self._levels["bad"] >= self._levels["warn"] else "warn"]
        return Reading(fault.name, level, value, f"{fault.text} ({1 - self.share:.0%} of the take)")


class Watcher:
    """Judges a running session; feed it newest frames, at whatever rate there is time for.

    `add` belongs to one thread; `verdict` and `take_verdict` may be called from another.

    Args:
        streams: the streams that will come.
        detectors: view -> what finds the hand there; the others take depth.
        every_s: each view and sensor is looked at no more often than this.
    """

    def __init__(
        self,
        streams: Sequence[StreamInfo],
        detectors: Mapping[str, HandDetector] | None = None,
        every_s: float = 0.15,
    ) -> None:
        infos = {info.name: info for info in streams}
        self._scales = {i.view: i.depth_scale_m for i in streams if i.depth_scale_m is not None}
        self._sensors = {info.view for info in streams if info.kind == "sensor"}
        self._detectors: dict[str, HandDetector] = {}
        for info in streams:
            if info.content == "color" and f"{info.view}/depth" in infos:
                self._detectors[info.view] = BlobDetector(infos[f"{info.view}/depth"], info)
        self._detectors |= dict(detectors or {})
        self._every_ns = round(every_s * 1e9)
        self._looked_ns: dict[str, int] = {}
        self._latest: dict[str, Frame] = {}
        self._now: dict[str, tuple[Reading, ...]] = {}
        self._take: dict[str, Tally] = {}
        self._span: dict[str, tuple[int, int]] = {}

    def add(self, frame: Frame) -> None:
        """Take note of a frame of any stream; about 3 ms for a colour image that is looked at."""
        view, kind = frame.stream.split("/", 1)
        self._latest[frame.stream] = frame
        first, _ = self._span.get(frame.stream, (frame.frame_number, 0))
        self._span[frame.stream] = (min(first, frame.frame_number), frame.frame_number)
        if kind not in ("color", "gray") or frame.t_host_ns - self._looked_ns.get(view, -(1 << 62)) < self._every_ns:
            return
        self._looked_ns[view] = frame.t_host_ns
        self._note(view, self._look(view, frame))

    def _look(self, view: str, frame: Frame) -> tuple[Reading, ...]:
        image = np.asarray(frame.image, dtype=np.uint8)
        if view in self._sensors:
            edge = self._latest.get(f"{view}/edge")
            return judge_sensor(image, None if edge is None else np.asarray(edge.image, dtype=np.uint8))
        depth = self._latest.get(f"{view}/depth")
        if depth is None and view in self._scales:
            return ()  # its first depth image is on the way
        return judge_view(
            image, None if depth is None else depth.image, self._scales.get(view) or 0.0, self._detectors.get(view)
        )

    def _note(self, view: str, readings: tuple[Reading, ...]) -> None:
        self._now[view] = readings
        for reading in readings:
            self._take.setdefault(f"{view}/{reading.name}", Tally()).add(reading)

    def begin_take(self) -> None:
        """Count shares of time from now on."""
        self._take, self._span = {}, {}

    def verdict(self, skew_ms: float = float("nan"), drops: int = 0) -> Verdict:
        """How things are now, and how often they were good since `begin_take`; below 0.1 ms."""
        return Verdict(dict(self._now), self._common(skew_ms, drops), self._shares())

    def take_verdict(self, skew_ms: float = float("nan"), drops: int = 0) -> Verdict:
        """What the take since `begin_take` is worth as a whole."""
        views: dict[str, tuple[Reading, ...]] = {}
        for name, tally in list(self._take.items()):
            view = name.split("/", 1)[0]
            views[view] = (*views.get(view, ()), tally.reading())
        return Verdict(views, self._common(skew_ms, drops), self._shares())

    def _common(self, skew_ms: float, drops: int) -> tuple[Reading, ...]:
        frames = sum(last - first + 1 for first, last in list(self._span.values()))
        return (judge_skew(skew_ms), judge_drops(drops, frames))

    def _shares(self) -> dict[str, float]:
        shares = {name: tally.share for name, tally in list(self._take.items())}
        return {name: share for name, share in shares.items() if not np.isnan(share)}
