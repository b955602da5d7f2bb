"""The play: a hand comes, takes an object, lifts and turns it, puts it back and leaves.

Every movement is a sum of minimum-jerk submovements (Flash and Hogan 1985), so the path is smooth and each phase ends
exactly where the grasp needs it. While it is held, the object follows the hand rigidly, tremor included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.biomechanics import pose_from_angles
from hoi_core.conventions import FINGERS, Side
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import mano_rows
from hoi_core.scene.grasp import Grasp, rest_angles, solve
from hoi_core.scene.objects import ObjectModel
from hoi_core.types import F64, I64

_SINK_M = 0.0025
_ATTEMPTS = 4

PERIOD_S = 6.0
"""Length of one play; afterwards hand and object rest where they are."""


@dataclass(frozen=True)
class HandMoments:
    """A hand at M times."""

    orient: F64
    """(M, 3) rad."""
    pose: F64
    """(M, 45) rad, absolute."""
    betas: F64
    """(10,)."""
    trans_m: F64
    """(M, 3) m."""
    joints_m: F64
    """(M, 21, 3) m."""
    vertices_m: F64
    """(M, 778, 3) m."""

    def taken(self, index: I64) -> HandMoments:
        """Some of the moments."""
        return HandMoments(
            self.orient[index],
            self.pose[index],
            self.betas,
            self.trans_m[index],
            self.joints_m[index],
            self.vertices_m[index],
        )


@dataclass(frozen=True)
class Moments:
    """Hand and object at M times."""

    orient: F64
    """(M, 3) rad."""
    pose: F64
    """(M, 45) rad, absolute."""
    betas: F64
    """(10,)."""
    trans_m: F64
    """(M, 3) m."""
    joints_m: F64
    """(M, 21, 3) m."""
    vertices_m: F64
    """(M, 778, 3) m."""
    T_world_obj: F64
    """(M, 4, 4) m."""
    other: HandMoments | None = None
    """The hand that does not take the object; None where there is none."""

    @property
    def hand(self) -> HandMoments:
        """The hand that takes it."""
        return HandMoments(self.orient, self.pose, self.betas, self.trans_m, self.joints_m, self.vertices_m)


@dataclass(frozen=True)
class _Step:
    """One submovement: a shift and a turn between two times."""

    start_s: float
    end_s: float
    shift_m: F64
    turn_rad: F64


@dataclass(frozen=True)
class Play:
    """Everything that moves in one sequence; `at` gives it at any time."""

    layer: ManoLayer
    """The true hand."""
    betas: F64
    """(10,)."""
    model: ObjectModel
    """The object."""
    grasp: Grasp
    """How it is taken."""
    T_world_obj: F64
    """(4, 4) m, the object at the start."""
    reach: tuple[_Step, ...]
    """Movements of the hand alone, relative to the grasp."""
    carry: tuple[_Step, ...]
    """Movements of hand and object together."""
    tremor: F64
    """(6, K, 3): amplitude, frequency Hz and phase of K waves for each of shift (m) and turn (rad)."""

    def at(self, times_s: F64) -> Moments:
        """Hand and object at times `(M,)` s from the start."""
        t = np.clip(np.asarray(times_s, np.float64), 0.0, PERIOD_S)
        shift, turn = _tremor(self.tremor, t)
        held = _minimum_jerk(t, 1.5, 1.9) * (1.0 - _minimum_jerk(t, 4.95, 5.35))
        lifted = _minimum_jerk(t, 2.1, 2.4) * (1.0 - _minimum_jerk(t, 4.5, 4.8))
        T_object = _moved(self.carry, t, self.T_world_obj)
        hand_in_object = cam.rigid(self.grasp.R_obj_hand, self.grasp.wrist_m)
        # Before the grasp the carry steps are at rest at their start, after it at their end: one formula for all.
        T_hand = _reach(self.reach, t, T_object @ hand_in_object)
        free = np.maximum(1.0 - held, lifted)[:, None]
        T_hand = _shaken(T_hand, shift * free, turn * free, T_object[:, :3, 3])
        T_object = _shaken(T_object, shift * lifted[:, None], turn * lifted[:, None], T_object[:, :3, 3])
        return self._pose(t, T_hand, T_object)

    def _pose(self, t: F64, T_hand: F64, T_object: F64) -> Moments:
        pose = pose_from_angles(self._angles(t), self.layer.joint_frames)
        orient = rotation.log_so3(T_hand[:, :3, :3])
        at_origin = self.layer(orient, pose, self.betas)
        trans = T_hand[:, :3, 3] - at_origin.joints_m[:, 0]
        return Moments(
            orient,
            pose,
            self.betas,
            trans,
            at_origin.joints_m + trans[:, None],
            at_origin.vertices_m + trans[:, None],
            T_object,
        )

    def _angles(self, t: F64) -> F64:
        """Anatomical angles `(M, 15, 3)` rad."""
        rest, opened, closed = rest_angles(), self.grasp.open_rad, self.grasp.closed_rad
        preshape = _minimum_jerk(t, 0.15, 1.15) * (1.0 - _minimum_jerk(t, 5.3, 5.95))
        out = rest + preshape[:, None, None] * (opened - rest)
        for i, finger in enumerate(FINGERS):
            late = 0.03 * i
            grip = _minimum_jerk(t, 1.62 + late, 2.05 + late) * (1.0 - _minimum_jerk(t, 4.92, 5.25))
            rows = mano_rows(finger)
            out[:, rows] += grip[:, None, None] * (closed[rows] - opened[rows])
            wobble = np.sin(2 * np.pi * (0.5 + 0.13 * i) * t + 1.7 * i) * (1.0 - _minimum_jerk(t, 0.9, 1.5))
            out[:, rows, 0] += np.deg2rad(4.0) * wobble[:, None]
        return out


def random_play(
    layer: ManoLayer, betas: F64, model: ObjectModel, rng: np.random.Generator, side: Side = "right"
) -> Play:
    """Invent a play.

    Args:
        layer: the true hand.
        betas: `(10,)`.
        model: the object.
        rng: decides everything.
        side: which hand it is; the person stands behind the table and looks along -y.

    Returns:
        A play of `PERIOD_S`.
    """
    hint = model.grasps[int(rng.integers(len(model.grasps)))]
    grasp = solve(layer, betas, model, hint, rng)
    yaw = rng.uniform(-0.35, 0.35)
    T_start = cam.rigid(
        rotation.exp_so3(np.array([0.0, 0.0, yaw])), np.array([rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03), 0.0])
    )
    carry = _carry_steps(rng)
    T_end = _moved(carry, np.array([PERIOD_S]), T_start)[0]
    ends, tremor = (T_start[:3, :3] @ grasp.away, T_end[:3, :3] @ grasp.away), _tremor_waves(rng)
    # From above, the hand is high already when it has let go.
    rise = 0.01 if grasp.away[2] > 0.5 else 0.05
    for _ in range(_ATTEMPTS):
        play = Play(layer, betas, model, grasp, T_start, _reach_steps(ends, rise, rng, side), carry, tremor)
        if _deepest(play) > -_SINK_M:
            break
        rise += 0.02
    return play


def _deepest(play: Play) -> float:
    """Smallest distance between skin and object while the hand comes and leaves, m."""
    moments = play.at(np.concatenate([np.linspace(0.2, 2.1, 20), np.linspace(4.9, 5.9, 11)]))
    to_object = cam.inverse_rigid(moments.T_world_obj)
    return float(play.model.shape.distance_m(cam.transform(to_object, moments.vertices_m)).min())


def _reach_steps(ends: tuple[F64, F64], rise_m: float, rng: np.random.Generator, side: Side) -> tuple[_Step, ...]:
    """From the border of the scene to the grasp, and back; `ends` point out of the object before and after."""
    sign = -1.0 if side == "right" else 1.0
    come, leave = ends

    def border() -> F64:
        return np.array([sign * rng.uniform(0.0, 0.04), rng.uniform(0.07, 0.11), rise_m + rng.uniform(0.0, 0.03)])

    clear = rng.uniform(0.05, 0.065)
    # The last stretch goes straight along the palm, with the hand open and turned as the grasp needs it.
    return (
        _Step(0.10, 1.20, -border(), -rng.normal(0.0, 0.18, 3)),
        _Step(1.00, 1.64, -clear * come, np.zeros(3)),
        _Step(5.15, 5.60, clear * leave, np.zeros(3)),
        _Step(5.38, 5.98, border(), rng.normal(0.0, 0.15, 3)),
    )


def _carry_steps(rng: np.random.Generator) -> tuple[_Step, ...]:
    """Lift, turn, look at it from another side, put it back a little further."""
    height = rng.uniform(0.08, 0.12)
    turn = np.array([rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35), rng.uniform(0.5, 0.9) * rng.choice([-1, 1])])
    back = np.array([0.0, 0.0, rng.uniform(-0.25, 0.25)])
    across = np.array([rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.02), 0.0])
    up = np.array([0.0, 0.0, height])
    # The turns are undone in reverse order, so that the object stands upright again.
    return (
        _Step(2.15, 3.10, up + 0.5 * across, np.zeros(3)),
        _Step(2.75, 3.65, np.zeros(3), turn),
        _Step(3.70, 4.55, 0.5 * across, -turn),
        _Step(4.05, 4.85, -up, back),
    )


def _minimum_jerk(t: F64, start_s: float, end_s: float) -> F64:
    """From 0 to 1 with no velocity or acceleration at the ends. `(M,) -> (M,)`."""
    s = np.clip((t - start_s) / (end_s - start_s), 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s * s)


def _moved(steps: tuple[_Step, ...], t: F64, T_start: F64) -> F64:
    """A body's pose at times `(M,)` after its submovements. `-> (M, 4, 4)`."""
    R, position = np.tile(T_start[:3, :3], (len(t), 1, 1)), np.tile(T_start[:3, 3], (len(t), 1))
    for step in steps:
        share = _minimum_jerk(t, step.start_s, step.end_s)[:, None]
        position = position + share * step.shift_m
        R = rotation.exp_so3(share * step.turn_rad) @ R
    return cam.rigid(R, position)


def _reach(steps: tuple[_Step, ...], t: F64, T_grasped: F64) -> F64:
    """The hand's pose: where it is when grasping, displaced by the steps still to come or already taken."""
    R, position = T_grasped[:, :3, :3], T_grasped[:, :3, 3]
    for step in steps:
        share = _minimum_jerk(t, step.start_s, step.end_s)[:, None]
        # Steps before the grasp end there, steps after it begin there.
        share = share - 1.0 if step.end_s < 2.0 else share
        position = position + share * step.shift_m
        R = rotation.exp_so3(share * step.turn_rad) @ R
    return cam.rigid(R, position)


def _tremor_waves(rng: np.random.Generator) -> F64:
    """Slow drift and fast tremor of shift and turn."""
    frequency = np.concatenate([rng.uniform(0.4, 1.5, (3, 3)), rng.uniform(5.0, 9.0, (3, 3))])
    amplitude = np.concatenate([rng.uniform(0.0004, 0.0010, (3, 3)), rng.uniform(0.00005, 0.00015, (3, 3))])
    phase = rng.uniform(0.0, 2.0 * np.pi, (6, 3))
    turning = amplitude[rng.permutation(6)] * 8.0
    return np.stack([amplitude, frequency, phase, turning, frequency[::-1], phase[::-1]])


def _tremor(waves: F64, t: F64) -> tuple[F64, F64]:
    """Shift m and turn rad at times `(M,)`. `-> (M, 3), (M, 3)`."""
    phase = 2.0 * np.pi * waves[[1, 4], None] * t[None, :, None, None] + waves[[2, 5], None]
    both = (waves[[0, 3], None] * np.sin(phase)).sum(2)
    return both[0], both[1]


def _shaken(T: F64, shift_m: F64, turn_rad: F64, pivot_m: F64) -> F64:
    """Poses with a small turn about a pivot and a shift. `(M, 4, 4), (M, 3), (M, 3), (M, 3) -> (M, 4, 4)`."""
    R = rotation.exp_so3(turn_rad)
    position = (R @ (T[:, :3, 3] - pivot_m)[..., None])[..., 0] + pivot_m + shift_m
    return cam.rigid(R @ T[:, :3, :3], position)
