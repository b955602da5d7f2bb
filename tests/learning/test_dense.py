"""Dense layers: batch norm over every pixel, strides and groups, and what folding leaves of them."""

import copy

import pytest
import torch
from torch.nn import functional as F

from learning.layers.sparse import DenseConv2d, MaskedBatchNorm2d, fold_batch_norms


def test_every_pixel_a_site_is_plain_batch_norm():
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 6)
    plain, masked = MaskedBatchNorm2d(4), MaskedBatchNorm2d(4)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    expected = (x - mean[:, None, None]) / torch.sqrt(var + plain.eps)[:, None, None]
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, theirs = plain(a), masked(b, torch.ones(3, 1, 5, 6))
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(theirs, expected)
    towards = torch.randn_like(x)
    (ours * towards).sum().backward()
    (theirs * towards).sum().backward()
    torch.testing.assert_close(a.grad, b.grad)
    torch.testing.assert_close(plain.running_mean, 0.1 * mean)
    torch.testing.assert_close(plain.running_var, 0.9 + 0.1 * x.var((0, 2, 3)))
    torch.testing.assert_close(masked.running_var, plain.running_var)


def test_a_single_value_has_no_spread_and_is_no_error():
    """One sample pooled to one value, as a batch of one gives it to a squeeze block."""
    layer = MaskedBatchNorm2d(2)
    torch.testing.assert_close(layer(torch.tensor([[[[3.0]], [[-5.0]]]])), torch.zeros(1, 2, 1, 1))


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 4), (2, 4)])
def test_folding_changes_nothing_but_the_layers(stride: int, groups: int):
    torch.manual_seed(1)
    layer = DenseConv2d(4, 8, 3, stride, groups)
    x = torch.randn(2, 4, 8, 8)
    for _ in range(3):
        layer(torch.randn(2, 4, 8, 8) * 2 + 1)
    layer.eval()
    expected = F.batch_norm(
        F.conv2d(x, layer.conv.weight, None, stride, 1, 1, groups),
        layer.norm.running_mean,
        layer.norm.running_var,
        eps=layer.norm.eps,
    )
    torch.testing.assert_close(layer(x), expected)
    folded = fold_batch_norms(copy.deepcopy(layer))
    assert folded.norm is None
    torch.testing.assert_close(folded(x), expected)
