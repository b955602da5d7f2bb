"""The object that a hand holds, from image to image: which it is, and where a network looks for it. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hoi_core import boxes
from hoi_core import camera as cameras
from hoi_core.conventions import N_CONTROL
from hoi_core.crop import Box, box_of
from hoi_core.types import F32, F64, Camera

Clue = Literal["label", "before", "given", "depth", "hand"]
"""What said where an object is: its labelled pose; what was read in the image before; the user; a depth image; nothing,
then it is looked for around the hand."""
ABOUT_HAND = 1.6
"""Side of the box that an object is looked for in where nothing says where it is, over that of the hand's."""
_REACH = 1.5
"""A hand holds what meets its box, so many times as large."""
_SMALLEST, _LARGEST = 0.2, 5.0
"""Side of a held object's box over that of the hand's, beyond which it was read wrongly."""


@dataclass(frozen=True)
class SeenObject:
    """An object in an image."""

    name: str
    """Its identifier."""
    box: Box
    """x0, y0, x1, y1 px."""


@dataclass(frozen=True)
class HeldObject:
    """What a network says of the object in one hand."""

    name: str
    """Its identifier; empty where nobody said which it is."""
    box: Box
    """Where it was looked for, x0, y0, x1, y1 px."""
    clue: Clue
    """What said where to look."""
    T_cam_obj: F64
    """(4, 4) m, object to camera; NaN where the network is not sure enough."""
    control_px: F64
    """(21, 2) px, its control points; NaN where they are not known."""
    confidence: float = float("nan")
    """How sure the network is, 0 to 1; NaN of networks that do not say."""

    @property
    def found(self) -> bool:
        """Whether there is a pose."""
        return bool(np.isfinite(self.T_cam_obj).all())


@dataclass(frozen=True)
class Clues:
    """What is known of the objects in an image before a network looks at it."""

    objects: Sequence[SeenObject] = ()
    """Objects whose pose is labelled."""
    depth: Callable[[], F32 | None] | None = None
    """Reads the depth as the colour camera sees it, `(H, W)` m; it is asked only where nothing else says enough."""


@dataclass
class ObjectWatch:
    """Remembers where objects were, and says where the one in a hand is looked for."""

    control_m: Mapping[str, F64]
    """Object -> its control points `(21, 3)` m, object frame; the objects that there can be."""
    name: str = ""
    """Which object it is, where that is known."""
    first_box: Box | None = None
    """Where it is in the first image, px."""
    _clues: Clues = field(default_factory=Clues, init=False)
    _depth_m: F32 | None = field(default=None, init=False)
    _asked_depth: bool = field(default=False, init=False)
    _before: dict[str, Box] = field(default_factory=dict, init=False)

    def look(self, clues: Clues) -> None:
        """Take what is known of the next image."""
        self._clues, self._depth_m, self._asked_depth = clues, None, False

    def place(self, hand: Box) -> tuple[str, Box, Clue] | None:
        """Where the object in a hand is looked for.

        Args:
            hand: box of the hand's joints, px.

        Returns:
            Its name (empty where nobody knows), its box in px, and what said so; None where labels show that the hand
            holds nothing.
        """
        labelled = [thing for thing in self._clues.objects if self.name in ("", thing.name)]
        if labelled:
            near = [thing for thing in labelled if _reached(hand, thing.box)]
            if not near:
                return None
            thing = min(near, key=lambda one: _apart(hand, one.box))
            return thing.name, thing.box, "label"
        kept = [name for name, box in self._before.items() if _believed(hand, box)]
        if kept:
            name = min(kept, key=lambda one: _apart(hand, self._before[one]))
            return name, self._before[name], "before"
        name = self.name or (next(iter(self.control_m)) if len(self.control_m) == 1 else "")
        if self.first_box is not None:
            return name, self.first_box, "given"
        deep = self._by_depth(hand)
        if deep is not None:
            return name, deep, "depth"
        return name, about_hand(hand), "hand"

    def _by_depth(self, hand: Box) -> Box | None:
        if not self._asked_depth:
            self._asked_depth = True
            self._depth_m = None if self._clues.depth is None else self._clues.depth()
        found = None if self._depth_m is None else boxes.of_depth(self._depth_m, [hand])
        return found if found is not None and _believed(hand, found) else None

    def took(self, camera: Camera, found: Sequence[HeldObject]) -> None:
        """Remember what was read of an image, to look there in the next."""
        self._before = {}
        for held in found:
            box = self._box(camera, held)
            if box is not None:
                self._before[held.name] = box
                self.first_box = None

    def _box(self, camera: Camera, held: HeldObject) -> Box | None:
        points = held.control_px
        if held.found and held.name in self.control_m:
            points = cameras.project(camera, cameras.transform(held.T_cam_obj, self.control_m[held.name]))
        if points.shape != (N_CONTROL, 2) or not np.isfinite(points).all():
            return None
        # Not cut at the image's border: a network is shown boxes of whole objects.
        box = box_of(points)
        shown = boxes.cut(box, camera.width, camera.height) is not None
        return box if shown and _believed(held.box, box) else None


def about_hand(hand: Box) -> Box:
    """Where an object is looked for of which nothing is known: a square about the hand, px."""
    return _larger(hand, ABOUT_HAND)


def _reached(hand: Box, box: Box) -> bool:
    """Whether a hand can hold what lies in a box."""
    return bool(boxes.overlap(np.array([_larger(hand, _REACH)]), np.array([box]))[0, 0] > 0)


def _believed(hand: Box, box: Box) -> bool:
    """Whether a box can be that of something in a hand."""
    side, own = (max(b[2] - b[0], b[3] - b[1]) for b in (box, hand))
    return _reached(hand, box) and _SMALLEST * own < side < _LARGEST * own


def _apart(a: Box, b: Box) -> float:
    """Distance of the middles of two boxes, px."""
    return float(np.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3])) / 2.0


def _larger(box: Box, factor: float) -> Box:
    """A box `factor` times as large, and square, about its middle."""
    half = 0.5 * factor * max(box[2] - box[0], box[3] - box[1])
    x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
    return x - half, y - half, x + half, y + half
