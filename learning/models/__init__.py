"""Models: one file each, found by file name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hoi_core import config, plugins

if TYPE_CHECKING:
    from torch import nn


def build(name: str, **options: object) -> nn.Module:
    """Build a model with fresh weights.

    Args:
        name: file name of the model, such as `splite`.
        options: fields of the model's `Config`.

    Raises:
        ConfigError: an unknown model or option.
    """
    module = plugins.load("learning.models", name)
    network: nn.Module = module.build(config.from_dict(module.Config, options, name))
    return network
