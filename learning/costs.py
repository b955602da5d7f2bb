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

from hoi_core import config, plugins
from learning import inputs, models
from learning.inputs import Shown
from learning.layers.mesh import SpliteConv, VertexMap
from learning.layers.mesh_hierarchy import MeshHierarchy
from learning.layers.sparse import Deconv2d, MaskedBatchNorm2d
from learning.layers.spiral import SeparableSpiralConv, SpiralConv, Upsampling
from learning.models import mobrecon
from learning.models._hand_mesh import hand_hierarchy, joint_regressor
from learning.models._mobrecon_network import mesh_decoder

_OURS = {"MobReconNetwork": ("depth_hidden", "depth_out", "decoder.head.mean"), "LixelNetwork": ("root",)}
"""What we add to designs: MobRecon has neither depths nor a mean mesh, I2L-MeshNet no distance of the hand."""


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
    """As published: of layers without biases, else without what we add to the design, and with what its released code
    declares but never runs."""
    multiply_adds: int
    """Of one image or hand, as it runs."""
    needed_multiply_adds: int
    """The same without the row and column that our form of transposed convolutions computes and cuts away."""
    other_multiply_adds: int
    """The same in the other convention: upsampling of meshes with the three weights that each vertex has instead of a
    full matrix, and transposed convolutions at the resolution of their output."""
    counter_multiply_adds: int
    """The same with two for each number that a batch norm scales, as flops-counter.pytorch has it."""
    published: str
    """What papers and released code say."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def table() -> list[Cost]:
    """Costs of the layers of SPLite's Table 3, of the decoders, and of every model."""
    return [*layers(), *decoders(hand_hierarchy(9)), *_models()]


def cost(kind: str, name: str, network: nn.Module, shown: Shown, published: str = "") -> Cost:
    """Count a module.

    Args:
        kind: see `Cost`.
        name: see `Cost`.
        network: the module; moved to no device.
        shown: inputs of the shapes to count for.
        published: see `Cost`.
    """
    added = ("head.mean",) if kind == "decoder" else _OURS.get(type(network).__name__, ())
    trained = {key: p.numel() for key, p in network.named_parameters() if p.requires_grad}
    kept = [
        numbers
        for key, numbers in trained.items()
        if not key.startswith(added) and not (kind == "layer" and key.endswith("bias"))
    ]
    idle = sum(p.numel() for p in getattr(network, "never_run", ()))
    made = multiply_adds(network, shown)
    return Cost(
        kind=kind,
        name=name,
        parameters=sum(trained.values()),
        published_parts=sum(kept) + idle,
        multiply_adds=made.run,
        needed_multiply_adds=made.run - made.cut,
        other_multiply_adds=made.other,
        counter_multiply_adds=made.other + 2 * made.normalised,
        published=published,
    )


@dataclass(frozen=True)
class MultiplyAdds:
    """Of one forward pass."""

    run: int
    """As it runs."""
    cut: int
    """Of these, what is computed and cut away."""
    other: int
    """In the other convention."""
    normalised: int
    """Numbers that batch norms scale."""


def multiply_adds(network: nn.Module, shown: Shown) -> MultiplyAdds:
    """Count a forward pass, see `Cost`.

    The network is left without its weights.

    Args:
        network: any module of ours.
        shown: inputs of the shapes to count for.
    """
    cut: list[int] = []
    correction: list[int] = []
    normalised: list[int] = []

    def look(module: nn.Module, given: object, made: torch.Tensor) -> None:
        if isinstance(module, MaskedBatchNorm2d):
            normalised.append(made.numel())
            return
        cut.append(_cut_away(module, made))
        correction.append(_correction(module, made))

    kinds = (Deconv2d, MaskedBatchNorm2d, Upsampling, VertexMap)
    handles = [module.register_forward_hook(look) for module in network.modules() if isinstance(module, kinds)]
    network.eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*(x.to("meta") for x in shown))
    for handle in handles:
        handle.remove()
    run = counter.get_total_flops() // 2
    return MultiplyAdds(run, sum(cut), run + sum(correction), sum(normalised))


def _needed(module: Deconv2d, made: torch.Tensor) -> int:
    """Multiply-adds of a transposed convolution: of 4 x 4 weights for each output pixel, 2 x 2 meet an input pixel."""
    return made.numel() * module.conv.weight.shape[1] * 4


def _cut_away(module: nn.Module, made: torch.Tensor) -> int:
    """What a layer computes for nothing: our transposed convolution goes over one place more each way."""
    if not isinstance(module, Deconv2d):
        return 0
    rows, columns = (side // 2 for side in made.shape[-2:])
    return _needed(module, made) * (rows + columns + 1) // (rows * columns)


def _correction(module: nn.Module, made: torch.Tensor) -> int:
    """What the other convention adds to the multiply-adds of one layer."""
    if isinstance(module, Deconv2d):
        return 3 * _needed(module, made) - _cut_away(module, made)
    if isinstance(module, VertexMap):
        fixed = not module.linear.weight.requires_grad
        return made.numel() * (3 - module.n_in) if fixed else 0
    if isinstance(module, Upsampling):
        return made.numel() * (3 - module.matrix.shape[1])
    return 0


def layers() -> Iterator[Cost]:
    """The unit test of SPLite's Table 3: 64 -> 32 channels on the whole hand, spirals of 10."""
    spirals = np.tile(np.arange(10), (778, 1))  # which vertices they are changes nothing
    rows, columns = (torch.zeros(1, len(spirals), 64),), (torch.zeros(1, 64, len(spirals), 1),)
    yield cost("layer", "SpiralConv++", SpiralConv(64, 32, spirals), rows, "21 K, 31.87 MFLOP (SPLite, Table 3)")
    yield cost("layer", "SPLite, `--partial drop`", SpliteConv(64, 32, spirals, keep=False), columns,
               "5 K, 9.36 MFLOP (SPLite, Table 3)")  # fmt: skip
    yield cost("layer", "SPLite, `--partial keep`", SpliteConv(64, 32, spirals, keep=True), columns,
               "5 K, 9.36 MFLOP (SPLite, Table 3)")  # fmt: skip
    yield cost("layer", "DSConv", SeparableSpiralConv(64, 32, spirals), rows)


def decoders(mesh: MeshHierarchy) -> Iterator[Cost]:
    """The mesh decoders alone, on 21 joints of 256 channels."""
    shown = (torch.zeros(1, 256, 21, 1),)
    for decoder, published in (
        ("spiral", "0.98 M, 159 M multiply-adds (released code)"),
        ("dsconv", "0.12 M, 20 M multiply-adds (released code)"),
        ("splite", ""),
    ):
        yield cost("decoder", decoder, mesh_decoder(mobrecon.Config(decoder=decoder), mesh), shown, published)  # type: ignore[arg-type]


_HFL_LITE: dict[str, object] = {
    "encoder": "resnet18", "width": 0.75, "features": 128, "cells": 16, "separable": True, "activation": "relu"
}  # fmt: skip
_CVAE_LITE: dict[str, object] = {
    "encoder": "resnet18", "width": 0.5, "features": 128, "cells": 16, "separable": True, "attention_width": 32
}  # fmt: skip
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
    ("i2l", {}, "136.63 M, 29.06 G (Lite I2L-MeshNet, Table 2)"),
    ("lite_i2l", {"block": "deconv"}, "66.65 M, 15.66 G (Table 2, Ef-B0 Bb.)"),
    ("lite_i2l", {"block": "separable"}, "51.71 M, 5.43 G (Table 2, block A)"),
    ("lite_i2l", {"block": "mbconv"}, "52.40 M, 5.53 G (Table 2, block B)"),
    ("lite_i2l", {}, "51.49 M, 3.75 G (Table 2, block C)"),
    ("lite_i2l", {"depth_rank": 64}, ""),
    ("hfl", {}, "46.08 M, 23.19 G (released code); streams 34.97 M (its section 4.4)"),
    ("hfl", {"streams": "single"}, "streams 25.08 M"),
    ("hfl", {"streams": "double"}, "streams 50.15 M"),
    ("hfl", _HFL_LITE, ""),
    ("ik_net", {}, ""),
    ("ik_net", {"dof": 45}, ""),
    ("cvae", {}, ""),
    ("cvae", _CVAE_LITE, ""),
)
_SIZES = {"hand_detector": 160, "keypoints2d": 112, "i2l": 256, "lite_i2l": 256, "hfl": 256, "cvae": 256}


def _models() -> Iterator[Cost]:
    for model, options, published in _MODELS:
        flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
        size = _SIZES.get(model, 128)
        network, kind = on_shapes(model, **options), plugins.load("learning.models", model).Config
        shown = inputs.example(model, config.from_dict(kind, options, model), size)
        seen = f", {size} px" if shown[0].dim() == 4 else ", bones"
        yield cost("model", f"{model} {flags}".strip() + seen, network, shown, published)


def on_shapes(name: str, **options: object) -> nn.Module:
    """A network without the numbers of its weights, of which `i2l` has 137 million; as `learning.models.build`."""
    hand_hierarchy(9)  # both are kept for the process, and must not be of shapes alone
    joint_regressor()
    with torch.device("meta"):
        return models.build(name, **options)


def markdown(rows: list[Cost]) -> str:
    """The rows as tables for the documentation."""
    counted = "multiply-adds, M | FLOP, M | needed, M | other convention, M | with batch norms, M"
    head = f"| | parameters | as published | {counted} | published |"
    out = []
    for kind, title in (("layer", "Layers"), ("decoder", "Mesh decoders"), ("model", "Models")):
        out += [f"## {title}", "", head, "|---|---|---|---|---|---|---|---|---|"]
        for row in rows:
            if row.kind == kind:
                mega = row.multiply_adds / 1e6
                out.append(
                    f"| {row.name} | {row.parameters:,} | {row.published_parts:,} | {mega:.2f} | {2 * mega:.2f} | "
                    f"{row.needed_multiply_adds / 1e6:.2f} | {row.other_multiply_adds / 1e6:.2f} | "
                    f"{row.counter_multiply_adds / 1e6:.2f} | {row.published} |"
                )
        out.append("")
    return "\n".join(out)
