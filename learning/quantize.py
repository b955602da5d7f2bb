"""Quantisation-aware training: fake-quantise a folded network, freeze its ranges, convert it to int8.

Activations use 8 bits (0..255) without range reduction, weights 8 bits per output channel. This is exact on CPUs with
VNNI or dot-product instructions. On other x86 pairs of products can overflow 16 bits; `hoi_core.onnx_session` asks ONNX
Runtime for wider, slower instructions there, as whoever runs the file elsewhere should
(`session.x64quantprecision = 1`).
"""

from __future__ import annotations

import copy
import warnings

import torch.ao.quantization as ao
from torch import Tensor, nn
from torch.ao.quantization.fx.custom_config import PrepareCustomConfig
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx
from torch.fx import GraphModule

from learning.layers.sparse import fold_batch_norms


def prepare(model: nn.Module, example: Tensor) -> GraphModule:
    """Fold the batch norms and insert fake quantisation.

    Args:
        model: a float network; its `FLOAT_LAYERS` name what stays in float. Not changed.
        example: `(B, 3, S, S)` an input.

    Returns:
        The network to train on, with the same inputs and outputs.
    """
    folded = fold_batch_norms(copy.deepcopy(model))
    activation = ao.FusedMovingAvgObsFakeQuantize.with_args(
        observer=ao.MovingAverageMinMaxObserver, quant_min=0, quant_max=255, reduce_range=False
    )
    scheme = ao.QConfig(activation=activation, weight=ao.default_fused_per_channel_wt_fake_quant)
    mapping = ao.QConfigMapping().set_global(scheme)
    float_layers = list(getattr(model, "FLOAT_LAYERS", ()))
    for name in float_layers:
        mapping.set_module_name(name, None)
    custom = PrepareCustomConfig().set_non_traceable_module_names(float_layers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao says that it will move to torchao
        return prepare_qat_fx(folded.train(), mapping, (example,), prepare_custom_config=custom)


def freeze_observers(prepared: nn.Module) -> nn.Module:
    """Keep the ranges as they are from now on."""
    return prepared.apply(ao.disable_observer)


def convert(prepared: nn.Module) -> nn.Module:
    """The int8 network that the prepared one simulates; the prepared one is not changed."""
    frozen = freeze_observers(copy.deepcopy(prepared).cpu().eval())
    if not isinstance(frozen, GraphModule):
        raise TypeError(f"only a prepared GraphModule converts, got {type(frozen).__name__}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert_fx(frozen)
