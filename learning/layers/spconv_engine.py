"""Encoders computed by spconv (Yan et al. 2018) on the CPU, where it is installed: to compare with.

Its strided convolutions reach every cell of which the window meets a site, ours the cells that hold one: what is too
much is dropped after each, so that the same numbers come out.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from hoi_core.errors import ConfigError
from learning.layers.sparse import SparseBlock, SparseBottleneck, SparseConv2d
from learning.models._sparse_resnet import SparseResNet, SparseStage


def load() -> ModuleType:
    """Its layers.

    Raises:
        ConfigError: it is not installed, or not for this Python or torch.
    """
    try:
        from spconv import pytorch
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"spconv does not load: {error}.", "pip install spconv (its wheels for the CPU), or leave it out."
        ) from error
    return pytorch


class SpconvEncoder:
    """Runs one image after the other."""

    def __init__(self, network: SparseResNet) -> None:
        """Take the weights.

        Args:
            network: with folded batch norms; not changed.

        Raises:
            ConfigError: spconv is not installed.
        """
        self._engine = load()
        self._network = network
        self._layers: dict[SparseConv2d, Any] = {}
        for layer in network.modules():
            if isinstance(layer, SparseConv2d):
                self._layers[layer] = self._made(layer)
        self._pool = self._engine.SparseMaxPool2d(3, 2, 1, algo=self._algorithm())

    def run(self, image: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and 32, zero off their sites.

        Args:
            image: `(1, C, S, S)`, non-negative, zero off the sites.
        """
        on = (image > 0).any(dim=1)
        if not on.any():
            # An engine of sites has nothing to begin with.
            side = image.shape[-1]
            return [image.new_zeros(1, c, side >> k, side >> k) for k, c in enumerate(self._network.channels, 2)]
        batch, y, x = (at.int() for at in on.nonzero().T)
        rows = image.permute(0, 2, 3, 1)[on]
        found = self._engine.SparseConvTensor(rows, torch.stack([batch, y, x], dim=1), list(on.shape[1:]), 1)
        found = _relu(self._convolved(self._network.stem, found))
        found = _kept(self._pool(found), _halved(found))
        out = []
        for stage in self._network.stages:
            for block in cast(SparseStage, stage).blocks:
                found = self._block(cast(SparseBlock | SparseBottleneck, block), found)
            out.append(found.dense())
        return out

    def _made(self, layer: SparseConv2d) -> Any:
        conv = layer.conv
        c_out, c_in, size, _ = conv.weight.shape
        if size == 1:
            return None
        if conv.stride[0] == 1:
            # Neighbours are found once for all such layers, until a stride makes other sites.
            made = self._engine.SubMConv2d(c_in, c_out, size, indice_key=f"{size}", algo=self._algorithm())
        else:
            made = self._engine.SparseConv2d(c_in, c_out, size, conv.stride[0], size // 2, algo=self._algorithm())
        with torch.no_grad():
            made.weight.copy_(conv.weight.permute(0, 2, 3, 1))
            made.bias.copy_(conv.bias)
        return made

    def _algorithm(self) -> Any:
        """The one that the CPU has."""
        from spconv.core import ConvAlgo

        return ConvAlgo.Native

    def _convolved(self, layer: SparseConv2d, x: Any) -> Any:
        made = self._layers[layer]
        if made is None:
            return x.replace_feature(_linear(layer, x.features))
        return made(x) if layer.conv.stride[0] == 1 else _kept(made(x), _halved(x))

    def _block(self, block: SparseBlock | SparseBottleneck, x: Any) -> Any:
        y = self._convolved(block.conv2, _relu(self._convolved(block.conv1, x)))
        if isinstance(block, SparseBottleneck):
            y = self._convolved(block.conv3, _relu(y))
        return _relu(y.replace_feature(y.features + self._kept_rows(block, x, y)))

    def _kept_rows(self, block: SparseBlock | SparseBottleneck, x: Any, y: Any) -> Tensor:
        """The residual in the order of `y`'s rows."""
        if block.shortcut is None:
            return x.features
        if block.shortcut.conv.stride[0] == 1:
            return _linear(block.shortcut, x.features)
        # A 1x1 layer with a stride reads every fourth cell, where there need not be a site.
        rows = torch.full(x.spatial_shape, len(x.features))
        _, row, column = x.indices.long().T
        rows[row, column] = torch.arange(len(x.features))
        _, row, column = y.indices.long().T
        read = torch.cat([x.features, torch.zeros_like(x.features[:1])])[rows[2 * row, 2 * column]]
        return _linear(block.shortcut, read)


def _linear(layer: SparseConv2d, rows: Tensor) -> Tensor:
    """A 1x1 layer."""
    return F.linear(rows, layer.conv.weight[:, :, 0, 0], layer.conv.bias)


def _relu(x: Any) -> Any:
    return x.replace_feature(F.relu(x.features))


def _halved(x: Any) -> Tensor:
    """The cells at twice the stride that hold a site, `(S / 2, S / 2)`."""
    on = torch.zeros([side // 2 for side in x.spatial_shape], dtype=torch.bool)
    _, row, column = x.indices.long().T
    on[row // 2, column // 2] = True
    return on


def _kept(x: Any, cells: Tensor) -> Any:
    """Those of the rows whose cells are marked."""
    _, row, column = x.indices.long().T
    on = cells[row, column]
    return load().SparseConvTensor(x.features[on], x.indices[on], x.spatial_shape, x.batch_size)
