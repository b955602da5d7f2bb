"""Whether frames leave memory behind in the native engine: SPLite in one call from the crop, and the encoder in int8.

Small fresh networks, so that 100,000 frames take minutes; images with few, many and no sites in turns.
Usage: python benchmarks/frames_leak.py [--frames 100000]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from hoi_core import native, runtime
from hoi_core.edges import EdgeParams
from hoi_core.native.session import NativeSession
from learning import inputs
from learning.export import write_onnx
from learning.int8_engines import byte_engines
from learning.layers.sparse import fold_batch_norms
from learning.models import build
from learning.models._sparse_resnet import SparseResNet
from learning.scheme import Scheme

SIZE = 64
WARM_UP = 6000
"""Frames until the allocator has what it keeps."""
PAGE_KB = 4
IMAGES = 8


def resident_kb() -> int:
    """Memory of this process that is not swapped out."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def in_one_call(folder: Path) -> Callable[[int], object]:
    """SPLite in float, from a crop."""
    torch.manual_seed(0)
    path = folder / "splite.onnx"
    network = fold_batch_norms(build("splite", width=8, head_channels=16).eval())
    write_onnx(network, path, inputs.image(SIZE), runtime.HandModel.OUTPUTS)
    run = NativeSession(path, SIZE, 1, EdgeParams()).run_crop
    if run is None:
        raise SystemExit("edges are not found in the engine here: OpenCV rounds otherwise")
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 1 + 30 * n, (SIZE, SIZE, 3), dtype=np.uint8) for n in range(IMAGES)]
    return lambda n: run(crops[n % IMAGES])


def in_bytes(folder: Path) -> Callable[[int], object]:
    """An encoder in int8."""
    torch.manual_seed(0)
    dense = SparseResNet(8, sparse=False).eval()
    fold_batch_norms(dense)
    rng = np.random.default_rng(0)
    pixels = rng.random((IMAGES, 1, SIZE, SIZE)) < np.linspace(0.0, 1.0, IMAGES).reshape(-1, 1, 1, 1)
    images = (rng.random((IMAGES, 3, SIZE, SIZE)) * pixels).astype(np.float32)
    _, encoder = byte_engines(dense, torch.from_numpy(images[-1:]), Scheme(), folder, (1, 2, 3))
    return lambda n: encoder.run(images[n % IMAGES])


def main() -> None:
    """Prints how much the process grew over the frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    frames = parser.parse_args().frames
    if problem := native.problem():
        raise SystemExit(problem)
    with TemporaryDirectory() as folder:
        for name, make in (("one call, float", in_one_call), ("encoder, int8", in_bytes)):
            run = make(Path(folder))
            for n in range(WARM_UP):
                run(n)
            before = resident_kb()
            for n in range(frames):
                run(n)
            print(f"{name}: {frames} frames, {resident_kb() - before:+d} KiB of {before} KiB")


if __name__ == "__main__":
    main()
