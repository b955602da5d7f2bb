"""The layers of a sparse encoder in 8-bit integers, out of a file with `QuantizeLinear` around its operators.

Runtimes fuse a convolution with the roundings around it: bytes in, sums of 32 bits, bytes out. Here each convolution is
followed to where its result is read, and what is on the way becomes the numbers of one fused layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native.byte_graph import EXPORT, LARGEST, Rounding, Walk, Whole8, Whole32, ratios_of_a_sum
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.types import F32, U8

_UNCHANGED = np.arange(256, dtype=np.uint8)

T = TypeVar("T")


@dataclass(frozen=True)
class ByteLayer:
    """A convolution from bytes to bytes, the sum with a residual included."""

    weight: Whole8
    """`(C_out, C_in, k, k)`."""
    bias: Whole32
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
        raise AssetError("an operator of the encoder lacks inputs, outputs or who makes them.", EXPORT) from error


class _Reader(Walk):
    """Walks from value to value."""

    def __init__(self, graph: Graph, prefix: str, *, masked: bool) -> None:
        super().__init__(graph)
        self._prefix, self._is_masked = prefix, masked
        self._mask: Rounding | None = None

    def encoder(self) -> ByteEncoder:
        convolutions = {name: node for node in self.graph.nodes if (name := self._module(node))}
        stem = convolutions.get("stem")
        if stem is None:
            raise AssetError("the model has no sparse encoder in int8.", EXPORT)
        before, _, name = self._masked(*self.rounded_result(stem)[::2])
        pooled, table = self._pooled(name)
        layers = {name: self._layer(node) for name, node in convolutions.items() if node is not stem}
        own, relu, _ = self.rounded_result(stem)
        first = self._convolution(stem, own)
        layers["stem"] = ByteLayer(*first, own, relu, False, 1.0, 1.0, 0.0, _UNCHANGED, own, "", "")
        image = self.behind(stem.inputs[0])
        site_scale = self._site_scale(stem) if self._is_masked else image.scale
        return ByteEncoder(layers, image, site_scale, table[before], pooled.scale)

    def _module(self, node: Node) -> str:
        """Name of the module that a convolution of the encoder belongs to."""
        if node.operator != "Conv" or len(node.inputs) != 3:
            return ""
        name = self.one(self.graph.makers, node.inputs[1], "DequantizeLinear").inputs[0]
        if not name.startswith((f"{self._prefix}stem.", f"{self._prefix}stages.")):
            return ""
        if not name.endswith(".conv.weight"):
            return ""
        return name.removeprefix(self._prefix).removesuffix(".conv.weight")

    def _masked(self, before: Rounding, name: str) -> tuple[U8, Rounding, str]:
        """The product with the mask: its table, how it is rounded, and the name of its numbers after that."""
        if not self._is_masked:
            return _UNCHANGED, before, name
        product = self.after(name, "Mul")
        others = [other for other in product.inputs if other != name]
        if len(others) != 1:
            raise AssetError(f"the encoder is not a sparse one in int8: {name} is not masked.", EXPORT)
        mask = self.behind(others[0])
        if mask.zero != 0 or (self._mask is not None and mask != self._mask):
            raise AssetError("the masks of the encoder are rounded in different ways.", EXPORT)
        self._mask = mask
        after, rounded = self.round_trip(product.outputs[0])
        if before.zero != 0 or after.zero != 0:
            raise AssetError(f"expected the zero point 0 around the mask, got another at {name}.", EXPORT)
        # As ONNX Runtime computes it in one kernel.
        one = mask.bytes_of(np.ones((), np.float32)).astype(np.float32)
        ratio = np.float32(before.scale) * np.float32(mask.scale) / np.float32(after.scale)
        table = np.rint(np.arange(256, dtype=np.float32) * one * ratio)
        return np.clip(table, 0, LARGEST).astype(np.uint8), after, rounded

    def _pooled(self, before: str) -> tuple[Rounding, U8]:
        """The max-pool of a value after the stem: how it is rounded, and the table of the mask after it."""
        after, name = self.round_trip(self.after(before, "MaxPool").outputs[0])
        if after != self.behind(before):
            raise AssetError("the max-pool rounds to other steps than it reads.", EXPORT)
        table, after, _ = self._masked(after, name)
        return after, table

    def _convolution(self, node: Node, own: Rounding) -> tuple[Whole8, Whole32, F32]:
        """Weights, bias and multipliers."""
        given = self.behind(node.inputs[0])
        if given.zero != 0:
            raise AssetError(f"expected the zero point 0 before a convolution, got {given.zero}.", EXPORT)
        weight, bias, multiplier = self.product(node, own.scale)
        if weight.ndim != 4:
            raise AssetError(f"{node.inputs[1]} {weight.shape} and a convolution do not belong together.", EXPORT)
        return weight, bias, multiplier

    def _layer(self, node: Node) -> ByteLayer:
        own, relu, name = self.rounded_result(node)
        result = own
        numbers = self._convolution(node, own)
        ratios = (1.0, 1.0, 0.0)
        total = self.reader(name, "Add")
        if total is not None and total.inputs[0] == name:
            if relu:
                raise AssetError(f"the encoder is not a sparse one in int8: a ReLU precedes {name}.", EXPORT)
            kept = self.behind(total.inputs[1])
            result, relu, name = self.rounded_result(total)
            ratios = ratios_of_a_sum(own, kept, result)
        elif total is not None:
            return ByteLayer(*numbers, own, relu, False, *ratios, _UNCHANGED, own, "", "")
        table, result, name = self._masked(result, name)
        before = self.graph.makers[self.graph.makers[name].inputs[0]].inputs[0]
        return ByteLayer(*numbers, own, relu, total is not None, *ratios, table, result, before, name)

    def _site_scale(self, stem: Node) -> float:
        """Of the rounding of the image's largest channel, from which the masks come."""
        up = self.one(self.graph.makers, stem.inputs[0], "DequantizeLinear")
        down = self.one(self.graph.makers, up.inputs[0], "QuantizeLinear")
        rounding, _ = self.round_trip(self.after(down.inputs[0], "ReduceMax").outputs[0])
        if rounding.zero != 0:
            raise AssetError(f"expected the zero point 0 of the sites, got {rounding.zero}.", EXPORT)
        return rounding.scale


def _number_of(name: str, block: str) -> int:
    """Of the block that a layer belongs to."""
    number = name.removeprefix(block).partition(".")[0]
    return int(number) if number.isdecimal() else -1
