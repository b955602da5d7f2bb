"""A running average of the weights, which is steadier than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hoi_core.errors import ConfigError

_STATISTICS = ("running_mean", "running_var")


class AveragedWeights:
    """Exponential moving average of a model's parameters and of the statistics of its batch norms.

    After step t an average a of the weights w becomes a + (1 - d) (w - a), with d = min(decay, (1 + t) / (10 + t)) so
    that the fresh weights are soon forgotten. What is neither parameter nor statistic, such as the ranges of quantised
    layers, is not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the model's weights as they are.

        Args:
            model: while it trains; not wrapped.
            decay: d, from 0 (the last step alone) to below 1.
        """
        self._decay = decay
        self._average = {name: value.detach().clone() for name, value in _averaged(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step.

        Args:
            model: the same as before.
            step: t, the number of steps trained.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in _averaged(model).items():
            self._average[name].lerp_(value, 1.0 - decay)

    @contextmanager
    def shown(self, model: nn.Module) -> Iterator[dict[str, Tensor]]:
        """Put the average into the model while the block runs.

        Yields:
            The weights of the last step by name, on the CPU: what training goes on with.
        """
        kept = {name: value.detach().clone() for name, value in _averaged(model).items()}
        _fill(model, self._average)
        try:
            yield {name: value.cpu() for name, value in kept.items()}
        finally:
            _fill(model, kept)

    def restore(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint.

        Args:
            model: holds the averaged weights; afterwards those of the last step.
            weights: those that `shown` gave.

        Raises:
            ConfigError: they belong to another model.
        """
        own = _averaged(model)
        if own.keys() != weights.keys():
            raise ConfigError("the checkpoint's weights of the last step belong to another model.", "Start anew.")
        self._average = {name: value.detach().clone() for name, value in own.items()}
        _fill(model, weights)


def _averaged(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, and the statistics of batch norms, by name."""
    statistics = {k: v for k, v in model.named_buffers() if k.rsplit(".", 1)[-1] in _STATISTICS}
    return {**dict(model.named_parameters()), **statistics}


@torch.no_grad()
def _fill(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    for name, value in _averaged(model).items():
        value.copy_(values[name])
