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
    """Whether a file has the heads and the decoder of SPLite in float, by their names."""
    return all(name in graph.constants for name in (*_head_weights().values(), _LIFT, _MEAN))


class Hand:
    """Edges, encoder, heads and decoder, one image after the other."""

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
                onnx_wire.floats(graph, _LIFT),
                [onnx_wire.floats(graph, f"decoder.up.{n}.linear.weight") for n in range(levels)],
                [parts.spirals(f"{name}.conv.weight") for name in convs],
                [parts.layer(f"{name}.conv.weight") for name in convs],
                [parts.layer(w) if (w := f"{name}.mix.weight") in graph.constants else None for name in convs],
                onnx_wire.floats(graph, _MEAN),
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


class _Parts:
    """What a graph holds, found from the names of weights on; equal numbers of several layers are in a file once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def layer(self, weight: str) -> Layer:
        """Weight and bias of the layer that reads a weight."""
        node = self._layer_of(weight)
        return onnx_wire.floats(self._graph, weight), onnx_wire.floats(self._graph, node.inputs[2])

    def spirals(self, weight: str) -> I64:
        """`(V, L)` of the spiral convolution with that weight `(C_out, L C_part)`."""
        node = self._layer_of(weight)
        for operator in ("Reshape", "Gather"):
            made = self._graph.makers.get(node.inputs[0])
            if made is None or made.operator != operator or len(made.inputs) != 2:
                raise AssetError(f"no {operator} gives what {weight} reads.", "Export the model again.")
            node = made
        indices = onnx_wire.numbers(self._graph, node.inputs[1], np.int64)
        count = len(onnx_wire.floats(self._graph, _MEAN)) if weight.startswith("decoder.head.") else self._level(weight)
        if indices.ndim != 1 or not count or len(indices) % count:
            raise AssetError(f"{weight} has {indices.size} neighbours for {count} vertices.", "Export the model again.")
        return indices.reshape(count, -1)

    def _level(self, weight: str) -> int:
        """Vertices of the level that a convolution belongs to."""
        number = weight.removeprefix("decoder.convs.").partition(".")[0]
        return len(onnx_wire.floats(self._graph, f"decoder.up.{number}.linear.weight"))

    def _layer_of(self, weight: str) -> Node:
        node = next(iter(self._graph.readers.get(weight, ())), None)
        if node is None or node.operator not in ("Conv", "Gemm") or len(node.inputs) != 3 or node.inputs[1] != weight:
            raise AssetError(f"the model has no layer with the weights {weight}.", "Export the model again.")
        return node
