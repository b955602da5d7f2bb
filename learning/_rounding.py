"""Where a prepared network rounds activations: `torch.ao` puts a rounding after every operation, more than it needs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.ao.nn import qat
from torch.ao.quantization import FakeQuantizeBase, ObserverBase
from torch.fx import GraphModule, Node
from torch.nn import functional as F

_MOVING_FUNCTIONS = (
    operator.getitem, torch.chunk, torch.flatten, torch.gather, torch.index_select, torch.movedim, torch.narrow,
    torch.permute, torch.pixel_shuffle, torch.relu, torch.repeat_interleave, torch.reshape, torch.split, torch.squeeze,
    torch.transpose, torch.unsqueeze, F.max_pool2d, F.pixel_shuffle, F.relu,
)  # fmt: skip
_MOVING_METHODS = (
    "chunk", "contiguous", "expand", "flatten", "gather", "index_select", "movedim", "narrow", "permute", "relu",
    "repeat", "repeat_interleave", "reshape", "split", "squeeze", "transpose", "unsqueeze", "view",
)  # fmt: skip
_PRODUCTS = (F.conv1d, F.conv2d, F.linear, operator.matmul, torch.bmm, torch.matmul, "bmm", "matmul")
_MOVING_MODULES = (nn.Dropout, nn.Flatten, nn.Identity, nn.MaxPool2d, nn.PixelShuffle, nn.ReLU)


def moves(network: nn.Module, node: Node) -> bool:
    """Whether a node's output holds only numbers of its first input (or zero): rounded before, rounded after."""
    if node.op == "call_method":
        return node.target in _MOVING_METHODS
    if node.op == "call_module":
        return isinstance(network.get_submodule(str(node.target)), _MOVING_MODULES)
    if node.op == "call_function" and node.target is F.interpolate:
        return node.kwargs.get("mode", "nearest") == "nearest"
    return node.op == "call_function" and node.target in _MOVING_FUNCTIONS


def is_rounding(network: nn.Module, node: Node) -> bool:
    """Whether a node rounds an activation, or watches one to learn its range."""
    if node.op != "call_module":
        return False
    return isinstance(network.get_submodule(str(node.target)), (FakeQuantizeBase, ObserverBase))


def rounding_behind(network: nn.Module, node: Node) -> Node | None:
    """The rounding that a node's numbers went through last, with nothing but moves since; None if there is none."""
    while moves(network, node) and isinstance(node.args[0], Node):
        node = node.args[0]
    return node if is_rounding(network, node) else None


def keep_needed(
    network: GraphModule,
    fresh: Callable[[], nn.Module],
    float_layers: Sequence[str],
    float_inputs: Sequence[str] = (),
) -> None:
    """Drop roundings that change nothing or that no integer layer needs, and give each of the rest its own range.

    `torch.ao` lets an operation such as pooling or concatenation share the range of its inputs. A moving average over
    tensors of several widths is too narrow for the widest, which it would then clip.

    Args:
        network: of `prepare_qat_fx`; changed in place.
        fresh: makes a new rounding.
        float_layers: names of modules that stay in float.
        float_inputs: names of inputs that stay in float.
    """
    seen: set[int] = set()
    for node in list(network.graph.nodes):
        if not is_rounding(network, node):
            continue
        source = node.args[0]
        given = _given(network, source) in float_inputs
        if given or rounding_behind(network, source) is not None or _stays_float(network, node, float_layers):
            node.replace_all_uses_with(source)
            network.graph.erase_node(node)
            continue
        module = network.get_submodule(node.target)
        if id(module) in seen:
            setattr(network, node.target, fresh())
        seen.add(id(module))
    network.delete_all_unused_submodules()
    network.recompile()


def _given(network: GraphModule, node: Node) -> str:
    """Name of the input whose numbers a node's are, with nothing but moves since; empty if they are no input's."""
    while moves(network, node) and isinstance(node.args[0], Node):
        node = node.args[0]
    return node.name if node.op == "placeholder" else ""


def _stays_float(network: GraphModule, node: Node, float_layers: Sequence[str]) -> bool:
    """Whether a rounding stands between a linear layer, or arithmetic, and what no integer layer reads."""
    source = node.args[0]
    if not isinstance(source, Node) or len(source.users) != 1:
        return False
    if source.op == "call_module":
        layer = network.get_submodule(str(source.target))
        # Of the layers with weights, this one alone has an integer kernel that gives floats; with ReLU it has none.
        if hasattr(layer, "weight_fake_quant") and type(layer) is not qat.Linear:
            return False
    return _read_in_float(network, node, float_layers)


def _read_in_float(network: GraphModule, node: Node, float_layers: Sequence[str]) -> bool:
    """Whether what a node gives comes to no integer layer, but through layers in float."""
    for user in node.users:
        if user.op == "output" or user.target in float_layers:
            continue
        if user.op == "call_module" and hasattr(network.get_submodule(str(user.target)), "weight_fake_quant"):
            return False
        if user.target in _PRODUCTS:
            return False
        if not _read_in_float(network, user, float_layers):
            return False
    return True
