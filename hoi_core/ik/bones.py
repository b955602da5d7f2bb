"""What an IK network is shown of a hand: directions and lengths of its bones, in the frame of its palm.

Fan and Wang 2023, section 3.3, take directions and lengths instead of coordinates. Where a hand is and how it is turned
says nothing of its angles, so that directions are told in the axes of the template, its palm laid onto the one seen.
"""

from __future__ import annotations

import numpy as np

from hoi_core import rotation
from hoi_core.conventions import BONES
from hoi_core.crop import LENGTH_UNIT_M
from hoi_core.ik.start import PALM
from hoi_core.types import F64

N_NUMBERS = 4 * len(BONES)
"""Three of each bone's direction, then the lengths of all."""
_STARTS, _ENDS = np.array(BONES).T


def bones(joints_m: F64, rest_m: F64, lengths_m: F64 | None = None) -> F64:
    """Directions of the 20 bones in the palm's frame, and their lengths.

    Args:
        joints_m: `(B, 21, 3)` m of right hands, openpose21, all known, in any frame.
        rest_m: `(21, 3)` or `(B, 21, 3)` m, joints of the flat hand.
        lengths_m: `(B, 20)` m, where the shape is known; else as they are seen.

    Returns:
        `(B, 80)`: bones in the order of their ends, unit vectors in the template's axes, then lengths in units of
        `LENGTH_UNIT_M`.
    """
    seen = _bones(joints_m)
    turned = palm_turn(joints_m, rest_m)
    length = np.linalg.norm(seen, axis=-1)
    directions = np.einsum("bji,bkj->bki", turned, seen / np.maximum(length, 1e-9)[..., None])
    told = length if lengths_m is None else lengths_m
    return np.concatenate([directions.reshape(len(joints_m), -1), told / LENGTH_UNIT_M], axis=1)


def bone_lengths(joints_m: F64) -> F64:
    """Lengths of the 20 bones. `(..., 21, 3) m -> (..., 20) m`."""
    length: F64 = np.linalg.norm(_bones(joints_m), axis=-1)
    return length


def palm_turn(joints_m: F64, rest_m: F64) -> F64:
    """The turn that lays the flat hand's palm onto the one seen. `(B, 21, 3), (..., 21, 3) m -> (B, 3, 3)`."""
    rest = np.broadcast_to(rest_m, joints_m.shape)[:, PALM]
    return rotation.kabsch(rest, joints_m[:, PALM], np.ones((len(joints_m), len(PALM))))[0]


def _bones(joints_m: F64) -> F64:
    return joints_m[..., _ENDS, :] - joints_m[..., _STARTS, :]
