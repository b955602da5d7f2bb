"""Random crops and colours for training. The crop moves camera and labels with it; colours change before the edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core.crop import SCALE, Placement
from hoi_core.types import U8


@dataclass(frozen=True)
class Augment:
    """How far training images may be changed. Mirroring is not among it: it tells left hands from right ones."""

    roll_deg: float = 90.0
    """Largest turn of the crop, degrees."""
    roll_share: float = 0.6
    """Share of the samples that are turned."""
    scale_jitter: float = 0.2
    """Largest relative change of the margin."""
    shift_jitter: float = 0.08
    """Largest displacement of the centre, in sides of the box."""
    brightness: float = 32.0
    """Largest change of brightness, of 255."""
    contrast: float = 0.4
    """Largest relative change of contrast."""
    noise: float = 4.0
    """Largest standard deviation of added noise, of 255."""


def random_placement(augment: Augment, rng: np.random.Generator, *, mirror: bool) -> Placement:
    """A random crop around the hand."""
    turned = rng.random() < augment.roll_share
    roll = np.deg2rad(rng.uniform(-augment.roll_deg, augment.roll_deg)) if turned else 0.0
    dx, dy = rng.uniform(-augment.shift_jitter, augment.shift_jitter, 2)
    scale = SCALE * (1.0 + rng.uniform(-augment.scale_jitter, augment.scale_jitter))
    return Placement(float(scale), float(roll), (float(dx), float(dy)), mirror)


def random_colours(image: U8, augment: Augment, rng: np.random.Generator) -> U8:
    """Change contrast, brightness and noise. `(H, W, 3) -> (H, W, 3)`."""
    gain = 1.0 + rng.uniform(-augment.contrast, augment.contrast)
    offset = rng.uniform(-augment.brightness, augment.brightness)
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * rng.uniform(0.0, augment.noise)
    changed = (image.astype(np.float32) - 128.0) * np.float32(gain) + np.float32(128.0 + offset) + noise
    return np.clip(changed, 0.0, 255.0).astype(np.uint8)
