"""Joint angles of hands that are followed through images, for machines such as a robot's hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hoi_core.conventions import N_BETAS, SIDES, Side
from hoi_core.errors import ConfigError
from hoi_core.ik.dof import BIOMECHANICAL
from hoi_core.ik.fit import OF_NETWORK, POST_SHAPE, Fitted, Targets, fit, refine
from hoi_core.ik.guess import Guesser
from hoi_core.ik.hand import IkHand, ik_hand, spread_vertices
from hoi_core.mano import ManoLayer
from hoi_core.types import F64

_REMEMBERED = 16
"""Hands whose pose is kept: identities never come back, and a long recording has many."""


def described() -> dict[str, object]:
    """What the angles are called and how far they go, for machines."""
    names, limits = BIOMECHANICAL.names, BIOMECHANICAL.limits_rad
    joints = [{"name": n, "low": float(a), "high": float(b)} for n, (a, b) in zip(names, limits, strict=True)]
    return {"unit": "rad", "joints": joints}


class AngleReader:
    """Reads the angles of hands, each from where it was in the image before."""

    def __init__(self, guesser: Guesser | None = None) -> None:
        """Start without any hand.

        Args:
            guesser: IK network for hands that were not in the image before; None solves for them, which takes longer.

        Raises:
            ConfigError: a network of other angles than the 23, or one of hands whose shape is known.
        """
        if guesser and (guesser.dof is not BIOMECHANICAL or guesser.needs_shape):
            raise ConfigError("robots need the 23 angles of a hand of any shape.", "Take another IK network.")
        self._guesser = guesser
        self._layers = {side: ManoLayer.from_env(side) for side in SIDES}
        self._hands: dict[Side, IkHand] = {}
        self._before: dict[tuple[int, Side], Fitted] = {}

    def read(self, identity: int, side: Side, joints_m: F64, vertices_m: F64 | None = None) -> dict[str, object]:
        """The angles of one hand.

        Args:
            identity: the same number in every image.
            side: which hand.
            joints_m: `(21, 3)` m, openpose21; NaN where unknown.
            vertices_m: `(778, 3)` m, or None.

        Returns:
            `angles_rad` by name, inside their limits; `orient_rad (3,)` and `trans_m (3,)` of MANO, `betas (10,)`, and
            `joints_off_m`, the mean distance of the joints from where they were seen.
        """
        if side not in self._hands:
            layer = self._layers[side]
            self._hands[side] = ik_hand(layer, BIOMECHANICAL, spread_vertices(layer))
        hand, who = self._hands[side], (identity, side)
        seen = Targets(joints_m[None], None if vertices_m is None else vertices_m[None])
        guess = self._before.pop(who, None) or self._first(hand, side, joints_m)
        # Held to the mean hand, not to the shape of the image before: that could drift from image to image.
        found = self._before[who] = refine(hand, seen, guess, POST_SHAPE, betas=np.zeros(N_BETAS))
        while len(self._before) > _REMEMBERED:
            del self._before[next(iter(self._before))]  # the one that was read longest ago
        return _row(found, found.posed(self._layers[side]).joints_m[0], joints_m)

    def _first(self, hand: IkHand, side: Side, joints_m: F64) -> Fitted:
        """The pose to start from of a hand that nothing is known of."""
        if self._guesser and np.isfinite(joints_m).all():
            return self._guesser.guess(joints_m[None], side)
        return fit(hand, Targets(joints_m[None]), config=OF_NETWORK)


def _row(found: Fitted, joints_m: F64, seen_m: F64) -> dict[str, object]:
    angles: Mapping[str, float] = dict(zip(found.dof.names, found.angles[0].tolist(), strict=True))
    return {
        "angles_rad": angles,
        "orient_rad": found.orient[0].tolist(),
        "trans_m": found.trans_m[0].tolist(),
        "betas": found.betas[0].tolist(),
        "joints_off_m": float(np.nanmean(np.linalg.norm(joints_m - seen_m, axis=-1))),
    }
