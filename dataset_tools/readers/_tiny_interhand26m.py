"""Writes an InterHand2.6M of one recording for each part, seen by two cameras, in its own layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset_tools.readers import interhand26m
from dataset_tools.readers._tiny_hands import TinyHand, hand, picture
from hoi_core import camera as cameras
from hoi_core.conventions import SIDES, Side, reorder
from hoi_core.types import F64, Camera

SEQUENCES = {"train": "0000_neutral_relaxed", "val": "ROM01_No_Interaction_2_Hand", "test": "0390_dh_touchROM"}
CAPTURES = {"train": 3, "val": 0, "test": 0}
FRAMES = (11529, 11535)
"""The first shows both hands, the second the right one."""
UNSEEN = {"left": "ringtip", "right": "little2"}
"""Joint that no picture of the first camera labels."""


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    for part in interhand26m.PARTS:
        _write_part(root, part)
    return root


def hands_of(part: str, frame: int) -> dict[Side, TinyHand]:
    """Hands of a frame, in the world."""
    seed = 10 * interhand26m.PARTS.index(part) + FRAMES.index(frame)
    shown: dict[Side, TinyHand] = {"right": hand("right", seed, (-0.09, 0.03, 0.0))}
    if frame == FRAMES[0]:
        shown["left"] = hand("left", seed, (0.09, -0.02, 0.02))
    return shown


def camera_of(name: str) -> Camera:
    """Two of different size, on two sides of the hands."""
    first = name == "400262"
    angle = 0.3 if first else -0.5
    rotation = cv2.Rodrigues(np.array([0.1, angle, 0.05]))[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, rotation @ [0.0, 0.0, -0.75]
    return (
        Camera(334, 512, 600.0, 605.0, 170.0, 250.0, T_world_cam=pose)
        if first
        else Camera(512, 334, 700.0, 702.0, 250.0, 160.0, T_world_cam=pose)
    )


def _write_part(root: Path, part: str) -> None:
    capture, names = CAPTURES[part], ("400262", "410028")
    content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for name in names:
        for frame in FRAMES:
            file = f"Capture{capture}/{SEQUENCES[part]}/cam{name}/image{frame}.jpg"
            _save(root / "images" / part / file, camera_of(name), part, frame)
            entry = _image(file, part, name, frame, 1000 + len(content["images"]))
            content["images"].append(entry)
            content["annotations"].append(_annotation(entry, part, name, frame))
    moments = {str(frame): {"world_coord": _world_mm(part, frame).tolist()} for frame in FRAMES}
    folder = root / "annotations" / part
    folder.mkdir(parents=True)
    calibrations = {name: camera_of(name) for name in names}
    kinds = {"data": content, "joint_3d": {str(capture): moments}, "camera": {str(capture): _cameras(calibrations)}}
    for kind, values in kinds.items():
        (folder / f"InterHand2.6M_{part}_{kind}.json").write_text(json.dumps(values), encoding="utf8")


def _save(path: Path, camera: Camera, part: str, frame: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = []
    for shown in hands_of(part, frame).values():
        in_camera = cameras.transform(camera.T_cam_world, shown.joints_m)
        seen.append(TinyHand(shown.side, shown.params, in_camera, shown.vertices_m))
    cv2.imwrite(str(path), picture(camera, seen)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def _image(file: str, part: str, name: str, frame: int, number: int) -> dict[str, Any]:
    camera = camera_of(name)
    return {
        "id": number,
        "file_name": file,
        "width": camera.width,
        "height": camera.height,
        "capture": CAPTURES[part],
        "subject": 0,
        "seq_name": SEQUENCES[part],
        "camera": name,
        "frame_idx": frame,
    }


def _annotation(image: dict[str, Any], part: str, name: str, frame: int) -> dict[str, Any]:
    shown = hands_of(part, frame)
    valid = []
    for side in SIDES:
        order = interhand26m.JOINT_ORDERS[interhand26m.ORDER]
        unseen = UNSEEN[side] if name == "400262" else ""
        valid += [[int(side in shown and joint != unseen)] for joint in order]
    kind = "interacting" if len(shown) == 2 else "right"
    return {
        "id": image["id"] + 5000,
        "image_id": image["id"],
        "bbox": [0.0, 0.0, float(image["width"]), float(image["height"])],
        "joint_valid": valid,
        "hand_type": kind,
        "hand_type_valid": 1,
    }


def _world_mm(part: str, frame: int) -> F64:
    """(42, 3) mm, native order, right hand first; a hand that is not there stands at the origin."""
    shown = hands_of(part, frame)
    points = np.zeros((2, 21, 3))
    for n, side in enumerate(SIDES):
        if side in shown:
            points[n] = reorder(1000 * shown[side].joints_m, "openpose21", interhand26m.ORDER)
    return points.reshape(42, 3)


def _cameras(shown: dict[str, Camera]) -> dict[str, Any]:
    return {
        "campos": {name: (1000 * camera.T_world_cam[:3, 3]).tolist() for name, camera in shown.items()},
        "camrot": {name: camera.T_world_cam[:3, :3].T.tolist() for name, camera in shown.items()},
        "focal": {name: [camera.fx, camera.fy] for name, camera in shown.items()},
        "princpt": {name: [camera.cx, camera.cy] for name, camera in shown.items()},
    }
