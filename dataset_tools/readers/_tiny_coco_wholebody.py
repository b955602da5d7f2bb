"""Writes a COCO-WholeBody of three pictures, in its own layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset_tools.readers import coco_wholebody
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core import camera as cameras
from hoi_core.conventions import SIDES
from hoi_core.types import Camera

CAMERAS = {9: cameras.guessed(480, 320), 25: cameras.guessed(320, 400), 139: cameras.guessed(400, 300)}
PICTURES = {"train": (9, 25), "test": (139,)}
HANDS: dict[tuple[int, str], TinyHand] = {
    (1001, "right"): hand("right", 1, (-0.12, 0.0, 0.5)),
    (1001, "left"): hand("left", 2, (0.12, 0.0, 0.5)),
    (1002, "left"): hand("left", 3),
    (1003, "right"): hand("right", 4),
}
"""(annotation, side) -> hand."""
PERSONS = {1001: 9, 1002: 25, 1003: 139}
"""annotation -> picture."""
UNSEEN = 7
"""Joint that no right hand labels; the same joint of left hands is hidden, but labelled."""


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    (root / "annotations").mkdir(parents=True)
    for part, numbers in PICTURES.items():
        name = coco_wholebody.PARTS[part]
        (root / f"{name}2017").mkdir()
        for number in numbers:
            shown = [shape for (person, _), shape in HANDS.items() if PERSONS[person] == number]
            drawn = picture(CAMERAS[number], shown)[..., ::-1]
            path = root / f"{name}2017" / f"{number:012d}.jpg"
            cv2.imwrite(str(path), drawn, [cv2.IMWRITE_JPEG_QUALITY, 95])
        content = {
            "info": {"description": "COCO-WholeBody", "version": "1.0"},
            "images": [_image(number, CAMERAS[number]) for number in numbers],
            "annotations": [_annotation(person) for person, number in PERSONS.items() if number in numbers],
            "categories": [{"supercategory": "person", "id": 1, "name": "person"}],
        }
        path = root / "annotations" / f"coco_wholebody_{name}_v1.0.json"
        path.write_text(json.dumps(content), encoding="utf8")
    return root


def points_of(person: int, side: str) -> np.ndarray:
    """(21, 3) px, px, flag."""
    points = np.full((21, 3), 2.0)
    points[:, :2] = cameras.project(CAMERAS[PERSONS[person]], HANDS[person, side].joints_m) + coco_wholebody.FIRST_PIXEL
    points[UNSEEN] = 0.0 if side == "right" else (*points[UNSEEN, :2], 1.0)
    return points


def _image(number: int, camera: Camera) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number:012d}.jpg", "width": camera.width, "height": camera.height}


def _annotation(person: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": person, "image_id": PERSONS[person], "category_id": 1, "iscrowd": 0}
    for side in SIDES:
        known = (person, side) in HANDS
        points = points_of(person, side) if known else np.zeros((21, 3))
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        entry[f"{side}hand_box"] = [*low.tolist(), *(high - low).tolist()]
        entry[f"{side}hand_kpts"] = points.ravel().tolist()
        entry[f"{side}hand_valid"] = known
    return entry
