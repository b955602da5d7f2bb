"""What the live verdict costs, and what it says of a recording that is then spoilt in known ways.

Example: python benchmarks/annotatable.py data/sequences/seq_001
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from capture.annotatable import judge_view
from capture.hand_blob import BlobDetector
from hoi_core import camera as cam
from hoi_core.sequence import Capture, open_capture, open_truth

Spoil = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def smeared(width: int) -> Spoil:
    """Motion along the rows, over `width` pixels."""
    return lambda color, depth: (cv2.blur(color, (width, 1)), depth)


def lit(gain: float) -> Spoil:
    """More or less light."""
    return lambda color, depth: (np.clip(color * gain, 0, 255).astype(np.uint8), depth)


def riddled(color: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth holes of about 8 px over three tenths of the image."""
    spots = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, depth.shape), (0, 0), 4)
    return color, np.where(spots > np.quantile(spots, 0.7), 0, depth).astype(np.uint16)


CASES: dict[str, Spoil] = {
    "as recorded": lambda color, depth: (color, depth),
    "smeared 5 px": smeared(5),
    "smeared 9 px": smeared(9),
    "smeared 15 px": smeared(15),
    "light x 0.2": lit(0.2),
    "light x 2.5": lit(2.5),
    "depth holes": riddled,
}


def judge(capture: Capture, spoil: Spoil, step: int) -> tuple[Counter[tuple[str, str]], list[float]]:
    """How often each reading had each level, and the processor time of each call, ms."""
    levels: Counter[tuple[str, str]] = Counter()
    cost_ms = []
    for view in capture.views.values():
        detector = BlobDetector(view.depth.info, view.color.info)
        for i in range(0, min(len(view.color), len(view.depth)), step):
            color, depth = spoil(np.asarray(view.color[i], np.uint8), np.asarray(view.depth[i]))
            begin = time.thread_time()
            readings = judge_view(color, depth, view.depth.scale_m or 0.001, detector)
            cost_ms.append(1e3 * (time.thread_time() - begin))
            levels.update((reading.name, reading.level) for reading in readings)
    return levels, cost_ms


def joints_in_box(folder: Path, capture: Capture, step: int) -> list[float]:
    """Of each look at a simulated recording, the share of the true joints that lie in the hand's box; 0 for no hand."""
    with open_truth(folder) as truth:
        revision = truth.load()
    t_ns, hand = revision.t_ns, next(iter(revision.hands.values()))
    shares = []
    for name, view in capture.views.items():
        detector = BlobDetector(view.depth.info, view.color.info)
        for moment in range(0, len(capture.sync), step):
            at = {kind: int(capture.sync.index[f"{name}/{kind}"][moment]) for kind in ("color", "depth")}
            if min(at.values()) < 0:
                continue
            region = detector.find(view.color[at["color"]], view.depth[at["depth"]], view.depth.scale_m or 0.001)
            joints_m = hand.joints_m[int(np.argmin(np.abs(t_ns - capture.sync.t_ns[moment])))]
            pixels = cam.project(view.camera, cam.transform(view.camera.T_cam_world, joints_m))
            if region is None:
                shares.append(0.0)
                continue
            x, y, width, height = region.box
            shares.append(float(((pixels >= [x, y]) & (pixels <= [x + width, y + height])).all(axis=1).mean()))
    return shares


def main() -> None:
    """Judge every sixth frame of both views in each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequence", type=Path, help="folder of a recording")
    parser.add_argument("--step", type=int, default=6, help="judge every so many frames")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    with open_capture(arguments.sequence) as capture:
        for name, spoil in CASES.items():
            levels, cost_ms = judge(capture, spoil, arguments.step)
            median, p95 = np.percentile(cost_ms, (50, 95))
            looks = len(cost_ms)
            said = {reading: {lv: n for (r, lv), n in levels.items() if r == reading} for reading, _ in levels}
            rows.append({"case": name, "looks": looks, "median_ms": median, "p95_ms": p95, "levels": said})
            print(f"{name:<14} {looks} looks, {median:.2f} ms (p95 {p95:.2f}): {said}")
        if (arguments.sequence / "truth.h5").exists():
            shares = np.array(joints_in_box(arguments.sequence, capture, arguments.step))
            print(
                f"hand's box: {(shares > 0.8).mean():.0%} of {len(shares)} looks hold more than 80 % of the true joints"
            )
            rows.append({"case": "box", "looks": len(shares), "good_share": float((shares > 0.8).mean())})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
