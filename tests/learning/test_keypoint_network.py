"""The 2D keypoint networks: sizes, the deconvolution, and that nothing but rounding changes when norms are folded."""

import copy

import pytest
import torch
from torch.nn import functional as F

from hoi_core.errors import ConfigError
from learning import models
from learning.layers.sparse import Deconv2d, DenseConv2d, MaskedBatchNorm2d, fold_batch_norms


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_sizes_are_those_of_the_paper():
    paper, resnet = (models.build("keypoints2d", variant=v) for v in ("paper", "resnet50"))
    assert round(count(paper) / 1e6, 2) == 7.98
    assert round(count(resnet) / 1e6, 1) == 14.5
    # torchvision's mobilenet_v2 less its last convolution (320 to 1280, with norm) and classifier; its resnet50 less
    # the last stage and classifier.
    assert count(paper.backbone) == 3504872 - (320 * 1280 + 2 * 1280) - (1280 * 1000 + 1000)
    assert count(resnet.backbone) == 25557032 - 14964736 - (2048 * 1000 + 1000)
    assert count(models.build("keypoints2d", variant="slim")) < 2.5e6


@pytest.mark.parametrize("variant", ["paper", "resnet50", "slim"])
def test_maps_have_a_quarter_of_the_resolution(variant):
    network = models.build("keypoints2d", variant=variant, width=0.25).eval()
    with torch.no_grad():
        (maps,) = network(torch.zeros(2, 3, 64, 64))
    assert maps.shape == (2, 22, 16, 16)


@pytest.mark.parametrize("variant", ["paper", "resnet50", "slim"])
def test_folding_norms_changes_nothing_but_rounding(variant):
    torch.manual_seed(0)
    network = models.build("keypoints2d", variant=variant, width=0.25).double()
    image = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    network(image)  # statistics that are not those of the start
    network.eval()
    folded = fold_batch_norms(copy.deepcopy(network))
    assert not any(isinstance(m, MaskedBatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(image)[0], network(image)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("variant", ["paper", "resnet50", "slim"])
def test_every_weight_is_trained(variant):
    torch.manual_seed(0)
    network = models.build("keypoints2d", variant=variant, width=0.25)
    network(torch.randn(2, 3, 64, 64))[0].square().sum().backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_the_deconvolution_is_a_transposed_convolution():
    torch.manual_seed(0)
    layer = Deconv2d(3, 2).double()
    layer.norm = None
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    # Output row r reads input row i through row r + 1 - 2 i of the 4x4 kernel: an even one through rows 3 and 1 of the
    # window above it, an odd one through rows 2 and 0 of the window below. A window's first phase is the odd one.
    kernel = torch.zeros(3, 2, 4, 4, dtype=torch.float64)
    weight = layer.conv.weight.detach().reshape(2, 2, 2, 3, 2, 2)  # c_out, phases, c_in, window
    rows = {0: (2, 0), 1: (3, 1)}
    for py in (0, 1):
        for px in (0, 1):
            for wy in (0, 1):
                for wx in (0, 1):
                    kernel[:, :, rows[py][wy], rows[px][wx]] = weight[:, py, px, :, wy, wx].T
    expected = F.conv_transpose2d(x, kernel, stride=2, padding=1)
    assert expected.shape == (2, 2, 10, 14)
    torch.testing.assert_close(layer(x), expected)


def test_norms_over_all_pixels_are_torchs():
    torch.manual_seed(0)
    ours, theirs = DenseConv2d(3, 6, 3, 2, groups=3), torch.nn.BatchNorm2d(6)
    x = torch.randn(4, 3, 9, 9)
    for _ in range(2):
        expected = theirs(ours.conv(x))
        torch.testing.assert_close(ours(x), expected)
    torch.testing.assert_close(ours.norm.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(ours.conv(x)))


@pytest.mark.parametrize("wrong", [{"width": 0.0}, {"sigma": 0.0}, {"variant": "tiny"}])
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(ConfigError):
        models.build("keypoints2d", **wrong)
