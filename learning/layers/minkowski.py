"""Encoders computed by MinkowskiEngine (Choy et al. 2019), where it is installed: the same weights, the same numbers.

Nothing of a network is rebuilt: convolutions borrow the parameters of `learning.layers.sparse`, so a run can change its
engine from one call to the next. It computes on sites only, where `masked` computes everywhere and drops the rest.
"""

from __future__ import annotations

import collections
import collections.abc
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.errors import ConfigError
from learning.layers.sparse import SparseBlock, SparseBottleneck, SparseConv2d


def load() -> ModuleType:
    """MinkowskiEngine.

    Raises:
        ConfigError: it is not installed, or not for this Python or torch.
    """
    # Version 0.5.4 imports this from where Python 3.10 removed it.
    if not hasattr(collections, "Sequence"):
        collections.Sequence = collections.abc.Sequence  # type: ignore[attr-defined]
    try:
        import MinkowskiEngine
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"the engine minkowski needs MinkowskiEngine, which does not load: {error}.",
            "Build it with scripts/build_minkowski.sh, or take the engine masked.",
        ) from error
    return MinkowskiEngine


def use(network: nn.Module) -> None:
    """Let every sparse encoder of a network be computed by MinkowskiEngine.

    Raises:
        ConfigError: it is not installed, or the network has no sparse encoder.
    """
    from learning.models._sparse_resnet import SparseResNet

    load()
    encoders = [part for part in network.modules() if isinstance(part, SparseResNet) and part.sparse]
    if not encoders:
        raise ConfigError("the engine minkowski is for sparse encoders; this network has none.", "Leave --engine out.")
    for encoder in encoders:
        encoder.engine = "minkowski"


def features(encoder: Any, image: Tensor) -> list[Tensor]:
    """What `SparseResNet.forward` gives: features at strides 4, 8, 16 and 32, zero off their sites.

    Args:
        encoder: a `SparseResNet`.
        image: `(B, C, S, S)`, non-negative, zero off the sites.
    """
    sites = (image > 0).any(1).nonzero()
    if not len(sites):
        # An engine of sites has nothing to begin with; bias and batch norm reach none either.
        shape, side = len(image), image.shape[-1]
        return [image.new_zeros(shape, c, side >> k, side >> k) for k, c in enumerate(encoder.channels, 2)]
    engine = load()
    rows, (batch, y, x) = image.permute(0, 2, 3, 1), sites.T
    sparse = engine.SparseTensor(rows[batch, y, x], coordinates=sites.int().contiguous())
    sparse = _relu(_convolved(encoder.stem, sparse))
    sparse = engine.MinkowskiMaxPooling(kernel_size=3, stride=2, dimension=2)(sparse)
    out = []
    for stage in encoder.stages:
        for block in stage.blocks:
            sparse = _block(block, sparse)
        out.append(_dense(sparse, image))
    return out


def _block(block: SparseBlock | SparseBottleneck, x: Any) -> Any:
    """A residual block."""
    y = _relu(_convolved(block.conv1, x))
    y = _convolved(block.conv2, y)
    if isinstance(block, SparseBottleneck):
        y = _convolved(block.conv3, _relu(y))
    kept = x if block.shortcut is None else _convolved(block.shortcut, x)
    return _relu(y + kept)


def _convolved(layer: SparseConv2d, x: Any) -> Any:
    """Convolution and batch norm over the sites of the whole batch."""
    if layer.norm is None:
        raise ValueError("a network with folded batch norms is computed by the engine masked")
    engine, conv = load(), layer.conv
    from MinkowskiEngineBackend._C import ConvolutionMode

    c_out, c_in, size, _ = conv.weight.shape
    stride = conv.stride[0]
    # Its first axis of space varies fastest, and ours is y: (out, in, ky, kx) -> (kx ky, in, out).
    kernel = conv.weight.permute(3, 2, 1, 0).reshape(size * size, c_in, c_out).contiguous()
    manager, sites = x.coordinate_manager, x.coordinate_map_key
    coarser = manager.stride(sites, stride) if stride > 1 else sites
    # The function behind its module, which would draw weights of its own at each call.
    window = engine.KernelGenerator(kernel_size=size, stride=stride, dimension=2)
    places = window, ConvolutionMode.DEFAULT, sites, coarser, manager
    rows = engine.MinkowskiConvolutionFunction.apply(x.F, kernel, *places)
    # Contiguous: of a transposed view torch 2.13 takes wrong gradients.
    rows = layer.norm(rows.T.contiguous()[None, :, :, None])[0, :, :, 0].T.contiguous()
    return engine.SparseTensor(rows, coordinate_map_key=coarser, coordinate_manager=manager)


def _relu(x: Any) -> Any:
    return load().SparseTensor(
        F.relu(x.F), coordinate_map_key=x.coordinate_map_key, coordinate_manager=x.coordinate_manager
    )


def _dense(x: Any, image: Tensor) -> Tensor:
    """`(B, C, S / stride, S / stride)`, zero off the sites."""
    stride = x.tensor_stride[0]
    batch, row, column = x.C.long().T
    side = image.shape[-1] // stride
    out = x.F.new_zeros(len(image), side, side, x.F.shape[1])
    return torch.index_put(out, (batch, row // stride, column // stride), x.F).permute(0, 3, 1, 2)
