"""Degrees of freedom: which anatomical angles may turn, what they are called, and how far they go.

`BIOMECHANICAL` has the 23 of Lim et al. 2020 (MobileHand), which the IK network of Fan and Wang 2023 takes over: four
of each finger and seven of the thumb. `ALL_ANGLES` has all 45, which any pose of MANO can be written in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core.biomechanics import DOF_MASK, LIMITS_RAD, N_FINGER_JOINTS, anatomical_angles, pose_from_angles
from hoi_core.conventions import MANO_FINGERS
from hoi_core.types import F64, I64

_ANGLES = ("flexion", "abduction", "twist")
_PARTS = ("base", "middle", "end")
# Beyond this abduction, flexion and twist turn about one axis.
_STEEPEST_RAD = np.deg2rad(85.0)


@dataclass(frozen=True)
class Dof:
    """A choice of n angles among the 45 of a hand."""

    joint: I64
    """(n,) finger joint of each, 0 to 14 in MANO's order."""
    axis: I64
    """(n,) 0 flexion, 1 abduction, 2 twist."""
    limits_rad: F64
    """(n, 2) rad, the lowest and the highest."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the n angles, such as `index_base_flexion`, which robots and tables use."""
        pairs = zip(self.joint.tolist(), self.axis.tolist(), strict=True)
        return tuple(f"{MANO_FINGERS[j // 3]}_{_PARTS[j % 3]}_{_ANGLES[k]}" for j, k in pairs)

    def __len__(self) -> int:
        return len(self.joint)

    def pack(self, angles: F64) -> F64:
        """The chosen ones of all angles. `(..., 15, 3) rad -> (..., n) rad`."""
        return np.asarray(angles)[..., self.joint, self.axis]

    def unpack(self, values: F64) -> F64:
        """All angles, zero where a joint does not turn. `(..., n) rad -> (..., 15, 3) rad`."""
        values = np.asarray(values, dtype=np.float64)
        out = np.zeros((*values.shape[:-1], N_FINGER_JOINTS, 3))
        out[..., self.joint, self.axis] = values
        return out

    def to_pose(self, values: F64, frames: F64) -> F64:
        """MANO's absolute pose. `(..., n) rad, (15, 3, 3) of ManoLayer.joint_frames -> (..., 45) rad`."""
        return pose_from_angles(self.unpack(values), frames)

    def of_pose(self, pose: F64, frames: F64) -> F64:
        """The chosen angles of an absolute pose, not limited. `(..., 45) rad, (15, 3, 3) -> (..., n) rad`."""
        return self.pack(anatomical_angles(pose, frames))

    def clip(self, values: F64) -> F64:
        """Nearest values inside the limits. `(..., n) rad -> (..., n) rad`."""
        return np.clip(values, self.limits_rad[:, 0], self.limits_rad[:, 1])


def _biomechanical() -> Dof:
    joint, axis = np.nonzero(DOF_MASK)
    return Dof(joint.astype(np.int64), axis.astype(np.int64), LIMITS_RAD[joint, axis])


def _all_angles() -> Dof:
    joint, axis = np.divmod(np.arange(3 * N_FINGER_JOINTS), 3)
    reach = np.where(axis == 1, _STEEPEST_RAD, np.pi)
    return Dof(joint.astype(np.int64), axis.astype(np.int64), np.stack([-reach, reach], axis=-1))


BIOMECHANICAL = _biomechanical()
"""The 23 angles of a hand and their limits."""
ALL_ANGLES = _all_angles()
"""All 45 angles; the limits keep them apart from where flexion and twist become one."""
