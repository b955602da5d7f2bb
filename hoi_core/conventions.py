"""Joint orders, fingertip vertices, the kinematic tree and units: the one place that names them.

Units are metres, radians and nanoseconds; camera axes are OpenCV's (x right, y down, z forward);
pixel centres lie at integers; `T_dst_src` maps points of `src` into `dst`. See docs/conventions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from hoi_core.errors import ConfigError

_Float = TypeVar("_Float", bound=np.floating)

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")
FINGERS = ("thumb", "index", "middle", "ring", "little")
MANO_FINGERS = ("index", "middle", "little", "ring", "thumb")
"""Fingers in the order of MANO's joints."""

N_VERTICES = 778
N_FACES = 1538
N_JOINTS = 21
N_MANO_JOINTS = 16
N_POSE = 45
N_BETAS = 10
N_CONTROL = 21
"""Control points of an object: eight corners of its box, the middles of its twelve edges, its centre."""
N_CORNERS = 8
BOX_EDGES = tuple((a, b) for a in range(N_CORNERS) for b in range(a + 1, N_CORNERS) if (a ^ b).bit_count() == 1)
"""Corners at the ends of each edge of the box: those whose numbers differ in one binary digit."""

_FINGER_BONES = ("1", "2", "3", "tip")

# Every order names its joints with one vocabulary: wrist (or palm), then <finger>1..3 from base to tip, <finger>tip.
JOINT_ORDERS: dict[str, tuple[str, ...]] = {
    # Ours; also FreiHAND, DexYCB, OpenPose, MediaPipe.
    "openpose21": ("wrist", *(f + b for f in FINGERS for b in _FINGER_BONES)),
    # The articulated joints of a MANO file, in its own order.
    "mano16": ("wrist", *(f + b for f in MANO_FINGERS for b in "123")),
    # MANO's sixteen with the tips appended thumb to little: HO-3D, smplx + tips.
    "mano21": (
        "wrist",
        *(f + b for f in MANO_FINGERS for b in "123"),
        *(f + "tip" for f in FINGERS),
    ),
    # Rendered Hand Pose Dataset, one hand: every finger from tip to base.
    "rhd21": ("wrist", *(f + b for f in FINGERS for b in reversed(_FINGER_BONES))),
    # InterHand2.6M, one hand: tip to base, the wrist last.
    "interhand21": (*(f + b for f in FINGERS for b in reversed(_FINGER_BONES)), "wrist"),
    # Stereo Tracking Benchmark: a palm centre instead of the wrist, little finger first.
    "stb21": ("palm", *(f + b for f in reversed(FINGERS) for b in _FINGER_BONES)),
    # Dexter+Object: fingertips alone.
    "tips5": tuple(f + "tip" for f in FINGERS),
}
JOINT_NAMES = JOINT_ORDERS["openpose21"]

# Fingertip vertex ids (thumb, index, middle, ring, little) differ between sources by millimetres.
FINGERTIP_VERTICES: dict[str, tuple[int, int, int, int, int]] = {
    "smplx": (744, 320, 443, 554, 671),
    "freihand": (744, 320, 443, 555, 672),
    "ho3d": (744, 333, 444, 555, 672),
    "contactpose": (745, 333, 444, 555, 672),
    "manopth": (745, 317, 444, 556, 673),
    "manopth_left": (745, 317, 445, 556, 673),
    "honnotate": (745, 320, 444, 555, 657),
    "honnotate_batch": (728, 353, 442, 576, 694),
}
DEFAULT_TIPS = "smplx"

# Parent of each MANO joint (order `mano16`); the wrist has none.
MANO_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
# Parent of each joint in `openpose21`.
JOINT_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
BONES: tuple[tuple[int, int], ...] = tuple((p, j) for j, p in enumerate(JOINT_PARENTS) if p >= 0)

# Colour-blind-safe finger colours (Okabe-Ito), RGB; the same in every plot and overlay.
FINGER_COLOURS: dict[str, tuple[int, int, int]] = {
    "thumb": (230, 159, 0),
    "index": (86, 180, 233),
    "middle": (0, 158, 115),
    "ring": (204, 121, 167),
    "little": (213, 94, 0),
}


def joint_words(joint: int) -> str:
    """A joint of `openpose21` as people call it.

    Example:
        >>> joint_words(8), joint_words(1)
        ('index tip', 'thumb base')
    """
    if joint == 0:
        return "wrist"
    finger, along = divmod(joint - 1, 4)
    return f"{FINGERS[finger]} {('base', 'middle', 'end', 'tip')[along]}"


def permutation(source: str, target: str) -> NDArray[np.intp]:
    """Indices `p` so that `joints_source[..., p, :]` is in the `target` order.

    Raises:
        ConfigError: an unknown order, or `source` lacks a joint that `target` names.
    """
    for name in (source, target):
        if name not in JOINT_ORDERS:
            raise ConfigError(f"no joint order named {name!r}.", f"Choose from {', '.join(JOINT_ORDERS)}.")
    where = {joint: i for i, joint in enumerate(JOINT_ORDERS[source])}
    missing = [joint for joint in JOINT_ORDERS[target] if joint not in where]
    if missing:
        raise ConfigError(
            f"order {source!r} has no {', '.join(missing)}, which {target!r} needs.",
            "Compute these joints first (the palm is not the wrist), then reorder.",
        )
    return np.array([where[joint] for joint in JOINT_ORDERS[target]], dtype=np.intp)


def reorder(joints: NDArray[np.floating], source: str, target: str) -> NDArray[np.floating]:
    """Reorder joints from one convention to another.

    Args:
        joints: `(..., J, D)`, any unit, J as the `source` order has it.
        source: a key of `JOINT_ORDERS`.
        target: a key of `JOINT_ORDERS`.

    Returns:
        `(..., K, D)`, a copy, K as the `target` order has it.

    Raises:
        ConfigError: an unknown order, or `source` lacks a joint that `target` names.
        ValueError: the joint axis does not have the length of the `source` order.
    """
    order = permutation(source, target)
    n = len(JOINT_ORDERS[source])
    if joints.ndim < 2 or joints.shape[-2] != n:
        raise ValueError(f"joints in order {source!r} must be (..., {n}, D), got {joints.shape}")
    return joints[..., order, :]


def fingertips(name: str = DEFAULT_TIPS) -> tuple[int, int, int, int, int]:
    """Vertex ids of the fingertips (thumb, index, middle, ring, little) in a named set.

    Raises:
        ConfigError: no such set.
    """
    if name not in FINGERTIP_VERTICES:
        raise ConfigError(f"no fingertip set named {name!r}.", f"Choose from {', '.join(FINGERTIP_VERTICES)}.")
    return FINGERTIP_VERTICES[name]


def mirror_x(points: NDArray[_Float]) -> NDArray[_Float]:
    """Mirror points at the plane x = 0: a left hand becomes a right one. `(..., 3) m -> (..., 3) m`."""
    return np.asarray(points * np.array([-1.0, 1.0, 1.0], dtype=points.dtype), dtype=points.dtype)


def mirror_axis_angle(axis_angle: NDArray[_Float]) -> NDArray[_Float]:
    """Rotations of the hand mirrored at x = 0. `(..., 3) rad -> (..., 3) rad`, also for flat `(..., 3k)`."""
    signs = np.tile(np.array([1.0, -1.0, -1.0], dtype=axis_angle.dtype), axis_angle.shape[-1] // 3)
    return np.asarray(axis_angle * signs, dtype=axis_angle.dtype)


def finger_joints(finger: str) -> Sequence[int]:
    """Indices of a finger's four joints in `openpose21`, base to tip."""
    start = 1 + 4 * FINGERS.index(finger)
    return range(start, start + 4)
