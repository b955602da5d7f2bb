"""Hands with the objects they hold: one square crop of both, and what a network of both learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hoi_core.types import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from hoi_core.known_object import KnownObject


@dataclass(frozen=True)
class GraspBatch(Batch):
    """A batch of hands and, where it is known, the object that each of them holds. S is the crop's side.

    The fields of `Batch` mean the same, with two differences: the crop is that of hand and object together (the box
    around the hand's box and the object's, each 1.5 times as large), and `image` holds colours in [-1, 1].

    A left hand is shown mirrored, and its object with it. An object's mirror image has a pose again, a proper rotation,
    when its own frame is mirrored too: `x` of the object's frame changes sign (`hoi_core.known_object.MIRROR`). So
    where `mirrored` is set, `control_m` are the points of the mirrored object (`KnownObject.mirrored`), and
    `T_crop_obj` is its pose. Distances (ADD, corners) are the same on either side of a mirror.

    Of an object that looks alike from several sides, `T_crop_obj` is the pose nearest to no turn of all that look alike
    (`KnownObject.plainest`): no network could tell another one.
    """

    hand_box: Tensor
    """(B, 4) x0, y0, x1, y1 px of the crop: around the known joints, 1.1 times as large."""
    object_box: Tensor
    """(B, 4) px of the crop: around the object's projected surface, hidden parts too; it may reach beyond the crop.
    0, 0, 0, 0 where `object_valid` is False, so that it meets no box of a hand."""
    hand_R: Tensor  # noqa: N815
    """(B, 16, 3, 3) rotations of the right hand's joints in MANO's order: of the wrist in the crop's frame, then of
    each finger joint to its parent (absolute: the identity is the flat hand); NaN without parameters."""
    betas: Tensor
    """(B, 10); NaN without parameters."""
    params_valid: Tensor
    """(B,) bool: whether `hand_R` and `betas` are known."""
    T_crop_obj: Tensor
    """(B, 4, 4) m, object to crop's camera, a rotation and a shift; NaN where `object_valid` is False."""
    object_valid: Tensor
    """(B,) bool: pose and mesh known, before the camera, and at least a twentieth of its vertices in the image."""
    object_id: Tensor
    """(B,) int64, number in `objects`; -1 where unknown or where `object_valid` is False."""
    object_scale: Tensor
    """(B,) metres per metre of the object in `objects`: 1 but for datasets that show one mesh in many sizes."""
    control_m: Tensor
    """(B, 21, 3) m, control points in the object's frame (`hoi_core.known_object.control_points`); 0 where not
    valid."""
    control_px: Tensor
    """(B, 21, 2) px of the crop; 0 where not valid."""
    mask: Tensor
    """(B, S/8, S/8) bool: cells of `object_box`, rows from its top, that the object's silhouette covers, whatever hides
    it. The grid is that of features taken from `object_box`, not the crop's."""
    objects: tuple[KnownObject, ...] = ()
    """What `object_id` counts, with their surfaces; not mirrored and of scale 1. Empty in a batch made by hand."""
