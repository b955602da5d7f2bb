"""Costs are counted, not typed: against sums by hand, and the documentation against the count."""

from pathlib import Path

import pytest
import torch

from learning import costs
from learning.layers.mesh import SpliteDecoder, VertexMap
from learning.layers.sparse import Deconv2d, DenseConv2d
from learning.models import mobrecon
from learning.models._hand_mesh import hand_hierarchy
from learning.models._mobrecon_network import mesh_decoder

PAGE = Path(__file__).parents[2] / "docs/models/costs.md"


def test_a_grouped_convolution_by_hand():
    """8 x 8 outputs of 6 channels, 2 of the 4 inputs each, 3 x 3."""
    row = costs.cost("model", "x", DenseConv2d(4, 6, 3, 2, 2), (torch.zeros(1, 4, 16, 16),))
    assert (row.parameters, row.multiply_adds) == (6 * 2 * 9 + 12, 8 * 8 * 6 * 2 * 9)
    assert row.other_multiply_adds == row.multiply_adds


def test_upsampling_in_both_conventions():
    """5 coarse to 7 fine vertices, 4 channels: the whole matrix, or three weights for each vertex."""
    row = costs.cost("model", "x", VertexMap(torch.ones(7, 5), learned=False), (torch.zeros(1, 4, 5, 1),))
    assert (row.multiply_adds, row.other_multiply_adds) == (4 * 7 * 5, 4 * 7 * 3)
    learned = costs.cost("model", "x", VertexMap(torch.ones(7, 5), learned=True), (torch.zeros(1, 4, 5, 1),))
    assert learned.other_multiply_adds == learned.multiply_adds == 4 * 7 * 5


def test_transposed_convolutions_in_both_conventions():
    """From 4 x 4 to 8 x 8: a 2 x 2 convolution of 5 x 5 places to four phases, or 16 weights for each output."""
    row = costs.cost("model", "x", Deconv2d(3, 2), (torch.zeros(1, 3, 4, 4),))
    assert row.multiply_adds == 5 * 5 * 4 * 2 * 3 * 4
    assert row.other_multiply_adds == 8 * 8 * 2 * 3 * 16


def test_layers_of_the_papers_unit_test():
    rows = {row.name: row for row in costs.layers()}
    assert rows["SpiralConv++"].published_parts == 20_480
    assert 2 * rows["SpiralConv++"].multiply_adds == pytest.approx(31.87e6, abs=5e3)
    assert rows["SPLite, `--partial drop`"].published_parts == 5_120
    assert rows["SPLite, `--partial keep`"].published_parts == 4_608


def test_the_documented_table_is_what_is_counted():
    rows = [*costs.layers(), *costs.decoders(hand_hierarchy(9))]
    lines = [line for line in costs.markdown(rows).splitlines() if line.startswith("|")]
    page = PAGE.read_text(encoding="utf8").splitlines()
    assert not [line for line in lines if line not in page], "type hoi-bench models --out and update the page"


@pytest.mark.parametrize("keep", [True, False])
def test_channels_without_gradient(keep: bool):
    """Of the decoder that keeps untouched channels every one learns; the literal reading leaves three quarters idle."""
    torch.manual_seed(0)
    config = mobrecon.Config(decoder="splite", latent=32)
    decoder = mesh_decoder(config, hand_hierarchy(9))
    if not keep:
        up = tuple(module.linear.weight.double().numpy() for module in decoder.up)
        spirals = tuple(conv.spirals.reshape(-1, 9).numpy() for conv in decoder.convs)
        decoder = SpliteDecoder(up, spirals, (32, 32, 16, 8, 4), torch.zeros(778, 3), part=0.25, keep=False)
    torch.nn.init.normal_(decoder.lift.linear.weight)  # fresh weights lift all joints alike, and ReLU hides channels
    features = torch.randn(8, 32, 21, 1, requires_grad=True)
    decoder(features).mul(torch.randn(8, 778, 3)).sum().backward()
    idle = int((features.grad.abs().sum((0, 2, 3)) == 0).sum())
    for conv in decoder.convs:
        last = conv.conv if conv.mix is None else conv.mix
        idle += int((last.weight.grad.abs().flatten(1).sum(1) == 0).sum())
    assert (idle == 0) if keep else (idle == 24 + 24 + 12 + 6 + 3)
