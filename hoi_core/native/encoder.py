"""A residual encoder (ResNet-18 or -50 layout) in the native engine, built from folded weights by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.native import chosen_set
from hoi_core.native.byte_layers import ByteEncoder
from hoi_core.types import F32

if TYPE_CHECKING:
    from hoi_core.native._engine import Network, StepReport


class Encoder:
    """Stem, max-pool and stages over the sites of one image after the other.

    Names of the layers are those of the torch network (`stem`, `stages.0.blocks.0.conv1`, ..., `shortcut` where a block
    has one); they tell the layout.
    """

    def __init__(
        self,
        weights: Mapping[str, F32] | ByteEncoder,
        size: int,
        *,
        stages: Sequence[int] = (0, 1, 2, 3),
        instruction_set: str = "",
        threads: int = 1,
    ) -> None:
        """Pack the weights and reserve all memory.

        Args:
            weights: `<layer>.conv.weight (C_out, C_in, k, k)` and `<layer>.conv.bias (C_out,)` with the batch norms
                folded in; or the layers in 8-bit integers.
            size: side of the image, px; a multiple of 32.
            stages: those whose features are given out.
            instruction_set: of `hoi_core.native.instruction_sets`; empty for `chosen_set`.
            threads: that share each layer; results do not depend on their number.

        Raises:
            AssetError: the engine cannot be used here, or the weights are no residual encoder's.
        """
        name = instruction_set or chosen_set()
        from hoi_core.native import _engine

        self._layers: _Layers = _Bytes(weights) if isinstance(weights, ByteEncoder) else _Floats(weights)
        try:
            self.network = _engine.Network(size, self._layers.image_channels(), name, threads)
            """What `Hand` is built on."""
            self._layers.begin(self.network)
            self.network.finish([found for n, found in enumerate(self._build()) if n in stages])
        except (ValueError, TypeError) as error:
            raise AssetError(f"the weights are not those of a sparse encoder: {error}.", "Export it again.") from error
        self.instruction_set, self.threads = name, threads
        """What it computes with."""
        self.size, self.channels = size, self._layers.image_channels()
        """Side of the image, px, and its channels."""
        self._whole = self.network.multiply_adds(np.ones((self.channels, size, size), np.float32))

    def run(self, image: F32, *, timed: bool = False) -> list[F32]:
        """Features of the stages, zero off their sites.

        Args:
            image: `(C, size, size)`, contiguous; sites are the pixels where any channel is not zero.
            timed: keep how long each step takes, for `report`.

        Returns:
            `(C_i, size / stride_i, size / stride_i)` each, at strides 4, 8, 16 and 32.

        Raises:
            ValueError: another shape.
        """
        return self.network.run(image, timed)

    def share(self, image: F32) -> float:
        """Multiply-adds that an image `(C, size, size)` needs over those of one whose pixels are all sites."""
        return self.network.multiply_adds(image) / self._whole

    def hand_over(self, elsewhere: Callable[[F32], Sequence[F32]] | None, share: float) -> None:
        """Let images of which more than a share is to be computed be computed elsewhere, but for timed runs.

        Args:
            elsewhere: gives what `run` gives; None to compute all here.
            share: as `share` tells.
        """
        self.network.hand_over(elsewhere, share * self._whole)

    def report(self) -> list[StepReport]:
        """Sites, multiply-adds and seconds of each step in the last run that was timed."""
        return self.network.reports()

    def _build(self) -> list[int]:
        """The values that the stages make."""
        x = self._layers.max_pool(self.network, self._convolve(0, "stem", 2))
        ends: list[int] = []
        while f"stages.{len(ends)}.blocks.0.conv1" in self._layers:
            block = 0
            while f"stages.{len(ends)}.blocks.{block}.conv1" in self._layers:
                x = self._block(x, f"stages.{len(ends)}.blocks.{block}", 2 if ends and block == 0 else 1)
                block += 1
            ends.append(x)
        return ends

    def _block(self, x: int, name: str, stride: int) -> int:
        """Two 3x3 convolutions, or three of which the middle one strides."""
        last = 3 if f"{name}.conv3" in self._layers else 2
        y = x
        for n in range(1, last):
            y = self._convolve(y, f"{name}.conv{n}", stride if n == last - 1 else 1)
        kept = x
        if f"{name}.shortcut" in self._layers:
            kept = self._convolve(x, f"{name}.shortcut", stride, relu=False)
        return self._convolve(y, f"{name}.conv{last}", 1, relu=True, residual=kept)

    def _convolve(self, source: int, layer: str, stride: int, *, relu: bool = True, residual: int = -1) -> int:
        return self._layers.convolve(self.network, source, layer, stride, (relu, residual))


class _Layers(Protocol):
    """Layers by name, in floats or in bytes."""

    def __contains__(self, layer: object) -> bool:
        """Whether there is a layer."""

    def image_channels(self) -> int:
        """Those that the stem reads."""

    def begin(self, network: Network) -> None:
        """Before the first layer."""

    def convolve(self, network: Network, source: int, layer: str, stride: int, after: tuple[bool, int]) -> int:
        """Add a layer; `after` is whether a ReLU follows, and the value that is added before it or -1."""

    def max_pool(self, network: Network, source: int) -> int:
        """Add the pooling after the stem."""


class _Floats:
    def __init__(self, weights: Mapping[str, F32]) -> None:
        self._weights = weights

    def __contains__(self, layer: object) -> bool:
        return f"{layer}.conv.weight" in self._weights

    def image_channels(self) -> int:
        return int(self._weight("stem").shape[1])

    def begin(self, network: Network) -> None:
        """Nothing is needed."""

    def convolve(self, network: Network, source: int, layer: str, stride: int, after: tuple[bool, int]) -> int:
        bias = self._weights.get(f"{layer}.conv.bias")
        if bias is None:
            raise AssetError(f"{layer} has no bias: its batch norm is not folded.", "Export the model again.")
        relu, residual = after
        return network.convolve(source, self._weight(layer), bias, stride, relu, residual)

    def max_pool(self, network: Network, source: int) -> int:
        return network.max_pool(source)

    def _weight(self, layer: str) -> F32:
        name = f"{layer}.conv.weight"
        if name not in self._weights:
            raise AssetError(f"the encoder has no weights named {name}.", "Export the model again.")
        found = self._weights[name]
        if found.ndim != 4:
            raise AssetError(f"expected {name} to be (C_out, C_in, k, k), got {found.shape}.", "Export it again.")
        return found


class _Bytes:
    def __init__(self, encoder: ByteEncoder) -> None:
        self._encoder = encoder

    def __contains__(self, layer: object) -> bool:
        return layer in self._encoder.layers

    def image_channels(self) -> int:
        return int(self._encoder.layers["stem"].weight.shape[1])

    def begin(self, network: Network) -> None:
        encoder = self._encoder
        network.take_bytes(encoder.image.scale, encoder.site_scale, encoder.largest_weight)

    def convolve(self, network: Network, source: int, layer: str, stride: int, after: tuple[bool, int]) -> int:
        if layer not in self._encoder.layers:
            raise AssetError(f"the encoder has no layer {layer}.", "Export the model again.")
        found = self._encoder.layers[layer]
        relu, residual = after
        if found.relu != relu or found.adds != (residual >= 0):
            raise AssetError(f"{layer} is not followed by what follows it in a residual encoder.", "Export it again.")
        own, result = found.own, found.result
        return network.convolve_bytes(
            source,
            {
                "weight": found.weight, "bias": found.bias, "multiplier": found.multiplier, "stride": stride,
                "relu": relu, "zero": own.zero, "scale": result.scale, "residual": residual, "table": found.table,
                "own_ratio": found.own_ratio, "kept_ratio": found.kept_ratio, "fixed": found.fixed,
            },
        )  # fmt: skip

    def max_pool(self, network: Network, source: int) -> int:
        return network.max_pool_bytes(source, self._encoder.pooled, self._encoder.pooled_scale)
