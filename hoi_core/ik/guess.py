"""A hand's pose guessed by a network from its bones, to be refined or taken as it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from hoi_core.conventions import N_BETAS, Side, mirror_x
from hoi_core.errors import ConfigError
from hoi_core.ik.bones import bone_lengths, bones
from hoi_core.ik.dof import ALL_ANGLES, BIOMECHANICAL, Dof
from hoi_core.ik.fit import Fitted
from hoi_core.ik.hand import IkHand, ik_hand
from hoi_core.ik.place import laid_onto
from hoi_core.ik.start import rest_joints
from hoi_core.mano import ManoLayer
from hoi_core.types import F32, F64

DOFS: dict[int, Dof] = {len(dof): dof for dof in (BIOMECHANICAL, ALL_ANGLES)}
"""Number of a network's angles -> which they are."""


class Guesser:
    """An IK network and what goes before and behind it."""

    def __init__(self, network: Callable[[F32], tuple[F64, ...]], dof: Dof, *, needs_shape: bool) -> None:
        """Put a network to work.

        Args:
            network: `(B, 80)` of `hoi_core.ik.bones` -> angles `(B, n)` rad, shape `(B, 10)`.
            dof: which angles those are.
            needs_shape: whether it was trained for hands of known shape.
        """
        self.dof, self.needs_shape = dof, needs_shape
        self._network = network
        self._hands: dict[Side, IkHand] = {}

    def guess(self, joints_m: F64, side: Side, betas: F64 | None = None) -> Fitted:
        """Poses of hands.

        Args:
            joints_m: `(B, 21, 3)` m, openpose21, all known.
            side: which hands they are.
            betas: `(10,)` or `(B, 10)` where the shape is known; it is then that of the result.

        Returns:
            Angles inside their limits, and the place where the hand lies nearest to the joints.

        Raises:
            ConfigError: a network that must know the shape is not told it.
            ValueError: a joint is not known.
        """
        if not np.isfinite(joints_m).all():
            raise ValueError("an IK network needs all 21 joints")
        if betas is None and self.needs_shape:
            raise ConfigError(
                "this IK network was trained for hands of known shape.", "Tell the shape, or take another network."
            )
        hand = self._hand(side)
        mirrored = mirror_x if side == "left" else np.asarray
        rest, lengths, shape = self._mean_rest_m, None, None
        if betas is not None:
            shape = np.array(np.broadcast_to(betas, (len(joints_m), N_BETAS)))
            rest = mirrored(rest_joints(hand, shape))
            lengths = bone_lengths(rest)
        angles, said = self._network(bones(mirrored(joints_m), rest, lengths).astype(np.float32))
        return laid_onto(hand, angles, said if shape is None else shape, joints_m)

    @cached_property
    def _mean_rest_m(self) -> F64:
        return rest_joints(self._hand("right"), np.zeros((1, N_BETAS)))[0]

    def _hand(self, side: Side) -> IkHand:
        """The hand in use, its joints alone."""
        if side not in self._hands:
            self._hands[side] = ik_hand(ManoLayer.from_env(side), self.dof)
        return self._hands[side]
