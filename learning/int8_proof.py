"""Which layers of an exported file ONNX Runtime really computes in integers, by its own profiler.

Whether a runtime fuses a layer with the roundings around it depends on details that no look at the file tells.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from hoi_core.errors import ExportError
from hoi_core.onnx_session import onnx_session
from learning.onnx_file import LAYERS, constant_behind, makers

_INTEGER = (
    "ConvInteger", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QGemm", "QLinearConv",
    "QLinearMatMul",
)  # fmt: skip
_END = "_kernel_time"


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer of a file, as it was run."""

    name: str
    """Of its module."""
    kernel: str
    """Operator that ran, such as `QLinearConv`; empty if none of its name was, as after some rewriting in float."""
    macs: int
    """Multiply-adds of one run with a batch of one."""

    @property
    def integer(self) -> bool:
        """Whether it multiplied integers."""
        return self.kernel in _INTEGER


@dataclass(frozen=True)
class Proof:
    """What a profiled run of a file showed."""

    layers: tuple[Layer, ...]
    """In the order of the file."""

    @property
    def in_float(self) -> tuple[str, ...]:
        """Names of the layers that did not compute in integers."""
        return tuple(layer.name for layer in self.layers if not layer.integer)

    @property
    def integer_share(self) -> float:
        """Share of the multiply-adds that ran in integers."""
        total = sum(layer.macs for layer in self.layers)
        return sum(layer.macs for layer in self.layers if layer.integer) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Figures for a sidecar."""
        return {
            "int8_layers": len(self.layers) - len(self.in_float),
            "float_layers": list(self.in_float),
            "int8_share_of_multiply_adds": round(self.integer_share, 6),
        }


def prove(path: Path) -> Proof:
    """Run a file once under the profiler.

    Args:
        path: ONNX file, tidied; its inputs of floats, their batch free.

    Raises:
        ExportError: ONNX Runtime does not run it.
    """
    model = onnx.load(path)
    feed = {
        source.name: np.zeros([d.dim_value or 1 for d in source.type.tensor_type.shape.dim], np.float32)
        for source in model.graph.input
    }
    made, shapes = makers(model.graph), {t.name: tuple(t.dims) for t in model.graph.initializer}
    weights = {n.name: constant_behind(made, n.input[1]) for n in model.graph.node if n.op_type in LAYERS}
    layers = [node for node in model.graph.node if weights.get(node.name) in shapes]
    sizes = _output_sizes(model, layers, feed)
    names = {node.name for node in layers}
    kernels: dict[str, str] = {}
    for name, kernel in _profiled(path, feed):
        # Optimisers append words to the names of nodes that they rewrite.
        fitting = [other for other in names if name.startswith(other)]
        if fitting and _multiplies(kernel):
            kernels[max(fitting, key=len)] = kernel
    return Proof(
        tuple(
            Layer(node.name, kernels.get(node.name, ""), size * _products(node, shapes[weights[node.name]]))
            for node, size in zip(layers, sizes, strict=True)
        )
    )


def _multiplies(kernel: str) -> bool:
    """Whether a kernel is that of a convolution or linear layer, in whatever arithmetic."""
    return kernel in _INTEGER or kernel.endswith(LAYERS)


def _products(node: Any, weights: tuple[int, ...]) -> int:
    """Multiply-adds behind each number of a layer's output."""
    if node.op_type == "Conv":
        return math.prod(weights[1:])
    if node.op_type == "Gemm":
        return weights[1 if any(a.name == "transB" and a.i for a in node.attribute) else 0]
    return weights[-1] if node.op_type == "MatMul" else weights[0]  # written transposed, as nn.Linear has them


def _output_sizes(model: Any, layers: list[Any], feed: dict[str, np.ndarray]) -> list[int]:
    """How many numbers each layer gives."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in layers)
    with TemporaryDirectory() as folder:
        onnx.save(shown, Path(folder) / "shown.onnx")
        return [value.size for value in onnx_session(Path(folder) / "shown.onnx", 1).run(None, feed)]


def _profiled(path: Path, feed: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """The kernels that one run calls: name of the node, operator."""
    with TemporaryDirectory() as folder:
        session = onnx_session(path, 1, profile=Path(folder) / "run")
        try:
            session.run(None, feed)
        except Exception as error:  # onnxruntime raises its own classes, which share only this base
            raise ExportError(f"ONNX Runtime cannot run {path}: {error}.", "Report this.") from error
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf8"))
    return [
        (event["name"].removesuffix(_END), event["args"]["op_name"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(_END)
    ]
