"""Joint angles of hands that are followed through images, for machines such as a robot's hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hoi_core.conventions import N_BETAS, SIDES, Side
from hoi_core.ik.dof import BIOMECHANICAL
from hoi_core.ik.fit import OF_NETWORK, POST_SHAPE, Fitted, Targets, fit, refine
from hoi_core.ik.hand import IkHand, ik_hand, spread_vertices
from hoi_core.mano import ManoLayer
from hoi_core.types import F64


def described() -> dict[str, object]:
    """What the angles are called and how far they go, for machines."""
    names, limits = BIOMECHANICAL.names, BIOMECHANICAL.limits_rad
    joints = [{"name": n, "low": float(a), "high": float(b)} for n, (a, b) in zip(names, limits, strict=True)]
    return {"unit": "rad", "joints": joints}


class AngleReader:
    """Reads the angles of hands, each from where it was in the image before."""

    def __init__(self) -> None:
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
        guess = self._before[who] if who in self._before else fit(hand, Targets(joints_m[None]), config=OF_NETWORK)
        # Held to the mean hand, not to the shape of the image before: that could drift from image to image.
        found = self._before[who] = refine(hand, seen, guess, POST_SHAPE, betas=np.zeros(N_BETAS))
        return _row(found, found.posed(self._layers[side]).joints_m[0], joints_m)


def _row(found: Fitted, joints_m: F64, seen_m: F64) -> dict[str, object]:
    angles: Mapping[str, float] = dict(zip(found.dof.names, found.angles[0].tolist(), strict=True))
    return {
        "angles_rad": angles,
        "orient_rad": found.orient[0].tolist(),
        "trans_m": found.trans_m[0].tolist(),
        "betas": found.betas[0].tolist(),
        "joints_off_m": float(np.nanmean(np.linalg.norm(joints_m - seen_m, axis=-1))),
    }
