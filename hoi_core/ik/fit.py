"""Fit a hand model's angles to joints and vertices, inside the limits: from nothing, or from a first guess.

`fit` finds the pose by itself. `refine` is the post-optimisation of Fan and Wang 2023, section 3.4: a few iterations
from what a network guessed, onto the joints and vertices that another network saw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hoi_core import rotation
from hoi_core.conventions import N_BETAS, N_JOINTS, N_VERTICES
from hoi_core.ik._solve import Aims, Many, adam, levenberg_marquardt
from hoi_core.ik.dof import Dof
from hoi_core.ik.hand import IkHand
from hoi_core.ik.start import from_joints
from hoi_core.mano import ManoLayer, ManoOutput
from hoi_core.types import F64, I64

Method = Literal["gauss-newton", "adam"]

_THUMB_TWISTS_RAD = (0.5, -0.5)
"""Of the thumb's base, to start from where 0 does not lead to the joints."""
_GOOD_M = 1e-5
"""Root mean square distance above which another start may do better."""
_ADAM_RATES = (0.002, 0.02, 0.02, 0.1)
"""First steps of the shift, m, the global rotation and the angles, rad, and the shape."""


@dataclass(frozen=True)
class Targets:
    """What B hands should meet."""

    joints_m: F64
    """(B, 21, 3) m, openpose21; NaN where unknown."""
    vertices_m: F64 | None = None
    """(B, 778, 3) m, NaN where unknown; None for joints alone."""

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.joints_m.ndim != 3 or self.joints_m.shape[1:] != (N_JOINTS, 3):
            raise ValueError(f"joints must be (B, 21, 3), got {self.joints_m.shape}")
        expected = (len(self.joints_m), N_VERTICES, 3)
        if self.vertices_m is not None and self.vertices_m.shape != expected:
            raise ValueError(f"vertices must be {expected}, got {self.vertices_m.shape}")

    def taken(self, rows: I64) -> Targets:
        """Those of some hands."""
        return Targets(self.joints_m[rows], None if self.vertices_m is None else self.vertices_m[rows])


@dataclass(frozen=True)
class FitConfig:
    """How a hand is fitted."""

    iterations: int = 60
    """Evaluations at most, from each start."""
    method: Method = "gauss-newton"
    """`gauss-newton`, damped and inside the limits, or `adam`, as the paper's deep-learning tools would do."""
    joints: float = 1.0
    """Weight of the mean squared distance of the joints."""
    vertices: float = 1.0
    """Weight of the mean squared distance of the vertices."""
    shape: Literal["known", "solved"] = "known"
    """Whether the shape stays as given."""
    shape_m: float = 5e-4
    """Where the shape is solved: distance at each point that is as bad as a unit of shape away from the given one."""
    bend_m: float = 0.0
    """Distance at each point that is as bad as a finger bent against itself at two right angles, Eq. 3; 0 allows it."""
    tolerance: float = 1e-6
    """Relative decrease of the cost that ends a fit."""


@dataclass(frozen=True)
class Fitted:
    """B fitted hands."""

    dof: Dof
    """Which angles turned."""
    angles: F64
    """(B, n) rad, inside their limits."""
    orient: F64
    """(B, 3) rad, axis-angle about the shaped wrist."""
    trans_m: F64
    """(B, 3) m, moves the template's origin."""
    betas: F64
    """(B, 10)."""
    cost_m2: F64
    """(B,) m^2, weighted mean squared distance and what shape and bends cost."""
    iterations: I64
    """(B,) evaluations."""

    def pose(self, layer: ManoLayer) -> F64:
        """(B, 45) rad, MANO's absolute pose."""
        return self.dof.to_pose(self.angles, layer.joint_frames)

    def posed(self, layer: ManoLayer) -> ManoOutput[np.ndarray]:
        """The fitted hands, with joints and vertices."""
        return layer(self.orient, self.pose(layer), self.betas, self.trans_m)


def fit(
    hand: IkHand,
    targets: Targets,
    betas: F64 | None = None,
    config: FitConfig | None = None,
    limits_rad: F64 | None = None,
) -> Fitted:
    """Find the angles of hands from their joints, and vertices where there are any.

    Args:
        hand: of `ik_hand`; of its vertices those are met.
        targets: what to meet.
        betas: `(10,)` or `(B, 10)`, the shape or what is expected of it; None for the mean.
        config: how.
        limits_rad: `(n, 2)` or `(B, n, 2)` in place of the hand's own; equal ones hold an angle.

    Raises:
        ValueError: a shape does not fit.
    """
    config = config or FitConfig()
    shape = _betas(betas, len(targets.joints_m))
    limits = _limits(hand, limits_rad, len(shape))

    def from_twist(twist_rad: float, rows: I64) -> Fitted:
        start = from_joints(hand, targets.joints_m[rows], shape[rows], twist_rad)
        return _solved(hand, targets.taken(rows), start, config, limits[rows])

    best = from_twist(0.0, np.arange(len(shape)))
    for twist_rad in _THUMB_TWISTS_RAD:
        left = np.flatnonzero(best.cost_m2 > _GOOD_M**2)
        if len(left):
            best = _better(best, from_twist(twist_rad, left), left)
    return best


def refine(
    hand: IkHand,
    targets: Targets,
    guess: Fitted,
    config: FitConfig | None = None,
    limits_rad: F64 | None = None,
    betas: F64 | None = None,
) -> Fitted:
    """Move a guess onto joints and vertices (the paper's post-optimisation).

    Args:
        hand: of `ik_hand`, with the guess's angles.
        targets: what to meet.
        guess: where to start; angles outside the limits are clipped.
        config: how; by default 20 iterations with the bending constraint.
        limits_rad: as `fit`.
        betas: `(10,)` or `(B, 10)`, what is expected of the shape where it is solved; None for the guess's.
    """
    config = config or POST
    many = Many(
        rotation.exp_so3(guess.orient),
        np.array(guess.trans_m, dtype=np.float64),
        np.array(guess.angles, dtype=np.float64),
        np.array(guess.betas, dtype=np.float64),
    )
    expected = guess.betas if betas is None else betas
    return _solved(hand, targets, many, config, _limits(hand, limits_rad, len(guess.angles)), expected)


POST = FitConfig(iterations=20, bend_m=0.02, tolerance=1e-4)
"""The paper's post-optimisation: 20 iterations, with Eq. 3."""
POST_SHAPE = replace(POST, shape="solved", shape_m=1e-3)
"""The same where the shape is not known."""
OF_NETWORK = FitConfig(iterations=30, shape="solved", shape_m=2e-3, tolerance=1e-4)
"""Joints of a network are off by millimetres: the shape is held to the mean where they say little of it."""


def _limits(hand: IkHand, limits_rad: F64 | None, count: int) -> F64:
    """(B, n, 2) rad."""
    given = hand.dof.limits_rad if limits_rad is None else np.asarray(limits_rad, dtype=np.float64)
    if given.shape[-2:] != hand.dof.limits_rad.shape or (given.ndim == 3 and len(given) != count) or given.ndim > 3:
        raise ValueError(f"limits must be ({len(hand.dof)}, 2) or ({count}, {len(hand.dof)}, 2), got {given.shape}")
    return np.array(np.broadcast_to(given, (count, *hand.dof.limits_rad.shape)), order="C")


def _betas(betas: F64 | None, count: int) -> F64:
    given = np.zeros(N_BETAS) if betas is None else np.asarray(betas, dtype=np.float64)
    if given.shape not in ((N_BETAS,), (count, N_BETAS)):
        raise ValueError(f"betas must be (10,) or ({count}, 10), got {given.shape}")
    return np.array(np.broadcast_to(given, (count, N_BETAS)))


def _aims(hand: IkHand, targets: Targets, betas: F64, config: FitConfig) -> Aims:
    """Targets of the hand's points, unknown ones without weight."""
    parts, shares = [targets.joints_m], [config.joints]
    if targets.vertices_m is not None and len(hand.vertices):
        parts.append(targets.vertices_m[:, hand.vertices])
        shares.append(config.vertices)
    else:
        parts.append(np.full((len(betas), len(hand.vertices), 3), np.nan))
        shares.append(0.0)
    weights = []
    for points, share in zip(parts, shares, strict=True):
        known = np.isfinite(points).all(-1)
        weights.append(known * (share / np.maximum(known.sum(1, keepdims=True), 1)))
    # Each other layout of memory would be compiled anew.
    return Aims(
        np.ascontiguousarray(np.nan_to_num(np.concatenate(parts, axis=1))),
        np.ascontiguousarray(np.concatenate(weights, axis=1)),
        betas,
        config.shape_m**2,
        config.bend_m**2,
        config.shape == "solved",
    )


def _solved(
    hand: IkHand, targets: Targets, many: Many, config: FitConfig, limits: F64, expected: F64 | None = None
) -> Fitted:
    many.angles[:] = np.clip(many.angles, limits[..., 0], limits[..., 1])
    report = np.zeros((len(many.angles), 2))
    aims = _aims(hand, targets, _betas(many.betas if expected is None else expected, len(many.betas)), config)
    if config.method == "adam":
        rates = np.repeat(_ADAM_RATES, (3, 3, len(hand.dof), N_BETAS))
        adam(hand.arrays, many, aims, limits, config.iterations, rates, report)
    else:
        levenberg_marquardt(hand.arrays, many, aims, limits, config.iterations, config.tolerance, report)
    return Fitted(
        hand.dof,
        many.angles,
        rotation.log_so3(many.turned),
        many.shift_m,
        many.betas,
        report[:, 0],
        report[:, 1].astype(np.int64),
    )


def _better(first: Fitted, second: Fitted, rows: I64) -> Fitted:
    """The first, with some rows from the second where that costs less."""
    won = second.cost_m2 < first.cost_m2[rows]
    at, chosen = rows[won], np.flatnonzero(won)
    merged = {}
    for name in ("angles", "orient", "trans_m", "betas", "cost_m2", "iterations"):
        values = getattr(first, name).copy()
        values[at] = getattr(second, name)[chosen]
        merged[name] = values
    return replace(first, **merged)
