"""One row of numbers for each sample: what it shows, how, and how sparse its edges are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from dataset_tools.stats import hands, sparsity
from dataset_tools.stats.visibility import Surface, Visibility, visibility
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.biomechanics import ABDUCTION, DOF_MASK, FLEXION, TWIST, anatomical_angles
from hoi_core.conventions import BONES, FINGERS, MANO_FINGERS, N_JOINTS, Side, joint_words
from hoi_core.edges import EdgeParams
from hoi_core.errors import HoiError
from hoi_core.mano import ManoLayer
from hoi_core.types import F32, F64, I64, Bool, Sample

INPUT_PX = 128
"""Side of the network's input."""
_ANGLES = {FLEXION: "flexion", ABDUCTION: "abduction", TWIST: "twist"}
_MANO_JOINTS = tuple(f"{finger}_{place}" for finger in MANO_FINGERS for place in ("base", "middle", "end"))

BONE_NAMES = tuple(f"{joint_words(p)} to {joint_words(j)}" for p, j in BONES)
ANGLE_NAMES = tuple(f"{_MANO_JOINTS[joint]}_{_ANGLES[axis]}" for joint, axis in np.argwhere(DOF_MASK).tolist())
"""The 23 angles that a hand has, in the order of `biomechanics.DOF_MASK`."""
_FACTS = ("left", "mesh", "parameters", "known_joints", "object_count", "object_visible")
_PICTURE = ("distance_m", "off_axis_deg", "box_px", "crop_px")
_VIEW = ("view_elevation_deg", "view_azimuth_deg", "roll_deg")
COLUMNS: tuple[str, ...] = (
    *_FACTS,
    *_PICTURE,
    *(field.name for field in fields(Visibility)),
    *sparsity.names(),
    *_VIEW,
    *(f"bent_{finger}" for finger in FINGERS),
    *(f"angle_{name}" for name in ANGLE_NAMES),
    *(f"bone_{k:02d}_mm" for k in range(len(BONES))),
)
"""Names of the numbers; `bone_<k>_mm` is the k-th of `BONE_NAMES`."""


@dataclass(frozen=True)
class Measured:
    """Rows of some samples."""

    keys: tuple[str, ...]
    """Of the samples that could be read."""
    values: F32
    """(N, C) in the order of `COLUMNS`; NaN where the dataset does not tell."""
    objects: tuple[str, ...]
    """Names of the labelled objects of each, one after another; may be empty."""
    failed: tuple[tuple[str, str], ...] = ()
    """Key and reason of each sample that could not be read."""


def measure(reader: ModuleType, root: Path, keys: Sequence[str], edges: EdgeParams) -> Measured:
    """Read samples and measure them; a sample that cannot be read is told, and the others go on.

    Args:
        reader: of the dataset.
        root: its folder.
        keys: of the samples.
        edges: how edges are made.
    """
    rows, samples, failed = [], [], []
    for key in keys:
        try:
            sample = reader.read(root, key)
            rows.append(_picture(reader, root, sample, edges))
            samples.append(_labels(sample))
        except HoiError as error:
            failed.append((key, error.message))
    if not samples:
        return Measured((), np.zeros((0, len(COLUMNS)), np.float32), (), tuple(failed))
    joints_m, left, angles, names, good = zip(*samples, strict=True)
    values = np.concatenate([np.array(rows), _hand(np.array(joints_m), np.array(left), np.array(angles))], axis=1)
    return Measured(good, values.astype(np.float32), names, tuple(failed))


def _labels(sample: Sample) -> tuple[F64, bool, F64, str, str]:
    """What is left of a sample once its picture is measured: joints, side, angles, objects, key."""
    angles = np.full((len(DOF_MASK), 3), np.nan)
    if sample.params is not None and sample.params.flat_hand_mean:
        angles = anatomical_angles(sample.params.pose, _layer(sample.side).joint_frames)
    objects = ", ".join(sorted(shown.name for shown in sample.objects))
    return sample.joints_m, sample.side == "left", angles, objects, sample.key


def _picture(reader: ModuleType, root: Path, sample: Sample, edges: EdgeParams) -> list[float]:
    """Facts, place in the picture, visibility and sparsity of one sample."""
    nan = float("nan")
    visible = [shown.visible for shown in sample.objects if np.isfinite(shown.visible)]
    known = sample.joints_valid
    facts = [
        float(sample.side == "left"),
        float(sample.vertices_m is not None),
        float(sample.params is not None),
        float((known | (False if sample.joints_px is None else np.isfinite(sample.joints_px).all(-1))).sum()),
        float(len(sample.objects)),
        min(visible) if visible else nan,
    ]
    depth_m = reader.depth_m(root, sample.key) if hasattr(reader, "depth_m") else None
    marked = reader.segmentation(root, sample.key) if hasattr(reader, "segmentation") else None
    seen = astuple(visibility(sample, _surface(sample.side), depth_m, marked))
    pixels = cameras.project(sample.camera, sample.joints_m) if known.any() else sample.joints_px
    if pixels is None or not np.isfinite(pixels).all(-1).any():
        return [*facts, *[nan] * len(_PICTURE), *seen, *[nan] * len(sparsity.names())]
    box = crops.box_of(pixels)
    side_px = max(box[2] - box[0], box[3] - box[1])
    crop = crops.around(sample.camera, box, INPUT_PX, crops.Placement(mirror=sample.side == "left"))
    centre = np.full(3, nan)
    if known.any():
        centre = sample.joints_m[known].mean(0)
    off_axis = np.rad2deg(np.arctan2(np.hypot(centre[0], centre[1]), centre[2]))
    zeros = sparsity.sparsity(crops.warp(sample.image, sample.camera, crop), edges)
    return [*facts, centre[2], off_axis, side_px, crops.SCALE * side_px, *seen, *zeros]


def _hand(joints_m: F64, left: Bool, angles: F64) -> F64:
    """View, fingers, angles and bones of many hands. `(N, 21, 3), (N,), (N, 15, 3) -> (N, columns)`."""
    as_right = hands.as_right(joints_m.reshape(-1, N_JOINTS, 3), left)
    template_m, axes = _template()
    with np.errstate(invalid="ignore", divide="ignore"):
        by_joints = hands.joint_angles(as_right, template_m, axes)
        # Parameters tell the twist as well, and are not blurred by the place of a fingertip.
        unknown = np.isnan(angles).any((1, 2))
        angles[unknown, :, :2] = by_joints[unknown]
        columns = [
            np.rad2deg(hands.view_angles(as_right)),
            hands.bent_fingers(angles[..., FLEXION]),
            np.rad2deg(angles[:, DOF_MASK]),
            1e3 * hands.bone_lengths_m(as_right),
        ]
    return np.concatenate(columns, axis=1)


def _layer(side: Side) -> ManoLayer:
    return _known_layer(side, os.environ.get("HOI_MANO", ""))


@lru_cache(maxsize=4)
def _known_layer(side: Side, model: str) -> ManoLayer:
    """The hand model in use; `model` is where it lies, so that another one is loaded anew."""
    return ManoLayer.from_env(side)


def _surface(side: Side) -> Surface:
    return _known_surface(side, os.environ.get("HOI_MANO", ""))


@lru_cache(maxsize=4)
def _known_surface(side: Side, model: str) -> Surface:
    return Surface.of(_known_layer(side, model))


def _template() -> tuple[F64, F64]:
    """Joints of the flat right hand and the axes of its finger joints. `(16, 3)` m, `(15, 3, 3)`."""
    layer = _layer("right")
    joints: F64 = layer.model.J_regressor @ layer.model.v_template
    return joints, layer.joint_frames


def angle_limits_deg() -> F64:
    """Lowest and highest of each of `ANGLE_NAMES`. `(23, 2)` degrees."""
    from hoi_core.biomechanics import LIMITS_RAD

    return np.rad2deg(LIMITS_RAD[DOF_MASK])


def positions() -> dict[str, I64]:
    """Where groups of columns lie: `angles`, `bones`, `bent`, `sparsity`."""
    index = {name: k for k, name in enumerate(COLUMNS)}

    def where(names: Sequence[str]) -> I64:
        return np.array([index[name] for name in names], dtype=np.int64)

    return {
        "angles": where([f"angle_{name}" for name in ANGLE_NAMES]),
        "bones": where([f"bone_{k:02d}_mm" for k in range(len(BONES))]),
        "bent": where([f"bent_{finger}" for finger in FINGERS]),
        "sparsity": where(sparsity.names()),
    }
