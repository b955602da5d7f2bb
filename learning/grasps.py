"""Hands with the objects they hold: one square crop of both, and what a network of both learns from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dataset_tools import readers
from hoi_core.known_object import KnownObject
from hoi_core.types import F32, I64, Batch, Bool, Sample
from learning.augment import Augment
from learning.data import HandDataset, Stacked, as_batch, stack
from learning.grasp_items import GraspItem, around_both, framed_both, grasped, held_of, make_grasp_item
from learning.items import DataConfig, Framed
from learning.object_table import ObjectTable

if TYPE_CHECKING:
    from torch import Tensor


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
    objects: Sequence[KnownObject] = ()
    """What `object_id` counts, with their surfaces; not mirrored and of scale 1. Empty in a batch made by hand."""


@dataclass(frozen=True)
class StackedGrasps(Stacked):
    """The items of a batch as a loading process sends them; shapes as in `GraspBatch`."""

    hand_box: F32
    object_box: F32
    hand_R: F32  # noqa: N815
    betas: F32
    T_crop_obj: F32
    object_id: I64
    object_scale: F32
    control_m: F32
    control_px: F32
    mask: Bool


_OWN = tuple(f.name for f in fields(StackedGrasps) if f.name not in Stacked.__dataclass_fields__)


class GraspDataset(HandDataset):
    """Datasets of hands with objects, cropped around both; as `HandDataset` else.

    All samples of a split are there. Where no object is known (none is labelled, it is another than the table's, its
    mesh is missing, it lies out of the image) the crop is that of the hand alone, and `object_valid` is False.
    """

    def __init__(
        self,
        datasets: str,
        root: Path,
        split: str,
        config: DataConfig,
        *,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        """As `HandDataset`; `config.objects` says which objects count, in which order."""
        super().__init__(datasets, root, split, config, augment=augment, seed=seed)
        self.objects = ObjectTable.of(datasets, self.root, config.objects)
        """What `GraspBatch.object_id` counts."""

    def facts(self) -> dict[str, Any]:
        """What a run keeps of its data: the objects that its network knows by number."""
        return {"objects": self.objects.to_list()}

    def sample(self, number: int) -> Sample:
        """One sample with no object but the one that is held, cut to the part of the image that any crop can reach."""
        return self._kept(number, self._read_both)

    def _read_both(self, number: int) -> Sample:
        found = self.read(number)
        name, key = self.place(number)
        reader = self._reader(name)
        held = reader.grasped(readers.home(self.root, name), key) if hasattr(reader, "grasped") else None
        return around_both(found, grasped(found, self.objects, held), self.augment)

    def __getitem__(self, where: tuple[int, int]) -> GraspItem:
        number, position = where
        sample, rng = self.sample(number), np.random.default_rng([self.seed, position])
        return make_grasp_item(sample, held_of(sample, self.objects), self.config, self.augment, rng)

    def framed(self, number: int) -> Framed:
        """The crop of evaluation of hand and object, and the labels of the hand in it."""
        sample = self.sample(number)
        held = held_of(sample, self.objects)
        return framed_both(sample, held, self.config.size, None, np.random.default_rng(0))

    def stack(self, items: list[GraspItem]) -> StackedGrasps:  # type: ignore[override]
        """Items one over the other."""
        base = stack(list(items))
        rows = {name: np.stack([getattr(item, name) for item in items]) for name in _OWN}
        small: dict[str, Any] = {
            n: row.astype(np.float32) if row.dtype == np.float64 else row for n, row in rows.items()
        }
        return StackedGrasps(**{f.name: getattr(base, f.name) for f in fields(base)}, **small)

    def as_batch(self, stacked: Stacked) -> GraspBatch:
        """The same as tensors, with the objects that they count."""
        base = as_batch(stacked, self.config.input)
        rows: dict[str, Any] = {name: torch.from_numpy(getattr(stacked, name)) for name in _OWN}
        return GraspBatch(
            **{f.name: getattr(base, f.name) for f in fields(base)},
            **rows,
            params_valid=rows["hand_R"].isfinite().flatten(1).all(1) & rows["betas"].isfinite().all(1),
            object_valid=rows["object_id"] >= 0,
            objects=self.objects,
        )
