"""MobRecon: its layers against loops and finite differences, its sizes against the published ones."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from hoi_core.errors import ConfigError
from learning import models
from learning.layers.spiral import MeshDecoder, SeparableSpiralConv, SpiralConv, Upsampling
from learning.models._densestack import DenseBlock, MobileUnit, Squeeze
from learning.models._mobrecon_network import FixedGrid, MapRegression, PosePooling

SPIRALS = np.array([[0, 1, 2], [1, 2, 0], [2, 3, 1], [3, 0, 2]])
FINER = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0.25, 0.75], [0, 0, 1]])


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_spiral_conv_is_a_loop_over_spirals():
    torch.manual_seed(0)
    layer, x = SpiralConv(5, 6, SPIRALS), torch.randn(2, 4, 5)
    rows = [torch.cat([x[:, w] for w in s], dim=1) @ layer.linear.weight.T + layer.linear.bias for s in SPIRALS]
    torch.testing.assert_close(layer(x), torch.stack(rows, dim=1))


def test_separable_spiral_conv_weighs_each_channel_then_mixes():
    torch.manual_seed(0)
    layer, x = SeparableSpiralConv(5, 6, SPIRALS), torch.randn(2, 4, 5)
    k = layer.depthwise
    rows = [sum(k[i] * x[:, w] for i, w in enumerate(s)) @ layer.pointwise.weight.T for s in SPIRALS]
    torch.testing.assert_close(layer(x), torch.stack(rows, dim=1))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (SpiralConv(2, 3, SPIRALS), (2, 4, 2)),
        (SeparableSpiralConv(2, 3, SPIRALS), (2, 4, 2)),
        (Upsampling(FINER), (2, 3, 2)),
        (MeshDecoder(SpiralConv, (FINER,), (SPIRALS,), (4, 3), torch.zeros(4, 3)), (1, 4, 21, 1)),
        (MobileUnit(2, 2, 2), (2, 2, 3, 3)),
        (DenseBlock(2, (1, 2), keep_input=False), (2, 2, 3, 3)),
        (Squeeze(4), (3, 4, 2, 2)),
        (MapRegression(), (1, 21, 4, 4)),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_gradients_are_those_of_finite_differences(layer, shape):
    torch.manual_seed(2)
    layer = layer.double().train()
    weights = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters() if p.requires_grad}
    x = torch.randn(shape, dtype=torch.double).requires_grad_()

    def run(x, *values):
        return functional_call(layer, dict(zip(weights, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *weights.values()), fast_mode=True)


def test_upsampling_by_hand():
    coarse = torch.tensor([[[0.0, 8.0], [4.0, 0.0], [8.0, 4.0]]])
    expected = torch.tensor([[[0.0, 8.0], [2.0, 4.0], [7.0, 3.0], [8.0, 4.0]]])
    torch.testing.assert_close(Upsampling(FINER)(coarse), expected)


def test_dense_blocks_end_with_what_they_made():
    x = torch.rand(2, 4, 3, 3)
    kept = DenseBlock(4, (2, 3))(x)
    assert kept.shape == (2, 9, 3, 3)
    torch.testing.assert_close(kept[:, :4], x)
    assert DenseBlock(4, (3, 1), keep_input=False)(x).shape == (2, 4, 3, 3)


def test_pose_pooling_reads_the_corners_at_the_ends():
    """A 2 x 2 map of 0, 1, 2, 3: its corners at -1 and 1, their mean in the middle, and nothing beyond."""
    uv = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [5.0, 1.0]]])
    pooled = PosePooling()(torch.arange(4.0).reshape(1, 1, 2, 2), uv)
    torch.testing.assert_close(pooled[0, 0, :, 0], torch.tensor([0.0, 1.0, 1.5, 3.0]))


def test_maps_of_another_crop_size_come_to_the_same_grid():
    maps = torch.rand(1, 21, 16, 16)
    assert FixedGrid()(maps) is maps
    torch.testing.assert_close(FixedGrid()(torch.full((1, 21, 8, 8), 3.0)), torch.full((1, 21, 16, 16), 3.0))


def test_map_regression_by_hand():
    """One map of 0.1, the others 0; hidden layers that add up, cut at 4: 16 * 16 * 0.1 -> 4, then 128 * 4 -> 4."""
    layer = MapRegression()
    with torch.no_grad():
        for linear in (layer.hidden1, layer.hidden2):
            linear.weight.fill_(1.0)
        layer.last.weight[0].fill_(0.001)
        layer.last.weight[1].fill_(-0.003)
    maps = torch.zeros(1, 21, 16, 16)
    maps[0, 5] = 0.1
    uv, confidence = layer(maps)
    expected = torch.zeros(1, 21, 2)
    expected[0, 5] = torch.tensor([64 * 4 * 0.001, -64 * 4 * 0.003])
    torch.testing.assert_close(uv, expected)
    torch.testing.assert_close(confidence, torch.full((1, 21), 1 / 256))


@pytest.mark.parametrize(("decoder", "published"), [("dsconv", 11_251_741), ("spiral", 12_114_720)])
def test_weights_of_the_released_models(decoder, published):
    """11.14 M of DenseStack with its projections, 0.12 and 0.98 M of the decoders; depth and mean mesh are ours."""
    network = models.build("mobrecon", decoder=decoder)
    ours = size(network.depth_hidden) + size(network.depth_out) + network.decoder.head.mean.numel()
    encoder = sum(size(m) for m in (network.backbone, network.latent, network.reduce, network.joints))
    assert encoder == 11_135_448
    assert size(network) - ours == published
    assert ours < 0.005 * published


def test_the_short_stack_leaves_out_what_the_released_code_never_runs():
    """A squeeze block and two dense blocks: 3,083,264 weights."""
    full, short = (size(models.build("mobrecon", first_stack=kind)) for kind in ("full", "short"))
    assert full - short == 3_083_264


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="divides by 4"):
        models.build("mobrecon", width=6)
