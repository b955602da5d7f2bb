"""Lamps of a laboratory, from bright and even to one warm lamp at the side."""

from __future__ import annotations

import numpy as np

from hoi_core.render import Light


def random_light(rng: np.random.Generator) -> Light:
    """A lamp above the table with a tint, and the light of the room."""
    azimuth, elevation = rng.uniform(-np.pi, np.pi), np.deg2rad(rng.uniform(45.0, 75.0))
    warmth = rng.uniform(-0.08, 0.10)
    tint = np.array([1.0 + warmth, 1.0, 1.0 - warmth])
    ambient = rng.uniform(0.34, 0.46) * tint
    diffuse = rng.uniform(0.60, 0.80) * (1.0 + 0.5 * (tint - 1.0))
    return Light(
        direction=(
            float(np.cos(elevation) * np.cos(azimuth)),
            float(np.cos(elevation) * np.sin(azimuth)),
            float(np.sin(elevation)),
        ),
        ambient=(float(ambient[0]), float(ambient[1]), float(ambient[2])),
        diffuse=(float(diffuse[0]), float(diffuse[1]), float(diffuse[2])),
        shininess=float(rng.uniform(14.0, 30.0)),
        wrap=float(rng.uniform(0.15, 0.35)),
    )
