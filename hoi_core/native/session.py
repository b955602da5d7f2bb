"""An exported model whose sparse encoder runs in the native engine and the rest in ONNX Runtime.

It is the file that ONNX Runtime runs alone: the encoder's weights are found by their names, and what comes after the
encoder becomes a model of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native import chosen_set, onnx_wire
from hoi_core.native.encoder import Encoder
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.onnx_session import onnx_session
from hoi_core.types import F32

_PREFIX = "encoder."
_IMAGE = "image"
_TOLERANCE = 1e-3
_EXPORT = "Export a model with a sparse encoder in fp32, or use the engine onnxruntime."


class NativeSession:
    """Runs like a session of ONNX Runtime."""

    def __init__(self, path: Path, size: int, threads: int = 0) -> None:
        """Take the file apart and check, on made-up images, that both engines agree on it.

        Args:
            path: of the `.onnx` file.
            size: side of the image, px.
            threads: of ONNX Runtime, for what comes after the encoder; 0 for one per core.

        Raises:
            AssetError: the engine cannot be used here, the file is damaged, its encoder is not a sparse one in fp32, or
                ONNX Runtime computes something else.
        """
        self.instruction_set = chosen_set()
        graph = onnx_wire.read(path.read_bytes(), str(path))
        stages = _stages(graph)
        _, needed = onnx_wire.needed(graph, stages)
        if _IMAGE in needed:
            raise AssetError("more of the model than its encoder reads the image.", _EXPORT)
        read = [n for n, name in enumerate(stages) if name in needed]
        self._encoder = Encoder(_weights(graph), size, stages=read, instruction_set=self.instruction_set)
        found = self._encoder.run(np.zeros((3, size, size), np.float32))
        shapes = {stages[n]: x.shape for n, x in zip(read, found, strict=True)}
        self._names = list(shapes)
        self._rest = onnx_session(onnx_wire.cut(graph, shapes), threads)
        self._demand_agreement(path, size, threads)

    def get_outputs(self) -> Any:
        """As ONNX Runtime's."""
        return self._rest.get_outputs()

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, F32]) -> list[Any]:
        """As ONNX Runtime's: `feeds["image"]` is `(B, 3, S, S)`."""
        images = np.ascontiguousarray(feeds[_IMAGE], dtype=np.float32)
        found = [self._encoder.run(image) for image in images]
        stacked = {name: np.stack([x[n] for x in found]) for n, name in enumerate(self._names)}
        answers: list[Any] = self._rest.run(outputs, stacked)
        return answers

    def _demand_agreement(self, path: Path, size: int, threads: int) -> None:
        """Names are all that the encoder is known by; a file of other contents must not give other hands."""
        rng = np.random.default_rng(0)
        sites = rng.random((2, 1, size, size)) < np.array([0.05, 0.9]).reshape(2, 1, 1, 1)
        image = (rng.uniform(0.01, 1.0, (2, 3, size, size)) * sites).astype(np.float32)
        alone = onnx_session(path, threads)
        for ours, theirs in zip(self.run(None, {_IMAGE: image}), alone.run(None, {_IMAGE: image}), strict=True):
            if not np.allclose(ours, theirs, rtol=_TOLERANCE, atol=_TOLERANCE * max(1.0, float(abs(theirs).max()))):
                raise AssetError(f"the native engine and ONNX Runtime disagree on {path}.", _EXPORT)


def _weights(graph: Graph) -> dict[str, F32]:
    """Weights and biases of the encoder's convolutions; equal biases of several layers are in the file once."""
    found: dict[str, F32] = {}
    for node in graph.nodes:
        name = node.inputs[1] if node.operator == "Conv" and len(node.inputs) == 3 else ""
        if name.startswith((f"{_PREFIX}stem.", f"{_PREFIX}stages.")) and name.endswith(".weight"):
            layer = name.removeprefix(_PREFIX).removesuffix("weight")
            found[f"{layer}weight"] = onnx_wire.floats(graph, name)
            found[f"{layer}bias"] = onnx_wire.floats(graph, node.inputs[2])
    return found


def _stages(graph: Graph) -> list[str]:
    """The values that the encoder's stages make: after the last block's convolution, residual, ReLU and mask."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    found: list[str] = []
    while True:
        block = f"{_PREFIX}stages.{len(found)}.blocks."
        own = [name for name in graph.constants if name.startswith(block) and name.endswith(".conv.weight")]
        own = [name for name in own if ".shortcut." not in name]
        if not own:
            break
        last = max(own, key=lambda name: _place(name, block))
        found.append(_after(readers, last, ("Conv", "Add", "Relu", "Mul")))
    if not found:
        raise AssetError("the model has no sparse encoder in fp32.", _EXPORT)
    return found


def _place(name: str, block: str) -> tuple[int, str]:
    """Number of the block and name of the convolution in it."""
    number, _, convolution = name.removeprefix(block).partition(".")
    return int(number) if number.isdecimal() else -1, convolution


def _after(readers: dict[str, list[Node]], name: str, operators: tuple[str, ...]) -> str:
    for operator in operators:
        nodes = [node for node in readers.get(name, []) if node.operator == operator]
        if len(nodes) != 1 or len(nodes[0].outputs) != 1:
            raise AssetError(f"the encoder is not a sparse one in fp32: no {operator} follows {name}.", _EXPORT)
        name = nodes[0].outputs[0]
    return name
