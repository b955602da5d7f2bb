"""Time how quickly synthetic images are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hoi_cli._run import Verbose, write_json


@dataclass(frozen=True)
class Config:
    """Time how quickly `hoi-data synth` makes images with all labels, and what takes the time."""

    preset: Literal["mano_render", "ang_render", "grid", "grasps"] = "mano_render"
    """Which images."""
    sizes: tuple[int, ...] = (128, 256)
    """Edges of the images, px."""
    images: int = 2000
    """How many of each size."""
    workers: int = 2
    """Processes."""
    seed: int = 0
    """Other images with another seed."""
    json: Path | None = None
    """File for the rows."""
    verbose: Verbose = False
    """Log more."""


def job(settings: Config) -> None:
    """Run `hoi-bench synth`."""
    from dataset_tools.synth import Recipe
    from dataset_tools.synth.bench import measure
    from hoi_core import log
    from hoi_core.errors import ConfigError

    if settings.images < 1 or settings.workers < 1:
        raise ConfigError(
            f"expected --images and --workers of 1 or more, got {settings.images} and {settings.workers}.",
            "Correct them.",
        )
    recipes = [Recipe(settings.preset, settings.images, size, settings.seed) for size in settings.sizes]
    rows = [measure(recipe, settings.workers) for recipe in recipes]
    write_json(settings.json, [row.to_dict() for row in rows])
    log.panel(f"hoi-bench synth, {settings.preset}, {settings.workers} worker(s)", [str(row) for row in rows])
