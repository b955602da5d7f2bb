"""A dense encoder in int8: for ONNX Runtime as it is, and for the native engine on the sites of each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from hoi_core.native import byte_layers, onnx_wire
from hoi_core.native.encoder import Encoder
from hoi_core.onnx_session import onnx_session
from hoi_core.runtime import NARROW_BITS
from learning import quantize
from learning.export import write_onnx
from learning.models._sparse_resnet import SparseResNet
from learning.onnx_file import makers
from learning.qdq import integer_network
from learning.scheme import Scheme


class _WithHeads(nn.Module):
    """Layers that read the features: what no integer layer reads is not rounded."""

    def __init__(self, encoder: SparseResNet, stages: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.stages = encoder, tuple(stages)
        self.heads = nn.ModuleList(nn.Conv2d(encoder.channels[i], 1, 1) for i in stages)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """`(B, 3, S, S)` -> `(B, 1, S / stride_i, S / stride_i)` each."""
        found = self.encoder(image)
        return tuple(head(found[i]) for head, i in zip(self.heads, self.stages, strict=True))


def byte_engines(
    dense: SparseResNet, image: Tensor, scheme: Scheme, folder: Path, stages: Sequence[int], threads: int = 1
) -> tuple[Any, Encoder]:
    """Quantise an encoder and open it in both engines; both give the features of some stages in floats.

    Args:
        dense: with every pixel a site and folded batch norms; not changed.
        image: `(B, 3, S, S)` that the ranges of the activations come from.
        scheme: bits of the weights.
        folder: for the file.
        stages: whose features are given.
        threads: of both.

    Returns:
        A session of ONNX Runtime, and the native engine.

    Raises:
        AssetError: the native engine cannot be used here.
    """
    path = folder / "int8.onnx"
    write_int8(dense, image, scheme, path, stages)
    give_features(path)
    session = onnx_session(path, threads, overflows=scheme.weight_bits != NARROW_BITS)
    graph = onnx_wire.read(path.read_bytes(), str(path))
    encoder = byte_layers.read_encoder(graph, "encoder.", masked=False)
    return session, Encoder(encoder, image.shape[-1], stages=stages, threads=threads)


def write_int8(encoder: SparseResNet, image: Tensor, scheme: Scheme, path: Path, stages: Sequence[int]) -> None:
    """Write an encoder in int8 with a head of one channel on each of some stages, as `hoi-export` writes a model.

    Args:
        encoder: not changed.
        image: `(B, 3, S, S)` that the ranges of the activations come from.
        scheme: bits of the weights.
        path: of the file.
        stages: that have heads.
    """
    prepared = quantize.prepare(_WithHeads(encoder, stages).eval(), (image,), scheme).eval()
    with torch.no_grad():
        prepared(image)
    quantize.freeze_observers(prepared)
    write_onnx(integer_network(prepared), path, (image[:1],), tuple(f"head{i}" for i in stages))


def give_features(path: Path) -> None:
    """Let a file of `write_int8` give what its heads read instead of what they give."""
    model = onnx.load(path)
    made = makers(model.graph)
    features = []
    for output in model.graph.output:
        node = made[output.name]
        while node.op_type != "Conv":
            node = made[node.input[0]]
        features.append(onnx.ValueInfoProto(name=node.input[0]))
    del model.graph.output[:]
    model.graph.output.extend(features)
    onnx.save(model, path)
