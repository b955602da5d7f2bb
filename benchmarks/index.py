"""How long it takes to index many labelled frames of our own, and how much memory that needs.

Makes recordings of tiny images with full labels: 375 sequences of 180 moments and two views are 135,000 frames.

python benchmarks/index.py FOLDER [--sequences 375]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from dataset_tools.readers import ours
from hoi_core import sequence as sequences
from hoi_core.conventions import N_JOINTS
from hoi_core.mano import ManoLayer
from hoi_core.types import STATUSES, Camera, Frame, HandKeypoints, HandTrack, Revision, StreamInfo

_MOMENTS = 180
_VIEWS = ("left", "right")


def make(root: Path, count: int) -> None:
    """Write what is missing of `count` sequences."""
    layer = ManoLayer.from_env("right")
    moved = np.linspace(0.0, 0.05, _MOMENTS)[:, None] * [1.0, 0.0, 0.0]
    posed = layer(np.zeros((1, 3)), np.zeros((1, 45)))
    place = np.array([0.0, 0.0, 0.5]) - posed.joints_m[0].mean(0)
    for n in range(count):
        name = f"seq_{n:04d}"
        if sequences.annotation_path(root, name).exists():
            continue
        _record(root, name)
        track = HandTrack(
            orient=np.zeros((_MOMENTS, 3)),
            pose=np.zeros((_MOMENTS, 45)),
            betas=np.zeros(10),
            trans_m=place + moved,
            joints_m=posed.joints_m + (place + moved)[:, None],
            joint_cov_m2=np.tile(1e-6 * np.eye(3), (_MOMENTS, N_JOINTS, 1, 1)),
            valid=np.ones(_MOMENTS, np.bool_),
            status=np.full(_MOMENTS, STATUSES.index("auto"), np.uint8),
            joint_source=np.ones((_MOMENTS, N_JOINTS), np.uint8),
        )
        folder = sequences.sequence_dir(root, name)
        with sequences.open_capture(folder) as capture:
            binding = sequences.Binding(capture.content_hash(), layer.model.source)
            t_ns = capture.sync.t_ns
        frames = np.arange(_MOMENTS, dtype=np.int64)
        points = {view: np.ones((_MOMENTS, N_JOINTS, 3)) for view in _VIEWS}
        revision = Revision(
            t_ns=t_ns,
            hands={"right": track},
            objects={},
            keypoints={"right": HandKeypoints(points)},
            frame_index=dict.fromkeys(_VIEWS, frames),
            author="auto",
        )
        sequences.write_revision(folder, revision, binding=binding)


def _record(root: Path, name: str) -> None:
    camera = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
    streams = [StreamInfo(f"{view}/color", "camera", (48, 64, 3), "uint8", 30.0, camera, view) for view in _VIEWS]
    folder = sequences.new_sequence_dir(root, name)
    header = sequences.CaptureHeader(name, participant="p01")
    writer = sequences.CaptureWriter.create(folder / "capture.h5", header, streams)
    image = np.zeros((48, 64, 3), np.uint8)
    for m in range(_MOMENTS):
        t = m * 33_333_333
        for stream in streams:
            writer.append(Frame(stream.name, m, t, t, "hardware_clock", image))
        writer.sync(t, {stream.name: m for stream in streams}, {stream.name: 0 for stream in streams})
    writer.close()


def main() -> None:
    """Make the recordings, index them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sequences", type=int, default=375)
    arguments = parser.parse_args()
    make(arguments.folder, arguments.sequences)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for turn in ("first", "second"):
        began_s, busy_s = time.perf_counter(), time.process_time()
        keys = ours.index(arguments.folder, "all")
        took_s, busy_s = time.perf_counter() - began_s, time.process_time() - busy_s
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
        text_mb = sum(sys.getsizeof(key) for key in keys) / 1e6
        print(f"{turn}: {len(keys):,} frames in {took_s:.1f} s (cpu {busy_s:.1f} s), {memory_mb:.0f} MB more memory")
        print(f"   the keys themselves are {text_mb:.0f} MB")


if __name__ == "__main__":
    main()
