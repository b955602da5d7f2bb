"""Frames between keyframes: the wrist on a cubic through them, every joint on the shortest turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline

from annotate.document.edits import check_frames, hand_of, put_labels
from annotate.hand import Hand, HandState, from_mano, state_from_axis_angle
from annotate.labels import axis_angles
from hoi_core import rotation
from hoi_core.conventions import Side
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer
from hoi_core.types import F64, I64, STATUSES, HandTrack, Revision

_KEY = tuple(STATUSES.index(name) for name in ("edited", "accepted"))


def keyframes(revision: Revision, side: Side, first: int, last: int) -> I64:
    """Frames of a range that a person settled: edited or accepted."""
    hand = hand_of(revision, side)
    frames = np.arange(first, last + 1)
    return frames[np.isin(hand.status[frames], _KEY) & hand.valid[frames]]


def interpolate(revision: Revision, layer: ManoLayer, side: Side, first: int, last: int) -> Revision:
    """Fill the frames between the keyframes of a range; the keyframes stay as they are, bit for bit.

    Args:
        revision: the labels.
        layer: the hand's model.
        side: which hand.
        first: first frame of the range.
        last: last frame of the range.

    Raises:
        ConfigError: the range has fewer than two keyframes, or nothing between them.
    """
    check_frames(revision, [first, last])
    keys = keyframes(revision, side, first, last)
    if len(keys) < 2 or keys[-1] - keys[0] + 1 == len(keys):
        raise ConfigError(
            f"frames {first} to {last} hold {len(keys)} keyframes with nothing between them to fill.",
            "Edit or accept a frame on each side of a gap.",
        )
    hand = hand_of(revision, side)
    frames = np.setdiff1d(np.arange(keys[0], keys[-1] + 1), keys)
    t_s = (revision.t_ns - revision.t_ns[keys[0]]) * 1e-9
    hands = between(from_mano(layer.model), hand, t_s[keys], keys, t_s[frames])
    orient, pose = axis_angles(hands)
    joints_m = np.asarray(layer(orient, pose, hand.betas, hands.trans_m).joints_m)
    label = {"orient": orient, "pose": pose, "trans_m": hands.trans_m, "joints_m": joints_m}
    return put_labels(revision, side, frames, label, "auto", "interpolated")


def between(hand: Hand, track: HandTrack, key_s: F64, keys: I64, t_s: F64) -> HandState:
    """The hand at any times within those of labelled frames.

    Args:
        hand: the hand's model.
        track: its labels.
        key_s: (K,) s times of the frames to go through, ascending.
        keys: (K,) these frames.
        t_s: (N,) s, from the first to the last of `key_s`.
    """
    at_keys = state_from_axis_angle(hand, track.orient[keys], track.pose[keys], track.betas, track.trans_m[keys])
    return replace(
        at_keys,
        trans_m=_cubic(at_keys.trans_m, key_s, t_s),
        rotations=_slerp(at_keys.rotations, key_s, t_s),
    )


def _slerp(keys: F64, key_s: F64, t_s: F64) -> F64:
    """(K, 16, 3, 3) at `key_s` -> (N, 16, 3, 3) at `t_s`, each turn at constant speed between two keys."""
    right = np.clip(np.searchsorted(key_s, t_s), 1, len(key_s) - 1)
    left = right - 1
    share = (t_s - key_s[left]) / (key_s[right] - key_s[left])
    return rotation.slerp(keys[left], keys[right], share[:, None])


def _cubic(keys: F64, key_s: F64, t_s: F64) -> F64:
    """(K, 3) at `key_s` -> (N, 3) at `t_s`; a straight line between two keys."""
    return np.asarray(CubicSpline(key_s, keys, bc_type="natural")(t_s))
