"""How strict the fit is at each iteration: robust terms and gates tighten step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stage:
    """Strictness of one iteration."""

    robust_scale: float
    """Residuals beyond this many sigmas lose their pull (Geman-McClure)."""
    gate_m: float
    """Depth points farther than this from the hand are not its own, m; 0 leaves depth out."""
    every: int = 1
    """Of so many depth points one is used, of so much more weight."""


LOOSE = tuple(Stage(200.0, 0.0) for _ in range(8))
"""For a hand that starts flat: it may bend far, and through angles that no hand has."""
KEYPOINTS_ONLY = tuple(Stage(scale, 0.0) for scale in (40.0, 25.0, 15.0, 10.0, 7.0, 5.0, 4.0))
"""For the first fit of moments with keypoints, one by one."""
SEQUENCE = (
    Stage(10.0, 0.0),
    Stage(7.0, 0.02),
    Stage(5.0, 0.015),
    *(Stage(4.0, 0.01) for _ in range(9)),
)
"""For the whole sequence; the last stage repeats until the cost settles.

Keypoints alone place the hand within a few millimetres; a wider gate lets the object drag a finger away for good.
"""

AGAIN = (*(replace(SEQUENCE[-1], every=3) for _ in range(2)), SEQUENCE[-1])
"""For a sequence that was fitted before: a third of the depth points comes as near, and all of them settle it."""

WIDE = (
    Stage(10.0, 0.05),
    Stage(7.0, 0.035),
    Stage(5.0, 0.025),
    *(Stage(4.0, 0.015) for _ in range(9)),
)
"""For a sequence that one view alone saw: depth has to move the first guess further."""
