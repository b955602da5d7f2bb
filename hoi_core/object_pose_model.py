"""Exported networks of a hand and an object's pose, both said outright: MANO parameters, and nine numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import pose_vector
from hoi_core.conventions import N_CONTROL, N_POSE, Side
from hoi_core.grasp_model import HAND_BOX, Grasp, GraspModel, boxes_in_crop, crop_box, in_camera, in_image, seen_from
from hoi_core.mano import ManoLayer
from hoi_core.plugins import unknown_name
from hoi_core.pnp import pose_from_crop
from hoi_core.types import F64, U8, Camera

N_HAND_POSE = 3 + N_POSE
OBJECT = 4
"""Place of the object's pose among the outputs."""


class ObjectPoseModel(GraspModel):
    """A hand in space, and the pose of one object that the network knows by name.

    Example:
        >>> model = runtime.load_as(ObjectPoseModel, Path("cvae.onnx"))  # doctest: +SKIP
        >>> grasp = model.predict(rgb, camera, hand_box, object_box, name="021_bleach_cleanser")  # doctest: +SKIP
    """

    TASK = "object_pose"
    INPUTS = ("image", "hand_box", "object_number")
    INPUT_MEANINGS: ClassVar[dict[str, str]] = {
        "hand_box": f"(B, 4) x0, y0, x1, y1 px of the crop: around the hand's joints, {HAND_BOX} times as large",
        "object_number": "(B,) place of the object among `training.objects`, from 0; -1 for one that is not known",
    }
    OUTPUTS = ("pose", "betas", "joints", "confidence", "object")
    MEANINGS: ClassVar[dict[str, str]] = {
        "pose": "(B, 48) rad, axis-angle of MANO's joints: of the wrist in the crop's camera frame (x right, y down, z "
        "forward), of the others to their parents; zero is the flat hand",
        "betas": "(B, 10) MANO's shape",
        "joints": "(B, 21, 2) joints in the hand's box: x right and y down, 0 and 1 at its edges",
        "confidence": "(B, 21) of each joint, 0 to 1",
        "object": "(B, 9) of the object in the crop's camera frame: x and y in m, its depth times the crop's size over "
        "its focal length (both px) in m, the first two columns of its rotation before they are made orthonormal",
    }

    def number(self, name: str | None) -> int:
        """What the network calls an object; -1 for None.

        Raises:
            ConfigError: it does not know it.
        """
        if name is None:
            return -1
        if name not in self.objects:
            raise unknown_name("object", name, self.objects)
        return self.objects.index(name)

    def predict(
        self,
        image: U8,
        camera: Camera,
        hand_box: crops.Box,
        object_box: crops.Box | None = None,
        *,
        control_m: F64 | None = None,
        side: Side | None = None,
        name: str | None = None,
    ) -> Grasp:
        """Predict hand and object in one image.

        What was not trained (`--learn hand` or `object`) is NaN.

        Args:
            image: `(H, W, 3)` RGB.
            camera: camera of `image`.
            hand_box: x0, y0, x1, y1 px around the hand's joints.
            object_box: the same around the object; None for the hand alone.
            control_m: `(21, 3)` m, control points of the object, which the pose carries into the image.
            side: which hand it is; None for the one the model knows.
            name: of the object, one of `objects`; None for any other, whose pose the network can only guess.

        Raises:
            ConfigError: it does not know an object of this name.
        """
        number = np.array([self.number(name)], np.float32)
        seen, crop = self.cut_pixels(image, camera, crop_box(hand_box, object_box), side)
        box = boxes_in_crop(crop, camera, hand_box, None)[0][None]
        raw = self.run(self._input(seen), box.astype(np.float32), number)
        learn = self.sidecar.training.get("options", {}).get("learn", "joint")
        hand = in_camera(hands(raw, box, crop.camera.K[None], self.layer), raw[3], crop, camera)
        if learn == "object":
            unknown = {k: np.full_like(getattr(hand, k), np.nan) for k in ("joints_m", "vertices_m", "joints_px")}
            hand = replace(hand, **unknown, confidence=np.zeros_like(hand.confidence))
        if learn == "hand" or object_box is None:
            return Grasp(hand, np.full((4, 4), np.nan), np.full((N_CONTROL, 2), np.nan))
        T = pose_from_crop(object_poses(raw, np.array([crop.focal_px]), self.sidecar.size)[0], crop.R_cam_crop)
        points = np.full((N_CONTROL, 3), np.nan) if control_m is None else cameras.transform(T, control_m)
        return Grasp(hand, T, cameras.project(camera, points))


def hand_of(raw: tuple[Any, ...], layer: ManoLayer) -> tuple[Any, Any]:
    """Hands relative to their wrists. Numpy and torch alike.

    Args:
        raw: `ObjectPoseModel.OUTPUTS`.
        layer: the hand model.

    Returns:
        Joints `(B, 21, 3)` m and vertices `(B, 778, 3)` m.
    """
    pose, betas = raw[:2]
    hand = layer(pose[:, :3], pose[:, 3:], betas)
    wrist = hand.joints_m[:, :1]
    return hand.joints_m - wrist, hand.vertices_m - wrist


def hands(raw: tuple[F64, ...], hand_box: F64, K: F64, layer: ManoLayer) -> tuple[F64, F64]:
    """Hands in their crops' frames, where their joints lie best on the rays that the network sees them along.

    Args:
        raw: `ObjectPoseModel.OUTPUTS`.
        hand_box: `(B, 4)` px, as the network was given it.
        K: `(B, 3, 3)` px, of the crops.
        layer: the hand model.

    Returns:
        Joints `(B, 21, 3)` m and vertices `(B, 778, 3)` m.
    """
    joints, vertices = hand_of(raw, layer)
    shift = seen_from(joints, in_image(raw[2], hand_box), K, raw[3])
    return joints + shift, vertices + shift


def object_poses(raw: tuple[F64, ...], focal_px: F64, size: int) -> F64:
    """Objects in their crops' frames. `-> (B, 4, 4)` m."""
    return np.asarray(pose_vector.to_pose(raw[OBJECT], focal_px, size))
