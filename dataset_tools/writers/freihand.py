"""FreiHAND's folders and JSON lists, one background for each label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_tools.writers import PLAIN, Extras, WriterInfo, as_right_hand, write_jpeg
from dataset_tools.writers._json_lists import JsonLists
from hoi_core.errors import DatasetError
from hoi_core.types import Sample

INFO = WriterInfo(
    name="freihand",
    url="https://github.com/lmb-freiburg/freihand",
    keeps="picture (224x224, cut around the hand), intrinsics, joints and mesh in metres. Left hands are mirrored. "
    "MANO parameters are not written: they would be relative to the mean pose of a licensed file.",
)
_SIZE = 224


class Freihand:
    """One split."""

    def __init__(self, folder: Path, part: str) -> None:
        self._pictures = folder / part / "rgb"
        self._pictures.mkdir(parents=True)
        self._lists = JsonLists({kind: folder / f"{part}_{kind}.json" for kind in ("K", "xyz", "verts", "scale")})

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write a hand whose joints and mesh are all known; others have no place here."""
        if sample.vertices_m is None or not sample.joints_valid.all():
            return False
        shown = as_right_hand(sample, _SIZE)
        assert shown.vertices_m is not None  # noqa: S101 -- the sample has them
        path = self._pictures / f"{self._lists.count:08d}.jpg"
        write_jpeg(path, shown.image)
        scale = np.asarray(np.linalg.norm(shown.joints_m[9] - shown.joints_m[10]))
        self._lists.add(K=shown.camera.K, xyz=shown.joints_m, verts=shown.vertices_m, scale=scale)
        return True

    def close(self) -> None:
        """End the lists."""
        self._lists.close()


def open(folder: Path, split: str) -> Freihand:  # noqa: A001 -- the name of the contract
    """Start a split: `train` goes to training, `test` to evaluation.

    Raises:
        DatasetError: another split, for which FreiHAND has no place.
    """
    parts = {"train": "training", "test": "evaluation"}
    if split not in parts:
        raise DatasetError(f"FreiHAND has no split {split!r}, only train and test.", "Convert these.")
    return Freihand(Path(folder), parts[split])
