"""Inverse kinematics: from joints and vertices to a hand model's angles, inside the limits, without torch."""

from __future__ import annotations

from hoi_core.ik.dof import ALL_ANGLES, BIOMECHANICAL, Dof
from hoi_core.ik.fit import FitConfig, Fitted, Targets, fit, refine
from hoi_core.ik.hand import IkHand, ik_hand, spread_vertices

__all__ = [
    "ALL_ANGLES",
    "BIOMECHANICAL",
    "Dof",
    "FitConfig",
    "Fitted",
    "IkHand",
    "Targets",
    "fit",
    "ik_hand",
    "refine",
    "spread_vertices",
]
