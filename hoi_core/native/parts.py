"""The parts of SPLite in a file: values, layers and spirals, found from the names of weights on."""

from __future__ import annotations

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native import onnx_wire
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.types import F32, I64

CONVOLUTIONS = ("lateral32", "lateral16", "smooth16", "reduce16", "lateral8", "smooth8")
"""Heads that are convolutions."""
LINEAR = ("heatmap", "depth_hidden", "depth_out")
"""Heads that are linear maps."""
LIFT = "decoder.lift.linear.weight"
"""Weights of the map from joints to the coarsest vertices."""
MEAN = "decoder.head.mean"
"""The mean mesh."""

Layer = tuple[F32, F32]
"""Weight and bias."""


def head_weights() -> dict[str, str]:
    """Name of the weights of each head."""
    return {name: f"{name}.conv.weight" for name in CONVOLUTIONS} | {name: f"{name}.weight" for name in LINEAR}


def is_whole(graph: Graph) -> bool:
    """Whether a file has the heads and the decoder of SPLite, by their names."""
    return all(_named(graph, name) in graph.constants for name in (*head_weights().values(), LIFT, MEAN))


def levels_of(graph: Graph) -> int:
    """How often the decoder makes a mesh finer."""
    levels = 0
    while f"decoder.up.{levels}.linear.weight" in graph.constants:
        levels += 1
    return levels


def _named(graph: Graph, weight: str) -> str:
    """The name of weights in a file: where quantisation made a convolution a layer on rows, it has another one."""
    on_rows = f"{weight.removesuffix('weight')}linear.weight"
    return on_rows if on_rows in graph.constants else weight


class Parts:
    """What a graph holds; equal numbers of several layers are in a file once."""

    def __init__(self, graph: Graph) -> None:
        """Take a file."""
        self._graph = graph

    def holds(self, weight: str) -> bool:
        """Whether there are such weights."""
        return _named(self._graph, weight) in self._graph.constants

    def weight_of(self, head: str) -> str:
        """Name of the weights of a head."""
        return head_weights()[head]

    def numbers(self, name: str) -> F32:
        """Numbers of that name, floats."""
        return onnx_wire.floats(self._graph, _named(self._graph, name))

    def layer(self, weight: str) -> Layer:
        """Weight and bias of the layer that reads a weight in floats."""
        return self.numbers(weight), onnx_wire.floats(self._graph, self.layer_of(weight).inputs[2])

    def spirals(self, weight: str, vertices: int) -> I64:
        """`(V, L)` of the spiral convolution with that weight `(C_out, L C_part)`, of a mesh with so many vertices."""
        node = self.layer_of(weight)
        for operator in ("Reshape", "Gather"):
            made = self._maker(node.inputs[0])
            if made is None or made.operator != operator or len(made.inputs) != 2:
                raise AssetError(f"no {operator} gives what {weight} reads.", "Export the model again.")
            node = made
        indices = onnx_wire.numbers(self._graph, node.inputs[1], np.int64)
        if indices.ndim != 1 or not vertices or len(indices) % vertices:
            raise AssetError(
                f"{weight} has {indices.size} neighbours for {vertices} vertices.", "Export the model again."
            )
        return indices.reshape(vertices, -1)

    def layer_of(self, weight: str) -> Node:
        """The operator that reads a weight, as it is or past what makes floats of its integers."""
        name = _named(self._graph, weight)
        nodes = (node for node in self._graph.readers.get(name, ()) if node.inputs[0] == name and node.outputs)
        scaling = next((node for node in nodes if node.operator == "DequantizeLinear"), None)
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
