"""What models cost: parameters and multiply-adds, counted on the built modules, beside what is published.

The counts come from the operations that a forward pass really runs (convolutions and matrix products; additions,
activations and gathers count as nothing). The pass runs on shapes alone, without computing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from learning import models
from learning.layers.mesh import SpliteConv, VertexMap
from learning.layers.mesh_hierarchy import MeshHierarchy
from learning.layers.sparse import Deconv2d
from learning.layers.spiral import SeparableSpiralConv, SpiralConv, Upsampling
from learning.models import mobrecon
from learning.models._hand_mesh import hand_hierarchy
from learning.models._mobrecon_network import MobReconNetwork, mesh_decoder

_OURS = ("depth_hidden", "depth_out", "decoder.head.mean")
"""What we add to MobRecon: it has neither depths nor a mean mesh."""


@dataclass(frozen=True)
class Cost:
    """One row of the table."""

    kind: str
    """`model`, `decoder` or `layer`."""
    name: str
    """What is counted."""
    parameters: int
    """Trainable numbers."""
    published_parts: int
    """The same as published: of layers without biases, else without what we add to the design."""
    multiply_adds: int
    """Of one image or hand, as it runs."""
    other_multiply_adds: int
    """The same in the other convention: upsampling of meshes with the three weights that each vertex has instead of a
    full matrix, and transposed convolutions at the resolution of their output."""
    published: str
    """What papers and released code say."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def table() -> list[Cost]:
    """Costs of the layers of SPLite's Table 3, of the decoders, and of every model."""
    return [*layers(), *decoders(hand_hierarchy(9)), *_models()]


def cost(kind: str, name: str, network: nn.Module, shape: tuple[int, ...], published: str = "") -> Cost:
    """Count a module.

    Args:
        kind: see `Cost`.
        name: see `Cost`.
        network: the module; moved to no device.
        shape: of its input.
        published: see `Cost`.
    """
    parameters = {key: p for key, p in network.named_parameters() if p.requires_grad}
    added = _OURS if isinstance(network, MobReconNetwork) else ("head.mean",) if kind == "decoder" else ("-",)
    kept = [
        p
        for key, p in parameters.items()
        if not key.startswith(added) and not (kind == "layer" and key.endswith("bias"))
    ]
    run, correction = multiply_adds(network, shape)
    return Cost(
        kind,
        name,
        sum(p.numel() for p in parameters.values()),
        sum(p.numel() for p in kept),
        run,
        run + correction,
        published,
    )


def multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Multiply-adds of a forward pass, and what the other convention (see `Cost`) adds to them.

    The network is left without its weights.

    Args:
        network: any module of ours.
        shape: of its input.
    """
    correction: list[int] = []
    handles = [
        module.register_forward_hook(lambda module, given, made: correction.append(_correction(module, made)))
        for module in network.modules()
        if isinstance(module, (Deconv2d, Upsampling, VertexMap))
    ]
    network.eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(shape, device="meta"))
    for handle in handles:
        handle.remove()
    return counter.get_total_flops() // 2, sum(correction)


def _correction(module: nn.Module, made: torch.Tensor) -> int:
    """What the other convention adds to the multiply-adds of one layer."""
    if isinstance(module, Deconv2d):
        # 4 x 4 weights for each output pixel, of which only 2 x 2 meet an input pixel; ours computes one more each way.
        channels = module.conv.in_channels
        rows, columns = made.shape[-2:]
        true = made.numel() * channels * 4
        run = true * (rows // 2 + 1) * (columns // 2 + 1) // ((rows // 2) * (columns // 2))
        return 4 * true - run
    if isinstance(module, VertexMap):
        fixed = not module.linear.weight.requires_grad
        return made.numel() * (3 - module.n_in) if fixed else 0
    if isinstance(module, Upsampling):
        return made.numel() * (3 - module.matrix.shape[1])
    return 0


def layers() -> Iterator[Cost]:
    """The unit test of SPLite's Table 3: 64 -> 32 channels on the whole hand, spirals of 10."""
    spirals = np.tile(np.arange(10), (778, 1))  # which vertices they are changes nothing
    rows, columns = (1, len(spirals), 64), (1, 64, len(spirals), 1)
    yield cost("layer", "SpiralConv++", SpiralConv(64, 32, spirals), rows, "21 K, 31.87 MFLOP (SPLite, Table 3)")
    yield cost("layer", "SPLite, `--partial drop`", SpliteConv(64, 32, spirals, keep=False), columns,
               "5 K, 9.36 MFLOP (SPLite, Table 3)")  # fmt: skip
    yield cost("layer", "SPLite, `--partial keep`", SpliteConv(64, 32, spirals, keep=True), columns,
               "5 K, 9.36 MFLOP (SPLite, Table 3)")  # fmt: skip
    yield cost("layer", "DSConv", SeparableSpiralConv(64, 32, spirals), rows)


def decoders(mesh: MeshHierarchy) -> Iterator[Cost]:
    """The mesh decoders alone, on 21 joints of 256 channels."""
    shape = (1, 256, 21, 1)
    for decoder, published in (
        ("spiral", "0.98 M, 159 M multiply-adds (released code)"),
        ("dsconv", "0.12 M, 20 M multiply-adds (released code)"),
        ("splite", ""),
    ):
        yield cost("decoder", decoder, mesh_decoder(mobrecon.Config(decoder=decoder), mesh), shape, published)  # type: ignore[arg-type]


_MODELS: tuple[tuple[str, dict[str, object], str], ...] = (
    ("splite", {}, "8.79 M (SPLite, Table 2); 71 MB of floats, so 18 M (Table 4)"),
    ("splite", {"encoder": "dense"}, ""),
    ("splite", {"partial": "drop"}, ""),
    ("splite", {"backbone": "resnet50"}, ""),
    ("mobrecon", {}, "11.25 M (released code, as declared)"),
    ("mobrecon", {"decoder": "spiral"}, "12.11 M (released code, as declared)"),
    ("mobrecon", {"first_stack": "short"}, "8.16 M (SPLite, Table 2); 440 M multiply-adds (released code, as run)"),
    ("mobrecon", {"first_stack": "short", "decoder": "spiral"}, "580 M multiply-adds (released code, as run)"),
    ("mobrecon", {"backbone": "resnet18"}, ""),
    ("mobrecon", {"backbone": "resnet18", "decoder": "spiral"}, ""),
    ("keypoints2d", {}, "7.98 M; 16.3 M FLOP, which is twice the parameters (its paper)"),
    ("keypoints2d", {"variant": "resnet50"}, "14.5 M (its paper)"),
    ("keypoints2d", {"variant": "slim"}, ""),
    ("hand_detector", {}, ""),
)


def _models() -> Iterator[Cost]:
    for model, options, published in _MODELS:
        flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
        size = 160 if model == "hand_detector" else 112 if model == "keypoints2d" else 128
        network = models.build(model, **options)
        yield cost("model", f"{model} {flags}".strip() + f", {size} px", network, (1, 3, size, size), published)


def markdown(rows: list[Cost]) -> str:
    """The rows as tables for the documentation."""
    head = "| | parameters | as published | multiply-adds, M | FLOP, M | other convention, M | published |"
    out = []
    for kind, title in (("layer", "Layers"), ("decoder", "Mesh decoders"), ("model", "Models")):
        out += [f"## {title}", "", head, "|---|---|---|---|---|---|---|"]
        for row in rows:
            if row.kind == kind:
                mega = row.multiply_adds / 1e6
                out.append(
                    f"| {row.name} | {row.parameters:,} | {row.published_parts:,} | {mega:.2f} | {2 * mega:.2f} | "
                    f"{row.other_multiply_adds / 1e6:.2f} | {row.published} |"
                )
        out.append("")
    return "\n".join(out)
