"""All of SPLite in one call: what the native engine takes of an exported file beside the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hoi_core.edges import EdgeParams
from hoi_core.errors import AssetError
from hoi_core.native import byte_layers
from hoi_core.native.byte_hand import byte_hand
from hoi_core.native.onnx_wire import Graph
from hoi_core.native.parts import LIFT, MEAN, Parts, head_weights, levels_of
from hoi_core.types import F32, U8

if TYPE_CHECKING:
    from hoi_core.native import _engine
    from hoi_core.native.encoder import Encoder

STAGES = (1, 2, 3)
"""Those of the encoder that are read: at strides 8, 16 and 32."""

_Edges = tuple[float, int, int, int, str]


class Hand:
    """Edges, encoder, heads and decoder, one image after the other; of a file in 8-bit integers all of it in bytes."""

    def __init__(self, graph: Graph, encoder: Encoder, edges: EdgeParams) -> None:
        """Take the weights.

        Args:
            graph: for which `parts.is_whole`.
            encoder: of the same file, with the stages `STAGES`.
            edges: how a crop becomes the input.

        Raises:
            AssetError: the weights are damaged or not those of such a network.
        """
        shown = (
            edges.blur_px, edges.threshold_sobel, edges.threshold_canny_low, edges.threshold_canny_high, edges.fusion
        )  # fmt: skip
        make = byte_hand if byte_layers.is_in_bytes(graph) else _float_hand
        try:
            self._network: _engine.Hand | _engine.ByteHand = make(graph, encoder.network, shown)
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


def _float_hand(graph: Graph, encoder: _engine.Network, edges: _Edges) -> _engine.Hand:
    """The engine's hand for a file in floats."""
    from hoi_core.native import _engine

    parts = Parts(graph)
    up = [parts.numbers(f"decoder.up.{n}.linear.weight") for n in range(levels_of(graph))]
    convs = [*(f"decoder.convs.{n}" for n in range(len(up))), "decoder.head.conv"]
    mean = parts.numbers(MEAN)
    vertices = [*map(len, up), len(mean)]
    return _engine.Hand(
        encoder,
        {name: parts.layer(weight) for name, weight in head_weights().items()},
        parts.numbers(LIFT),
        up,
        [parts.spirals(f"{name}.conv.weight", count) for name, count in zip(convs, vertices, strict=True)],
        [parts.layer(f"{name}.conv.weight") for name in convs],
        [parts.layer(w) if parts.holds(w := f"{name}.mix.weight") else None for name in convs],
        mean,
        edges,
    )
