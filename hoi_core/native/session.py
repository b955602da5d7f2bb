"""An exported model in the native engine: all of SPLite, of other models the sparse encoder.

It is the file that ONNX Runtime runs alone: weights are found by their names. Where what comes after the encoder is not
SPLite's, it becomes a model of its own, which ONNX Runtime runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hoi_core.edges import EdgeParams
from hoi_core.errors import AssetError
from hoi_core.native import byte_layers, chosen_set, hand_over, onnx_wire
from hoi_core.native.byte_layers import ByteEncoder
from hoi_core.native.encoder import Encoder
from hoi_core.native.hand import STAGES, Hand
from hoi_core.native.hand_over import Elsewhere
from hoi_core.native.onnx_wire import Graph
from hoi_core.native.parts import is_whole
from hoi_core.onnx_session import onnx_session
from hoi_core.types import F32, U8

_PREFIX = "encoder."
_IMAGE = "image"
_TOLERANCE = 1e-3
# Where ONNX Runtime adds residuals in another order of float operations, bytes may differ by a step.
_TOLERANCE_IN_BYTES = 0.05
_EXPORT = "Export a model with a sparse encoder, or use the engine onnxruntime."
_MOST_THREADS = 4

Weights = dict[str, F32] | ByteEncoder
"""Of an encoder, by name, in floats or in bytes."""


@dataclass(frozen=True)
class Port:
    """An input or output of a model, as sessions of ONNX Runtime name them."""

    name: str
    """Such as `uv`."""


class NativeSession:
    """Runs like a session of ONNX Runtime."""

    def __init__(
        self, path: Path, size: int, threads: int = 0, edges: EdgeParams | None = None, *, overflows: bool = True
    ) -> None:
        """Take the file apart and check, on made-up images, that both engines agree on it.

        Args:
            path: of the `.onnx` file.
            size: side of the image, px.
            threads: of the encoder, and of ONNX Runtime for what comes after it; 0 for one per core, of which the
                encoder takes four at most.
            edges: how a crop becomes the image, for `run_crop`; None for none.
            overflows: as for `onnx_session`.

        Raises:
            AssetError: the engine cannot be used here, the file is damaged, its encoder is not a sparse one, or ONNX
                Runtime computes something else.
        """
        self.instruction_set = chosen_set()
        self._overflows = overflows
        graph = onnx_wire.read(path.read_bytes(), str(path))
        weights, stages = _read_encoder(graph)
        _, needed = onnx_wire.needed(graph, stages)
        if _IMAGE in needed:
            raise AssetError("more of the model than its encoder reads the image.", _EXPORT)
        self._outputs = list(graph.outputs)
        self._threads = threads
        self._features = weights.rounded_stages() if isinstance(weights, ByteEncoder) else stages
        self._tolerance = _TOLERANCE_IN_BYTES if isinstance(weights, ByteEncoder) else _TOLERANCE
        self._one: Callable[[F32], list[Any]]
        self.run_crop: Callable[[U8], list[F32]] | None = None
        """Outputs for a crop `(size, size, 3)` or `(size, size)` as the camera sees it; None where its edges are found
        in Python."""
        alone = onnx_session(path, threads, overflows=overflows)
        read = [name for name in stages if name in needed]
        whole, in_bytes = is_whole(graph), isinstance(weights, ByteEncoder)
        take_encoder = partial(self._take_encoder, graph, weights, size, read, stages)
        try:
            what = self._take_all(graph, weights, size, edges) if whole else take_encoder()
        except AssetError:
            if not in_bytes:
                raise
            what = take_encoder()  # its heads are rounded in other places than those of SPLite
        if not self._agrees(alone, size):
            raise AssetError(f"the native engine and ONNX Runtime disagree on {path}.", _EXPORT)
        self.hands_over_above = hand_over.arrange(self._encoder, partial(self._in_onnx_runtime, graph))
        """Share of a full image's multiply-adds above which ONNX Runtime computes the encoder; 1 for never."""
        self.computed_by = f"the native engine ({self.instruction_set}) computes {what}"
        """For people."""
        if self.hands_over_above < hand_over.NEVER:
            self.computed_by += (
                f"; ONNX Runtime the encoder where over {self.hands_over_above:.0%} of its work are left"
            )

    def get_inputs(self) -> list[Port]:
        """As ONNX Runtime's."""
        return [Port(_IMAGE)]

    def get_outputs(self) -> list[Port]:
        """As ONNX Runtime's."""
        return [Port(name) for name in self._outputs]

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, F32]) -> list[Any]:
        """As ONNX Runtime's: `feeds["image"]` is `(B, 3, S, S)`."""
        images = np.ascontiguousarray(feeds[_IMAGE], dtype=np.float32)
        found = [self._one(image) for image in images]
        wanted = [self._outputs.index(name) for name in outputs or self._outputs]
        return [np.stack([answer[n] for answer in found]) for n in wanted]

    def _make_encoder(self, weights: Weights, size: int, stages: Sequence[int]) -> Encoder:
        threads = self._threads or min(os.cpu_count() or 1, _MOST_THREADS)
        self._encoder = Encoder(weights, size, stages=stages, instruction_set=self.instruction_set, threads=threads)
        self._given = stages
        return self._encoder

    def _in_onnx_runtime(self, graph: Graph) -> Elsewhere:
        """The encoder in a session of ONNX Runtime."""
        size = self._encoder.size
        found = self._encoder.run(np.zeros((self._encoder.channels, size, size), np.float32))
        shapes = {self._features[stage]: x.shape for stage, x in zip(self._given, found, strict=True)}
        session = onnx_session(onnx_wire.beginning(graph, shapes), self._threads, overflows=self._overflows)
        return lambda image: session.run(None, {_IMAGE: image[None]})

    def _take_all(self, graph: Graph, weights: Weights, size: int, edges: EdgeParams | None) -> str:
        """Compute everything here."""
        hand = Hand(graph, self._make_encoder(weights, size, STAGES), edges or EdgeParams())
        self._one = hand.run
        if edges is None or not _same_edges(hand, size, edges):
            return "all but the edges"
        self.run_crop = hand.run_crop
        return "everything"

    def _take_encoder(self, graph: Graph, weights: Weights, size: int, read: list[str], stages: list[str]) -> str:
        """Compute the encoder here; a session of ONNX Runtime for what reads the values of those names."""
        encoder = self._make_encoder(weights, size, [stages.index(name) for name in read])
        found = encoder.run(np.zeros((3, size, size), np.float32))
        shapes = {name: x.shape for name, x in zip(read, found, strict=True)}
        rest = onnx_session(onnx_wire.cut(graph, shapes), self._threads, overflows=self._overflows)

        def run(image: F32) -> list[Any]:
            features = {name: x[None] for name, x in zip(shapes, encoder.run(image), strict=True)}
            return [x[0] for x in rest.run(None, features)]

        self._one, self.run_crop = run, None
        return "the encoder, ONNX Runtime the rest"

    def _agrees(self, alone: Any, size: int) -> bool:
        """Names are all that layers are known by; a file of other contents must not give other hands."""
        rng = np.random.default_rng(0)
        sites = rng.random((2, 1, size, size)) < np.array([0.05, 0.9]).reshape(2, 1, 1, 1)
        image = (rng.uniform(0.01, 1.0, (2, 3, size, size)) * sites).astype(np.float32)
        near = self._tolerance
        pairs = zip(self.run(None, {_IMAGE: image}), alone.run(None, {_IMAGE: image}), strict=True)
        return all(np.allclose(a, b, rtol=near, atol=near * max(1.0, float(abs(b).max()))) for a, b in pairs)


def _same_edges(hand: Hand, size: int, edges: EdgeParams) -> bool:
    """Whether edges are found exactly as in Python: OpenCV is not built alike everywhere."""
    from hoi_core.network_input import network_input, pixels_of

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, (size + 7) // 8, (size + 7) // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    noise = rng.integers(-40, 41, (2, size, size, 3))
    for picture in np.clip(coarse[:, :size, :size] + noise * np.reshape([0, 1], (2, 1, 1, 1)), 0, 255).astype(np.uint8):
        expected = hand.run(network_input(pixels_of(picture, "edges", edges)[None], "edges")[0])
        if not all(np.array_equal(a, b) for a, b in zip(hand.run_crop(picture), expected, strict=True)):
            return False
    return True


def _read_encoder(graph: Graph) -> tuple[Weights, list[str]]:
    """The encoder, in floats or in bytes, and the values that its stages make."""
    if not byte_layers.is_in_bytes(graph):
        return _weights(graph), _stages(graph)
    encoder = byte_layers.read_encoder(graph, _PREFIX)
    return encoder, encoder.stages()


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
    found: list[str] = []
    while True:
        block = f"{_PREFIX}stages.{len(found)}.blocks."
        own = [name for name in graph.constants if name.startswith(block) and name.endswith(".conv.weight")]
        own = [name for name in own if ".shortcut." not in name]
        if not own:
            break
        last = max(own, key=lambda name: _place(name, block))
        found.append(_after(graph, last, ("Conv", "Add", "Relu", "Mul")))
    if not found:
        raise AssetError("the model has no sparse encoder in fp32.", _EXPORT)
    return found


def _place(name: str, block: str) -> tuple[int, str]:
    """Number of the block and name of the convolution in it."""
    number, _, convolution = name.removeprefix(block).partition(".")
    return int(number) if number.isdecimal() else -1, convolution


def _after(graph: Graph, name: str, operators: tuple[str, ...]) -> str:
    for operator in operators:
        nodes = [node for node in graph.readers.get(name, []) if node.operator == operator]
        if len(nodes) != 1 or len(nodes[0].outputs) != 1:
            raise AssetError(f"the encoder is not a sparse one in fp32: no {operator} follows {name}.", _EXPORT)
        name = nodes[0].outputs[0]
    return name
