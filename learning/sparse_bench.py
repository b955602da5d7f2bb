"""Encoders side by side as sparsity rises: dense in torch and ONNX Runtime, sparse in the native engine.

MinkowskiEngine and spconv take part where they are installed.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hoi_core.errors import ConfigError, ExportError
from hoi_core.native.encoder import Encoder
from hoi_core.native.speed import multiply_adds_per_second
from hoi_core.onnx_session import onnx_session
from hoi_core.types import F32
from learning import inputs
from learning.edge_images import Kind, active, images
from learning.export import write_onnx
from learning.int8_engines import byte_engines
from learning.layers import minkowski
from learning.layers.sparse import fold_batch_norms
from learning.layers.spconv_engine import SpconvEncoder
from learning.models._sparse_resnet import Backbone, SparseResNet
from learning.scheme import Scheme, WeightBits

_OUTPUTS = ("c3", "c4", "c5")
_STAGES = (1, 2, 3)
_WARM_UP = 2
_IMAGES = 6

Run = Callable[[F32], Sequence[Tensor | F32]]


@dataclass(frozen=True)
class Timing:
    """One engine on the images of one sparsity."""

    backbone: str
    """`resnet18` or `resnet50`."""
    images: str
    """`edges` or `random`."""
    sparsity: float
    """Share of pixels off the sites, as found in the images."""
    active: tuple[float, ...]
    """Share of the cells that are sites at strides 1, 2, 4, 8, 16, 32."""
    threads: int
    """Of every engine."""
    engine: str
    """`torch_dense`, `ort_fp32`, `minkowski`, `spconv`, `native_fp32`, `ort_int8` or `native_int8`."""
    median_ms: float
    """Median time of one image, ms: of the processor with one thread, of the clock with more."""
    speedup: float
    """Over `ort_int8` of engines in int8, over `ort_fp32` of others: median of the ratios of neighbouring runs."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Layer:
    """One layer of the native engine on the images of one sparsity."""

    backbone: str
    """As in `Timing`."""
    images: str
    """As in `Timing`."""
    sparsity: float
    """As in `Timing`."""
    name: str
    """Kind, cells along a side, channels, kernel."""
    sites: float
    """Mean number of sites it computes."""
    multiply_adds: float
    """Mean number of multiply-adds, neighbours that exist alone."""
    milliseconds: float
    """Median wall time."""
    gmacs: float
    """Achieved rate, 1e9 multiply-adds a second."""
    of_peak: float
    """That over what the core's multipliers reached on registers alone, in the same run."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Cases:
    """What is timed."""

    backbones: tuple[Backbone, ...] = ("resnet18", "resnet50")
    sparsities: tuple[float, ...] = (0.8, 0.85, 0.9, 0.95)
    kinds: tuple[Kind, ...] = ("edges", "random")
    width: int = 64
    size: int = 128
    repeats: int = 30
    seed: int = 0
    weight_bits: WeightBits = 8
    threads: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.repeats < 1 or self.seed < 0 or self.size < 32 or self.size % 32 or self.width < 1:
            raise ConfigError("expected --repeats >= 1, --seed >= 0, --size a multiple of 32.", "Correct the flag.")
        if not self.threads or min(self.threads) < 1:
            raise ConfigError(f"expected numbers of threads above 0, got {self.threads}.", "Correct --threads.")
        if not all(0.0 <= s <= 1.0 for s in self.sparsities):
            raise ConfigError(f"expected shares of 0 to 1, got --sparsities {self.sparsities}.", "Correct the flag.")


def time_encoders(cases: Cases) -> tuple[list[Timing], list[Layer]]:
    """Time every engine on every case, in turns.

    Each turn lets an engine run twice and counts the second: all find in the caches what their own last frame left.
    With one thread its processor time counts, so that other programs disturb little; with more, the clock.

    Returns:
        A row for each engine and case, and with one thread one for each layer of the native engine in float.

    Raises:
        AssetError: the native engine cannot be used here.
        ExportError: the engines do not compute the same.
    """
    timings, layers = [], []
    shown = {
        (kind, s): images(kind, s, cases.size, min(_IMAGES, cases.repeats), cases.seed)
        for kind in cases.kinds
        for s in cases.sparsities
    }
    for backbone in cases.backbones:
        for threads in cases.threads:
            image = torch.from_numpy(next(iter(shown.values()))[0][None])
            engines, native = _engines(backbone, cases, threads, image)
            for (kind, _), pictures in shown.items():
                share = np.mean([active(picture) for picture in pictures], axis=0)
                case = (backbone, kind, round(1.0 - float(share[0]), 4))
                stages = tuple(share.round(3).tolist())
                taken = _in_turns(engines, pictures, cases.repeats, threads)
                timings += [
                    Timing(*case, stages, threads, name, *_figures(seconds, taken[_reference(name)]))
                    for name, seconds in taken.items()
                ]
                if threads == 1:
                    layers += _layers(case, native, pictures, cases.repeats)
    return timings, layers


def _engines(backbone: Backbone, cases: Cases, threads: int, image: Tensor) -> tuple[dict[str, Run], Encoder]:
    """All engines with the same fresh weights, and the native one in float; ranges of int8 are those of an image."""
    torch.manual_seed(cases.seed)
    sparse = SparseResNet(cases.width, backbone=backbone).eval()
    others = _minkowski_engine(copy.deepcopy(sparse))  # which has no convolution with a bias: its norms stay
    fold_batch_norms(sparse)
    weights = {name: value.numpy() for name, value in sparse.state_dict().items()}
    native = Encoder(weights, cases.size, stages=_STAGES, threads=threads)
    with TemporaryDirectory() as folder:
        dense = _dense(sparse, cases, backbone)
        engines = _dense_engines(dense, cases, Path(folder), threads) | others | _spconv_engine(sparse)
        engines |= {"native_fp32": native.run}
        _demand_agreement(engines, cases.size, "ort_fp32")
        scheme = Scheme(cases.weight_bits)
        session, in_bytes = byte_engines(dense, image, scheme, Path(folder), _STAGES, threads)
    whole: dict[str, Run] = {"ort_int8": _of_session(session), "native_int8": in_bytes.run}
    _demand_agreement(whole, cases.size, "ort_int8")
    return engines | whole, native


class _Stages(nn.Module):
    """The stages that heads read."""

    def __init__(self, encoder: SparseResNet) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """`(B, 3, S, S)` -> `(B, C_i, S / stride_i, S / stride_i)` each."""
        found = self.encoder(image)
        return tuple(found[i] for i in _STAGES)


def _reference(engine: str) -> str:
    """What an engine is compared with: what computes the same numbers densely."""
    return "ort_int8" if engine.endswith("int8") else "ort_fp32"


def _of_session(session: Any) -> Run:
    return lambda image: session.run(None, {"image": image[None]})


def _dense(sparse: SparseResNet, cases: Cases, backbone: Backbone) -> SparseResNet:
    """The same weights with every pixel a site and no mask: what a user would run without a sparse engine."""
    dense = SparseResNet(cases.width, backbone=backbone, sparse=False).eval()
    fold_batch_norms(dense)
    dense.load_state_dict(sparse.state_dict())
    return dense


def _dense_engines(dense: SparseResNet, cases: Cases, folder: Path, threads: int) -> dict[str, Run]:
    network = _Stages(dense)
    write_onnx(network, folder / "dense.onnx", inputs.image(cases.size), _OUTPUTS)
    session = onnx_session(folder / "dense.onnx", threads)

    def in_torch(image: F32) -> Sequence[Tensor]:
        with torch.inference_mode():
            found: tuple[Tensor, ...] = network(torch.from_numpy(image[None]))
            return found

    return {"torch_dense": in_torch, "ort_fp32": _of_session(session)}


def _minkowski_engine(network: SparseResNet) -> dict[str, Run]:
    """The encoder in MinkowskiEngine, whose coordinates are found in every run, as for every new image; or none."""
    try:
        minkowski.use(network)
    except ConfigError:
        return {}

    def run(image: F32) -> Sequence[Tensor]:
        with torch.inference_mode():
            found = network(torch.from_numpy(image[None]))
            return [found[i] for i in _STAGES]

    return {"minkowski": run}


def _spconv_engine(network: SparseResNet) -> dict[str, Run]:
    """The encoder in spconv, or none."""
    try:
        encoder = SpconvEncoder(network)
    except ConfigError:
        return {}

    def run(image: F32) -> Sequence[Tensor]:
        with torch.inference_mode():
            found = encoder.run(torch.from_numpy(image[None]))
            return [found[i] for i in _STAGES]

    return {"spconv": run}


def _demand_agreement(engines: dict[str, Run], size: int, reference: str) -> None:
    """With every pixel a site, dense and sparse are one computation."""
    image = np.random.default_rng(0).uniform(0.1, 1.0, (3, size, size)).astype(np.float32)
    found = {name: [np.asarray(x).reshape(-1) for x in run(image)] for name, run in engines.items()}
    for name, values in found.items():
        for ours, theirs in zip(values, found[reference], strict=True):
            if not np.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(abs(theirs).max())):
                raise ExportError(f"{name} and {reference} give other features of one image.", "Report this.")


def _in_turns(
    engines: dict[str, Run], pictures: Sequence[F32], repeats: int, threads: int = 1
) -> dict[str, np.ndarray]:
    """Seconds of each engine's turns."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    clock = time.thread_time if threads == 1 else time.perf_counter
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for turn in range(repeats + _WARM_UP):
            image = pictures[turn % len(pictures)]
            for name, run in engines.items():
                run(image)
                start = clock()
                run(image)
                if turn >= _WARM_UP:
                    taken[name].append(clock() - start)
    finally:
        torch.set_num_threads(before)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def _figures(own: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    return float(np.median(own) * 1e3), float(np.median(reference / own))


def _layers(case: tuple[str, str, float], native: Encoder, pictures: Sequence[F32], repeats: int) -> list[Layer]:
    peak = multiply_adds_per_second(native.instruction_set)
    reports = []
    for turn in range(repeats):
        native.run(pictures[turn % len(pictures)], timed=True)
        reports.append(native.report())
    found = []
    for steps in zip(*reports, strict=True):
        step = steps[0]
        seconds = float(np.median([s["seconds"] for s in steps]))
        done = float(np.mean([s["multiply_adds"] for s in steps]))
        kernel = f"{step['kernel']}x{step['kernel']}"
        name = f"{step['kind']} {step['size']} {step['c_in']}->{step['c_out']} {kernel}"
        sites = float(np.mean([s["sites"] for s in steps]))
        found.append(Layer(*case, name, sites, done, seconds * 1e3, done / seconds / 1e9, done / seconds / peak))
    return found
