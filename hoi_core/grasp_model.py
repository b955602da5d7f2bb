"""Exported networks of a hand and the object that it holds: MANO parameters, and votes for the object's box.

The network says numbers; the hand model that poses the hand is the user's own file, and an object's pose needs its box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import pnp
from hoi_core.conventions import MANO_PARENTS, N_CONTROL, Side
from hoi_core.errors import AssetError
from hoi_core.known_object import MIRROR, control_points
from hoi_core.mano import ManoLayer
from hoi_core.placing import placed
from hoi_core.pnp import pose_from_crop
from hoi_core.pose_vector import gram_schmidt
from hoi_core.runtime import ExportedModel
from hoi_core.types import F64, U8, Camera, Prediction

N_ROTATIONS = len(MANO_PARENTS)
HAND_BOX, OBJECT_BOX = 1.1, 1.0
"""Boxes that a network is given, over the size of those around joints and surface (released code of HFL-Net)."""
AROUND = 1.5
"""The same of the boxes that the crop holds."""
_NEAREST_M = 0.05  # a hand before the camera
_BOX = "(B, 4) x0, y0, x1, y1 px of the crop, around"


@dataclass(frozen=True)
class Grasp:
    """What a network says of one image, in the camera frame of that image."""

    hand: Prediction
    """The hand."""
    T_cam_obj: F64
    """(4, 4) m, object to camera; NaN where no object was asked for or none was found."""
    control_px: F64
    """(21, 2) px of the full image: where the object's control points are seen; NaN where none was asked for."""
    object_confidence: float = float("nan")
    """How near its votes for the control points are, as the network thinks, 0 to 1; NaN of networks that do not say."""


class GraspModel(ExportedModel):
    """A hand in space, and an object whose box is known.

    Example:
        >>> model = runtime.load_as(GraspModel, Path("hfl.onnx"))  # doctest: +SKIP
        >>> grasp = model.predict(rgb, camera, hand_box, object_box, control_m=mug.control_m)  # doctest: +SKIP
    """

    TASK = "control_points"
    INPUTS: ClassVar[tuple[str, ...]] = ("image", "hand_box", "object_box")
    INPUT_MEANINGS: ClassVar[dict[str, str]] = {
        "hand_box": f"{_BOX} the hand's joints, {HAND_BOX} times as large",
        "object_box": f"{_BOX} the object, hidden parts too; 0, 0, 0, 0 where there is none",
    }
    OUTPUTS: ClassVar[tuple[str, ...]] = ("rotations", "betas", "joints", "confidence", "control", "trust")
    MEANINGS: ClassVar[dict[str, str]] = {
        "rotations": "(B, 16, 6) first two columns of the rotations of MANO's joints, to be made orthonormal: of the "
        "wrist in the crop's camera frame (x right, y down, z forward), of the others to their parents",
        "betas": "(B, 10) MANO's shape",
        "joints": "(B, 21, 2) joints in the hand's box: x right and y down, 0 and 1 at its edges",
        "confidence": "(B, 21) of each joint, 0 to 1",
        "control": "(B, 21, 2, cells) where each cell of the object's box sees each control point, in that box alike",
        "trust": "(B, 21, cells) how near it thinks that is, 0 to 1",
    }
    PLACED = (
        f"The smallest box that holds the hand's and the object's, each {AROUND} times as large, is seen by a virtual "
        "pinhole camera that looks at its centre, without lens distortion, at {size} x {size} px; beyond the image its "
        "border goes on. A left hand is mirrored, and its object with it."
    )

    @property
    def objects(self) -> list[str]:
        """Names of the objects that it was trained with, in the order of their numbers."""
        return [str(each["name"]) for each in self.sidecar.training.get("objects", ())]

    def control_m(self, name: str) -> F64 | None:
        """`(21, 3)` m, control points of an object that it was trained with; None of any other."""
        for each in self.sidecar.training.get("objects", ()):
            if each["name"] == name:
                return control_points(np.array(each["low_m"], np.float64), np.array(each["high_m"], np.float64))
        return None

    @cached_property
    def layer(self) -> ManoLayer:
        """The hand model that the network speaks of.

        Raises:
            AssetError: the user's is another one.
        """
        layer = ManoLayer.from_env("right")
        if self.sidecar.hand_model != layer.model.source:
            raise AssetError(
                f"the network was trained with the hand model {self.sidecar.hand_model}, here is {layer.model.source}; "
                "its parameters would be another hand.",
                "Name the folder of that MANO file in $HOI_MANO, or unset it for the stand-in.",
            )
        return layer

    def predict(
        self,
        image: U8,
        camera: Camera,
        hand_box: crops.Box,
        object_box: crops.Box | None = None,
        *,
        control_m: F64 | None = None,
        side: Side | None = None,
    ) -> Grasp:
        """Predict hand and object in one image.

        Args:
            image: `(H, W, 3)` RGB.
            camera: camera of `image`.
            hand_box: x0, y0, x1, y1 px around the hand's joints.
            object_box: the same around the object; None for the hand alone.
            control_m: `(21, 3)` m, control points of the object (`KnownObject.control_m`); None for no pose.
            side: which hand it is; None for the one the model knows.
        """
        seen, crop = self.cut_pixels(image, camera, crop_box(hand_box, object_box), side)
        boxes = boxes_in_crop(crop, camera, hand_box, object_box)
        raw = self.run(self._input(seen), *(box[None].astype(np.float32) for box in boxes))
        K = crop.camera.K[None]
        hand = in_camera(hands(raw, boxes[0][None], K, self.layer), raw[3], crop, camera)
        T, control_px, sure = np.full((4, 4), np.nan), np.full((N_CONTROL, 2), np.nan), np.nan
        if object_box is not None:
            places_px, trust = votes(raw, boxes[1][None])
            sure = float(np.sort(trust[0], axis=0)[-pnp.BEST_CELLS :].mean())
            toward = crops.from_crop(crop, cameras.rays(crop.camera, most_trusted(places_px[0], trust[0])))
            control_px = cameras.project(camera, toward)
            if control_m is not None:
                shown = control_m @ MIRROR if crop.mirrored else control_m
                T = pose_from_crop(poses(raw, boxes[1][None], K, shown[None])[0], crop.R_cam_crop)
        return Grasp(hand, T, control_px, sure)

    def cut_pixels(
        self, image: U8, camera: Camera, box: crops.Box | None, side: Side | None
    ) -> tuple[U8, crops.HandCrop]:
        """As `ExportedModel.cut_pixels`, of a box that has its margin already (`crop_box`)."""
        if image.shape != (camera.height, camera.width, 3) or image.dtype != np.uint8:
            wanted = (camera.height, camera.width, 3)
            raise ValueError(f"image must be {wanted} uint8 as its camera says, got {image.shape} {image.dtype}")
        whole = (-0.5, -0.5, camera.width - 0.5, camera.height - 0.5)
        place = crops.Placement(scale=1.0, mirror=side is not None and side != self.sidecar.side)
        crop = crops.around(camera, box or whole, self.sidecar.size, place)
        return crops.warp(image, camera, crop), crop


def in_camera(hand_m: tuple[F64, F64], confidence: F64, crop: crops.HandCrop, camera: Camera) -> Prediction:
    """The hand of one crop in the frame of its camera.

    Args:
        hand_m: joints `(1, 21, 3)` and vertices `(1, 778, 3)` m in the crop's frame.
        confidence: `(1, 21)`.
        crop: where the hand was seen.
        camera: of the whole image.
    """
    joints_m, vertices_m = (crops.from_crop(crop, points[0]) for points in hand_m)
    return Prediction(joints_m, vertices_m, cameras.project(camera, joints_m), np.clip(confidence[0], 0.0, 1.0))


def enlarged(box: F64, factor: float) -> F64:
    """A box `factor` times as large about its centre. `(4,) -> (4,)`."""
    middle, half = 0.5 * (box[:2] + box[2:]), 0.5 * factor * (box[2:] - box[:2])
    return np.concatenate([middle - half, middle + half])


def crop_box(hand_box: crops.Box, object_box: crops.Box | None) -> crops.Box:
    """What a crop of hand and object shows, px of the image."""
    boxes = np.array([enlarged(np.array(box), AROUND) for box in (hand_box, object_box) if box is not None])
    (x0, y0), (x1, y1) = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    return float(x0), float(y0), float(x1), float(y1)


def boxes_in_crop(
    crop: crops.HandCrop, camera: Camera, hand_box: crops.Box, object_box: crops.Box | None
) -> tuple[F64, F64]:
    """The boxes that a network is given: `(4,)` px of the crop each, the object's 0 where there is none."""
    hand = enlarged(_moved(crop, camera, hand_box), HAND_BOX)
    return hand, np.zeros(4) if object_box is None else enlarged(_moved(crop, camera, object_box), OBJECT_BOX)


def _moved(crop: crops.HandCrop, camera: Camera, box: crops.Box) -> F64:
    """The box in the crop around a box's corners in the image. `-> (4,)` px."""
    x0, y0, x1, y1 = box
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    return np.array(crops.box_of(cameras.project(crop.camera, crops.to_crop(crop, cameras.rays(camera, corners)))))


def in_image(points: Any, box: Any) -> Any:
    """Points of a box, 0 and 1 at its edges, to pixels. `(B, ..., 2)`, `(B, 4)` px -> px. Numpy and torch alike."""
    shape = (len(box), *[1] * (points.ndim - 2), 2)
    low, high = box[:, :2].reshape(shape), box[:, 2:].reshape(shape)
    return low + points * (high - low)


def hands(raw: tuple[F64, ...], hand_box: F64, K: F64, layer: ManoLayer) -> tuple[F64, F64]:
    """Hands in their crops' frames.

    HFL-Net leaves open where the hand is. Here it is where its joints lie best on the rays that the network sees them
    along, in the sense of least squares.

    Args:
        raw: `GraspModel.OUTPUTS`.
        hand_box: `(B, 4)` px, as the network was given it.
        K: `(B, 3, 3)` px, of the crops.
        layer: the hand model.

    Returns:
        Joints `(B, 21, 3)` m and vertices `(B, 778, 3)` m.
    """
    joints, vertices, _ = hand_of(raw[0], raw[1], layer)
    shift = seen_from(joints, in_image(raw[2], hand_box), K, raw[3])
    return joints + shift, vertices + shift


def seen_from(joints_m: F64, joints_px: F64, K: F64, confidence: F64) -> F64:
    """Shifts of hands to where their joints are seen, never behind the camera.

    Args:
        joints_m: `(B, 21, 3)` m.
        joints_px: `(B, 21, 2)` px.
        K: `(B, 3, 3)` px.
        confidence: `(B, 21)` how much each counts.

    Returns:
        `(B, 1, 3)` m.
    """
    rays = (joints_px - K[:, None, :2, 2]) / K[:, None, [0, 1], [0, 1]]
    shift = placed(joints_m, rays, confidence)
    shift[:, 2] = np.maximum(shift[:, 2], _NEAREST_M - joints_m[..., 2].min(1))
    return shift[:, None]


def hand_of(columns: Any, betas: Any, layer: ManoLayer) -> tuple[Any, Any, Any]:
    """Hands at the origin. Numpy and torch alike.

    Args:
        columns: `(B, 16, 6)` of `GraspModel.OUTPUTS`.
        betas: `(B, 10)`.
        layer: the hand model.

    Returns:
        Joints `(B, 21, 3)` m and vertices `(B, 778, 3)` m relative to the wrist; rotations `(B, 16, 3, 3)`.
    """
    turns = gram_schmidt(columns)
    hand = layer.posed(turns, betas)
    wrist = hand.joints_m[:, :1]
    return hand.joints_m - wrist, hand.vertices_m - wrist, turns


def votes(raw: tuple[F64, ...], object_box: F64) -> tuple[F64, F64]:
    """Where each cell sees each control point, and its trust.

    Args:
        raw: `GraspModel.OUTPUTS`.
        object_box: `(B, 4)` px.

    Returns:
        `(B, cells, 21, 2)` px of the crops and `(B, cells, 21)`.
    """
    return in_image(raw[4].transpose(0, 3, 1, 2), object_box), raw[5].swapaxes(1, 2)


def most_trusted(places_px: F64, trust: F64) -> F64:
    """Each control point as the mean of the votes that are trusted most. `(C, 21, 2)`, `(C, 21)` -> `(21, 2)` px."""
    best = np.argsort(-trust, axis=0, kind="stable")[: pnp.BEST_CELLS]
    return np.asarray(np.take_along_axis(places_px, best[..., None], axis=0).mean(0))


def poses(raw: tuple[F64, ...], object_box: F64, K: F64, control_m: F64) -> F64:
    """Poses of objects in their crops' frames, by EPnP within RANSAC on the votes that are trusted most.

    Args:
        raw: `GraspModel.OUTPUTS`.
        object_box: `(B, 4)` px.
        K: `(B, 3, 3)` px, of the crops.
        control_m: `(B, 21, 3)` m, control points of each object as it is shown.

    Returns:
        `(B, 4, 4)` m; NaN where none was found.
    """
    each = zip(*votes(raw, object_box), control_m, K, strict=True)
    return np.stack([pnp.solve_pose(pnp.best_pairs(*said), lens).T_cam_obj for *said, lens in each])
