"""How well a hand detector finds hands: in recordings of the simulated rig against their truth, and in photographs.

python benchmarks/detector.py --data FOLDER [--model detector.onnx] [--every 10] [--empty FOLDER_OF_PICTURES]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hoi_core import boxes, shipped
from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.crop import Box, box_of
from hoi_core.detect import Detection, DetectorModel
from hoi_core.runtime import load_as
from hoi_core.sequence import list_sequences, open_capture, open_truth
from hoi_core.types import F64, I64, U8

_SEEN = 0.5  # of the joints must lie in the image, or the hand need not be found


@dataclass
class Count:
    """Hands that were found and missed."""

    frames: int = 0
    hands: int = 0
    found: int = 0
    right_side: int = 0
    false: int = 0

    def add(self, true: list[tuple[Side, Box]], optional: list[Box], found: list[Detection], least: float) -> None:
        """Match the detections of a frame to its hands, the surest first."""
        self.frames += 1
        self.hands += len(true)
        left = list(true)
        for one in found:
            shares = [_overlap(one.box, box) for _, box in left]
            if shares and max(shares) >= least:
                side, _ = left.pop(int(np.argmax(shares)))
                self.found += 1
                self.right_side += side == one.side
            elif not any(_overlap(one.box, box) > 0.1 for box in optional):
                self.false += 1

    def figures(self) -> dict[str, float | int]:
        """Recall, precision, and how often the side is right."""
        return {
            "frames": self.frames,
            "hands": self.hands,
            "recall": self.found / max(self.hands, 1),
            "precision": self.found / max(self.found + self.false, 1),
            "side": self.right_side / max(self.found, 1),
        }


def main() -> None:
    """Measure and print."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--data", type=Path, required=True, help="dataset with recordings of the simulated rig")
    ask.add_argument("--model", type=Path, default=None, help="exported detector; default the shipped one")
    ask.add_argument("--every", type=int, default=10, help="look at every so manieth moment")
    ask.add_argument("--overlap", type=float, default=0.5, help="intersection over union of a hand that is found")
    ask.add_argument("--score", type=float, default=0.4, help="least score of a detection")
    ask.add_argument("--empty", type=Path, nargs="*", default=[], help="folders of pictures without hands")
    told = ask.parse_args()
    model = load_as(DetectorModel, told.model or shipped.path(shipped.HAND_DETECTOR), threads=1)
    total: dict[int, Count] = {}
    for name in list_sequences(told.data):
        for rgb, true, optional in frames(told.data / "sequences" / name, told.every):
            hands = len(true) + len(optional)
            total.setdefault(hands, Count()).add(true, optional, model.detect(rgb, told.score), told.overlap)
    for hands, count in sorted(total.items()):
        print(f"{hands} hands in the scene: {json.dumps(count.figures())}")
    for folder in told.empty:
        pictures = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".jpg", ".png")]
        found = [len(model.detect(rgb, told.score)) for rgb in map(_picture, pictures) if rgb is not None]
        print(f"{folder}: {sum(found)} detections in {len(found)} pictures without hands")


def frames(folder: Path, every: int) -> Iterator[tuple[U8, list[tuple[Side, Box]], list[Box]]]:
    """Colour images of a simulated recording, hands that must be found in them, and boxes of those that may be."""
    with open_capture(folder) as capture, open_truth(folder) as truth:
        revision = truth.load()
        for view in capture.views:
            stream = f"{view}/color"
            camera, when = truth.cameras[stream], dict(zip(*(x.tolist() for x in truth.clocks[stream]), strict=True))
            numbers = capture.streams[stream].frame_number
            for frame in range(0, len(numbers), every):
                t_ns = when[int(numbers[frame])]
                true, optional = [], []
                for side, hand in revision.hands.items():
                    joints = _at(revision.t_ns, hand.joints_m, t_ns)
                    pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, joints))
                    if not np.isfinite(pixels).all():
                        continue
                    box = boxes.cut(box_of(pixels), camera.width, camera.height)
                    if box is not None and cameras.inside(camera, pixels).mean() >= _SEEN:
                        true.append((side, box))
                    elif box is not None:
                        optional.append(box)
                yield np.asarray(capture.views[view].color[frame], np.uint8), true, optional


def _at(t_ns: I64, joints_m: F64, when_ns: int) -> F64:
    """Joints at a time between two moments. `(M,), (M, 21, 3) -> (21, 3)`."""
    k = int(np.clip(np.searchsorted(t_ns, when_ns), 1, len(t_ns) - 1))
    share = np.clip((when_ns - t_ns[k - 1]) / (t_ns[k] - t_ns[k - 1]), 0.0, 1.0)
    return np.asarray(joints_m[k - 1] + share * (joints_m[k] - joints_m[k - 1]))


def _overlap(a: Box, b: Box) -> float:
    return float(boxes.overlap(np.array([a]), np.array([b]))[0, 0])


def _picture(path: Path) -> U8 | None:
    """A picture, or None for what is no colour picture, such as a depth image."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8:
        return None
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, -1)
    return np.ascontiguousarray(rgb[..., 2::-1])


if __name__ == "__main__":
    main()
