"""Heads and decoder of SPLite in 8-bit integers, out of a file with `QuantizeLinear` around its operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native.byte_graph import EXPORT, Rounding, Walk, Whole8, Whole32, ratios_of_a_sum
from hoi_core.native.onnx_wire import Graph, Node
from hoi_core.native.parts import LIFT, MEAN, Parts, levels_of
from hoi_core.types import F32

if TYPE_CHECKING:
    from hoi_core.native._engine import ByteHand, ByteMap, Layer, Network

_UNCHANGED = np.arange(256, dtype=np.uint8)
_LARGEST_BIAS = 2**30


def byte_hand(graph: Graph, encoder: Network, edges: tuple[float, int, int, int, str]) -> ByteHand:
    """The engine's hand for a file in 8-bit integers.

    Args:
        graph: for which `parts.is_whole`.
        encoder: of the same file, in bytes, at strides 8, 16 and 32.
        edges: how a crop becomes the input.

    Raises:
        AssetError: a part of the file is missing, or not rounded as the exporter does it.
        ValueError: the weights do not fit together.
    """
    from hoi_core.native import _engine

    reader = _Reader(graph)
    try:
        heads, pooled, joints = reader.heads()
        decoder = reader.decoder()
    except LookupError as error:
        raise AssetError("an operator lacks inputs, outputs or who makes them.", EXPORT) from error
    mean = reader.parts.numbers(MEAN)
    numbers = reader.largest_weight, pooled, joints
    return _engine.ByteHand(
        encoder, heads, decoder.up, decoder.lift, decoder.last_again, decoder.spirals, decoder.convs, decoder.mixes,
        mean, numbers, edges,
    )  # fmt: skip


@dataclass
class _Decoder:
    """What the engine takes of a decoder, from coarse to fine."""

    lift: ByteMap
    last_again: ByteMap
    up: list[ByteMap] = field(default_factory=list)
    spirals: list[Any] = field(default_factory=list)
    convs: list[Layer] = field(default_factory=list)
    mixes: list[Layer | None] = field(default_factory=list)


class _Reader(Walk):
    """Reads each layer with the roundings around it, and checks that one reads what the other gives."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.parts = Parts(graph)
        self.largest_weight = 0
        """Of the layers read so far."""

    def heads(self) -> tuple[dict[str, Layer], float, float]:
        """Layers by name, and steps of stride 32 and of stride 16 over those of what is made of them at once."""
        found: dict[str, Layer] = {}
        encoded = self._given("lateral32")
        found["lateral32"], p32 = self._rectified("lateral32")
        found["lateral16"], p16 = self._sum("lateral16", p32)
        found["smooth16"], s16 = self._rectified("smooth16", p16)
        found["reduce16"], r16 = self._alone("reduce16", s16)
        found["lateral8"], p8 = self._sum("lateral8", r16)
        found["smooth8"], s8 = self._rectified("smooth8", p8)
        found["heatmap"] = self._reals("heatmap.weight", s8)
        pooled, joints = self._given("depth_hidden"), self._behind_layer(LIFT)
        found["depth_hidden"], hidden = self._rectified("depth_hidden", pooled)
        found["depth_out"] = self._reals("depth_out.weight", hidden)
        for zero in (encoded.zero, pooled.zero, joints.zero):
            if zero != 0:
                raise AssetError(f"expected features whose zero point is 0, got {zero}.", EXPORT)
        return found, encoded.scale / pooled.scale, s16.scale / joints.scale

    def decoder(self) -> _Decoder:
        """Maps, spirals and layers."""
        lift, x = self._map(LIFT)
        levels = range(levels_of(self.graph))
        found = _Decoder(lift, lift)
        for n in levels:
            up, x = self._map(f"decoder.up.{n}.linear.weight", x)
            conv, mix, common, after = self._spiral(f"decoder.convs.{n}", x)
            found.up.append(up if common is None else {**up, **_again(x, common)})
            self._take(found, f"decoder.convs.{n}", conv, mix)
            x = after
        name = "decoder.head.conv"
        conv, mix, common, _ = self._spiral(name, x, to_reals=True)
        self._take(found, name, conv, mix)
        step = np.full(len(self.parts.numbers(MEAN)), 1.0 if common is None else x.scale / common.scale, np.float32)
        found.last_again = _map_of(None, step, x, x if common is None else common)
        return found

    def _take(self, found: _Decoder, name: str, conv: Layer, mix: Layer | None) -> None:
        vertices = len(found.up[-1]["multiplier"])
        found.spirals.append(self.parts.spirals(f"{name}.conv.weight", vertices))
        found.convs.append(conv)
        found.mixes.append(mix)

    def _spiral(
        self, name: str, given: Rounding, *, to_reals: bool = False
    ) -> tuple[Layer, Layer | None, Rounding | None, Rounding]:
        """A convolution, what mixes it with the other channels, their common rounding, and that of the result."""
        weight, mixing = f"{name}.conv.weight", f"{name}.mix.weight"
        if not self.parts.holds(mixing):
            if to_reals:
                return self._reals(weight, given), None, None, given
            layer, result = self._rectified(weight, given)
            return layer, None, None, result
        layer, own = self._alone(weight, given)
        common = self._behind_layer(mixing)
        if own != common:
            ratio = np.float32(own.scale) / np.float32(common.scale)
            layer |= {"again": True, "own_ratio": float(ratio), "fixed": float(-ratio * own.zero)}
            layer |= {"again_zero": common.zero}
        if to_reals:
            return layer, self._reals(mixing, common), common, common
        mixed, result = self._rectified(mixing, common)
        return layer, mixed, common, result

    def _map(self, weight: str, given: Rounding | None = None) -> tuple[ByteMap, Rounding]:
        """A linear map along vertices."""
        node = self.parts.layer_of(weight)
        given = self._checked(node, given)
        own, relu, _ = self.rounded_result(node)
        numbers, bias, multiplier = self.product(node, own.scale)
        if relu or bias.any() or numbers.ndim != 2:
            raise AssetError(f"{weight} is no linear map along vertices.", EXPORT)
        return _map_of(numbers, multiplier, given, own), own

    def _rectified(self, name: str, given: Rounding | None = None) -> tuple[Layer, Rounding]:
        return self._alone(name, given, relu=True)

    def _alone(self, name: str, given: Rounding | None = None, *, relu: bool = False) -> tuple[Layer, Rounding]:
        """A layer and how its result is rounded."""
        node = self._layer_named(name)
        given = self._checked(node, given)
        own, has_relu, _ = self.rounded_result(node)
        if has_relu != relu:
            raise AssetError(f"a ReLU {'follows' if has_relu else 'does not follow'} {name}.", EXPORT)
        return self._layer(node, given, own.scale) | {"relu": relu, "zero": own.zero}, own

    def _reals(self, weight: str, given: Rounding) -> Layer:
        """A layer whose sums are not rounded."""
        node = self.parts.layer_of(weight)
        return self._layer(node, self._checked(node, given), 1.0)

    def _sum(self, name: str, kept: Rounding) -> tuple[Layer, Rounding]:
        """A layer to which a coarser map is added before a ReLU."""
        node = self._layer_named(name)
        own, relu, rounded = self.rounded_result(node)
        total = self.after(rounded, "Add")
        other = next((other for other in total.inputs if other != rounded), rounded)
        result, positive, _ = self.rounded_result(total)
        if relu or not positive or self.behind(other) != kept:
            raise AssetError(f"{name} is not added to the coarser map.", EXPORT)
        kept_first = total.inputs[0] == other
        if kept_first:
            kept_ratio, own_ratio, fixed = ratios_of_a_sum(kept, own, result)
        else:
            own_ratio, kept_ratio, fixed = ratios_of_a_sum(own, kept, result)
        layer = self._layer(node, self.behind(node.inputs[0]), own.scale)
        layer |= {"relu": True, "zero": own.zero, "residual": 0, "kept_first": kept_first}
        return layer | {"own_ratio": own_ratio, "kept_ratio": kept_ratio, "fixed": fixed}, result

    def _layer(self, node: Node, given: Rounding, step: float) -> Layer:
        """Its product, with the zero point of what it reads taken from the bias."""
        weight, bias, multiplier = self.product(node, step)
        if weight.ndim not in (2, 4):
            raise AssetError(f"expected weights (C_out, C_in) or (C_out, C_in, k, k) of {node.inputs[1]}.", EXPORT)
        if given.zero != 0 and weight.shape[2:] not in ((), (1, 1)):
            raise AssetError(f"expected the zero point 0 before a convolution, got {given.zero}.", EXPORT)
        self.largest_weight = max(self.largest_weight, int(abs(weight.astype(np.int16)).max()))
        start = bias.astype(np.int64) - given.zero * weight.reshape(len(weight), -1).sum(axis=1, dtype=np.int64)
        if abs(start).max() > _LARGEST_BIAS:
            raise AssetError(f"the bias of {node.inputs[1]} is too large.", EXPORT)
        return _layer_of(weight.reshape(*weight.shape[:2], *(weight.shape[2:] or (1, 1))), start, multiplier)

    def _layer_named(self, name: str) -> Node:
        return self.parts.layer_of(name if name.endswith(".weight") else self.parts.weight_of(name))

    def _given(self, name: str) -> Rounding:
        return self.behind(self._layer_named(name).inputs[0])

    def _behind_layer(self, weight: str) -> Rounding:
        return self.behind(self.parts.layer_of(weight).inputs[0])

    def _checked(self, node: Node, given: Rounding | None) -> Rounding:
        """The rounding of what a layer reads, which must be that of what is given."""
        found = self.behind(node.inputs[0])
        if given is not None and found != given:
            raise AssetError(f"{node.inputs[0]} is rounded otherwise than what it is.", EXPORT)
        return found


def _layer_of(weight: Whole8, bias: np.ndarray[Any, Any], multiplier: F32) -> Layer:
    whole: Whole32 = bias.astype(np.int32)
    return {
        "weight": np.ascontiguousarray(weight), "bias": whole, "multiplier": multiplier, "stride": 1, "relu": False,
        "zero": 0, "scale": 1.0, "residual": -1, "table": _UNCHANGED, "own_ratio": 1.0, "kept_ratio": 1.0,
        "fixed": 0.0, "again": False, "again_zero": 0, "kept_first": False,
    }  # fmt: skip


def _map_of(weight: Whole8 | None, multiplier: F32, given: Rounding, own: Rounding) -> ByteMap:
    return {
        "weight": weight, "multiplier": multiplier, "zero_in": given.zero, "zero": own.zero, "ratio": 1.0,
        "fixed": -float(own.zero), "again_zero": own.zero,
    }  # fmt: skip


def _again(own: Rounding, common: Rounding) -> Any:
    """What makes bytes of one rounding such of another."""
    ratio = np.float32(own.scale) / np.float32(common.scale)
    return {"ratio": float(ratio), "fixed": float(-ratio * own.zero), "again_zero": common.zero}
