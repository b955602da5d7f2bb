"""Light of a picture: a lamp, a weak second one and the room, tinted by what is behind the hand."""

from __future__ import annotations

import cv2
import numpy as np

from dataset_tools.synth.studio import Lamps
from hoi_core.types import F64, U8

_LAMP_SIDE = -0.25


def random_lamps(view: F64, background: U8, rng: np.random.Generator) -> Lamps:
    """Light that fits a background.

    Args:
        view: `(3,)` unit vector from the hand to the first camera; the lamp is rarely behind the hand.
        background: `(S, S, 3)`, its mean colour tints the room's light.
        rng: decides everything.
    """
    towards = _unit(rng.normal(0.0, 1.0, 3))
    while towards @ view < _LAMP_SIDE:
        towards = _unit(rng.normal(0.0, 1.0, 3))
    warm = rng.uniform(-0.10, 0.14)
    tint = np.array([1.0 + warm, 1.0, 1.0 - 1.2 * warm])
    mean = (np.array(cv2.mean(background)[:3]) / 255.0) ** 2
    shade = mean / max(float(mean.max()), 0.05)
    # Strong lamps throw hard shadows, in a bright room they hardly show.
    share = rng.uniform(0.25, 0.8)
    exposure = rng.uniform(0.75, 1.25)
    room = exposure * (1.0 - share) * 1.15
    sky = room * (0.8 + 0.2 * shade) * rng.uniform(0.9, 1.1, 3).clip(0.95, 1.05)
    ground = room * rng.uniform(0.45, 0.85) * (0.7 + 0.3 * shade)
    fill = exposure * rng.uniform(0.0, 0.25) * (1.0 + 0.3 * rng.uniform(-1.0, 1.0, 3) * [1.0, 0.4, 1.0])
    up = _unit(np.array([0.0, 0.0, 1.0]) + 0.4 * rng.normal(0.0, 1.0, 3))
    return Lamps(towards, exposure * share * 1.35 * tint, sky, ground, _unit(rng.normal(0.0, 1.0, 3)), fill, up)


def _unit(v: F64) -> F64:
    return v / np.linalg.norm(v)
