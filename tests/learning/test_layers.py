"""Every layer: its gradients against finite differences, and values worked out by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from learning.layers.mesh import SpliteConv, SpliteDecoder, VertexHead, VertexMap
from learning.layers.sparse import DenseConv2d, MaskedBatchNorm2d, SparseBlock, SparseBottleneck, SparseConv2d
from learning.models._splite_network import GridSample, SoftArgmax

TURN = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])  # spirals of a triangle
FINER = (np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),)  # two vertices to three
SITES = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]], dtype=torch.double)[None, None]
COARSE = torch.tensor([[1.0, 1], [1, 0]], dtype=torch.double)[None, None]


class OnSites(nn.Module):
    """A sparse layer whose values off the sites, which mean nothing, are left out."""

    def __init__(self, layer: nn.Module, *masks: torch.Tensor | None) -> None:
        super().__init__()
        self.layer, self.masks = layer, masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x, *self.masks)
        return y if self.masks[-1] is None else y * self.masks[-1]


CASES = {
    "norm": (lambda: OnSites(MaskedBatchNorm2d(3), SITES), (1, 3, 4, 4)),
    "norm everywhere": (lambda: OnSites(MaskedBatchNorm2d(3), None), (2, 3, 2, 2)),
    "conv": (lambda: OnSites(SparseConv2d(2, 3, 3), SITES), (1, 2, 4, 4)),
    "conv with stride": (lambda: OnSites(SparseConv2d(2, 3, 3, 2), COARSE), (1, 2, 4, 4)),
    "stem": (lambda: OnSites(SparseConv2d(2, 2, 7, 2), COARSE), (1, 2, 4, 4)),
    "block": (lambda: OnSites(SparseBlock(2, 2), SITES, SITES), (1, 2, 4, 4)),
    "block with stride": (lambda: OnSites(SparseBlock(2, 3, 2), SITES, COARSE), (1, 2, 4, 4)),
    "bottleneck": (lambda: OnSites(SparseBottleneck(4, 4), SITES, SITES), (1, 4, 4, 4)),
    "bottleneck with stride": (lambda: OnSites(SparseBottleneck(2, 8, 2), SITES, COARSE), (1, 2, 4, 4)),
    "dense block": (lambda: OnSites(SparseBlock(2, 3, 2), None, None), (1, 2, 4, 4)),
    "dense": (lambda: DenseConv2d(2, 3, 3), (2, 2, 3, 3)),
    "vertex map": (lambda: VertexMap(torch.rand(4, 3), learned=True), (2, 2, 3, 1)),
    "splite keep": (lambda: SpliteConv(4, 3, TURN, part=0.5, keep=True), (2, 4, 3, 1)),
    "splite drop": (lambda: SpliteConv(4, 3, TURN, part=0.5, keep=False), (2, 4, 3, 1)),
    "splite whole": (lambda: SpliteConv(4, 3, TURN, part=1.0, keep=False), (2, 4, 3, 1)),
    "head": (lambda: VertexHead(SpliteConv(4, 3, TURN), torch.rand(3, 3)), (2, 4, 3, 1)),
    "decoder": (lambda: SpliteDecoder(FINER, (TURN,), (4, 4), torch.rand(3, 3), part=0.25, keep=True), (1, 4, 21, 1)),
    "soft-argmax": (SoftArgmax, (2, 2, 3, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_finite_differences(case: str) -> None:
    """With respect to the input and to every weight; along random directions, which all entries take part in."""
    torch.manual_seed(3)
    make, shape = CASES[case]
    layer = make().double().train()
    weights = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters() if p.requires_grad}
    x = torch.randn(shape, dtype=torch.double).requires_grad_()

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return functional_call(layer, dict(zip(weights, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *weights.values()), fast_mode=True)


def test_gradients_of_pose_pooling() -> None:
    """With respect to the features and to where they are taken."""
    torch.manual_seed(0)
    features = torch.randn(1, 2, 4, 4, dtype=torch.double, requires_grad=True)
    uv = (torch.rand(1, 3, 2, dtype=torch.double) * 1.2 - 0.6).requires_grad_()
    assert torch.autograd.gradcheck(GridSample(), (features, uv))


def test_norm_by_hand() -> None:
    """Sites hold 1 and 3: mean 2, variance 1; what lies off them counts for nothing."""
    norm = MaskedBatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        norm.weight.fill_(2.0)
        norm.bias.fill_(5.0)
    y = norm(torch.tensor([[[[1.0, 3.0, 99.0]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]]))
    assert y[0, 0, 0, :2].tolist() == [3.0, 7.0]
    assert norm.running_mean.item() == pytest.approx(0.1 * 2.0)
    assert norm.running_var.item() == pytest.approx(0.9 * 1.0 + 0.1 * 2.0)  # the unbiased variance is 2
    again = norm.eval()(torch.tensor([[[[0.2, 1.2]]]]), None)
    assert again[0, 0, 0].tolist() == pytest.approx([5.0, 5.0 + 2.0 / 1.1**0.5])


@pytest.mark.parametrize(("stride", "expected"), [(1, [[3.0, 3.0], [0.0, 4.0]]), (2, [[3.0, 0.0], [0.0, 4.0]])])
def test_convolution_by_hand(stride: int, expected: list[list[float]]) -> None:
    """A 3x3 kernel of ones adds up the sites around a site; nothing else has a value."""
    conv = SparseConv2d(1, 1, 3, stride)
    conv.norm = None
    torch.nn.init.ones_(conv.conv.weight)
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 0, 0], image[0, 0, 0, 1], image[0, 0, 3, 3] = 1.0, 2.0, 4.0
    mask = torch.nn.functional.max_pool2d(image.sign(), stride, stride)
    y = (conv(image, mask) * mask)[0, 0]
    assert [[y[0, 0], y[0, 1]], [y[-1, 0], y[-1, -1]]] == expected
    assert int((y != 0).sum()) == int(mask.sum())


def identity_block(stride: int) -> SparseBlock:
    """Both convolutions pass their middle pixel on, doubled and trebled; the shortcut, where there is one, as it is."""
    block = SparseBlock(1, 1, stride).eval()
    for layer, gain in ((block.conv1, 2.0), (block.conv2, 3.0)):
        layer.norm = None
        torch.nn.init.zeros_(layer.conv.weight)
        layer.conv.weight.data[0, 0, 1, 1] = gain
    if block.shortcut is not None:
        block.shortcut.norm = None
        torch.nn.init.ones_(block.shortcut.conv.weight)
    return block


def test_residual_block_by_hand() -> None:
    """2 * 3 + 1 times the site; a negative one is cut off twice, before and after the shortcut."""
    x = torch.tensor([[[[1.0, -1.0], [0.0, 5.0]]]])
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    assert identity_block(1)(x, mask, mask)[0, 0].tolist() == [[7.0, 0.0], [0.0, 35.0]]
    assert identity_block(2)(x, mask, torch.ones(1, 1, 1, 1))[0, 0].tolist() == [[7.0]]


def test_bottleneck_by_hand() -> None:
    """1x1 doubles and adds the four channels, 3x3 adds up the neighbours, 1x1 gives the sum to all four."""
    block = SparseBottleneck(4, 4).eval()
    for layer, weight in ((block.conv1, 2.0), (block.conv2, 1.0), (block.conv3, 1.0)):
        layer.norm = None
        torch.nn.init.constant_(layer.conv.weight, weight)
    x = torch.zeros(1, 4, 1, 3)
    x[0, :, 0, 0], x[0, 0, 0, 1] = 1.0, 3.0
    mask = torch.tensor([[[[1.0, 1.0, 0.0]]]])
    y = block(x, mask, mask)[0, :, 0]
    # The sums are 4 and 3, doubled 8 and 6, together 14; each channel keeps its own value on top.
    assert y[:, 0].tolist() == [15.0] * 4
    assert y[:, 1].tolist() == [17.0, 14.0, 14.0, 14.0]
    assert not y[:, 2].any()


def test_a_bottleneck_computes_on_the_sites_of_its_input_before_it_strides() -> None:
    """A bias of the first convolution would otherwise leak into the sums from where nothing is."""
    block = SparseBottleneck(4, 4, 2).eval()
    for layer in (block.conv1, block.conv2, block.conv3, block.shortcut):
        layer.norm = None
        layer.conv.bias = nn.Parameter(torch.zeros(layer.conv.out_channels))
        torch.nn.init.zeros_(layer.conv.weight)
    torch.nn.init.ones_(block.conv1.conv.bias)
    torch.nn.init.ones_(block.conv2.conv.weight)
    torch.nn.init.ones_(block.conv3.conv.weight)
    sites = torch.zeros(1, 1, 4, 4)
    sites[0, 0, 0, 0] = sites[0, 0, 0, 1] = 1.0
    y = block(torch.zeros(1, 4, 4, 4), sites, torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]))
    assert y[0, 0].tolist() == [[2.0, 0.0], [0.0, 0.0]]


def test_vertex_map_by_hand() -> None:
    layer = VertexMap(torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 3.0]]), learned=False)
    assert layer(torch.tensor([2.0, 4.0]).reshape(1, 1, 2, 1)).flatten().tolist() == [3.0, 2.0, 12.0]


def test_splite_convolution_by_hand() -> None:
    """Four channels, one of them gathered: its spiral counts 1, 10 and 100 times."""
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6], [0, 0, 0], [0, 0, 7]]).reshape(1, 4, 3, 1)
    spiral = torch.tensor([[1.0, 10.0, 100.0]])
    literal = SpliteConv(4, 1, TURN, part=0.25, keep=False)
    literal.conv.weight.data, literal.conv.bias.data = spiral, torch.tensor([0.5])
    assert literal(x).flatten().tolist() == [321.5, 132.5, 213.5]
    partial = SpliteConv(4, 2, TURN, part=0.25, keep=True)
    partial.conv.weight.data, partial.conv.bias.data = spiral, torch.tensor([0.0])
    partial.mix.weight.data = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 2.0]]).reshape(2, 4, 1, 1)
    partial.mix.bias.data = torch.tensor([0.0, 1.0])
    assert partial(x)[0, :, :, 0].tolist() == [[321.0, 132.0, 213.0], [5.0, 6.0, 21.0]]


@pytest.mark.parametrize(("keep", "share"), [(True, 1.0), (False, 0.25)])
def test_which_channels_learn(keep: bool, share: float) -> None:
    """Read literally, the paper's layer never looks at three quarters of the channels that the layer before makes."""
    layers = nn.Sequential(SpliteConv(8, 8, TURN, keep=keep), SpliteConv(8, 3, TURN, keep=keep))
    layers(torch.randn(1, 8, 3, 1)).square().sum().backward()
    made = layers[0].mix.weight if keep else layers[0].conv.weight
    assert made.grad is not None
    assert float((made.grad.flatten(1) != 0).any(1).float().mean()) == share


def test_decoder_by_hand() -> None:
    """Lift, spread to three vertices, convolve, displace the mean: every weight one, every bias nought."""
    mean = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    decoder = SpliteDecoder(FINER, (TURN,), (1, 1), mean, part=1.0, keep=False)
    for conv in (decoder.convs[0].conv, decoder.head.conv.conv):
        torch.nn.init.ones_(conv.weight)
        torch.nn.init.zeros_(conv.bias)
    decoder.lift.linear.weight.data = torch.stack([torch.full((21,), 1 / 21), torch.full((21,), 2 / 21)])
    out = decoder(torch.full((1, 1, 21, 1), 2.0))
    # Lifted to 2 and 4, then 2, 3, 4: each spiral takes all three, 9; the head adds three of these, 27, to all.
    torch.testing.assert_close(out[0], mean + 27.0)


def test_soft_argmax_by_hand() -> None:
    """Odds of three to one between two cells."""
    logits = torch.tensor([float(np.log(3.0)), 0.0]).reshape(1, 1, 1, 2)
    uv, confidence = SoftArgmax()(logits)
    torch.testing.assert_close(uv[0, 0], torch.tensor([-0.5 * 0.75 + 0.5 * 0.25, 0.0]))
    assert confidence.item() == pytest.approx(0.75)


def test_pose_pooling_by_hand() -> None:
    """Between the four cells their mean, on a centre its own value, beyond the rim what lies at the rim."""
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    uv = torch.tensor([[[0.0, 0.0], [-0.5, -0.5], [-1.0, 1.0], [0.0, 0.5]]])
    assert GridSample()(features, uv).flatten().tolist() == [2.5, 1.0, 3.0, 3.5]
