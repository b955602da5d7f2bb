"""MinkowskiEngine against the masked engine: features, gradients and batch statistics, from the same parameters."""

import copy

import pytest
import torch

from hoi_core.errors import ConfigError
from learning.config import TrainConfig
from learning.layers import minkowski
from learning.models import splite
from learning.models._sparse_resnet import SparseResNet


def installed() -> bool:
    try:
        minkowski.load()
    except ConfigError:
        return False
    return True


needs_engine = pytest.mark.skipif(not installed(), reason="MinkowskiEngine: scripts/build_minkowski.sh builds it")


def edges(share: float, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Two images with so many sites."""
    rng = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, size, size, generator=rng) + 0.01
    return image * (torch.rand(2, 1, size, size, generator=rng) < share)


def both(backbone: str) -> tuple[SparseResNet, SparseResNet]:
    torch.manual_seed(1)
    masked = SparseResNet(8, backbone=backbone)
    other = copy.deepcopy(masked)
    minkowski.use(other)
    return masked, other


@needs_engine
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("share", [0.02, 0.15, 1.0])
def test_features_gradients_and_statistics_are_those_of_the_masked_engine(backbone, share):
    # In double precision: where few sites are left, rounding decides which side of zero a value lies on.
    masked, other = (network.double().train() for network in both(backbone))
    image = edges(share).double()
    expected, found = masked(image), other(image)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-6 * float(a.abs().max()))
    weights = [torch.randn_like(x) for x in expected]
    for outputs in (expected, found):
        sum((x * w).sum() for x, w in zip(outputs, weights, strict=True)).backward()
    for (name, a), b in zip(masked.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-5, atol=1e-5 * float(a.grad.abs().max())), name
    for (name, a), b in zip(masked.named_buffers(), other.buffers(), strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-9), name


@needs_engine
def test_an_image_without_sites_has_zero_features():
    masked, other = both("resnet18")
    image = edges(0.1)
    image[0] = 0.0
    for images in (image, torch.zeros_like(image)):
        for a, b in zip(masked.eval()(images), other.eval()(images), strict=True):
            assert a.shape == b.shape
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)


@needs_engine
def test_a_dense_network_is_refused():
    with pytest.raises(ConfigError, match="this network has none"):
        minkowski.use(splite.build(splite.Config(width=8, head_channels=16, encoder="dense")))


@pytest.mark.skipif(installed(), reason="MinkowskiEngine is installed")
def test_without_it_the_error_says_how_to_get_it():
    with pytest.raises(ConfigError, match="scripts/build_minkowski"):
        minkowski.use(SparseResNet(8))


def test_simulated_int8_knows_the_masked_engine_only(tmp_path):
    with pytest.raises(ConfigError, match="--engine"):
        TrainConfig(net=splite.Config(), qat=True, from_run=tmp_path, engine="minkowski")
