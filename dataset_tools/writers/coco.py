"""COCO keypoints: pictures as they are, 21 keypoints of one hand in each annotation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.writers import PLAIN, Extras, WriterInfo, pixels_of, write_jpeg
from hoi_core import camera as cameras
from hoi_core.conventions import BONES, JOINT_NAMES
from hoi_core.types import Sample

INFO = WriterInfo(
    name="coco",
    url="https://cocodataset.org/#format-data",
    keeps="picture (whole, JPEG), pixels of the joints with visibility (2, or 0 where unknown or outside), box, side. "
    "What lies in space is not written. A second hand of the same picture is a picture of its own.",
)
_MARGIN = 0.1


class Coco:
    """One split."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        (folder / split).mkdir(parents=True)
        (folder / "annotations").mkdir(exist_ok=True)
        self._images: list[dict[str, Any]] = []
        self._hands: list[dict[str, Any]] = []

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write a hand of which some joint lies on the picture."""
        camera, pixels = sample.camera, pixels_of(sample)
        shown = cameras.inside(camera, pixels)
        if not shown.any():
            return False
        number = len(self._images) + 1
        name = f"{number:08d}.jpg"
        path = self._folder / self._split / name
        write_jpeg(path, sample.image)
        low, high = pixels[shown].min(0), pixels[shown].max(0)
        margin = _MARGIN * (high - low).max()
        low = np.maximum(low - margin, -0.5)
        high = np.minimum(high + margin, [camera.width - 0.5, camera.height - 0.5])
        # COCO counts from the corner of the first pixel, we from its centre.
        box = [*(low + 0.5), *(high - low)]
        points = np.where(shown[:, None], np.concatenate([pixels + 0.5, np.full((21, 1), 2.0)], 1), 0.0)
        self._images.append(
            {"id": number, "file_name": name, "width": camera.width, "height": camera.height, "key": sample.key}
        )
        self._hands.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "keypoints": np.round(points, 4).reshape(-1).tolist(),
                "num_keypoints": int(shown.sum()),
                "bbox": np.round(box, 4).tolist(),
                "area": float(np.round((high - low).prod(), 4)),
                "iscrowd": 0,
                "side": sample.side,
            }
        )
        return True

    def close(self) -> None:
        """Write the labels."""
        category = {
            "id": 1,
            "name": "hand",
            "supercategory": "hand",
            "keypoints": list(JOINT_NAMES),
            "skeleton": [[parent + 1, joint + 1] for parent, joint in BONES],
        }
        values = {"images": self._images, "annotations": self._hands, "categories": [category]}
        path = self._folder / "annotations" / f"hand_keypoints_{self._split}.json"
        path.write_text(json.dumps(values), encoding="utf8")


def open(folder: Path, split: str) -> Coco:  # noqa: A001 -- the name of the contract
    """Start a split."""
    return Coco(Path(folder), split)
