"""Steps along the graph of a file in 8-bit integers, from value to value.

Around each operator stand `QuantizeLinear` and `DequantizeLinear`: they tell how its inputs and its result are rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native import onnx_wire
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.types import F32, U8

EXPORT = "Export the model again, or use the engine onnxruntime."
LARGEST = 255

Whole8 = np.ndarray[Any, np.dtype[np.int8]]
Whole32 = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Rounding:
    """How numbers become bytes: `clip(round(x / scale) + zero, 0, 255)`."""

    scale: float
    """Step."""
    zero: int
    """The byte that stands for 0."""

    def bytes_of(self, values: F32) -> U8:
        """Any shape, as ONNX defines the operator: in float32, ties to even."""
        whole = np.rint(values.astype(np.float32) / np.float32(self.scale)) + np.float32(self.zero)
        return np.clip(whole, 0, LARGEST).astype(np.uint8)


class Walk:
    """Finds operators, constants and roundings; what is not as the exporter writes it is an `AssetError`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def one(self, found: Mapping[str, Node], name: str, operator: str) -> Node:
        """The operator that makes or reads a value, out of a table of such."""
        node = found.get(name)
        if node is None or node.operator != operator:
            raise AssetError(f"this is no int8 model of the exporter: no {operator} makes {name}.", EXPORT)
        return node

    def reader(self, name: str, *operators: str) -> Node | None:
        """The one node of such an operator that reads a value."""
        nodes = [node for node in self.graph.readers.get(name, []) if node.operator in operators]
        if len(nodes) > 1:
            raise AssetError(f"this is no int8 model of the exporter: several layers read {name}.", EXPORT)
        return nodes[0] if nodes else None

    def after(self, name: str, operator: str) -> Node:
        """The one operator of a kind that reads a value."""
        node = self.reader(name, operator)
        if node is None or not node.outputs:
            raise AssetError(f"this is no int8 model of the exporter: no {operator} follows {name}.", EXPORT)
        return node

    def number(self, name: str, kind: type[np.generic]) -> Any:
        """The only number of a constant."""
        values = onnx_wire.numbers(self.graph, name, kind)
        if values.size != 1:
            raise AssetError(f"expected one number in {name}, got {values.shape}.", EXPORT)
        return values.reshape(())

    def rounding(self, node: Node) -> Rounding:
        """What an operator that makes bytes, or reads them, does."""
        if len(node.inputs) != 3:
            raise AssetError(f"{node.operator} of {node.inputs[:1]} has no zero point.", EXPORT)
        scale, zero = self.number(node.inputs[1], np.float32), self.number(node.inputs[2], np.uint8)
        if not scale > 0:
            raise AssetError(f"expected a scale above 0 in {node.inputs[1]}, got {scale}.", EXPORT)
        return Rounding(float(scale), int(zero))

    def behind(self, name: str) -> Rounding:
        """The rounding whose numbers a value holds."""
        return self.rounding(self.one(self.graph.makers, name, "DequantizeLinear"))

    def round_trip(self, name: str) -> tuple[Rounding, str]:
        """The rounding that follows a value, and the numbers after it."""
        down = self.after(name, "QuantizeLinear")
        up = self.after(down.outputs[0], "DequantizeLinear")
        rounding = self.rounding(down)
        if self.rounding(up) != rounding:
            raise AssetError(f"{name} is rounded with one scale and read with another.", EXPORT)
        return rounding, up.outputs[0]

    def rounded_result(self, node: Node) -> tuple[Rounding, bool, str]:
        """How the result of an operator, or of the ReLU after it, is rounded, whether there is a ReLU, and its name."""
        name = node.outputs[0]
        rectifier = self.reader(name, "Relu")
        if rectifier is not None:
            name = rectifier.outputs[0]
        rounding, name = self.round_trip(name)
        if rectifier is not None and rounding.zero != 0:
            raise AssetError(f"expected the zero point 0 after a ReLU, got {rounding.zero} at {name}.", EXPORT)
        return rounding, rectifier is not None, name

    def product(self, node: Node, step: float) -> tuple[Whole8, Whole32, F32]:
        """Weights `(C_out, ...)`, bias `(C_out,)` in steps of the sums, and how many of a result such a step is."""
        given = self.behind(node.inputs[0])
        if len(node.inputs) != 3:
            raise AssetError(f"{node.operator} of {node.inputs[:1]} has no bias.", EXPORT)
        weights, biases = (self.one(self.graph.makers, name, "DequantizeLinear").inputs for name in node.inputs[1:])
        weight = onnx_wire.numbers(self.graph, weights[0], np.int8)
        bias = onnx_wire.numbers(self.graph, biases[0], np.int32)
        rows = onnx_wire.numbers(self.graph, weights[1], np.float32).reshape(-1)
        steps = onnx_wire.numbers(self.graph, biases[1], np.float32).reshape(-1)
        kinds = ((weights[2], np.int8), (biases[2], np.int32))
        zeros = [onnx_wire.numbers(self.graph, name, kind) for name, kind in kinds]
        if weight.ndim < 2 or not (len(rows) == len(steps) == len(bias) == len(weight)) or bias.ndim != 1:
            raise AssetError(f"{weights[0]} and its scales and bias do not belong together.", EXPORT)
        if any(zero.any() for zero in zeros) or not (rows > 0).all():
            raise AssetError(f"expected scales above 0 and zero points 0 of {weights[0]}.", EXPORT)
        sums = np.float32(given.scale) * rows
        # A bias has the step of the sums, to the precision of a float.
        if not np.allclose(steps, sums, rtol=1e-5, atol=0.0):
            raise AssetError(f"the bias of {weights[0]} has other steps than its sums.", EXPORT)
        return weight, bias, sums / np.float32(step)


def ratios_of_a_sum(own: Rounding, kept: Rounding, result: Rounding) -> tuple[float, float, float]:
    """What the bytes of both summands are multiplied by, and what is added, as ONNX Runtime computes them.

    Its compiler makes one fused operation of the first product and the sum of the zero points. The last bit of what is
    added decides how ties are rounded, and a step in one early residual changes half of the features of a deep network.

    Raises:
        AssetError: the sum's zero point is not 0.
    """
    if result.zero != 0:
        raise AssetError(f"expected the zero point 0 of a sum, got {result.zero}.", EXPORT)
    a, b = (np.float32(one.scale) / np.float32(result.scale) for one in (own, kept))
    # A product of two floats, and its sum with a third of nearly the same size, are exact in double precision.
    fused = np.float64(a) * own.zero + np.float64(b * np.float32(kept.zero))
    return float(a), float(b), float(-np.float32(fused))
