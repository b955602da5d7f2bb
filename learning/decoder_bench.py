"""Mesh decoders side by side, one thread: each layer and the whole, in torch and in ONNX Runtime."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from hoi_core.errors import ConfigError
from hoi_core.onnx_session import onnx_session
from learning.layers.mesh import SpliteConv
from learning.layers.mesh_hierarchy import MeshHierarchy
from learning.layers.spiral import SeparableSpiralConv, SpiralConv
from learning.models import mobrecon
from learning.models._hand_mesh import decoder_levels, hand_hierarchy
from learning.models._mobrecon_network import mesh_decoder

DECODERS = ("splite", "spiral", "dsconv")
"""What is compared: a quarter of the channels, all of them (SpiralConv++), separable spirals."""
_WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """One part of one decoder in one engine."""

    part: str
    """`whole`, or vertices and channels of a layer."""
    decoder: str
    """One of `DECODERS`."""
    engine: str
    """`torch` or `ort_fp32`."""
    median_ms: float
    """Median processor time of one hand, ms."""
    speedup: float
    """Over `spiral`, the same decoder with all channels: median of the ratios of neighbouring runs."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def time_decoders(*, repeats: int = 40, spiral_length: int = 9, latent: int = 256, seed: int = 0) -> list[Timing]:
    """Time every decoder, whole and layer by layer, in turns.

    What counts is the processor time of the one thread, so that other programs disturb little.

    Args:
        repeats: runs of each.
        spiral_length: vertices in a spiral.
        latent: channels of the features at the joints.
        seed: of weights and input.

    Raises:
        ConfigError: a number that makes no sense.
    """
    if repeats < 1 or seed < 0:
        raise ConfigError(f"expected --repeats >= 1 and --seed >= 0, got {repeats} and {seed}.", "Correct the flag.")
    torch.manual_seed(seed)
    mesh = hand_hierarchy(spiral_length)
    found = [
        timing
        for part, modules, shape in parts(mesh, latent, spiral_length)
        for timing in _time_part(part, modules, torch.randn(shape), repeats)
    ]
    return sorted(found, key=lambda timing: (timing.part != "whole", timing.engine))


def parts(
    mesh: MeshHierarchy, latent: int, spiral_length: int
) -> list[tuple[str, dict[str, nn.Module], tuple[int, ...]]]:
    """What is timed: name, a module for each decoder, shape of the input."""
    configs = {name: mobrecon.Config(decoder=name, latent=latent, spiral_length=spiral_length) for name in DECODERS}  # type: ignore[arg-type]
    out: list[tuple[str, dict[str, nn.Module], tuple[int, ...]]] = [
        ("whole", {name: mesh_decoder(config, mesh) for name, config in configs.items()}, (1, latent, 21, 1))
    ]
    _, each, channels, _ = decoder_levels(mesh, latent)
    for spirals, c_in, c_out in zip(each, channels[:-1], channels[1:], strict=True):
        layers: dict[str, nn.Module] = {
            "splite": VertexRows(SpliteConv(c_in, c_out, spirals)),
            "spiral": SpiralConv(c_in, c_out, spirals),
            "dsconv": SeparableSpiralConv(c_in, c_out, spirals),
        }
        out.append((f"{len(spirals)} x {c_in} -> {c_out}", layers, (1, len(spirals), c_in)))
    return out


class VertexRows(nn.Module):
    """A layer on `(B, C, V, 1)` fed with the memory that one on `(B, V, C)` gets, seen from the other side."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """`(1, V, C_in)` of random numbers, taken as `(1, C_in, V, 1)` -> `(1, C_out, V, 1)`."""
        y: Tensor = self.layer(x.reshape(1, x.shape[2], x.shape[1], 1))
        return y


def _time_part(part: str, modules: dict[str, nn.Module], x: Tensor, repeats: int) -> list[Timing]:
    runs: dict[tuple[str, str], Callable[[], object]] = {}
    with TemporaryDirectory() as folder:
        for name, module in modules.items():
            module.eval()
            runs[name, "torch"] = _in_torch(module, x)
            runs[name, "ort_fp32"] = _in_onnx_runtime(module, x, Path(folder) / f"{name}.onnx")
        seconds = _interleaved(list(runs.values()), repeats)
    taken = dict(zip(runs, seconds, strict=True))
    return [
        Timing(part, name, engine, float(np.median(own) * 1e3), float(np.median(taken["spiral", engine] / own)))
        for (name, engine), own in taken.items()
    ]


def _in_torch(module: nn.Module, x: Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return module(x)

    return run


def _in_onnx_runtime(module: nn.Module, x: Tensor, path: Path) -> Callable[[], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `learning.export`: the exporter says that it is the old one
        torch.onnx.export(module, (x,), str(path), dynamo=False, opset_version=17, input_names=["x"])
    session, values = onnx_session(path, 1), {"x": x.numpy()}
    return lambda: session.run(None, values)


def _interleaved(runs: Sequence[Callable[[], object]], repeats: int) -> list[np.ndarray]:
    """Processor seconds of each run's turns; one thread of torch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken: list[list[float]] = [[] for _ in runs]
        for turn in range(repeats + _WARM_UP):
            for run, seconds in zip(runs, taken, strict=True):
                start = time.thread_time()
                run()
                if turn >= _WARM_UP:
                    seconds.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return [np.array(seconds) for seconds in taken]
