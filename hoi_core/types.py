"""The data that flows between the packages, in the order in which it flows.

`Frame` -> `capture.h5` -> evidence -> `Revision` -> `Sample` -> `Batch` -> `Prediction`.
Every class is a frozen dataclass; field docs give shape and unit. Missing is NaN plus a validity mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hoi_core.conventions import Side

if TYPE_CHECKING:
    from torch import Tensor

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

DistortionModel = Literal["none", "brown_conrady", "inverse_brown_conrady"]
ClockDomain = Literal["hardware_clock", "global_time", "system_time", "host"]
Status = Literal["none", "auto", "edited", "accepted", "rejected"]
JointSource = Literal["none", "detected", "clicked", "triangulated", "fitted", "interpolated"]

Purpose = Literal["labels", "blind"]

MARKS: Mapping[str, int] = {"clicked": 1, "occluded": 2}
"""Bits of a keypoint's mark: placed by a person; hidden from this view."""
PROBLEMS: tuple[str, ...] = ("", "no evidence", "out of view", "no agreement", "not converged", "no start")
"""Why a moment has no label: nothing seen near it; the hand left the images; evidence contradicts itself; the fit did
not settle; no first guess. Stored as the index into this tuple (uint8)."""

STATUSES: tuple[Status, ...] = ("none", "auto", "edited", "accepted", "rejected")
"""Stored as the index into this tuple (uint8)."""
JOINT_SOURCES: tuple[JointSource, ...] = ("none", "detected", "clicked", "triangulated", "fitted", "interpolated")
"""Stored as the index into this tuple (uint8)."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with Brown distortion and a pose. Pixel centres lie at integers."""

    width: int
    """Image width, px."""
    height: int
    """Image height, px."""
    fx: float
    """Focal length along x, px."""
    fy: float
    """Focal length along y, px."""
    cx: float
    """Principal point x, px."""
    cy: float
    """Principal point y, px."""
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    """k1, k2, p1, p2, k3 (OpenCV order)."""
    distortion_model: DistortionModel = "brown_conrady"
    """`inverse_brown_conrady` maps distorted to undistorted (as D435 colour streams declare)."""
    T_world_cam: F64 = field(default_factory=lambda: np.eye(4))
    """(4, 4), camera to world, m."""

    @property
    def K(self) -> F64:
        """(3, 3) intrinsic matrix, px."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def T_cam_world(self) -> F64:
        """(4, 4), world to camera, m."""
        return np.asarray(np.linalg.inv(self.T_world_cam), dtype=np.float64)


@dataclass(frozen=True)
class StreamInfo:
    """What a stream delivers, known before its first frame."""

    name: str
    """`<view>/color`, `<view>/depth`, `<view>/infrared`, `<sensor>/gray` or `<sensor>/edge`."""
    kind: Literal["camera", "sensor"]
    """`camera` streams lie under /cameras, `sensor` streams under /sensors."""
    shape: tuple[int, ...]
    """(H, W) or (H, W, 3)."""
    dtype: str
    """`uint8` or `uint16`."""
    fps: float
    """Nominal frames per second."""
    camera: Camera
    """Intrinsics and pose of this stream's own imager."""
    serial: str = ""
    """Serial number of the device."""
    depth_scale_m: float | None = None
    """Metres per depth unit; None for other streams."""
    T_depth_color: F64 | None = None
    """(4, 4), colour to depth imager, m; on depth streams."""
    readout_us: float = 0.0
    """Time from the exposure of the first image row to that of the last, microseconds; 0 for a global shutter."""

    @property
    def view(self) -> str:
        """View or sensor that it belongs to: `left` of `left/color`."""
        return self.name.split("/", 1)[0]

    @property
    def content(self) -> str:
        """What its images show: `color`, `depth`, `infrared`, `gray` or `edge`."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def device(self) -> str:
        """What its clock and its counter belong to: the serial number, or the view of a device without one."""
        return self.serial or self.view


@dataclass(frozen=True)
class Frame:
    """One image of one stream, with everything known about when it was taken."""

    stream: str
    """Name of the stream, as in `StreamInfo`."""
    frame_number: int
    """The device's own counter: a gap is a drop."""
    t_device_ns: int
    """Mid-exposure on the device's clock, ns."""
    t_host_ns: int
    """Arrival on the host's monotonic clock, ns."""
    clock_domain: ClockDomain
    """Clock that `t_device_ns` counts."""
    image: NDArray[np.generic]
    """(H, W, 3) uint8 RGB, (H, W) uint8, or (H, W) uint16 depth units; owned by the frame."""
    exposure_us: float = float("nan")
    """Exposure time, microseconds."""
    gain: float = float("nan")
    """Sensor gain, device units."""


@dataclass(frozen=True)
class HandTrack:
    """One hand over the moments of a revision, in the world frame. M moments."""

    orient: F64
    """(M, 3) rad, axis-angle about the shaped wrist joint; NaN where not valid."""
    pose: F64
    """(M, 45) rad, absolute axis-angle (flat hand mean), MANO joint order."""
    betas: F64
    """(10,) shape coefficients, one per sequence."""
    trans_m: F64
    """(M, 3) m, moves the template origin."""
    joints_m: F64
    """(M, 21, 3) m, openpose21."""
    joint_cov_m2: F64
    """(M, 21, 3, 3) m^2; NaN where unknown."""
    valid: Bool
    """(M,) whether the moment has a hand label."""
    status: U8
    """(M,) index into `STATUSES`."""
    joint_source: U8
    """(M, 21) index into `JOINT_SOURCES`."""


@dataclass(frozen=True)
class HandKeypoints:
    """2D joints of one hand in every view, and what a person said about them."""

    by_view: Mapping[str, F64]
    """view -> (M, 21, 3): u px, v px of the colour image, confidence in [0, 1]; NaN where absent."""
    marks: Mapping[str, U8] = field(default_factory=dict)
    """view -> (M, 21) sums of `MARKS`; a view that is missing has none."""


@dataclass(frozen=True)
class ObjectPoints:
    """Points of an object's mesh that a person clicked in the images. K clicks."""

    moment: I64
    """(K,) index of the moment."""
    view: tuple[str, ...]
    """K names of views."""
    point_px: F64
    """(K, 2) px of the colour image."""
    point_m: F64
    """(K, 3) m on the mesh, object frame."""


@dataclass(frozen=True)
class ObjectTrack:
    """One rigid object over the moments of a revision."""

    T_world_obj: F64
    """(M, 4, 4) m, object to world; NaN where not valid."""
    valid: Bool
    """(M,)."""
    status: U8
    """(M,) index into `STATUSES`."""


@dataclass(frozen=True)
class Revision:
    """One state of the labels of a sequence; revisions are never rewritten in place."""

    t_ns: I64
    """(M,) common time of each moment, ns."""
    hands: Mapping[Side, HandTrack]
    """Hands by side."""
    objects: Mapping[str, ObjectTrack]
    """Objects by identifier."""
    keypoints: Mapping[Side, HandKeypoints]
    """2D evidence by hand; a hand may have it before it has a track."""
    frame_index: Mapping[str, I64]
    """view -> (M,) index of the view's colour frame; -1 where it has none."""
    residuals: Mapping[str, F64] = field(default_factory=dict)
    """name with unit -> (M,), such as `reprojection_px` or `depth_m`."""
    author: str = ""
    """Who made it: a person, `auto`, or `simulated`."""
    parent: str = ""
    """Revision it started from, such as `r000`; empty for the first."""
    comment: str = ""
    """Free text."""
    keypoint_source: JointSource = "detected"
    """Where `keypoints` come from."""
    human_seconds: float = 0.0
    """Seconds of human work spent on it."""
    locked: Mapping[Side, Bool] = field(default_factory=dict)
    """(M, 21) joints that a person fixed where they are; a hand that is missing has none."""
    problems: Mapping[Side, U8] = field(default_factory=dict)
    """(M,) index into `PROBLEMS`: why a moment has no label; a hand that is missing has none."""
    object_points: Mapping[str, ObjectPoints] = field(default_factory=dict)
    """Clicked points of each object."""
    comments: Mapping[int, str] = field(default_factory=dict)
    """moment -> what a person wrote about it."""
    work_s: F64 | None = None
    """(M,) s of human work on each moment; None where nobody counted."""
    corrections: Mapping[str, F64] = field(default_factory=dict)
    """view -> (8,) what the fit corrected: time offset s, rotation rad, shift m, depth bias m."""
    purpose: Purpose = "labels"
    """`blind`: made without seeing the labels, to measure agreement; it is never the current revision."""


@dataclass(frozen=True)
class HandParams:
    """One hand as parameters of MANO, in the frame of its camera."""

    orient: F64
    """(3,) rad, axis-angle about the shaped wrist joint."""
    pose: F64
    """(45,) rad, axis-angle of the finger joints in MANO's order."""
    betas: F64
    """(10,)."""
    trans_m: F64
    """(3,) m, moves the template's origin; NaN where the dataset does not say."""
    flat_hand_mean: bool
    """True if `pose` is absolute (zero is the flat hand), False if it is relative to MANO's mean pose."""


@dataclass(frozen=True)
class ObjectPose:
    """One rigid object, in the frame of its camera."""

    name: str
    """What the dataset calls it."""
    T_cam_obj: F64
    """(4, 4) m, object to camera: a rotation and a shift."""
    mesh: Path | None = None
    """File of its mesh, where the dataset has it on disk."""
    scale: float = 1.0
    """Metres per unit of the mesh."""
    visible: float = float("nan")
    """Share of it that nothing hides, 0 to 1; NaN where the dataset does not say."""


@dataclass(frozen=True)
class Sample:
    """One labelled image, in its own camera frame, whatever dataset it came from."""

    image: U8
    """(H, W, 3) RGB."""
    camera: Camera
    """Intrinsics of `image`; `T_world_cam` where the dataset has a world."""
    side: Side
    """Which hand is labelled."""
    joints_m: F64
    """(21, 3) m, openpose21, camera frame; NaN where missing, throughout where the dataset labels pixels only."""
    joints_valid: Bool
    """(21,) whether `joints_m` is known."""
    vertices_m: F64 | None
    """(778, 3) m, camera frame, or None."""
    dataset: str
    """Name of the reader."""
    key: str
    """Unique within the dataset, such as `seq_001/left/000012`."""
    joints_px: F64 | None = None
    """(21, 2) px, where the dataset labels the image itself; NaN where missing. None where joints are only known in
    space."""
    params: HandParams | None = None
    """The hand model's parameters, where the dataset has them."""
    objects: tuple[ObjectPose, ...] = ()
    """Objects whose pose is labelled."""


@dataclass(frozen=True)
class Batch:
    """Network input and targets; missing labels are masked, never faked. Left hands are mirrored."""

    image: Tensor
    """(B, 3, S, S) of `hoi_core.network_input`: fused edges in [0, 1], zero off the sites, or colours in [-1, 1]."""
    K: Tensor
    """(B, 3, 3) intrinsics of the crop, px."""
    joints_m: Tensor
    """(B, 21, 3) m, crop camera frame."""
    joints_valid: Tensor
    """(B, 21) bool."""
    vertices_m: Tensor
    """(B, 778, 3) m; NaN where `vertices_valid` is False."""
    vertices_valid: Tensor
    """(B,) bool."""
    joints_px: Tensor
    """(B, 21, 2) px of the crop."""
    pixels_valid: Tensor
    """(B, 21) bool: whether `joints_px` is known; of datasets that label pixels only, nothing else is."""
    R_world_crop: Tensor
    """(B, 3, 3) orthogonal, crop to world (or, in a dataset without one, to camera); determinant -1 where mirrored."""
    mirrored: Tensor
    """(B,) bool: a left hand shown as a right one."""


@dataclass(frozen=True)
class Prediction:
    """What an exported model says about one image, in the camera frame of that image."""

    joints_m: F64
    """(21, 3) m, openpose21."""
    vertices_m: F64 | None
    """(778, 3) m, or None for models without a mesh."""
    joints_px: F64
    """(21, 2) px in the full image."""
    confidence: F64
    """(21,) in [0, 1]."""
