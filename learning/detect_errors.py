"""How well hands are found in whole images: recall, precision, average precision, sides and centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hoi_core import bootstrap
from hoi_core.boxes import covered, overlap
from hoi_core.types import F64, I64, Bool

OVERLAPS = (0.5, 0.3)
"""Intersection over union from which on a hand is found: the usual one, and one that is enough to begin to follow."""
SCORE = 0.4
"""Detections below this count for the average precision alone; `DetectorModel.detect` does not give them."""
LEAST_SCORE = 0.05
_IGNORED = 0.5
"""A detection of which so much lies in a hand that need not be found is neither right nor wrong."""


@dataclass(frozen=True)
class Truth:
    """The hands of one image. N hands."""

    boxes: F64
    """(N, 4) px."""
    sides: I64
    """(N,) 0 right, 1 left."""
    clear: Bool
    """(N,) whether it must be found."""


@dataclass(frozen=True)
class Said:
    """What a detector says of one image. D detections, the surest first."""

    boxes: F64
    """(D, 4) px."""
    sides: I64
    """(D,) 0 right, 1 left."""
    scores: F64
    """(D,) 0 to 1."""


def matched(true: Truth, said: Said, least: float) -> I64:
    """Which hand each detection found, the surest first; a hand is found once. `-> (D,)`: its row, -1 none, -2 ignored.

    Args:
        true: hands of the image.
        said: what was found in it.
        least: overlap of a hand that is found.
    """
    shares = overlap(said.boxes, true.boxes)
    free = true.clear.copy()
    out = np.full(len(said.boxes), -1)
    for k in range(len(said.boxes)):
        own = np.where(free, shares[k], -1.0)
        if len(own) and own.max() >= least:
            out[k] = int(np.argmax(own))
            free[out[k]] = False
        elif (~true.clear).any() and covered(said.boxes[k : k + 1], true.boxes[~true.clear]).max() > _IGNORED:
            out[k] = -2
    return out


def figures(truths: Sequence[Truth], saids: Sequence[Said]) -> dict[str, object]:
    """Figures of many images, with 95 % intervals (`ci95`) from resampled images.

    Returns:
        `recall50`, `precision50`, `ap50` at an overlap of 0.5, the same at 0.3; of the hands that are found at 0.3
        `side_share`, whose side is right, and `centre_px`, the distance of the boxes' centres; `n` hands in `groups`
        images.
    """
    values: dict[str, float] = {}
    intervals: dict[str, bootstrap.Interval] = {}
    for least in OVERLAPS:
        own, sure = _at(truths, saids, least), f"{round(100 * least)}"
        for name, (each, images) in own.rows.items():
            if name in ("recall", "precision"):
                values[name + sure] = _mean(each)
                intervals |= bootstrap.intervals({name + sure: each}, [str(k) for k in images])
            elif least == min(OVERLAPS):
                values[name] = _mean(each)
                intervals |= bootstrap.intervals({name: each}, [str(k) for k in images])
        values["ap" + sure], intervals["ap" + sure] = own.average_precision()
    hands = int(sum(true.clear.sum() for true in truths))
    return {**values, "n": hands, "groups": len(truths), "ci95": intervals, "datasets": {}}


@dataclass(frozen=True)
class _Counted:
    """All images at one overlap."""

    rows: dict[str, tuple[F64, I64]]
    """name -> values whose mean is the figure, and the image of each."""
    scores: F64
    """(D,) of all detections that are not ignored."""
    right: Bool
    """(D,)."""
    images: I64
    """(D,)."""
    hands: I64
    """(images,) that must be found."""

    def average_precision(self) -> tuple[float, bootstrap.Interval]:
        """Area under precision over recall, precision being the best at that recall or a higher one; its interval."""
        order = np.argsort(-self.scores, kind="stable")
        right, images = self.right[order].astype(np.float64), self.images[order]
        count = len(self.hands)
        draws = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), bootstrap.RESAMPLES)
        weights = np.concatenate([np.ones((1, count)), draws])
        hands = weights @ self.hands
        true = np.cumsum(weights[:, images] * right, axis=1)
        every = np.cumsum(weights[:, images], axis=1)
        precision = np.divide(true, every, out=np.zeros_like(true), where=every > 0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        steps = np.diff(true, axis=1, prepend=0.0) / np.maximum(hands, 1.0)[:, None]
        area = np.where(hands > 0, (steps * best).sum(1), np.nan)
        return float(area[0]), bootstrap.middle(area[1:] if count > 1 else area[:0])


def _at(truths: Sequence[Truth], saids: Sequence[Said], least: float) -> _Counted:
    """Count what was found at an overlap."""
    names = ("recall", "precision", "side_share", "centre_px")
    rows: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    every: list[tuple[float, bool, int]] = []
    for image, (true, said) in enumerate(zip(truths, saids, strict=True)):
        of = matched(true, said, least)
        sure = said.scores >= SCORE
        rows["recall"] += [(float(k in of[sure]), image) for k in np.flatnonzero(true.clear)]
        rows["precision"] += [(float(k >= 0), image) for k in of[sure] if k != -2]
        every += [(float(said.scores[d]), bool(of[d] >= 0), image) for d in np.flatnonzero(of != -2)]
        for d in np.flatnonzero(sure & (of >= 0)):
            rows["side_share"].append((float(said.sides[d] == true.sides[of[d]]), image))
            apart = said.boxes[d].reshape(2, 2).mean(0) - true.boxes[of[d]].reshape(2, 2).mean(0)
            rows["centre_px"].append((float(np.linalg.norm(apart)), image))
    table = np.array(every, dtype=np.float64).reshape(-1, 3)
    return _Counted(
        {name: (np.array([v for v, _ in r]), np.array([i for _, i in r], dtype=np.int64)) for name, r in rows.items()},
        table[:, 0],
        table[:, 1] > 0,
        table[:, 2].astype(np.int64),
        np.array([true.clear.sum() for true in truths]),
    )


def _mean(each: F64) -> float:
    return float(each.mean()) if len(each) else float("nan")
