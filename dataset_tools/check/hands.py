"""What a hand's labels say of themselves: units, limits, agreement of joints and parameters."""

from __future__ import annotations

import numpy as np

from hoi_core.biomechanics import anatomical_angles, limit_violation
from hoi_core.conventions import BONES, FINGERS, JOINT_NAMES, MANO_FINGERS, Side
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, STATUSES, HandTrack

_SPAN_M = (0.10, 0.26)
"""From the wrist along the middle finger to its tip: the bones' lengths summed, children to the largest hands."""
_BETAS = 6.0
_SAME_M = 2e-4
_IMPOSSIBLE_RAD = np.deg2rad(50.0)
_FULL_TURN = 2.0 * np.pi + 1e-3
_MIDDLE = (0, 9, 10, 11, 12)


def check_hand(side: Side, hand: HandTrack, layer: ManoLayer | None) -> list[str]:
    """Everything that is wrong with a hand's labels, in words.

    Args:
        side: which hand it is.
        hand: its labels.
        layer: the model that they were made with; None where another one is in use.
    """
    at = np.flatnonzero(hand.valid & np.isfinite(hand.joints_m).all((1, 2)))
    if not len(at):
        return _status(side, hand)
    problems = [*_status(side, hand), *_size(side, hand.joints_m[at], at), *_angles(side, hand, at)]
    problems += _covariance(side, hand, at)
    if layer is not None:
        problems += _fingers(side, hand, at, layer) or _parameters(side, hand, at, layer)
    return problems


def _status(side: Side, hand: HandTrack) -> list[str]:
    none, rejected = STATUSES.index("none"), STATUSES.index("rejected")
    labelled = hand.valid & (hand.status == none)
    empty = ~hand.valid & (hand.status != none) & (hand.status != rejected)
    problems = []
    if labelled.any():
        problems.append(f"{side} hand: moment {np.argmax(labelled)} is valid, but its status is none")
    if empty.any():
        m = int(np.argmax(empty))
        problems.append(f"{side} hand: moment {m} is {STATUSES[hand.status[m]]}, but holds no label")
    return problems


def _size(side: Side, joints_m: F64, at: np.ndarray) -> list[str]:
    """Millimetres, or joints in another order."""
    bones = np.array(BONES)
    lengths = np.linalg.norm(joints_m[:, bones[:, 1]] - joints_m[:, bones[:, 0]], axis=-1)
    span = np.linalg.norm(np.diff(joints_m[:, list(_MIDDLE)], axis=1), axis=-1).sum(1)
    median = float(np.median(span))
    if not _SPAN_M[0] <= median <= _SPAN_M[1]:
        guess = "; is it in millimetres?" if 100.0 < median < 300.0 else ""
        return [f"{side} hand: it is {median:.3g} m long, a hand is {_SPAN_M[0]} to {_SPAN_M[1]} m{guess}"]
    change = np.abs(lengths / np.median(lengths, axis=0) - 1.0)
    m, b = np.unravel_index(int(change.argmax()), change.shape)
    if change[m, b] > 0.25:
        joint = JOINT_NAMES[BONES[int(b)][1]]
        return [f"{side} hand: the bone to {joint} has another length at moment {at[m]} ({change[m, b]:.0%} off)"]
    return []


def _angles(side: Side, hand: HandTrack, at: np.ndarray) -> list[str]:
    problems = []
    turns = np.linalg.norm(np.concatenate([hand.orient[at, None], hand.pose[at].reshape(len(at), 15, 3)], 1), axis=-1)
    if np.nanmax(turns) > _FULL_TURN:
        m = int(np.nanargmax(turns.max(1)))
        problems.append(f"{side} hand: a joint turns by {turns.max():.3g} rad at moment {at[m]}; is it in degrees?")
    if np.nanmax(np.abs(hand.betas)) > _BETAS:
        problems.append(f"{side} hand: a shape coefficient is {np.abs(hand.betas).max():.3g}; people lie within 3")
    return problems


def _covariance(side: Side, hand: HandTrack, at: np.ndarray) -> list[str]:
    cov = hand.joint_cov_m2[at]
    known = np.isfinite(cov).all((2, 3))
    if not known.any():
        return []
    values = np.linalg.eigvalsh(cov[known])
    if (values[:, 0] <= 0).any() or np.abs(cov[known] - np.swapaxes(cov[known], 1, 2)).max() > 1e-9:
        return [f"{side} hand: an uncertainty is no covariance (not symmetric, or not positive)"]
    return []


def _fingers(side: Side, hand: HandTrack, at: np.ndarray, layer: ManoLayer) -> list[str]:
    """Fingers that bend backwards: a mirrored hand, or a fit that went wrong."""
    beyond = limit_violation(anatomical_angles(hand.pose[at], layer.joint_frames))
    m, joint, _ = np.unravel_index(int(beyond.argmax()), beyond.shape)
    if beyond.max() < _IMPOSSIBLE_RAD:
        return []
    finger = MANO_FINGERS[int(joint) // 3]
    return [
        f"{side} hand: the {finger}{' finger' if finger != FINGERS[0] else ''} bends {np.rad2deg(beyond.max()):.0f} "
        f"degrees beyond what a hand can at moment {at[m]}"
    ]


def _parameters(side: Side, hand: HandTrack, at: np.ndarray, layer: ManoLayer) -> list[str]:
    """Joints that are not where the parameters put them."""
    posed = layer(hand.orient[at], hand.pose[at], hand.betas, hand.trans_m[at])
    distance = np.linalg.norm(posed.joints_m - hand.joints_m[at], axis=-1)
    m, j = np.unravel_index(int(distance.argmax()), distance.shape)
    if distance[m, j] <= _SAME_M:
        return []
    return [
        f"{side} hand: {JOINT_NAMES[int(j)]} lies {1e3 * distance[m, j]:.3g} mm from where the parameters put it at "
        f"moment {at[m]}"
    ]
