"""From a network with simulated int8 arithmetic to one that ONNX stores as integers.

The prepared network rounds activations with modules of `torch.ao`, and weights inside its layers. Here each rounding
becomes `QuantizeLinear` + `DequantizeLinear`, each weight int8 numbers and a scale per output channel, each bias int32
numbers in the product of the input's scale and the weights': the form that runtimes fuse into integer kernels. Run as
written, without any fusion, the file computes what the prepared network does, up to the rounding of biases.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn import qat
from torch.ao.nn.intrinsic import qat as fused_qat
from torch.ao.quantization import FakeQuantize, disable_observer
from torch.fx import GraphModule
from torch.nn import functional as F

from learning._rounding import rounding_behind

_LARGEST_BIAS = 2.0**30
_SEVERAL = (torch.chunk, torch.split, "chunk", "split")  # give more than one tensor
_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d}
_LAYERS = (qat.Conv1d, fused_qat.ConvReLU1d, qat.Conv2d, fused_qat.ConvReLU2d, qat.Linear, fused_qat.LinearReLU)


def integer_network(prepared: nn.Module) -> nn.Module:
    """The network that `prepared` simulates, ready for `torch.onnx.export`; `prepared` is not changed.

    Args:
        prepared: of `quantize.prepare`, trained or calibrated.

    Raises:
        TypeError: it holds a layer that has no integer form.
    """
    if not isinstance(prepared, GraphModule):
        raise TypeError(f"only a network of quantize.prepare has an integer form, got {type(prepared).__name__}")
    network = copy.deepcopy(prepared).cpu().eval()
    network.apply(disable_observer)
    _round_what_moved(network)
    modules = dict(network.named_modules(remove_duplicate=False))
    for node in network.graph.nodes:
        if node.op == "call_module":
            before = modules.get(getattr(node.args[0], "target", None))
            parent, _, name = node.target.rpartition(".")
            setattr(network.get_submodule(parent), name, _integer(modules[node.target], before, node.target))
    return network


def _round_what_moved(network: GraphModule) -> None:
    """Round again after every move, which changes nothing: between two roundings runtimes move integers."""
    for node in list(network.graph.nodes):
        rounding = rounding_behind(network, node)
        if rounding is None or rounding is node or node.target in _SEVERAL:
            continue
        with network.graph.inserting_after(node):
            again = network.graph.call_module(str(rounding.target), (node,))
        node.replace_all_uses_with(again, delete_user_cb=lambda user, again=again: user is not again)
    network.recompile()


def _integer(module: nn.Module, before: nn.Module | None, name: str) -> nn.Module:
    """What takes the place of a module; itself if it stays in float."""
    if isinstance(module, FakeQuantize):
        if module.is_per_channel:
            raise TypeError(f"{name} rounds the weights of a function: use the module, such as nn.Linear, instead")
        return _Rounding(module)
    if hasattr(module, "weight_fake_quant"):
        if not isinstance(module, _LAYERS) or not isinstance(before, FakeQuantize):
            raise TypeError(f"{name} ({type(module).__name__}) has no integer form: fold its batch norm first")
        return _IntegerLayer(module, before.scale)
    return module


class _Round(torch.autograd.Function):
    """Rounding to 8 bits and back."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        x, scale, zero = args
        return torch.fake_quantize_per_tensor_affine(x, scale, zero.to(torch.int32), 0, 255)

    @staticmethod
    def symbolic(g: Any, x: Any, scale: Any, zero: Any) -> Any:
        """The two ONNX operators."""
        return g.op("DequantizeLinear", g.op("QuantizeLinear", x, scale, zero), scale, zero).setType(x.type())


class _Dequantise(torch.autograd.Function):
    """Integers times the scale of their row."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        whole, scale, _ = args
        return whole * scale.reshape(-1, *[1] * (whole.dim() - 1))

    @staticmethod
    def symbolic(g: Any, whole: Any, scale: Any, zero: Any) -> Any:
        """The ONNX operator."""
        made = g.op("DequantizeLinear", whole, scale, zero, axis_i=0)
        return made.setType(whole.type().with_dtype(torch.float32))


class _Rounding(nn.Module):
    """An activation's rounding to 8 bits."""

    def __init__(self, simulated: FakeQuantize) -> None:
        super().__init__()
        self.scale: Tensor
        self.zero: Tensor
        self.register_buffer("scale", simulated.scale.reshape(()).float())
        self.register_buffer("zero", simulated.zero_point.reshape(()).to(torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return _Round.apply(x, self.scale, self.zero)


class _IntegerLayer(nn.Module):
    """A convolution or linear layer, with its ReLU if it has one, from integers."""

    def __init__(self, simulated: Any, input_scale: Tensor) -> None:
        super().__init__()
        weight = simulated.weight_fake_quant(simulated.weight).detach()
        # Always a bias: without one the linear layer is written as MatMul, whose integer form fewer runtimes have.
        bias = torch.zeros(len(weight)) if simulated.bias is None else simulated.bias.detach()
        # A channel without weights has the smallest scale there is; its bias must still fit into 32 bits.
        rows = torch.maximum(simulated.weight_fake_quant.scale.float(), bias.abs() / (_LARGEST_BIAS * input_scale))
        self._integers("weight", weight, rows)
        self._integers("bias", bias, rows * input_scale)
        self.relu = isinstance(simulated, (fused_qat.ConvReLU1d, fused_qat.ConvReLU2d, fused_qat.LinearReLU))
        self.convolution: dict[str, Any] | None = None
        if isinstance(simulated, (qat.Conv1d, qat.Conv2d)):
            if simulated.padding_mode != "zeros":
                raise TypeError(f"expected zeros as padding, got {simulated.padding_mode}")
            self.convolution = {k: getattr(simulated, k) for k in ("stride", "padding", "dilation", "groups")}

    def _integers(self, name: str, values: Tensor, scale: Tensor) -> None:
        """Keep numbers as integers."""
        kind = torch.int8 if name == "weight" else torch.int32
        whole = (values / scale.reshape(-1, *[1] * (values.dim() - 1))).round().to(kind)
        self.register_buffer(name, whole)
        self.register_buffer(f"{name}_scale", scale.float())
        self.register_buffer(f"{name}_zero", torch.zeros(len(scale), dtype=kind))

    def _number(self, name: str) -> Tensor:
        return _Dequantise.apply(*(getattr(self, name + suffix) for suffix in ("", "_scale", "_zero")))

    def forward(self, x: Tensor) -> Tensor:
        """Shapes as the layer's own."""
        weight, bias = self._number("weight"), self._number("bias")
        if self.convolution is None:
            y = F.linear(x, weight, bias)
        else:
            y = _CONVOLUTIONS[weight.dim() - 2](x, weight, bias, **self.convolution)
        return F.relu(y) if self.relu else y
