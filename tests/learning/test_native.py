"""The native engine against the masked convolutions of torch, which other tests hold to a literal sparse network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from hoi_core import native
from hoi_core.errors import AssetError
from learning.layers.sparse import SparseConv2d, fold_batch_norms, on_sites, site_mask
from learning.models._sparse_resnet import SparseResNet

needs_engine = pytest.mark.skipif(bool(native.problem()), reason=f"no native engine: {native.problem()}")
OCCUPANCIES = (0.0, 0.01, 0.1, 0.4, 1.0)
SETS = ("plain",) if native.problem() else native.instruction_sets()


def images(size: int, channels: int, occupancy: float, seed: int) -> torch.Tensor:
    """Two frames `(2, C, size, size)`: the second shows what the first left in the engine's memory."""
    g = torch.Generator().manual_seed(seed)
    on = torch.rand(2, 1, size, size, generator=g) < occupancy
    values = torch.rand(2, channels, size, size, generator=g)
    one_channel = torch.randint(channels, (2, 1, size, size), generator=g)
    values *= torch.arange(channels)[:, None, None] >= one_channel  # some channels are zero on a site
    return values * on


def assert_close(got: np.ndarray, expected: torch.Tensor) -> None:
    wanted = expected.detach().numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * max(float(abs(wanted).max()), 1e-6))


def weights_of(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def unlike_fresh(network: torch.nn.Module) -> torch.nn.Module:
    """Statistics and shifts as training leaves them, then folded."""
    for module in network.modules():
        if hasattr(module, "running_var"):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return fold_batch_norms(network.eval())


@needs_engine
@settings(max_examples=25)
@given(
    cells=st.integers(1, 7), channels=st.lists(st.integers(1, 70), min_size=2, max_size=2),
    c_in=st.integers(1, 4), kernels=st.tuples(*[st.sampled_from([1, 3, 5, 7])] * 2),
    strides=st.tuples(*[st.sampled_from([1, 2])] * 2), relu=st.booleans(), occupancy=st.sampled_from(OCCUPANCIES),
    name=st.sampled_from(SETS), seed=st.integers(0, 999),
)  # fmt: skip
def test_convolutions_of_any_shape(*, cells, channels, c_in, kernels, strides, relu, occupancy, name, seed):
    """Image -> convolution -> convolution + the pooled or kept input of it + ReLU."""
    from hoi_core.native import _engine

    torch.manual_seed(seed)
    size = cells * strides[0] * strides[1]
    first = unlike_fresh(SparseConv2d(c_in, channels[0], kernels[0], strides[0]))
    second = unlike_fresh(SparseConv2d(channels[0], channels[1], kernels[1], strides[1]))
    kept = unlike_fresh(SparseConv2d(channels[0], channels[1], 1, strides[1]))

    network = _engine.Network(size, c_in, name)
    x = network.convolve(0, *(p.detach().numpy() for p in first.parameters()), stride=strides[0], relu=True)
    side = network.convolve(x, *(p.detach().numpy() for p in kept.parameters()), stride=strides[1])
    parameters = [p.detach().numpy() for p in second.parameters()]
    y = network.convolve(x, *parameters, stride=strides[1], relu=relu, residual=side)
    network.finish([x, y])
    for image in images(size, c_in, occupancy, seed).split(1):
        fine, coarse = site_mask(image, strides[0]), site_mask(image, strides[0] * strides[1])
        expected_x = on_sites(F.relu(first(image, fine)), fine)
        total = second(expected_x, coarse) + kept(expected_x, coarse)
        expected_y = on_sites(F.relu(total) if relu else total, coarse)
        got_x, got_y = network.run(image[0].numpy())
        assert_close(got_x, expected_x[0])
        assert_close(got_y, expected_y[0])


@needs_engine
@settings(max_examples=8)
@given(
    backbone=st.sampled_from(["resnet18", "resnet50"]), width=st.sampled_from([4, 7, 16, 20]),
    size=st.sampled_from([32, 64]), occupancy=st.sampled_from(OCCUPANCIES), name=st.sampled_from(SETS),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_encoders(backbone, width, size, occupancy, name, seed):
    from hoi_core.native.encoder import Encoder

    torch.manual_seed(seed)
    network = unlike_fresh(SparseResNet(width, backbone=backbone))
    encoder = Encoder(weights_of(network), size, instruction_set=name)
    for image in images(size, 3, occupancy, seed).split(1):
        with torch.no_grad():
            expected = network(image)
        for got, wanted in zip(encoder.run(image[0].numpy()), expected, strict=True):
            assert_close(got, wanted[0])


@needs_engine
def test_frames_take_no_memory():
    from hoi_core.native import _engine

    network = _engine.Network(16, 3)
    x = network.convolve(0, np.ones((8, 3, 3, 3), np.float32), np.ones(8, np.float32), stride=2, relu=True)
    network.finish([network.convolve(x, np.ones((16, 8, 3, 3), np.float32), np.ones(16, np.float32))])
    shown = [images(16, 3, occupancy, 0)[0].numpy() for occupancy in OCCUPANCIES]

    def run(frames: int) -> int:
        for n in range(frames):
            network.run(shown[n % len(shown)])
        return int(Path("/proc/self/statm").read_text().split()[1])

    first = run(1_000)
    assert run(20_000) - first < 100  # pages; a page lost in a hundred frames would be 200


@needs_engine
def test_the_report_counts_the_neighbours_that_exist():
    """One stroke of 5 sites in a row: a 3x3 convolution finds 5 + 4 + 4 neighbours."""
    from hoi_core.native import _engine

    network = _engine.Network(8, 1)
    x = network.convolve(0, np.ones((2, 1, 1, 1), np.float32), np.zeros(2, np.float32))
    network.finish([network.convolve(x, np.ones((3, 2, 3, 3), np.float32), np.zeros(3, np.float32))])
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 4, 2:7] = 1.0
    (found,) = network.run(image, timed=True)
    np.testing.assert_array_equal(found[:, 4, 2:7], np.tile([4.0, 6.0, 6.0, 6.0, 4.0], (3, 1)))
    stem, layer = network.reports()
    assert (stem["sites"], stem["multiply_adds"]) == (5, 5 * 1 * 2)
    assert (layer["sites"], layer["multiply_adds"], layer["kernel"]) == (5, 13 * 2 * 3, 3)


@needs_engine
def test_what_does_not_fit_is_refused():
    from hoi_core.native import _engine

    def weights(*shape):
        return np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)

    for size, channels in ((0, 3), (100_000, 3), (32, 0), (32, 99)):
        with pytest.raises(ValueError, match="expected"):
            _engine.Network(size, channels)
    with pytest.raises(ValueError, match="instruction sets"):
        _engine.Network(32, 3, "abacus")
    network = _engine.Network(6, 3)
    x = network.convolve(0, *weights(4, 3, 3, 3), stride=2)
    wrong = [
        lambda: network.convolve(x, *weights(4, 3, 3, 3)),
        lambda: network.convolve(x, *weights(4, 4, 2, 2)),
        lambda: network.convolve(x, *weights(4, 4, 3, 5)),
        lambda: network.convolve(x, *weights(4, 4, 17, 17)),
        lambda: network.convolve(x, *weights(4, 4, 3, 3), stride=2),
        lambda: network.convolve(x, *weights(4, 4, 3, 3), stride=0),
        lambda: network.convolve(x, weights(4, 4, 3, 3)[0], np.zeros(5, np.float32)),
        lambda: network.convolve(x, *weights(5, 4, 3, 3), residual=x),
        lambda: network.convolve(x, *weights(4, 4, 3, 3), residual=0),
        lambda: network.convolve(0, *weights(4, 3, 3, 3), residual=x),
        lambda: network.convolve(-1, *weights(4, 4, 3, 3)),
        lambda: network.convolve(7, *weights(4, 4, 3, 3)),
        lambda: network.max_pool(0),
        lambda: network.max_pool(x),
        lambda: network.finish([0]),
        lambda: network.finish([7]),
        lambda: network.run(np.zeros((3, 6, 6), np.float32)),
    ]
    for call in wrong:
        with pytest.raises(ValueError, match="expected"):
            call()
    network.finish([x])
    for call in (lambda: network.run(np.zeros((3, 5, 6), np.float32)), lambda: network.max_pool(x)):
        with pytest.raises(ValueError, match="expected"):
            call()


@needs_engine
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda w: w.pop("stem.conv.weight"), "no weights named stem"),
        (lambda w: w.pop("stages.1.blocks.0.conv2.conv.bias"), "not folded"),
        (lambda w: w.pop("stages.1.blocks.0.shortcut.conv.weight"), "residual"),
        (lambda w: w.update({"stages.0.blocks.0.conv2.conv.weight": np.zeros((4, 9, 3, 3), np.float32)}), "sparse enc"),
        (lambda w: w.update({"stages.0.blocks.0.conv2.conv.weight": np.zeros(4, np.float32)}), "k, k"),
    ],
)
def test_weights_of_no_encoder_are_refused(damage, says):
    from hoi_core.native.encoder import Encoder

    weights = weights_of(fold_batch_norms(SparseResNet(4).eval()))
    damage(weights)
    with pytest.raises(AssetError, match=says):
        Encoder(weights, 32)
    with pytest.raises(AssetError, match="divides"):
        Encoder(weights_of(fold_batch_norms(SparseResNet(4).eval())), 40)


@needs_engine
def test_the_environment_chooses_the_instructions(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "plain")
    assert native.chosen_set() == "plain"
    monkeypatch.setenv(native.SWITCH, "abacus")
    with pytest.raises(AssetError, match="abacus"):
        native.chosen_set()


def test_without_the_engine_it_says_why(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "off")
    assert "switches it off" in native.description()
    with pytest.raises(AssetError, match="switches it off"):
        native.chosen_set()
