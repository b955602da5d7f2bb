"""Random crops and colours for training. The crop moves camera and labels with it; colours change before the edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core.crop import SCALE, Placement
from hoi_core.types import F64, I64, U8, Bool


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
    background: float = 0.6
    """Share of the samples with a mesh label whose background is replaced by invented clutter."""
    occluders: float = 0.3
    """Share of the samples that get a small thing in front of the hand."""


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


def silhouette(pixels: F64, faces: I64, size: int) -> Bool:
    """Pixels that a closed mesh covers. `(V, 2) px, (F, 3) -> (size, size)`."""
    import cv2

    mask = np.zeros((size, size), np.uint8)
    # Four more bits below the point; cv2 wants plain small integers, so points far off are drawn in.
    corners = np.clip(np.rint(pixels * 16.0), -16.0 * size, 32.0 * size).astype(np.int32)[faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # On a closed mesh the faces turned one way cover all that the others do.
    for triangle in corners[a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0]:
        cv2.fillConvexPoly(mask, triangle, 1, shift=4)
    return mask > 0


def invent_background(image: U8, keep: Bool, rng: np.random.Generator) -> U8:
    """Replace what is not kept by a smooth ground with random things on it. `(S, S, 3), (S, S) -> (S, S, 3)`."""
    import cv2

    size = len(image)
    coarse = rng.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    ground = np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    _draw_things(ground, int(rng.integers(3, 25)), 0.5, rng)
    return np.where(keep[..., None], image, ground).astype(np.uint8)


def occlude(image: U8, rng: np.random.Generator) -> U8:
    """Put one or two small things somewhere in front. `(S, S, 3) -> (S, S, 3)`."""
    changed = image.copy()
    _draw_things(changed, int(rng.integers(1, 3)), 0.2, rng)
    return changed


def _draw_things(image: U8, count: int, largest: float, rng: np.random.Generator) -> None:
    """Draw lines, ellipses and boxes up to a share of the image in size."""
    import cv2

    size = len(image)
    for kind in rng.integers(0, 3, count):
        colour = rng.integers(0, 256, 3).tolist()
        x, y = (int(v) for v in rng.integers(0, size, 2))
        w, h = (int(v) for v in rng.integers(3, max(4, int(largest * size)), 2))
        angle = float(rng.uniform(0.0, 180.0))
        if kind == 0:
            turn = np.deg2rad(angle)
            end = (int(x + 2 * w * np.cos(turn)), int(y + 2 * w * np.sin(turn)))
            cv2.line(image, (x, y), end, colour, int(rng.integers(1, 6)), cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(image, ((x, y), (w, h), angle), colour, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints(((x, y), (w, h), angle)).astype(np.int32)
            cv2.fillConvexPoly(image, box, colour, cv2.LINE_AA)
