"""Contact sheets: many images at a glance."""

from __future__ import annotations

import cv2
import numpy as np

from dataset_tools.synth.generator import Generator
from hoi_core.types import U8


def contact_sheet(generator: Generator, n: int = 40, columns: int = 8) -> U8:
    """Images that are spread over the recipe's count, side by side; with two views, the second below the first.

    Args:
        generator: of the recipe.
        n: how many.
        columns: images in a row.

    Returns:
        `(H, W, 3)` RGB.
    """
    count = generator.recipe.count
    chosen = np.unique(np.linspace(0, count - 1, min(n, count)).astype(int))
    tiles = [np.concatenate([view.color for view in generator.make(int(i)).views]) for i in chosen]
    tiles = [cv2.copyMakeBorder(tile, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for tile in tiles]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[k : k + columns], axis=1) for k in range(0, len(tiles), columns)]
    return np.concatenate(rows)
