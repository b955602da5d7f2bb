"""From a crop's pixels to the mesh on one thread, edges included: SPLite in float and int8, beside MobRecon.

Fresh weights, ResNet-18 of full width in both; the same rendered crop again and again, in turns. Processor time of the
thread, so that other programs disturb little. Usage: python benchmarks/end_to_end.py [--repeats 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from dataset_tools.synth import Generator, Recipe
from hoi_core import crop as crops
from hoi_core import native, runtime
from hoi_core.edges import EdgeParams
from hoi_core.network_input import Input, network_input, pixels_of
from hoi_core.types import U8, Camera
from learning import inputs, quantize
from learning.edge_images import active
from learning.export import write_onnx
from learning.layers.sparse import fold_batch_norms
from learning.models import build
from learning.qdq import integer_network
from learning.scheme import Scheme, WeightBits

SIZE = 128
WARM_UP = 5


def exported(name: str, folder: Path, **options: str) -> Path:
    """A fresh network as a file with its sidecar."""
    network = fresh(name, **options)
    return written(fold_batch_norms(network), network.config.input, folder / f"{name}.onnx")


def exported_int8(folder: Path, crop: U8, bits: WeightBits) -> Path:
    """The same SPLite in 8-bit integers, its ranges from one crop; the weights have so many bits."""
    image = network_input(pixels_of(crop, "edges", EdgeParams())[None], "edges")
    network = quantize.calibrate(fresh("splite"), [(torch.from_numpy(image),)], Scheme(bits))
    return written(integer_network(network), "edges", folder / f"splite_{bits}.onnx", "int8")


def fresh(name: str, **options: str) -> Any:
    """A network with fresh weights, always the same."""
    torch.manual_seed(0)
    return build(name, **options).eval()


def written(network: Any, shown: Input, path: Path, precision: str = "fp32") -> Path:
    """A network as a file with its sidecar."""
    write_onnx(network, path, inputs.image(SIZE), runtime.HandModel.OUTPUTS)
    about = runtime.Sidecar(
        model=path.stem, precision=precision, sha256=runtime.file_hash(path), size=SIZE, edges=EdgeParams(),
        crop_scale=crops.SCALE, length_unit_m=crops.LENGTH_UNIT_M, root_unit_m=crops.ROOT_UNIT_M,
        joint_order="openpose21", tips="smplx", side="right", hand_model="stand-in", licence="none",
        input=shown,
    )  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(about.to_dict()))
    return path


def timed(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Processor seconds of each run, in turns. `-> name: (repeats,)`."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + WARM_UP):
        for name, run in runs.items():
            start = time.thread_time()
            run()
            if turn >= WARM_UP:
                taken[name].append(time.thread_time() - start)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Print the table."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--repeats", type=int, default=200)
    flags.add_argument("--json", type=Path)
    given = flags.parse_args()
    crop: U8 = np.ascontiguousarray(Generator(Recipe("mano_render", size_px=SIZE, seed=0)).make(0).views[0].color)
    with TemporaryDirectory() as name:
        splite = exported("splite", Path(name))
        mobrecon = exported("mobrecon", Path(name), backbone="resnet18")
        in_bytes = {bits: exported_int8(Path(name), crop, bits) for bits in (8, 7)}
        models = {
            "splite, native": runtime.load_hand(splite, threads=1, engine="native"),
            "splite, ONNX Runtime": runtime.load_hand(splite, threads=1),
            "mobrecon, ONNX Runtime": runtime.load_hand(mobrecon, threads=1),
        }
        for bits, path in in_bytes.items():
            models[f"int8, {bits}-bit weights, native"] = runtime.load_hand(path, threads=1, engine="native")
            models[f"int8, {bits}-bit weights, ONNX Runtime"] = runtime.load_hand(path, threads=1)
        runs = {name: lambda model=model: model.run_crop(crop) for name, model in models.items()}
        seconds = timed(runs, given.repeats)
    shown = models["splite, native"].cut(crop, Camera(SIZE, SIZE, 100.0, 100.0, 63.5, 63.5), None, None)[0][0]
    print(f"{native.description()}; sites at strides 1 to 32: {' '.join(f'{s:.2f}' for s in active(shown))}")
    slowest = seconds["mobrecon, ONNX Runtime"]
    rows = []
    for name, found in seconds.items():
        median, p99 = float(np.median(found) * 1e3), float(np.percentile(found, 99) * 1e3)
        ratio = float(np.median(slowest / found))
        rows.append({"case": name, "median_ms": median, "p99_ms": p99, "over_mobrecon": ratio})
        print(f"{name:36s} {median:7.2f} ms, p99 over median {p99 / median:.2f}, {ratio:.2f} times as fast as MobRecon")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
