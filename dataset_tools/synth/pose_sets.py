"""The postures of a recipe: a fixed set, and for ManoRender and AngRender fingers swapped between its members."""

from __future__ import annotations

import numpy as np

from dataset_tools.synth.capsules import Capsules
from dataset_tools.synth.postures import draw_postures, swap_fingers
from dataset_tools.synth.recipe import GRID_POSES, MANO_POSES, Recipe
from hoi_core.types import F64

_HELD_OUT_EVERY = 20
_SWAPS = 12


def held_out(group: int) -> bool:
    """Whether a group of images belongs to the test split: every twentieth does, and swaps stay on its side."""
    return group % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1


class PoseSet:
    """Postures that all images of a recipe are made of."""

    def __init__(self, recipe: Recipe, capsules: Capsules) -> None:
        n = GRID_POSES if recipe.preset == "grid" else MANO_POSES
        self._capsules = capsules
        self.angles, self._segments = draw_postures(n, capsules, np.random.default_rng([recipe.seed, n]))
        """(P, 15, 3) rad."""
        tested = np.array([held_out(p) for p in range(n)])
        self._donors = {flag: np.flatnonzero(tested == flag) for flag in (False, True)}

    def __len__(self) -> int:
        return len(self.angles)

    def swapped(self, pose: int, rng: np.random.Generator) -> F64:
        """A posture with some of its fingers taken from others of its split. `-> (15, 3)` rad.

        The set's own posture where every swap that was tried makes fingers sink into each other.
        """
        others = self._donors[held_out(pose)]
        for _ in range(_SWAPS):
            keep = rng.random(5) < 0.4
            donors = np.where(keep, pose, others[rng.integers(len(others), size=5)])
            angles, segments = swap_fingers(pose, donors, self.angles, self._segments)
            if self._capsules.free(segments[None])[0]:
                return angles
        return self.angles[pose]
