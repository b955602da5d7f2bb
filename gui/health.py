# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a recorder's figures into lights with words: what is fine, what to watch, what to fix. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from capture.annotatable import SKEW_MS

from .sessions import Health

Level = Literal["good", "warn", "bad", "idle"]


@dataclass(frozen=True)
class Light:
    """One figure of the health bar."""

    name: str
    """What is measured."""
    value: str
    """The figure with its unit."""
    level: Level
    """Judgement, shown as a colour."""
    word: str
    """The same judgement as a word, so that colour is never the only sign."""
    tip: str
    """What it means and what to do when it is not good."""


STATE_LEVELS: dict[str, Level] = {"complete": "good", "stopped early": "warn", "never closed": "bad"}
"""How a recording ended -> judgement."""
UNKNOWN = "–"
"""What stands in place of a figure that is not known."""
_WORDS: dict[Level, str] = {"good": "good", "warn": "watch", "bad": "fix", "idle": "no data"}


def figure(value: float, unit: str, digits: int = 1) -> str:
    """A figure with its unit, or a dash."""
    return f"{value:.{digits}f} {unit}" if math.isfinite(value) else UNKNOWN


def level_below(value: float, good: float, warn: float) -> Level:
    """Judge a figure that should be small."""
    if math.isnan(value):
        return "idle"
    return "good" if value <= good else "warn" if value <= warn else "bad"


def level_above(value: float, good: float, warn: float) -> Level:
    """Judge a figure that should be large."""
    return level_below(-value, -good, -warn)


def rate_level(fps: float, nominal: float) -> Level:
    """Judge the rate of one stream against its nominal rate, frames per second."""
    if nominal <= 0 or math.isnan(fps):
        return "idle"
    return level_above(fps / nominal, 0.93, 0.75) if fps > 0 else "bad"


def skew_level(skew_ms: float) -> Level:
    """Judge the distance in time of the views' frames, by the limits of the judgement of a take."""
    return level_below(skew_ms, *SKEW_MS)


def fill_level(share: float) -> Level:
    """Judge the share of depth pixels with a measurement, over a whole image."""
    return level_above(share, 0.7, 0.45)


def worst(levels: list[Level]) -> Level:
    """The most serious of several judgements."""
    order: tuple[Level, ...] = ("bad", "warn", "good", "idle")
    return next((level for level in order if level in levels), "idle")


def _minutes(minutes: float) -> str:
    if math.isnan(minutes):
        return UNKNOWN
    return f"{minutes / 60:.0f} h" if minutes >= 600 else f"{minutes:.0f} min"


def lights(health: Health, nominal_fps: Mapping[str, float]) -> list[Light]:
    """Judge everything a recorder knows about itself.

    Args:
        health: the recorder's figures.
        nominal_fps: stream -> frames per second that it should deliver.

    Returns:
        The lights of the health bar, in their order.
    """
    rates = [health.fps.get(name, 0.0) for name in nominal_fps]
    rate_levels = [rate_level(health.fps.get(name, 0.0), fps) for name, fps in nominal_fps.items()]
    slowest = min(rates, default=math.nan)
    fill = min(health.depth_fill.values(), default=math.nan)
    exposures = [value / 1000 for value in health.exposure_us.values() if not math.isnan(value)]
    exposure = max(exposures, default=math.nan)
    dropped = level_below(health.dropped, 0, 5)
    entries: list[tuple[str, str, Level, str]] = [
        (
            "Frame rate",
            figure(slowest, "fps"),
            worst(rate_levels),
            "The slowest stream. If it is low: use USB 3 ports on separate controllers, or fewer streams.",
        ),
        (
            "Sync skew",
            figure(health.skew_ms, "ms"),
            skew_level(health.skew_ms),
            "Median distance in time between the frames paired across streams; 33 ms is a whole frame.",
        ),
        (
            "Dropped",
            f"{health.dropped}",
            dropped,
            "Frames that the devices made and that never arrived; each is listed in the recording.",
        ),
        (
            "Buffer",
            f"{100 * health.buffer_share:.0f} %",
            level_below(health.buffer_share, 0.5, 0.85),
            "Fullest queue between a camera and the disk. If it fills, the disk is too slow.",
        ),
        (
            "Disk left",
            _minutes(health.disk_minutes),
            level_above(health.disk_minutes, 30.0, 5.0),
            "Recording time that fits on the disk at the present rate.",
        ),
        (
            "Depth fill",
            figure(100 * fill, "%", 0),
            fill_level(fill),
            "Share of depth pixels with a measurement, in the worse view. Low: too near, too far, too shiny.",
        ),
        (
            "Exposure",
            figure(exposure, "ms"),
            level_below(exposure, 12.0, 25.0),
            "Longest exposure. Beyond 12 ms a moving hand blurs: add light.",
        ),
    ]
    return [Light(name, value, level, _WORDS[level], tip) for name, value, level, tip in entries]
