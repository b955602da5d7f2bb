"""Hands that hold things: a pool of solved grasps, each decided by seed and number, kept in the user's cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hoi_core.scene.grasp as solver
from dataset_tools.synth.capsules import Capsules
from dataset_tools.synth.mesh_objects import Thing
from dataset_tools.synth.recipe import Recipe
from hoi_core import user_cache
from hoi_core.biomechanics import clip_to_limits
from hoi_core.conventions import N_BETAS, Side
from hoi_core.mano import ManoLayer
from hoi_core.types import F64

_TRIES = 3
# Fingers apart, and the thumb and two others touch.
_GOOD = 10 + 2 + 3
_BETAS_LIMIT = 2.0
# A quarter of the images show the hand on its way.
_APPROACH_SHARE, _APPROACH_M = 0.25, 0.06


@dataclass(frozen=True)
class Held:
    """A hand at an object, in the object's frame."""

    side: Side
    """Which hand."""
    thing: Thing
    """The object."""
    betas: F64
    """(10,) the hand's shape, for which the grasp was solved."""
    R: F64
    """(3, 3) global rotation of the hand."""
    wrist_m: F64
    """(3,) m."""
    angles: F64
    """(15, 3) rad."""


class GraspPool:
    """Solves a grasp when it is first asked for."""

    def __init__(
        self, recipe: Recipe, layers: Mapping[Side, ManoLayer], capsules: Capsules, things: Sequence[Thing]
    ) -> None:
        self._seed, self._layers, self._capsules, self._things = recipe.seed, layers, capsules, things
        self._sides = recipe.sides
        self._solved: dict[int, tuple[Held, F64, F64]] = {}
        code = user_cache.code_version([Path(solver.__file__), Path(__file__)])
        hands = "".join(layers[side].model.source for side in self._sides)
        shapes = "".join(thing.digest for thing in things)
        key = f"{code} {hands} {shapes} {self._sides} {self._seed}"
        self._key = hashlib.sha256(key.encode()).hexdigest()[:16]

    def held(self, k: int, rng: np.random.Generator) -> Held:
        """Grasp `k` of the pool, closed or, now and then, on its way there."""
        if k not in self._solved:
            self._solved[k] = self._recalled(k)
        held, away, open_rad = self._solved[k]
        if rng.random() >= _APPROACH_SHARE:
            return held
        closing = rng.random()
        angles = held.angles + (1.0 - closing) * (open_rad - held.angles)
        wrist = held.wrist_m + away * (1.0 - closing) * rng.uniform(0.0, _APPROACH_M)
        return Held(held.side, held.thing, held.betas, held.R, wrist, clip_to_limits(angles))

    def _recalled(self, k: int) -> tuple[Held, F64, F64]:
        rng = np.random.default_rng([self._seed, 91, k])
        side = self._sides[k % len(self._sides)]
        thing = self._things[(k // len(self._sides)) % len(self._things)]
        betas = rng.normal(0.0, 1.0, N_BETAS).clip(-_BETAS_LIMIT, _BETAS_LIMIT)
        name = f"grasp-{self._key}-{k}"
        kept = user_cache.recall(name)
        if kept is None:
            grasp = self._solve(side, thing, betas, rng)
            kept = {
                "R": grasp.R_obj_hand, "wrist": grasp.wrist_m, "away": grasp.away, "open": grasp.open_rad,
                "closed": self._loosened(grasp),
            }  # fmt: skip
            user_cache.keep(name, kept)
        held = Held(side, thing, betas, kept["R"], kept["wrist"], kept["closed"])
        return held, kept["away"], kept["open"]

    def _loosened(self, grasp: solver.Grasp) -> F64:
        """The closed posture, opened as little as needed for no finger to sink into another. `-> (15, 3)` rad."""
        share = np.linspace(1.0, 0.0, 21)[:, None, None]
        path = clip_to_limits(grasp.open_rad + share * (grasp.closed_rad - grasp.open_rad))
        return path[int(np.argmax(self._capsules.free(self._capsules.segments_m(path))))]

    def _solve(self, side: Side, thing: Thing, betas: F64, rng: np.random.Generator) -> solver.Grasp:
        """The best of several: fingers apart from each other first, then most contacts."""
        best, best_score = None, -1
        for _ in range(_TRIES):
            hint = thing.model.grasps[int(rng.integers(len(thing.model.grasps)))]
            grasp = solver.solve(self._layers[side], betas, thing.model, hint, rng)
            free = bool(self._capsules.free(self._capsules.segments_m(clip_to_limits(grasp.closed_rad)[None]))[0])
            score = len(grasp.touching) + 2 * ("thumb" in grasp.touching) + 10 * free
            if best is None or score > best_score:
                best, best_score = grasp, score
            if score >= _GOOD:
                break
        if best is None:
            raise ValueError("at least one try is needed")
        return best
