"""Whether frames leave memory behind in the native engine.

SPLite in one call from the crop: in float, in int8, and with its encoder handed over to ONNX Runtime; and the encoder
in int8 alone. Small fresh networks, so that 100,000 frames take minutes; images with few, many and no sites in turns.
Usage: python benchmarks/frames_leak.py [--frames 100000] [--cases one_call_int8 ...]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from hoi_core import native, runtime
from hoi_core.edges import EdgeParams
from hoi_core.native import hand_over
from hoi_core.native.session import NativeSession
from hoi_core.network_input import network_input, pixels_of
from learning import inputs, quantize
from learning.export import write_onnx
from learning.int8_engines import byte_engines
from learning.layers.sparse import fold_batch_norms
from learning.models import build
from learning.models._sparse_resnet import SparseResNet
from learning.qdq import integer_network
from learning.scheme import Scheme

SIZE = 64
WARM_UP = 6000
"""Frames until the allocator has what it keeps."""
PAGE_KB = 4
IMAGES = 8
CROPS = [np.random.default_rng(n).integers(0, 1 + 30 * n, (SIZE, SIZE, 3), dtype=np.uint8) for n in range(IMAGES)]
"""From flat to noisy."""


def resident_kb() -> int:
    """Memory of this process that is not swapped out."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def fresh() -> nn.Module:
    """A small SPLite."""
    torch.manual_seed(0)
    return build("splite", width=8, head_channels=16).eval()


def from_crops(network: nn.Module, path: Path, hand_over_above: float) -> Callable[[int], object]:
    """A network in one call; encoders of images with more than a share of the work are left to ONNX Runtime."""
    write_onnx(network, path, inputs.image(SIZE), runtime.HandModel.OUTPUTS)
    os.environ[hand_over.SWITCH] = str(hand_over_above)
    run = NativeSession(path, SIZE, 1, EdgeParams()).run_crop
    if run is None:
        raise SystemExit("not all is computed in one call here: OpenCV rounds otherwise, or int8 differs")
    return lambda n: run(CROPS[n % IMAGES])


def one_call(folder: Path) -> Callable[[int], object]:
    """SPLite in float."""
    return from_crops(fold_batch_norms(fresh()), folder / "float.onnx", hand_over.NEVER)


def one_call_int8(folder: Path) -> Callable[[int], object]:
    """SPLite in int8."""
    shown = [torch.from_numpy(network_input(pixels_of(crop, "edges", EdgeParams())[None], "edges")) for crop in CROPS]
    network = quantize.calibrate(fresh(), [(image,) for image in shown], Scheme())
    return from_crops(integer_network(network), folder / "int8.onnx", hand_over.NEVER)


def handed_over(folder: Path) -> Callable[[int], object]:
    """SPLite in float, its encoder in ONNX Runtime for every image with sites."""
    return from_crops(fold_batch_norms(fresh()), folder / "handed.onnx", 0.0)


def encoder_int8(folder: Path) -> Callable[[int], object]:
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
    cases = {make.__name__: make for make in (one_call, one_call_int8, handed_over, encoder_int8)}
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--cases", nargs="*", choices=list(cases), default=list(cases))
    given = parser.parse_args()
    if problem := native.problem():
        raise SystemExit(problem)
    with TemporaryDirectory() as folder:
        for name in given.cases:
            run = cases[name](Path(folder))
            for n in range(WARM_UP):
                run(n)
            before = resident_kb()
            for n in range(given.frames):
                run(n)
            print(f"{name}: {given.frames} frames, {resident_kb() - before:+d} KiB of {before} KiB", flush=True)


if __name__ == "__main__":
    main()
