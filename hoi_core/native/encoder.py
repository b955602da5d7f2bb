"""A residual encoder (ResNet-18 or -50 layout) in the native engine, built from folded weights by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hoi_core.errors import AssetError
from hoi_core.native import chosen_set
from hoi_core.types import F32

if TYPE_CHECKING:
    from hoi_core.native._engine import StepReport


class Encoder:
    """Stem, max-pool and stages over the sites of one image after the other.

    Names of the weights are those of the torch network (`stem.conv`, `stages.0.blocks.0.conv1.conv`, ...,
    `shortcut.conv` where a block has one), each with `.weight` and `.bias`; they tell the layout.
    """

    def __init__(
        self, weights: Mapping[str, F32], size: int, *, stages: Sequence[int] = (0, 1, 2, 3), instruction_set: str = ""
    ) -> None:
        """Pack the weights and reserve all memory.

        Args:
            weights: `(C_out, C_in, k, k)` and `(C_out,)` with the batch norms folded in.
            size: side of the image, px; a multiple of 32.
            stages: those whose features are given out.
            instruction_set: of `hoi_core.native.instruction_sets`; empty for `chosen_set`.

        Raises:
            AssetError: the engine cannot be used here, or the weights are no residual encoder's.
        """
        name = instruction_set or chosen_set()
        from hoi_core.native import _engine

        self._weights = weights
        try:
            self.network = self._network = _engine.Network(size, self._weight("stem").shape[1], name)
            """What `Hand` is built on."""
            self._network.finish([found for n, found in enumerate(self._build()) if n in stages])
        except (ValueError, TypeError) as error:
            raise AssetError(f"the weights are not those of a sparse encoder: {error}.", "Export it again.") from error
        self.instruction_set = name
        """What it computes with."""

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
        return self._network.run(image, timed)

    def report(self) -> list[StepReport]:
        """Sites, multiply-adds and seconds of each step in the last run that was timed."""
        return self._network.reports()

    def _weight(self, layer: str) -> F32:
        name = f"{layer}.conv.weight"
        if name not in self._weights:
            raise AssetError(f"the encoder has no weights named {name}.", "Export the model again.")
        found = self._weights[name]
        if found.ndim != 4:
            raise AssetError(f"expected {name} to be (C_out, C_in, k, k), got {found.shape}.", "Export it again.")
        return found

    def _convolve(self, source: int, layer: str, stride: int, *, relu: bool = True, residual: int = -1) -> int:
        bias = self._weights.get(f"{layer}.conv.bias")
        if bias is None:
            raise AssetError(f"{layer} has no bias: its batch norm is not folded.", "Export the model again.")
        return self._network.convolve(source, self._weight(layer), bias, stride, relu, residual)

    def _build(self) -> list[int]:
        """The values that the stages make."""
        x = self._network.max_pool(self._convolve(0, "stem", 2))
        ends: list[int] = []
        while f"stages.{len(ends)}.blocks.0.conv1.conv.weight" in self._weights:
            block = 0
            while f"stages.{len(ends)}.blocks.{block}.conv1.conv.weight" in self._weights:
                x = self._block(x, f"stages.{len(ends)}.blocks.{block}", 2 if ends and block == 0 else 1)
                block += 1
            ends.append(x)
        return ends

    def _block(self, x: int, name: str, stride: int) -> int:
        """Two 3x3 convolutions, or three of which the middle one strides."""
        last = 3 if f"{name}.conv3.conv.weight" in self._weights else 2
        y = x
        for n in range(1, last):
            y = self._convolve(y, f"{name}.conv{n}", stride if n == last - 1 else 1)
        kept = x
        if f"{name}.shortcut.conv.weight" in self._weights:
            kept = self._convolve(x, f"{name}.shortcut", stride, relu=False)
        return self._convolve(y, f"{name}.conv{last}", 1, relu=True, residual=kept)
