"""All of SPLite in one call: what the native engine takes of an exported file beside the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hoi_core.edges import EdgeParams
from hoi_core.errors import AssetError
from hoi_core.native import onnx_wire
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.types import F32, I64, U8

if TYPE_CHECKING:
    from hoi_core.native.encoder import Encoder

STAGES = (1, 2, 3)
"""Those of the encoder that are read: at strides 8, 16 and 32."""
_CONVOLUTIONS = ("lateral32", "lateral16", "smooth16", "reduce16", "lateral8", "smooth8")
_LINEAR = ("heatmap", "depth_hidden", "depth_out")
_LIFT = "decoder.lift.linear.weight"
_MEAN = "decoder.head.mean"

Layer = tuple[F32, F32]
"""Weight and bias."""


def is_whole(graph: Graph) -> bool:
    """Whether a file has the heads and the decoder of SPLite, by their names."""
    return all(_named(graph, name) in graph.constants for name in (*_head_weights().values(), _LIFT, _MEAN))


class Hand:
    """Edges, encoder, heads and decoder, one image after the other.

    Of a file in 8-bit integers the heads and the decoder, a fifth of the multiply-adds, are computed in floats from its
    rounded weights: what they say is not rounded again, and so nearer to the network that was trained.
    """

    def __init__(self, graph: Graph, encoder: Encoder, edges: EdgeParams) -> None:
        """Take the weights.

        Args:
            graph: for which `is_whole`.
            encoder: of the same file, with the stages `STAGES`.
            edges: how a crop becomes the input.

        Raises:
            AssetError: the weights are damaged or not those of such a network.
        """
        from hoi_core.native import _engine

        parts = _Parts(graph)
        levels = 0
        while f"decoder.up.{levels}.linear.weight" in graph.constants:
            levels += 1
        convs = [*(f"decoder.convs.{n}" for n in range(levels)), "decoder.head.conv"]
        try:
            self._network = _engine.Hand(
                encoder.network,
                {name: parts.layer(weight) for name, weight in _head_weights().items()},
                parts.numbers(_LIFT),
                [parts.numbers(f"decoder.up.{n}.linear.weight") for n in range(levels)],
                [parts.spirals(f"{name}.conv.weight") for name in convs],
                [parts.layer(f"{name}.conv.weight") for name in convs],
                [parts.layer(w) if parts.holds(w := f"{name}.mix.weight") else None for name in convs],
                parts.numbers(_MEAN),
                (
                    edges.blur_px,
                    edges.threshold_sobel,
                    edges.threshold_canny_low,
                    edges.threshold_canny_high,
                    edges.fusion,
                ),
            )
        except (ValueError, TypeError) as error:
            raise AssetError(f"the weights are not those of SPLite: {error}.", "Export the model again.") from error
        self._shapes = self._network.shapes()

    def run(self, image: F32) -> list[F32]:
        """The outputs uv, depth, vertices and confidence for one image.

        Args:
            image: `(3, size, size)`, contiguous.

        Raises:
            ValueError: another shape.
            TypeError: other numbers, or not contiguous.
        """
        answers = self._answers()
        self._network.run(image, *answers)
        return answers

    def run_crop(self, crop: U8) -> list[F32]:
        """The same for a crop as a camera sees it: its edges are found first.

        Args:
            crop: `(size, size, 3)` colours, or `(size, size)` an edge image as the sensor sends it; contiguous.
        """
        answers = self._answers()
        self._network.run_crop(crop, *answers)
        return answers

    def _answers(self) -> list[F32]:
        return [np.empty(shape, np.float32) for shape in self._shapes]


def _head_weights() -> dict[str, str]:
    """Name of the weights of each head."""
    return {name: f"{name}.conv.weight" for name in _CONVOLUTIONS} | {name: f"{name}.weight" for name in _LINEAR}


def _named(graph: Graph, weight: str) -> str:
    """The name of weights in a file: where quantisation made a convolution a layer on rows, it has another one."""
    on_rows = f"{weight.removesuffix('weight')}linear.weight"
    return on_rows if on_rows in graph.constants else weight


class _Parts:
    """What a graph holds, found from the names of weights on; equal numbers of several layers are in a file once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def holds(self, weight: str) -> bool:
        """Whether there are such weights."""
        return _named(self._graph, weight) in self._graph.constants

    def numbers(self, name: str) -> F32:
        """Numbers of that name as floats, rounded or not."""
        name = _named(self._graph, name)
        node = self._scaling(name)
        return onnx_wire.floats(self._graph, name) if node is None else self._scaled(node, np.int8)

    def layer(self, weight: str) -> Layer:
        """Weight and bias of the layer that reads a weight."""
        bias = self._layer_of(weight).inputs[2]
        made = self._graph.makers.get(bias)
        shift = onnx_wire.floats(self._graph, bias) if made is None else self._scaled(made, np.int32)
        return self.numbers(weight), shift

    def spirals(self, weight: str) -> I64:
        """`(V, L)` of the spiral convolution with that weight `(C_out, L C_part)`."""
        node = self._layer_of(weight)
        for operator in ("Reshape", "Gather"):
            made = self._maker(node.inputs[0])
            if made is None or made.operator != operator or len(made.inputs) != 2:
                raise AssetError(f"no {operator} gives what {weight} reads.", "Export the model again.")
            node = made
        indices = onnx_wire.numbers(self._graph, node.inputs[1], np.int64)
        count = len(self.numbers(_MEAN)) if weight.startswith("decoder.head.") else self._level(weight)
        if indices.ndim != 1 or not count or len(indices) % count:
            raise AssetError(f"{weight} has {indices.size} neighbours for {count} vertices.", "Export the model again.")
        return indices.reshape(count, -1)

    def _level(self, weight: str) -> int:
        """Vertices of the level that a convolution belongs to."""
        number = weight.removeprefix("decoder.convs.").partition(".")[0]
        return len(self.numbers(f"decoder.up.{number}.linear.weight"))

    def _layer_of(self, weight: str) -> Node:
        name = _named(self._graph, weight)
        scaling = self._scaling(name)
        name = name if scaling is None else scaling.outputs[0]
        node = next(iter(self._graph.readers.get(name, ())), None)
        if node is None or node.operator not in ("Conv", "Gemm") or len(node.inputs) != 3 or node.inputs[1] != name:
            raise AssetError(f"the model has no layer with the weights {weight}.", "Export the model again.")
        return node

    def _maker(self, name: str) -> Node | None:
        """The operator that gives a value, past what rounds it once."""
        for operator in ("DequantizeLinear", "QuantizeLinear"):
            made = self._graph.makers.get(name)
            if made is None or made.operator != operator or not made.inputs:
                return made
            name = made.inputs[0]
        return self._graph.makers.get(name)

    def _scaling(self, name: str) -> Node | None:
        """What makes floats of integers of that name; None of floats."""
        nodes = (node for node in self._graph.readers.get(name, ()) if node.inputs[0] == name and node.outputs)
        return next((node for node in nodes if node.operator == "DequantizeLinear"), None)

    def _scaled(self, node: Node, kind: type[np.generic]) -> F32:
        """The floats that `DequantizeLinear` makes of integers of some kind, a scale for each row."""
        if node.operator != "DequantizeLinear" or len(node.inputs) != 3:
            raise AssetError(f"{node.operator} of {node.inputs[:1]} gives no weights.", "Export the model again.")
        whole, scale, zero = node.inputs
        values, steps = onnx_wire.numbers(self._graph, whole, kind), onnx_wire.floats(self._graph, scale)
        if onnx_wire.numbers(self._graph, zero, kind).any() or steps.size not in (1, len(values)):
            raise AssetError(f"expected a scale for each row of {whole} and zero points 0.", "Export the model again.")
        return np.asarray(values * steps.reshape(-1, *[1] * (values.ndim - 1)), np.float32)
