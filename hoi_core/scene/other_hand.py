"""The hand that does not take the object: it hovers beside, drifts, turns a little, opens and closes its fingers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core import rotation
from hoi_core.biomechanics import pose_from_angles
from hoi_core.conventions import FINGERS
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import hand_frame, mano_rows
from hoi_core.scene.grasp import rest_angles
from hoi_core.scene.motion import HandMoments
from hoi_core.types import F64

_DRIFT_M = (0.025, 0.020, 0.015)
_TURN_RAD = 0.15
_CURL_RAD = np.deg2rad([28.0, 30.0, 18.0])


@dataclass(frozen=True)
class OtherHand:
    """Everything about the second hand's motion; `at` gives it at any time."""

    layer: ManoLayer
    """The true hand."""
    betas: F64
    """(10,)."""
    R: F64
    """(3, 3) mean global rotation."""
    wrist_m: F64
    """(3,) m, mean place of the wrist."""
    frequency_hz: F64
    """(3, 5): of the drift's three axes (then unused), of the turn's, and of the five fingers."""
    phase_rad: F64
    """(3, 5): likewise."""

    def at(self, times_s: F64) -> HandMoments:
        """The hand at times `(M,)` s."""
        wave = np.sin(2.0 * np.pi * self.frequency_hz * times_s[:, None, None] + self.phase_rad)
        orient = rotation.log_so3(rotation.exp_so3(_TURN_RAD * wave[:, 1, :3]) @ self.R)
        angles = np.tile(rest_angles(), (len(times_s), 1, 1))
        for i, finger in enumerate(FINGERS):
            angles[:, mano_rows(finger), 0] += 0.5 * (1.0 + wave[:, 2, i, None]) * _CURL_RAD
        pose = pose_from_angles(angles, self.layer.joint_frames)
        at_origin = self.layer(orient, pose, self.betas)
        trans = self.wrist_m + np.array(_DRIFT_M) * wave[:, 0, :3] - at_origin.joints_m[:, 0]
        return HandMoments(
            orient,
            pose,
            self.betas,
            trans,
            at_origin.joints_m + trans[:, None],
            at_origin.vertices_m + trans[:, None],
        )


def random_other_hand(layer: ManoLayer, betas: F64, rng: np.random.Generator) -> OtherHand:
    """Invent the motion of a hand that hovers, palm down, on its own side of the table.

    Args:
        layer: the true hand.
        betas: `(10,)`.
        rng: decides everything.
    """
    mirror = 1.0 if layer.side == "right" else -1.0
    yaw = rng.uniform(-0.25, 0.25)
    # The person stands behind the table (+y) and looks along -y: the left hand is on the +x side.
    forward, palm = np.array([np.sin(yaw), -np.cos(yaw), 0.0]), np.array([0.0, 0.0, -1.0])
    goal = np.stack([np.cross(forward, palm) * mirror, forward, palm], axis=-1)
    wrist = np.array([-mirror * rng.uniform(0.17, 0.195), rng.uniform(0.09, 0.12), rng.uniform(0.085, 0.11)])
    slow, fast = rng.uniform(0.2, 0.5, (2, 5)), rng.uniform(0.4, 0.8, (1, 5))
    return OtherHand(
        layer,
        betas,
        goal @ hand_frame(layer, betas).axes.T,
        wrist,
        np.concatenate([slow, fast]),
        rng.uniform(0.0, 2.0 * np.pi, (3, 5)),
    )
