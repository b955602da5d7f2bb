"""End point errors of a 2D keypoint network on simulated recordings, against their truth.

Example: python benchmarks/keypoints.py --data DATA --model net.onnx --every 6
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import metrics, shipped
from hoi_core.conventions import Side
from hoi_core.keypoint_model import KeypointModel
from hoi_core.runtime import load_as
from hoi_core.sequence import find_sequence, list_sequences, open_capture, open_truth
from hoi_core.types import F64, U8, Camera

_SHIFT, _GROWTH = 0.1, 0.1
"""Spread of a box that is not exact, in sides of the true one."""


@dataclass(frozen=True)
class Shown:
    """A hand in an image."""

    rgb: U8
    """(H, W, 3)."""
    camera: Camera
    """As the recording says it is."""
    joints_px: F64
    """(21, 2) px where the true camera saw the joints."""
    side: Side
    """Which hand."""


def hands(folder: Path, every: int) -> Iterator[Shown]:
    """Hands of a simulated recording that lie wholly in the image."""
    with open_capture(folder) as capture, open_truth(folder) as truth:
        revision = truth.load()
        for view in capture.views.values():
            true = truth.cameras[f"{view.name}/color"]
            frames = capture.sync.index[f"{view.name}/color"]
            for side, hand in revision.hands.items():
                for m in np.flatnonzero(frames >= 0)[::every]:
                    points = cameras.project(true, cameras.transform(true.T_cam_world, hand.joints_m[m]))
                    if cameras.inside(true, points).all():
                        rgb = np.asarray(view.color[int(frames[m])], dtype=np.uint8)
                        yield Shown(rgb, view.camera, points, side)


def errors(model: KeypointModel, shown: Shown, rng: np.random.Generator) -> F64:
    """(3, 21) px: with the box of the true joints, with one that is not exact, with that of the joints found there."""
    x0, y0, x1, y1 = box = crops.box_of(shown.joints_px)
    side = max(x1 - x0, y1 - y0)
    dx, dy = side * rng.normal(0.0, _SHIFT, 2)
    grown = side * rng.normal(0.0, _GROWTH) / 2
    rough = (x0 + dx - grown, y0 + dy - grown, x1 + dx + grown, y1 + dy + grown)
    found = [model.find(shown.rgb, shown.camera, b, shown.side) for b in (box, rough)]
    found.append(model.find(shown.rgb, shown.camera, crops.box_of(found[1][:, :2]), shown.side))
    return np.stack([metrics.keypoint_errors_px(points[:, :2], shown.joints_px) for points in found])


def main() -> None:
    """Print the figures of every box."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="root of simulated recordings")
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; else the shipped one")
    parser.add_argument("--every", type=int, default=6, help="frames from one that is looked at to the next")
    parser.add_argument("--json", type=Path, default=None)
    told = parser.parse_args()
    model = load_as(KeypointModel, told.model or shipped.path(shipped.KEYPOINTS), threads=1)
    rng = np.random.default_rng(0)
    rows = []
    for name in list_sequences(told.data):
        rows += [errors(model, shown, rng) for shown in hands(find_sequence(told.data, name), told.every)]
    table = {}
    for name, found in zip(("true_box", "rough_box", "followed"), np.stack(rows).transpose(1, 0, 2), strict=True):
        table[name] = metrics.keypoint_figures(found) | {"epe_p90_px": float(np.percentile(found, 90))}
        print(f"{name:10s}", "  ".join(f"{key} {value:.2f}" for key, value in table[name].items()))
    if told.json:
        told.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
