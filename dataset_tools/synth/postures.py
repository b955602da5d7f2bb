"""Postures that people take: gestures and free combinations of fingers, inside the joint limits and free of themselves.

Flexion follows the usual synergies: the end joint bends with the middle one, neighbours bend alike, and a finger that
is bent at its base can hardly be spread.
"""

from __future__ import annotations

import numpy as np

from dataset_tools.synth.capsules import Capsules
from hoi_core.biomechanics import ABDUCTION, FLEXION, LIMITS_RAD, clip_to_limits
from hoi_core.conventions import FINGERS, MANO_FINGERS
from hoi_core.scene.anatomy import mano_rows
from hoi_core.types import F64

# Lowest and highest flexion of the base and of the middle joint, degrees.
_STATES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "s": ((-15.0, 12.0), (0.0, 12.0)),  # straight
    "r": ((8.0, 40.0), (12.0, 48.0)),  # relaxed
    "c": ((62.0, 88.0), (78.0, 106.0)),  # curled into the palm
    "h": ((-5.0, 30.0), (68.0, 102.0)),  # hooked
    "t": ((45.0, 80.0), (0.0, 25.0)),  # bent at the base alone
    "g": ((28.0, 60.0), (30.0, 65.0)),  # about something round
}
# Thumb (named in _THUMBS), then index, middle, ring, little.
_GESTURES: tuple[tuple[str, str], ...] = (
    ("side", "ssss"), ("out", "ssss"), ("rest", "rrrr"), ("rest", "rrrg"), ("over", "cccc"), ("out", "cccc"),
    ("over", "sccc"), ("out", "sccc"), ("over", "sscc"), ("over", "sssc"), ("over", "ssss"), ("over", "sccs"),
    ("out", "cccs"), ("meet", "gsss"), ("meet", "gggg"), ("meet", "grrr"), ("out", "hhhh"), ("rest", "gggg"),
    ("meet", "tttt"), ("rest", "tttt"), ("side", "hhhh"), ("out", "rrrr"), ("rest", "rgcc"), ("over", "ccss"),
)  # fmt: skip
# Flexion, abduction and twist of the base, flexion of the middle and of the end joint: mean and spread, degrees.
_THUMBS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "rest": ((8, 2, 10, 12, 14), (7, 7, 8, 8, 9)),
    "side": ((-4, -8, 0, 4, 4), (5, 6, 6, 6, 7)),
    "out": ((-14, 14, -4, -2, -2), (7, 9, 8, 7, 9)),
    "meet": ((24, 16, 34, 18, 26), (8, 7, 8, 12, 14)),
    "over": ((36, -2, 36, 42, 40), (7, 7, 7, 10, 14)),
}
_ROUND = 512


def draw_postures(n: int, capsules: Capsules, rng: np.random.Generator) -> tuple[F64, F64]:
    """Postures within the limits in which no finger sinks into another.

    Args:
        n: how many.
        capsules: of the hand.
        rng: decides everything.

    Returns:
        `(n, 15, 3)` rad anatomical angles, and their capsules' axes `(n, 19, 2, 3)` m.
    """
    angles, segments, found = [], [], 0
    while found < n:
        drawn = _draw(_ROUND, rng)
        axes = capsules.segments_m(drawn)
        good = capsules.free(axes)
        angles.append(drawn[good])
        segments.append(axes[good])
        found += int(good.sum())
    return np.concatenate(angles)[:n], np.concatenate(segments)[:n]


def _draw(n: int, rng: np.random.Generator) -> F64:
    """Candidates. `-> (n, 15, 3)` rad."""
    choice = rng.integers(len(_GESTURES), size=n)
    states = np.array([[list(_STATES).index(s) for s in fingers] for _, fingers in _GESTURES])[choice]
    # Half of them combine fingers freely; a finger then takes its neighbour's state as often as not.
    free = rng.random(n) < 0.5
    other = rng.integers(len(_STATES), size=(n, 4))
    for k in range(1, 4):
        other[:, k] = np.where(rng.random(n) < 0.5, other[:, k - 1], other[:, k])
    states[free] = other[free]
    out = np.zeros((n, 15, 3))
    bounds = np.array(list(_STATES.values()))[states]
    share = np.clip(rng.random((n, 1, 1)) + rng.normal(0.0, 0.18, (n, 4, 2)), 0.0, 1.0)
    bend = bounds[..., 0] + share * (bounds[..., 1] - bounds[..., 0])
    spread = rng.uniform(-0.6, 1.0, n)
    for k, finger in enumerate(FINGERS[1:]):
        rows = mano_rows(finger)
        base, middle = bend[:, k, 0], bend[:, k, 1]
        end = middle * rng.uniform(0.4, 0.75, n) + rng.normal(0.0, 3.0, n)
        out[:, rows, FLEXION] = np.deg2rad(np.stack([base, middle, end], axis=-1))
        low, high = LIMITS_RAD[rows.start, ABDUCTION]
        fan = (1.0, 0.15, -0.55, -1.0)[k] * spread + rng.normal(0.0, 0.15, n)
        reach = np.where(fan > 0, high, -low) * np.clip(1.15 - base / 75.0, 0.08, 1.0)
        out[:, rows.start, ABDUCTION] = 0.85 * np.clip(fan, -1.0, 1.0) * reach
    out[:, mano_rows("thumb")] = _draw_thumbs(choice, free, rng)
    return clip_to_limits(out)


def _draw_thumbs(choice: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> F64:
    """`(n,)` gestures, `(n,)` whether the thumb is free of them `-> (n, 3, 3)` rad."""
    n = len(choice)
    names = list(_THUMBS)
    kind = np.array([names.index(thumb) for thumb, _ in _GESTURES])[choice]
    kind = np.where(free, rng.integers(len(names), size=n), kind)
    # Between two postures lie the most natural ones.
    second = np.where(rng.random(n) < 0.4, rng.integers(len(names), size=n), kind)
    mix = rng.random((n, 1)) * 0.6
    table = np.array(list(_THUMBS.values()), np.float64)
    mean = (1 - mix) * table[kind, 0] + mix * table[second, 0]
    drawn = np.deg2rad(mean + table[kind, 1] * rng.normal(0.0, 1.0, (n, 5)))
    out = np.zeros((n, 3, 3))
    out[:, 0] = drawn[:, :3]
    out[:, 1, FLEXION], out[:, 2, FLEXION] = drawn[:, 3], drawn[:, 4]
    return out


def swap_fingers(base: int, donors: np.ndarray, angles: F64, segments_m: F64) -> tuple[F64, F64]:
    """A posture whose fingers come from several.

    Args:
        base: unused fingers' posture.
        donors: `(5,)` posture of each finger in MANO's order.
        angles: `(P, 15, 3)` rad.
        segments_m: `(P, 19, 2, 3)` m.

    Returns:
        `(15, 3)` rad and `(19, 2, 3)` m.
    """
    rows = np.repeat(donors, len(MANO_FINGERS) - 2)
    axes = np.concatenate([segments_m[rows, np.arange(15)], segments_m[base, 15:]])
    return angles[rows, np.arange(15)], axes
