"""Encoders in spconv against the masked engine, where it is installed."""

import pytest
import torch

from hoi_core.errors import ConfigError
from learning.layers import spconv_engine
from learning.layers.sparse import fold_batch_norms
from learning.layers.spconv_engine import SpconvEncoder
from learning.models._sparse_resnet import SparseResNet


def installed() -> bool:
    try:
        spconv_engine.load()
    except ConfigError:
        return False
    return True


@pytest.mark.skipif(not installed(), reason="spconv: pip install spconv")
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.15, 1.0])
def test_features_are_those_of_the_masked_engine(backbone, share):
    torch.manual_seed(1)
    network = SparseResNet(8, backbone=backbone).eval()
    for module in network.modules():
        if hasattr(module, "running_var"):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    fold_batch_norms(network)
    image = (torch.rand(1, 3, 64, 64) + 0.01) * (torch.rand(1, 1, 64, 64) < share)
    with torch.no_grad():
        expected, found = network(image), SpconvEncoder(network).run(image)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4 * float(a.abs().max()))


@pytest.mark.skipif(installed(), reason="spconv is installed")
def test_without_it_the_error_says_how_to_get_it():
    with pytest.raises(ConfigError, match="pip install spconv"):
        SpconvEncoder(SparseResNet(8))
