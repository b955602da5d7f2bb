"""Random crops and colours for training. The crop moves camera and labels with it; colours change before the edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hoi_core.crop import SCALE, Placement
from hoi_core.types import F32, F64, I64, U8, Bool

_NOISE = 1 << 20  # independent numbers, of which each image takes a stretch


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
    tint: float = 0.15
    """Largest relative change of one colour against the others."""
    hue: float = 0.0
    """Largest turn of all hues, of a full circle."""
    saturation: float = 0.0
    """Largest relative change of how colourful the image is."""
    noise: float = 4.0
    """Largest standard deviation of added noise, of 255."""
    blurred: float = 0.3
    """Share of the samples that are blurred, half of them along a line as a moving hand is."""
    largest_blur_px: float = 1.5
    """Largest spread of that blur, px of the crop."""
    background: float = 0.6
    """Share of the samples with a mesh label whose background is replaced by invented clutter."""
    occluders: float = 0.3
    """Share of the samples that get a small thing in front of the hand."""
    joints_mm: float = 5.0
    """Noise of the joints that IK networks are shown, mm: the largest standard deviation."""
    edge_alone: float = 0.3
    """Share of the samples that a network of edges sees as the sensor does: the edge image and nothing else."""


def random_placement(augment: Augment, rng: np.random.Generator, *, mirror: bool, margin: float = SCALE) -> Placement:
    """A random crop; `margin` is the side of the middle one over that of the box it lies around."""
    # All numbers at once: a call for each takes longer than the rest. All but the first from -1 to 1.
    share, *others = rng.random(5).tolist()
    turn, right, down, larger = (2.0 * number - 1.0 for number in others)
    roll = math.radians(augment.roll_deg * turn) if share < augment.roll_share else 0.0
    scale = margin * (1.0 + augment.scale_jitter * larger)
    return Placement(scale, roll, (augment.shift_jitter * right, augment.shift_jitter * down), mirror)


def changed(image: U8, covered: Bool | None, augment: Augment, rng: np.random.Generator) -> U8:
    """A crop with another background, occluders, blur and colours, in the order in which a camera meets them.

    Args:
        image: `(S, S, 3)`.
        covered: `(S, S)` what the hand covers, or None to keep the background.
        augment: how far.
        rng: randomness.

    Returns:
        `(S, S, 3)`.
    """
    if covered is not None:
        image = invent_background(image, covered, rng)
    if rng.random() < augment.occluders:
        image = occlude(image, rng)
    if rng.random() < augment.blurred:
        image = random_blur(image, augment, rng)
    return random_colours(image, augment, rng)


def random_colours(image: U8, augment: Augment, rng: np.random.Generator) -> U8:
    """Change hue and saturation, contrast, tint, brightness and noise. `(H, W, 3) -> (H, W, 3)`."""
    from learning._pixels import recolour

    if augment.hue or augment.saturation:
        image = _other_hues(image, augment, rng)
    gain = 1.0 + rng.uniform(-augment.contrast, augment.contrast)
    gains = gain * (1.0 + rng.uniform(-augment.tint, augment.tint, 3))
    offset, strength = rng.uniform(-augment.brightness, augment.brightness), rng.uniform(0.0, augment.noise)
    # Drawing a normal number for each pixel would take longer than all the rest.
    noise = _noise(), int(rng.integers(_NOISE))
    return recolour(np.ascontiguousarray(image), gains.astype(np.float32), offset, noise, strength)


def _other_hues(image: U8, augment: Augment, rng: np.random.Generator) -> U8:
    """Turn the hues, and make all colours more or less of a colour. `(H, W, 3) -> (H, W, 3)`."""
    import cv2

    turn, richer = rng.uniform(-augment.hue, augment.hue), rng.uniform(-augment.saturation, augment.saturation)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hues = np.roll(np.arange(256), -round(256 * turn)).astype(np.uint8)
    levels = np.clip(np.rint(np.arange(256) * (1.0 + richer)), 0, 255).astype(np.uint8)
    table = np.stack([hues, levels, np.arange(256, dtype=np.uint8)], -1)[None]
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


@lru_cache(maxsize=1)
def _noise() -> F32:
    return np.random.default_rng(0).standard_normal(_NOISE, dtype=np.float32)


def random_blur(image: U8, augment: Augment, rng: np.random.Generator) -> U8:
    """Blur as a lens out of focus or a moving hand does. `(H, W, 3) -> (H, W, 3)`."""
    import cv2

    spread = rng.uniform(0.3, max(0.3, augment.largest_blur_px))
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), spread), dtype=np.uint8)
    # A line of length L has the spread L / sqrt(12); as it is drawn, it is a pixel longer.
    half = max(0.5 * np.sqrt(12.0) * spread - 0.5, 0.0)
    turn = rng.uniform(0.0, np.pi)
    reach = int(np.ceil(half))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    step = half * np.array([np.cos(turn), np.sin(turn)])
    ends = np.rint((reach + np.array([-step, step])) * 16.0).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_AA, 4)
    # OpenCV draws a line a little to one side of its middle: the labels must stay under the picture.
    kernel += kernel[::-1, ::-1].copy()
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)


def silhouette(pixels: F64, faces: I64, size: int) -> Bool:
    """Pixels that a closed mesh covers, its rim included. `(V, 2) px, (F, 3) -> (size, size)`."""
    from learning._pixels import cover

    mask = np.zeros((size, size), np.uint8)
    cover(np.ascontiguousarray(pixels), faces, mask)
    return mask.view(np.bool_)


def invent_background(image: U8, keep: Bool, rng: np.random.Generator) -> U8:
    """Replace what is not kept by a smooth ground with random things on it. `(S, S, 3), (S, S) -> (S, S, 3)`."""
    import cv2

    size = len(image)
    coarse = rng.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    ground = np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    _draw_things(ground, int(rng.integers(3, 25)), 0.5, rng)
    return np.asarray(cv2.copyTo(image, keep.view(np.uint8), ground), dtype=np.uint8)


def occlude(image: U8, rng: np.random.Generator) -> U8:
    """Put one or two small things somewhere in front. `(S, S, 3) -> (S, S, 3)`."""
    changed = image.copy()
    _draw_things(changed, int(rng.integers(1, 3)), 0.2, rng)
    return changed


def _draw_things(image: U8, count: int, largest: float, rng: np.random.Generator) -> None:
    """Draw lines, ellipses and boxes up to a share of the image in size."""
    import cv2

    size = len(image)
    # All numbers at once: a call for each takes longer than the drawing.
    end_of_extent = max(4, int(largest * size))
    first = np.array([0, 1, 0, 0, 0, 0, 0, 3, 3, 0])
    last = np.array([3, 6, 256, 256, 256, size, size, end_of_extent, end_of_extent, 180])
    numbers = (first + rng.random((count, 10)) * (last - first)).astype(np.int64).tolist()
    for kind, width, red, green, blue, x, y, w, h, angle in numbers:
        colour = (red, green, blue)
        if kind == 0:
            turn = math.radians(angle)
            end = (int(x + 2 * w * math.cos(turn)), int(y + 2 * w * math.sin(turn)))
            cv2.line(image, (x, y), end, colour, width, cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(image, ((x, y), (w, h), angle), colour, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints(((x, y), (w, h), angle)).astype(np.int32)
            cv2.fillConvexPoly(image, box, colour, cv2.LINE_AA)
