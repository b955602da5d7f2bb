"""The layers of a sparse encoder in 8-bit integers, out of a file with `QuantizeLinear` around its operators.

Runtimes fuse a convolution with the roundings around it: bytes in, sums of 32 bits, bytes out. Here each convolution is
followed to where its result is read, and what is on the way becomes the numbers of one fused layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native import onnx_wire
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.types import F32, U8

_EXPORT = "Export the model again, or use the engine onnxruntime."
_LARGEST = 255
_UNCHANGED = np.arange(256, dtype=np.uint8)

T = TypeVar("T")


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
        return np.clip(whole, 0, _LARGEST).astype(np.uint8)


@dataclass(frozen=True)
class ByteLayer:
    """A convolution from bytes to bytes, the sum with a residual included."""

    weight: np.ndarray[Any, np.dtype[np.int8]]
    """`(C_out, C_in, k, k)`."""
    bias: np.ndarray[Any, np.dtype[np.int32]]
    """`(C_out,)` in steps of the sums."""
    multiplier: F32
    """`(C_out,)` from steps of the sums to steps of the result."""
    own: Rounding
    """Of the convolution's result."""
    relu: bool
    """Whether a ReLU follows, after the residual if there is one."""
    adds: bool
    """Whether a residual is added."""
    own_ratio: float
    """With a residual, the sum is `round(own_ratio * own + (kept_ratio * kept + fixed))`."""
    kept_ratio: float
    """See there."""
    fixed: float
    """See there."""
    table: U8
    """`(256,)` what the product with the mask makes of each byte."""
    result: Rounding
    """Of the bytes that come out."""
    output: str
    """Name of those numbers in the file as floats, before they are rounded the last time."""
    rounded: str
    """And after that."""


@dataclass(frozen=True)
class ByteEncoder:
    """Layers by the names of their modules, such as `stages.0.blocks.0.conv1`, and what is around them."""

    layers: Mapping[str, ByteLayer]
    """All convolutions; that of the stem without its mask."""
    image: Rounding
    """Of the image."""
    site_scale: float
    """Sites are the pixels whose largest channel rounds to something in these steps."""
    pooled: U8
    """`(256,)` what the masks before and after the max-pool make of each byte."""
    pooled_scale: float
    """Of those bytes."""

    def stages(self) -> list[str]:
        """Names of the values in the file that the stages make."""
        return [layer.output for layer in self._ends()]

    def rounded_stages(self) -> list[str]:
        """Names of the same after they are rounded, which are the features that layers read."""
        return [layer.rounded for layer in self._ends()]

    def _ends(self) -> list[ByteLayer]:
        """The last layer of each stage."""
        found: list[ByteLayer] = []
        while True:
            block = f"stages.{len(found)}.blocks."
            ends = [(name, layer) for name, layer in self.layers.items() if layer.adds]
            own = {_number_of(name, block): layer for name, layer in ends if name.startswith(block)}
            if not own:
                return found
            found.append(own[max(own)])

    @property
    def largest_weight(self) -> int:
        """Of all layers."""
        return max(int(abs(layer.weight.astype(np.int16)).max()) for layer in self.layers.values())


def is_in_bytes(graph: Graph) -> bool:
    """Whether a file has its weights as integers."""
    return any(node.operator == "DequantizeLinear" for node in graph.nodes)


def read_encoder(graph: Graph, prefix: str, *, masked: bool = True) -> ByteEncoder:
    """The encoder whose weights' names begin with `prefix`.

    Args:
        graph: of the file.
        prefix: such as `encoder.`.
        masked: whether it is a sparse one. A dense one becomes a sparse one with the same weights, whose sites are the
            pixels that round to something.

    Raises:
        AssetError: it is no such encoder in 8-bit integers.
    """
    try:
        return _Reader(graph, prefix, masked=masked).encoder()
    except LookupError as error:
        raise AssetError("an operator of the encoder lacks inputs, outputs or who makes them.", _EXPORT) from error


class _Reader:
    """Walks from value to value."""

    def __init__(self, graph: Graph, prefix: str, *, masked: bool) -> None:
        self._graph, self._prefix, self._is_masked = graph, prefix, masked
        self._mask: Rounding | None = None

    def encoder(self) -> ByteEncoder:
        convolutions = {name: node for node in self._graph.nodes if (name := self._module(node))}
        stem = convolutions.get("stem")
        if stem is None:
            raise AssetError("the model has no sparse encoder in int8.", _EXPORT)
        before, _, name = self._masked(*self._rounded_result(stem)[::2])
        pooled, table = self._pooled(name)
        layers = {name: self._layer(node) for name, node in convolutions.items() if node is not stem}
        own, relu, _ = self._rounded_result(stem)
        first = self._convolution(stem, own)
        layers["stem"] = ByteLayer(*first, own, relu, False, 1.0, 1.0, 0.0, _UNCHANGED, own, "", "")
        image = self._behind(stem.inputs[0])
        site_scale = self._site_scale(stem) if self._is_masked else image.scale
        return ByteEncoder(layers, image, site_scale, table[before], pooled.scale)

    def _module(self, node: Node) -> str:
        """Name of the module that a convolution of the encoder belongs to."""
        if node.operator != "Conv" or len(node.inputs) != 3:
            return ""
        name = self._one(self._graph.makers, node.inputs[1], "DequantizeLinear").inputs[0]
        if not name.startswith((f"{self._prefix}stem.", f"{self._prefix}stages.")):
            return ""
        if not name.endswith(".conv.weight"):
            return ""
        return name.removeprefix(self._prefix).removesuffix(".conv.weight")

    def _one(self, found: Mapping[str, Node], name: str, operator: str) -> Node:
        node = found.get(name)
        if node is None or node.operator != operator:
            raise AssetError(f"the encoder is not a sparse one in int8: no {operator} makes {name}.", _EXPORT)
        return node

    def _reader(self, name: str, *operators: str) -> Node | None:
        """The one node of such an operator that reads a value."""
        nodes = [node for node in self._graph.readers.get(name, []) if node.operator in operators]
        if len(nodes) > 1:
            raise AssetError(f"the encoder is not a sparse one in int8: several layers read {name}.", _EXPORT)
        return nodes[0] if nodes else None

    def _after(self, name: str, operator: str) -> Node:
        node = self._reader(name, operator)
        if node is None or not node.outputs:
            raise AssetError(f"the encoder is not a sparse one in int8: no {operator} follows {name}.", _EXPORT)
        return node

    def _number(self, name: str, kind: type[np.generic]) -> Any:
        values = onnx_wire.numbers(self._graph, name, kind)
        if values.size != 1:
            raise AssetError(f"expected one number in {name}, got {values.shape}.", _EXPORT)
        return values.reshape(())

    def _rounding(self, node: Node) -> Rounding:
        if len(node.inputs) != 3:
            raise AssetError(f"{node.operator} of {node.inputs[:1]} has no zero point.", _EXPORT)
        scale, zero = self._number(node.inputs[1], np.float32), self._number(node.inputs[2], np.uint8)
        if not scale > 0:
            raise AssetError(f"expected a scale above 0 in {node.inputs[1]}, got {scale}.", _EXPORT)
        return Rounding(float(scale), int(zero))

    def _behind(self, name: str) -> Rounding:
        """The rounding whose numbers a value holds."""
        return self._rounding(self._one(self._graph.makers, name, "DequantizeLinear"))

    def _round_trip(self, name: str) -> tuple[Rounding, str]:
        """The rounding that follows a value, and the numbers after it."""
        down = self._after(name, "QuantizeLinear")
        up = self._after(down.outputs[0], "DequantizeLinear")
        rounding = self._rounding(down)
        if self._rounding(up) != rounding:
            raise AssetError(f"{name} is rounded with one scale and read with another.", _EXPORT)
        return rounding, up.outputs[0]

    def _rounded_result(self, node: Node) -> tuple[Rounding, bool, str]:
        """How the result of an operator, or of the ReLU after it, is rounded, whether there is a ReLU, and its name."""
        name = node.outputs[0]
        rectifier = self._reader(name, "Relu")
        if rectifier is not None:
            name = rectifier.outputs[0]
        rounding, name = self._round_trip(name)
        if rectifier is not None and rounding.zero != 0:
            raise AssetError(f"expected the zero point 0 after a ReLU, got {rounding.zero} at {name}.", _EXPORT)
        return rounding, rectifier is not None, name

    def _masked(self, before: Rounding, name: str) -> tuple[U8, Rounding, str]:
        """The product with the mask: its table, how it is rounded, and the name of its numbers after that."""
        if not self._is_masked:
            return _UNCHANGED, before, name
        product = self._after(name, "Mul")
        others = [other for other in product.inputs if other != name]
        if len(others) != 1:
            raise AssetError(f"the encoder is not a sparse one in int8: {name} is not masked.", _EXPORT)
        mask = self._behind(others[0])
        if mask.zero != 0 or (self._mask is not None and mask != self._mask):
            raise AssetError("the masks of the encoder are rounded in different ways.", _EXPORT)
        self._mask = mask
        after, rounded = self._round_trip(product.outputs[0])
        if before.zero != 0 or after.zero != 0:
            raise AssetError(f"expected the zero point 0 around the mask, got another at {name}.", _EXPORT)
        # As ONNX Runtime computes it in one kernel.
        one = mask.bytes_of(np.ones((), np.float32)).astype(np.float32)
        ratio = np.float32(before.scale) * np.float32(mask.scale) / np.float32(after.scale)
        table = np.rint(np.arange(256, dtype=np.float32) * one * ratio)
        return np.clip(table, 0, _LARGEST).astype(np.uint8), after, rounded

    def _pooled(self, before: str) -> tuple[Rounding, U8]:
        """The max-pool of a value after the stem: how it is rounded, and the table of the mask after it."""
        after, name = self._round_trip(self._after(before, "MaxPool").outputs[0])
        if after != self._behind(before):
            raise AssetError("the max-pool rounds to other steps than it reads.", _EXPORT)
        table, after, _ = self._masked(after, name)
        return after, table

    def _convolution(self, node: Node, own: Rounding) -> tuple[Any, Any, F32]:
        """Weights, bias and multipliers."""
        given = self._behind(node.inputs[0])
        if given.zero != 0:
            raise AssetError(f"expected the zero point 0 before a convolution, got {given.zero}.", _EXPORT)
        weights, biases = (self._one(self._graph.makers, name, "DequantizeLinear").inputs for name in node.inputs[1:])
        weight = onnx_wire.numbers(self._graph, weights[0], np.int8)
        bias = onnx_wire.numbers(self._graph, biases[0], np.int32)
        rows = onnx_wire.numbers(self._graph, weights[1], np.float32).reshape(-1)
        steps = onnx_wire.numbers(self._graph, biases[1], np.float32).reshape(-1)
        kinds = ((weights[2], np.int8), (biases[2], np.int32))
        zeros = [onnx_wire.numbers(self._graph, name, kind) for name, kind in kinds]
        if weight.ndim != 4 or not (len(rows) == len(steps) == len(bias) == len(weight)) or bias.ndim != 1:
            raise AssetError(f"{weights[0]} and its scales and bias do not belong together.", _EXPORT)
        if any(zero.any() for zero in zeros) or not (rows > 0).all():
            raise AssetError(f"expected scales above 0 and zero points 0 of {weights[0]}.", _EXPORT)
        sums = np.float32(given.scale) * rows
        # A bias has the step of the sums, to the precision of a float.
        if not np.allclose(steps, sums, rtol=1e-5, atol=0.0):
            raise AssetError(f"the bias of {weights[0]} has other steps than its sums.", _EXPORT)
        return weight, bias, sums / np.float32(own.scale)

    def _layer(self, node: Node) -> ByteLayer:
        own, relu, name = self._rounded_result(node)
        result = own
        numbers = self._convolution(node, own)
        ratios = (1.0, 1.0, 0.0)
        total = self._reader(name, "Add")
        if total is not None and total.inputs[0] == name:
            if relu:
                raise AssetError(f"the encoder is not a sparse one in int8: a ReLU precedes {name}.", _EXPORT)
            kept = self._behind(total.inputs[1])
            result, relu, name = self._rounded_result(total)
            ratios = ratios_of_a_sum(own, kept, result)
        elif total is not None:
            return ByteLayer(*numbers, own, relu, False, *ratios, _UNCHANGED, own, "", "")
        table, result, name = self._masked(result, name)
        before = self._graph.makers[self._graph.makers[name].inputs[0]].inputs[0]
        return ByteLayer(*numbers, own, relu, total is not None, *ratios, table, result, before, name)

    def _site_scale(self, stem: Node) -> float:
        """Of the rounding of the image's largest channel, from which the masks come."""
        up = self._one(self._graph.makers, stem.inputs[0], "DequantizeLinear")
        down = self._one(self._graph.makers, up.inputs[0], "QuantizeLinear")
        rounding, _ = self._round_trip(self._after(down.inputs[0], "ReduceMax").outputs[0])
        if rounding.zero != 0:
            raise AssetError(f"expected the zero point 0 of the sites, got {rounding.zero}.", _EXPORT)
        return rounding.scale


def _number_of(name: str, block: str) -> int:
    """Of the block that a layer belongs to."""
    number = name.removeprefix(block).partition(".")[0]
    return int(number) if number.isdecimal() else -1


def ratios_of_a_sum(own: Rounding, kept: Rounding, result: Rounding) -> tuple[float, float, float]:
    """What the bytes of both summands are multiplied by, and what is added, as ONNX Runtime computes them.

    Its compiler makes one fused operation of the first product and the sum of the zero points. The last bit of what is
    added decides how ties are rounded, and a step in one early residual changes half of the features of a deep network.

    Raises:
        AssetError: the sum's zero point is not 0.
    """
    if result.zero != 0:
        raise AssetError(f"expected the zero point 0 of a sum, got {result.zero}.", _EXPORT)
    a, b = (np.float32(one.scale) / np.float32(result.scale) for one in (own, kept))
    # A product of two floats, and its sum with a third of nearly the same size, are exact in double precision.
    fused = np.float64(a) * own.zero + np.float64(b * np.float32(kept.zero))
    return float(a), float(b), float(-np.float32(fused))
