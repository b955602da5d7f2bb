"""Frames that ONNX Runtime computes faster: above which share of a full image's work its encoder is taken instead.

The same file is computed, masks included, so that both give the same features. On processors where ONNX Runtime's dense
kernels are the faster ones, images with many sites are better off there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.types import F32

if TYPE_CHECKING:
    from hoi_core.native.encoder import Encoder

SWITCH = "HOI_HAND_OVER"
"""Environment variable: a share to take in place of the measured one; 1 for never."""
NEVER = 1.0
"""The share that no image is above."""
TOLERATED = 1.05
"""An image stays where that takes up to so many times as long: less is not worth rounding in another order."""
_TURNS = 5
_PIXELS = (0.003, 0.01, 0.03, 0.1)
"""Shares of pixels that are sites, drawn one by one, at which the time is measured where a full image is slow."""

Elsewhere = Callable[[F32], Sequence[F32]]
"""Features of an image `(C, S, S)` in another engine, as `Encoder.run` gives them."""


def arrange(encoder: Encoder, open_elsewhere: Callable[[], Elsewhere]) -> float:
    """Let an encoder hand over the images that are faster elsewhere.

    Args:
        encoder: whose time is measured here, on made-up images, unless the environment names a share.
        open_elsewhere: opens the same encoder in ONNX Runtime, which is kept only where it is needed.

    Returns:
        The share of a full image's multiply-adds above which images are handed over, 0 to 1; `NEVER` where none is.

    Raises:
        AssetError: the environment names no share.
    """
    share = _wanted()
    if share == NEVER:
        return NEVER
    elsewhere = open_elsewhere()
    if share is None:
        share = _measured(encoder, elsewhere)
    if share < NEVER:
        encoder.hand_over(elsewhere, share)
    return share


def crossing(shares: Sequence[float], seconds: Sequence[float], limit: float) -> float:
    """The share of work from which on more than `limit` seconds are taken, linear in between.

    Args:
        shares: rising, the last one 1.
        seconds: that were taken at each; where more work took less time, by chance, the longer time counts for both.
        limit: in seconds.

    Returns:
        0 where all took more, `NEVER` where none did.
    """
    rising = np.maximum.accumulate(seconds)
    if rising[-1] <= limit:
        return NEVER
    if rising[0] > limit:
        return 0.0
    last = int(np.flatnonzero(rising <= limit)[-1])
    (x0, x1), (y0, y1) = shares[last : last + 2], rising[last : last + 2]
    return float(x0 + (x1 - x0) * (limit - y0) / (y1 - y0))


def _wanted() -> float | None:
    text = os.environ.get(SWITCH)
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise AssetError(f"{SWITCH} must be a share of 0 to 1, got {text!r}.", f"Unset {SWITCH}, or set 1 for never.")
    return share


def _measured(encoder: Encoder, elsewhere: Elsewhere) -> float:
    full = _image(encoder, 1.0)
    ours, theirs = _fastest(encoder.threads, lambda: encoder.run(full), lambda: elsewhere(full))
    limit = TOLERATED * theirs
    if ours <= limit:
        return NEVER
    images = [_image(encoder, pixels) for pixels in _PIXELS]
    seconds = _fastest(encoder.threads, *(lambda image=image: encoder.run(image) for image in images))
    shares = [encoder.share(image) for image in images]
    return crossing([*shares, 1.0], [*seconds, ours], limit)


def _image(encoder: Encoder, pixels: float) -> F32:
    rng = np.random.default_rng(0)
    sites = rng.random((1, encoder.size, encoder.size)) < pixels
    return np.asarray(rng.uniform(0.1, 1.0, (encoder.channels, encoder.size, encoder.size)) * sites, np.float32)


def _fastest(threads: int, *runs: Callable[[], object]) -> list[float]:
    """Seconds of each, in turns; the least of them, since other programs only ever add some.

    Of one thread processor time counts, to which they add least.
    """
    clock = time.thread_time if threads == 1 else time.perf_counter
    taken = []
    for _ in range(_TURNS):
        turn = []
        for run in runs:
            start = clock()
            run()
            turn.append(clock() - start)
        taken.append(turn)
    return [float(x) for x in np.min(taken, axis=0)]
