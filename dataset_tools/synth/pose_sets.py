"""The postures of a recipe: a fixed set, and for ManoRender and AngRender fingers swapped between its members."""

from __future__ import annotations

import numpy as np

from dataset_tools.synth.capsules import Capsules
from dataset_tools.synth.postures import draw_postures, swap_fingers
from dataset_tools.synth.recipe import GRID_POSES, MANO_POSES, Recipe
from hoi_core.biomechanics import anatomical_angles, clip_to_limits
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
        self.angles, self._segments = _postures(n, capsules, np.random.default_rng([recipe.seed, n]))
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


def _postures(n: int, capsules: Capsules, rng: np.random.Generator) -> tuple[F64, F64]:
    """The poses of the hand file's own scans as far as they go, then invented ones. As `draw_postures`."""
    invented = draw_postures(n, capsules, rng)
    model = capsules.layer.model
    if model.coefficients is None:
        return invented
    pose = model.hands_mean + rng.permutation(model.coefficients)[:n] @ model.components
    angles = clip_to_limits(anatomical_angles(pose, capsules.layer.joint_frames))
    segments = capsules.segments_m(angles)
    free = capsules.free(segments)
    return (
        np.concatenate([angles[free], invented[0]])[:n],
        np.concatenate([segments[free], invented[1]])[:n],
    )
