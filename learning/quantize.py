"""Quantisation: a folded network with simulated int8 arithmetic, its ranges learned in training or by calibration.

Activations use 8 bits (0..255) without range reduction, weights 8 bits per output channel. This is exact on CPUs with
VNNI or dot-product instructions. On other x86 pairs of products can overflow 16 bits; `hoi_core.onnx_session` asks ONNX
Runtime for wider, slower instructions there, as whoever runs the file elsewhere should
(`session.x64quantprecision = 1`). Weights of 7 bits cannot overflow anywhere and need no such care.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.ao.quantization as ao
from torch import nn
from torch.ao.quantization.fx.custom_config import PrepareCustomConfig
from torch.ao.quantization.quantize_fx import prepare_qat_fx
from torch.fx import GraphModule

from learning._rounding import keep_needed
from learning.inputs import Shown
from learning.layers.sparse import fold_batch_norms
from learning.scheme import Scheme

_DEFAULT = Scheme()


def prepare(model: nn.Module, example: Shown, scheme: Scheme = _DEFAULT) -> GraphModule:
    """Fold the batch norms and insert fake quantisation.

    What only moves numbers (gathering, slicing, max-pooling) is not rounded again, and the sums of a linear layer that
    only arithmetic in float reads, or that are an output of the network, are not rounded to 8 bits at all.

    Args:
        model: a float network; its `FLOAT_LAYERS` name what stays in float, its `FLOAT_INPUTS` the inputs that do, such
            as boxes, its `HEADS` what may. One that takes or gives more while it trains has a switch for that,
            `more_in_training`. Not changed.
        example: inputs, of the shapes that it will see.
        scheme: bits of the weights, and what is done with the heads.

    Returns:
        The network to train on, with the same inputs and outputs.

    Raises:
        TypeError: it has a layer that no runtime computes in int8.
    """
    learned = ao.FusedMovingAvgObsFakeQuantize.with_args(
        observer=ao.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, reduce_range=False
    )
    return _prepared(model, example, learned, scheme)


def calibrate(model: nn.Module, batches: Iterable[Shown], scheme: Scheme = _DEFAULT) -> GraphModule:
    """Quantise a trained network without training: ranges from what it computes on some samples.

    Each activation's range is the one that rounds its histogram with the least squared error.

    Args:
        model: a float network, as for `prepare`.
        batches: inputs, like those it will see.
        scheme: as for `prepare`.

    Returns:
        What `prepare` returns, its ranges set and frozen.

    Raises:
        TypeError: as `prepare`.
        ValueError: no batch.
    """
    seen = list(batches)
    if not seen:
        raise ValueError("calibration needs at least one batch, got none")
    histogram = ao.HistogramObserver.with_args(quant_min=0, quant_max=255, reduce_range=False)
    watching = _prepared(model, seen[0], histogram, scheme).eval()
    network = prepare(model, seen[0], scheme).eval()
    watched = dict(watching.named_modules())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao warns of ranges that are a single number
        for shown in seen:
            watching(*shown)
        for name, module in network.named_modules():
            observer = watched.get(name)
            if isinstance(observer, ao.HistogramObserver) and isinstance(module, ao.FakeQuantize):
                scale, zero = observer.calculate_qparams()
                module.activation_post_process.min_val.copy_((0 - zero[0]) * scale[0])
                module.activation_post_process.max_val.copy_((255 - zero[0]) * scale[0])
                module.disable_observer()
        network(*seen[0])  # what is rounded how follows from the ranges, those of the weights included
    freeze_observers(network)
    return network


def _prepared(model: nn.Module, example: Shown, rounding: Callable[[], nn.Module], scheme: Scheme) -> GraphModule:
    """A folded copy of the network with `rounding` wherever an activation is rounded."""
    kept = [*getattr(model, "FLOAT_LAYERS", ()), *(getattr(model, "HEADS", ()) if scheme.heads == "float" else ())]
    folded: Any = fold_batch_norms(copy.deepcopy(model))
    if hasattr(folded, "more_in_training"):
        folded.more_in_training = False  # what is traced in training mode is what will be exported
    _take_integer_forms(folded, example, kept)
    for name, module in folded.named_modules():
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            raise TypeError(
                f"{name} is a transposed convolution, which has no int8 form with a scale per channel: write it as a "
                "convolution and nn.PixelShuffle"
            )
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise TypeError(f"{name} is a batch norm that fold_batch_norms does not fold")
    mapping = ao.QConfigMapping().set_global(ao.QConfig(activation=rounding, weight=_weights(scheme.weight_bits)))
    for name in kept:
        mapping.set_module_name(name, None)
    custom = PrepareCustomConfig().set_non_traceable_module_names(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao says that it will move to torchao
        network = prepare_qat_fx(folded.train(), mapping, example, prepare_custom_config=custom)
    keep_needed(network, rounding, kept, getattr(model, "FLOAT_INPUTS", ()))
    network.meta["float_layers"] = kept
    return network


@torch.no_grad()
def _take_integer_forms(network: nn.Module, example: Shown, kept: Sequence[str]) -> None:
    """Put the integer form (see `learning.layers.rows`) of each layer that has one in its place, but in what is kept.

    Args:
        network: changed in place.
        example: inputs, which tell the shape of what each layer gives.
        kept: names of modules that stay in float.
    """
    within = tuple(f"{name}." for name in kept)
    layers: dict[str, Any] = {
        name: module
        for name, module in network.named_modules()
        if hasattr(module, "integer_form") and not f"{name}.".startswith(within)
    }
    shapes: dict[str, tuple[int, ...]] = {}
    hooks = [
        module.register_forward_hook(lambda _, given, made, name=name: shapes.update({name: tuple(made.shape)}))
        for name, module in layers.items()
    ]
    if layers:
        network.eval()(*example)
    for hook in hooks:
        hook.remove()
    for name, module in layers.items():
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, module.integer_form(shapes[name]))


def float_layers(prepared: nn.Module) -> list[str]:
    """Names of the modules of a prepared network that stay in float."""
    return list(getattr(prepared, "meta", {}).get("float_layers", ()))


def _weights(bits: int) -> Callable[[], nn.Module]:
    """Rounding of weights: symmetric, a scale per output channel, from the weights as they are in each step.

    Not the fused kernel of `torch.ao`: channels whose weights have one sign get a zero point there, which integer
    kernels do not have.
    """
    largest = 2 ** (bits - 1)
    observer = ao.MovingAveragePerChannelMinMaxObserver
    return ao.FakeQuantize.with_args(
        observer=observer,
        quant_min=-largest,
        quant_max=largest - 1,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        averaging_constant=1.0,
    )


def freeze_observers(prepared: nn.Module) -> nn.Module:
    """Keep the ranges as they are from now on."""
    return prepared.apply(ao.disable_observer)
