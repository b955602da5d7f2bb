"""Hands ready to be photographed: one kit for each side, from which posed hands, their surfaces and labels are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset_tools.synth import _posing as posing
from dataset_tools.synth.arms import Arm, ArmBuilder, ArmShape
from dataset_tools.synth.capsules import Capsules
from dataset_tools.synth.studio import Capsule, Material, Picture, Surface
from dataset_tools.synth.types import ARM, LEFT_HAND, RIGHT_HAND
from hoi_core.conventions import (
    FINGERS,
    MANO_FINGERS,
    MANO_PARENTS,
    N_BETAS,
    N_VERTICES,
    fingertips,
    permutation,
)
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import hand_frame, phalanx_of_vertices
from hoi_core.scene.skin_model import skin_model
from hoi_core.scene.skin_print import skin_print
from hoi_core.types import F64, I64, U8, Bool, HandParams

_PARENTS = np.array(MANO_PARENTS)
_TO_OPENPOSE = permutation("mano21", "openpose21")
_BONES = np.array([1 + 4 * FINGERS.index(finger) + k for finger in MANO_FINGERS for k in range(3)])
# No joint lies deeper below the skin.
_FLESH_M = 0.03


@dataclass(frozen=True)
class PosedHand:
    """A hand in the world."""

    pose: F64
    """(45,) rad, absolute."""
    betas: F64
    """(10,)."""
    R: F64
    """(3, 3) global rotation."""
    vertices_m: F64
    """(778, 3) m."""
    joints_m: F64
    """(21, 3) m, openpose21."""
    shaped_wrist_m: F64
    """(3,) m, the wrist joint of the shaped template, about which the global rotation turns."""


class HandKit:
    """Everything about one side's hand that does not change from image to image."""

    def __init__(self, layer: ManoLayer, capsules: Capsules) -> None:
        self.layer = layer
        self.frame = hand_frame(layer)
        self._shapedirs = np.ascontiguousarray(layer.model.shapedirs.reshape(-1, N_BETAS))
        self._posedirs = np.ascontiguousarray(layer.model.posedirs.reshape(3 * N_VERTICES, -1).T)
        self.label = RIGHT_HAND if layer.side == "right" else LEFT_HAND
        self.skin, self.print = skin_model(layer), skin_print(layer)
        self.arms = ArmBuilder(layer)
        self._radii_m = capsules.radii_m
        phalanx = phalanx_of_vertices(layer)
        self._own = _own_flesh(phalanx)
        self._faces = np.ascontiguousarray(layer.faces, np.int32)
        # A face shows the flesh that its first vertex belongs to: faces are small.
        self._shown = _shown_joints()[:, phalanx[self._faces[:, 0]]]
        self._joined: tuple[NDArray[np.int32], U8, F64] | None = None

    def pose(self, angles: F64, betas: F64, R: F64, wrist_m: F64) -> PosedHand:
        """A hand with anatomical angles `(15, 3)` rad whose wrist joint lies at `wrist_m (3,)`."""
        model = self.layer.model
        rest = model.v_template + (self._shapedirs @ betas).reshape(-1, 3)
        rest_joints = model.J_regressor @ rest
        rotations = posing.rotations_of_angles(angles, self.layer.joint_frames)
        frames = posing.chain(R, rotations, rest_joints, _PARENTS)
        vertices = posing.skinned(rest, rotations, self._posedirs, model.weights, frames, rest_joints)
        joints = np.concatenate([frames[1], vertices[list(fingertips())]])[_TO_OPENPOSE]
        # The layer turns about the shaped wrist joint, so that is where the wrist is before the shift.
        shift = wrist_m - rest_joints[0]
        pose = posing.axis_angles(rotations).reshape(-1)
        return PosedHand(pose, betas, R, vertices + shift, joints + shift, rest_joints[0])

    def surfaces(self, hand: PosedHand, shape: ArmShape, coefficients: F64, cloth: Surface | None) -> list[Surface]:
        """Hand and forearm as one skin, then the sleeve where there is one; `cloth` gives its look."""
        arm = self.arms.build(hand.vertices_m, hand.R, shape)
        albedo = self.skin.albedo(coefficients)
        around = albedo[arm.loop]
        fade = np.minimum(arm.along_m.reshape(-1, 1, 1) / 0.05, 1.0)
        on_arm = (around + fade * (around.mean(0) - around)).reshape(-1, 3)
        # Texture of the forearm is looked up straight behind the template's wrist.
        behind = self.layer.model.v_template[arm.loop] - arm.along_m.reshape(-1, 1, 1) * self.frame.forward
        faces, labels, dorsal = self._with_arm(arm)
        skin = Surface(
            np.concatenate([hand.vertices_m, arm.vertices_m]),
            faces,
            np.concatenate([albedo, on_arm]),
            labels,
            Material(gloss=0.035, shininess=18.0, bleed=0.3, printed=True),
            np.concatenate([self.layer.model.v_template, behind.reshape(-1, 3)]),
            dorsal,
        )
        if cloth is None or not len(arm.sleeve_m):
            return [skin]
        n = len(arm.sleeve_m)
        look = np.tile(cloth.albedo[:1], (n, 1))
        return [skin, Surface(arm.sleeve_m, arm.sleeve_faces, look, cloth.labels, cloth.material, arm.sleeve_m)]

    def _with_arm(self, arm: Arm) -> tuple[NDArray[np.int32], U8, F64]:
        """Faces of hand and forearm, their labels, and how far each vertex is of the back; the same for all arms."""
        if self._joined is None:
            faces = np.concatenate([self._faces, arm.faces])
            labels = np.repeat(np.array([self.label, ARM], np.uint8), [len(self._faces), len(arm.faces)])
            along = np.tile(self.skin.dorsal[arm.loop], len(arm.along_m))
            self._joined = faces, labels, np.concatenate([self.skin.dorsal, along])
        return self._joined

    def capsules(self, hand: PosedHand) -> Capsule:
        """The posed hand's bones as what darkens its surroundings."""
        starts, ends = hand.joints_m[_BONES], hand.joints_m[_BONES + 1]
        knuckles, wrist = starts[[0, 3, 6, 9]], hand.joints_m[0]
        starts = np.concatenate([starts, wrist + 0.25 * (knuckles - wrist)])
        return Capsule(starts, np.concatenate([ends, wrist + 0.92 * (knuckles - wrist)]), self._radii_m, self._own)

    def visible(self, pixels: F64, depth_m: F64, picture: Picture) -> Bool:
        """Whether an image shows the skin around each joint: its own flesh, and no thicker than flesh is.

        Args:
            pixels: `(21, 2)` px of each joint, in the image or outside.
            depth_m: `(21,)` m of each joint.
            picture: the hand's faces come first in its scene.
        """
        at = np.rint(pixels).astype(np.int64)
        inside = ((at >= 0) & (at < picture.face_of.shape[0])).all(axis=1)
        at = np.where(inside[:, None], at, 0)
        face = picture.face_of[at[:, 1], at[:, 0]]
        own = inside & (face >= 0) & (face < len(self._faces))
        near = np.abs(picture.depth_m[at[:, 1], at[:, 0]] - depth_m) < _FLESH_M
        return own & near & self._shown[np.arange(21), np.where(own, face, 0)]


def params(hand: PosedHand, to_camera: F64) -> HandParams:
    """The hand's parameters in a camera's frame; `to_camera (4, 4)` is its `T_cam_world`."""
    wrist = to_camera[:3, :3] @ hand.joints_m[0] + to_camera[:3, 3]
    orient = posing.axis_angles((to_camera[:3, :3] @ hand.R)[None])[0]
    return HandParams(orient, hand.pose, hand.betas, wrist - hand.shaped_wrist_m, flat_hand_mean=True)


def _own_flesh(phalanx: I64) -> Bool:
    """`(778,)` joint that moves each vertex -> `(778, 19)` capsules that it lies in or beside."""
    own = np.zeros((N_VERTICES, 19), np.bool_)
    for v, joint in enumerate(phalanx):
        if joint == 0:
            own[v, 15:] = True
            own[v, [0, 3, 6, 9, 12]] = True
            continue
        finger, bone = divmod(int(joint) - 1, 3)
        for other in range(3):
            own[v, 3 * finger + other] = abs(other - bone) <= 1
        if bone == 0:
            own[v, 15:] = True
    return own


def _shown_joints() -> Bool:
    """`(21, 16)`: whether flesh that a MANO joint moves lies around a joint of openpose21."""
    out = np.zeros((21, 16), np.bool_)
    out[0, 0] = True
    for finger in FINGERS:
        row = 1 + 3 * MANO_FINGERS.index(finger)
        joint = 1 + 4 * FINGERS.index(finger)
        out[joint, [0, row]] = True
        out[joint + 1, [row, row + 1]] = True
        out[joint + 2, [row + 1, row + 2]] = True
        out[joint + 3, row + 2] = True
    return out
