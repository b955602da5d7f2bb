"""Small networks from fake quantisation to the integers that ONNX Runtime multiplies."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hoi_core.errors import ExportError
from hoi_core.onnx_session import onnx_session
from learning import export, int8_proof, quantize
from learning.config import TrainConfig
from learning.export import write_onnx
from learning.int8_proof import prove
from learning.layers.bottleneck import InvertedResidual
from learning.layers.rows import Pointwise
from learning.layers.sparse import Deconv2d, DenseConv2d, SparseBottleneck
from learning.layers.spiral import MeshDecoder, SeparableSpiralConv, SpiralConv, Upsampling
from learning.models._densestack import MobileUnit, Squeeze
from learning.qdq import integer_network
from learning.scheme import Scheme

SIZE = 8


class Gather(nn.Module):
    """Something that only floats can do."""

    def forward(self, x):
        return F.grid_sample(x, torch.zeros(x.shape[0], 3, 1, 2), align_corners=False)


class Everything(nn.Module):
    """Each form that a layer of ours takes."""

    FLOAT_LAYERS = ("gather", "place")

    def __init__(self):
        super().__init__()
        self.stem = DenseConv2d(3, 8, 3, 2)
        self.depthwise = DenseConv2d(8, 8, 3, 1, 8)
        self.mix = DenseConv2d(8, 16, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.gather = Gather()
        self.hidden = nn.Linear(8, 12)
        self.map = nn.Linear(3, 5, bias=False)
        self.out = nn.Linear(12, 4)
        self.place = nn.Tanh()
        self.register_buffer("rows", torch.tensor([4, 0, 2, 2]))

    def forward(self, image):
        x = F.relu(self.stem(image))
        x = F.relu(self.depthwise(x)) + x
        pooled = F.adaptive_avg_pool2d(x, 1).reshape(-1, 8)
        wide = self.shuffle(F.relu(self.mix(x)))
        parts = torch.cat([wide[:, :2], F.max_pool2d(x, 1)[:, 2:4].repeat_interleave(2, 2).repeat_interleave(2, 3)], 1)
        seen = self.map(self.gather(parts).reshape(-1, 3)).reshape(-1, 4, 5).transpose(1, 2)
        seen = torch.index_select(seen, 1, self.rows).reshape(-1, 16)
        return self.place(self.out(F.relu(self.hidden(pooled)))), seen


class Forms(nn.Module):
    """Blocks of the models that no other test quantises, and heads."""

    HEADS = ("maps", "separable.head", "full.head")

    def __init__(self):
        super().__init__()
        self.stem = DenseConv2d(3, 8, 3, 2)
        self.bottleneck = SparseBottleneck(8, 16)
        self.inverted = InvertedResidual(16, 16, expand=2)
        self.squeezed = nn.Sequential(MobileUnit(16, 16), Squeeze(16))
        self.up, self.maps = Deconv2d(16, 8), Pointwise(8, 2)
        finer = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).numpy()
        mesh = ((finer,), (np.arange(20).reshape(5, 4) * 3 % 5,), (16, 8), torch.rand(5, 3))
        self.separable, self.full = MeshDecoder(SeparableSpiralConv, *mesh), MeshDecoder(SpiralConv, *mesh)
        self.register_buffer("places", torch.arange(21) % 16)

    def forward(self, image):
        x = self.bottleneck(F.relu(self.stem(image)), None, None)
        x = self.squeezed(self.inverted(x))
        joints = torch.index_select(x.reshape(-1, 16, 16, 1), 2, self.places)
        return self.maps(F.relu(self.up(x))), self.separable(joints), self.full(joints)


class Layer(nn.Module):
    """One layer after another that rounds its input."""

    def __init__(self, layer):
        super().__init__()
        self.first, self.layer = nn.Conv2d(3, 4, 1), layer

    def forward(self, image):
        return self.layer(F.relu(self.first(image)))


class Boxed(nn.Module):
    """An image and boxes in it, which stay in float: 8 bits would move them by pixels."""

    FLOAT_INPUTS = ("boxes",)

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 3)

    def forward(self, image, boxes):
        centre = boxes.reshape(-1, 2, 2).sum(1) / 2.0
        places = torch.cat([centre, boxes[:, 2:] - boxes[:, :2]], 1)
        seen = F.adaptive_avg_pool2d(F.relu(self.first(image)), 1).flatten(1)
        return self.head(seen), places


def images(count=4):
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def trained(model, weight_bits=8, steps=5):
    """Prepared, a few steps of stochastic descent on any target, frozen."""
    torch.manual_seed(0)
    prepared = quantize.prepare(model.eval(), (images(),), Scheme(weight_bits)).train()
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.01)
    for _ in range(steps):
        outputs = prepared(images())
        loss = sum((x - 0.3).square().mean() for x in (outputs if isinstance(outputs, tuple) else (outputs,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return quantize.freeze_observers(prepared).eval()


def written(network, folder, outputs=("a", "b")):
    write_onnx(network, folder / "net.onnx", (images(1),), outputs)
    return folder / "net.onnx"


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    torch.manual_seed(1)
    prepared = trained(Everything())
    return prepared, written(integer_network(prepared), tmp_path_factory.mktemp("everything"))


def test_the_file_is_the_simulation(everything):
    """Operator by operator, nothing fused; what is left is the rounding of biases."""
    prepared, path = everything
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = prepared(images())
    for got, want in zip(plain.run(None, {"image": images().numpy()}), expected, strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=1e-5)


def test_fused_kernels_round_alike(everything):
    prepared, path = everything
    with torch.no_grad():
        expected = prepared(images())
    for got, want in zip(onnx_session(path, 1).run(None, {"image": images().numpy()}), expected, strict=True):
        assert np.abs(got - want.numpy()).max() < 0.02 * want.abs().max()  # a last bit of 8 here and there


def test_every_layer_computes_in_integers(everything):
    proof = prove(everything[1])
    assert {layer.name: layer.kernel for layer in proof.layers} == {
        "stem.conv": "QLinearConv",
        "depthwise.conv": "QLinearConv",
        "mix.conv": "QLinearConv",
        "hidden": "QGemm",
        "map": "QGemm",
        "out": "QGemm",
    }
    macs = {layer.name: layer.macs for layer in proof.layers}
    assert macs == {  # outputs times inputs of each
        "stem.conv": 4 * 4 * 8 * 27,
        "depthwise.conv": 4 * 4 * 8 * 9,
        "mix.conv": 4 * 4 * 16 * 8,
        "hidden": 8 * 12,
        "map": 4 * 3 * 5,
        "out": 12 * 4,
    }
    assert proof.in_float == ()
    assert proof.integer_share == 1.0


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    torch.manual_seed(2)
    model = Forms().eval()
    prepared = trained(model, steps=2)
    return model, prepared, written(integer_network(prepared), tmp_path_factory.mktemp("forms"), ("a", "b", "c"))


def test_every_block_of_the_models_computes_in_integers(forms):
    proof = prove(forms[2])
    assert proof.in_float == ()
    kernels = {layer.name: layer.kernel for layer in proof.layers}
    assert len(kernels) == 3 + 1 + 3 + 4 + 1 + 1 + 1 + 2 * 4 + 2  # bottleneck's shortcut too; two depthwise spirals
    rows = {name for name, kernel in kernels.items() if kernel == "QGemm"}
    assert {"maps.linear", "separable.up.0.linear", "separable.head.conv.pointwise", "full.head.conv.linear"} <= rows


def test_what_heads_give_is_not_rounded(forms):
    """More values than 8 bits have, and those of the simulation."""
    found = onnx_session(forms[2], 1).run(None, {"image": images(64).numpy()})
    with torch.no_grad():
        expected = forms[1](images(64))
    for got, want in zip(found, expected, strict=True):
        assert len(np.unique(got)) > 400
        assert np.abs(got - want.numpy()).max() < 0.03 * want.abs().max()  # bits that flipped before it


def test_heads_stay_float_where_that_is_asked_for(forms):
    prepared = quantize.prepare(forms[0], (images(),), Scheme(heads="float"))
    assert quantize.float_layers(prepared) == ["maps", "separable.head", "full.head"]
    assert type(prepared.maps) is Pointwise
    assert isinstance(prepared.separable.head.conv, SeparableSpiralConv)


def test_integer_forms_compute_what_they_stand_for():
    torch.manual_seed(3)
    spirals = np.arange(12).reshape(4, 3) * 5 % 4
    for layer, x in (
        (Pointwise(5, 3), torch.rand(2, 5, 4, 6)),
        (Upsampling(torch.rand(6, 4).numpy()), torch.rand(2, 4, 5)),
        (SeparableSpiralConv(5, 3, spirals), torch.rand(2, 4, 5)),
    ):
        with torch.no_grad():
            expected = layer(x)
            torch.testing.assert_close(layer.integer_form(expected.shape)(x), expected)


def test_layers_in_float_are_found(tmp_path):
    class Half(Layer):
        FLOAT_LAYERS = ("layer",)

    torch.manual_seed(1)
    prepared = trained(Half(nn.Conv2d(4, 2, 3)))
    proof = prove(written(integer_network(prepared), tmp_path, ("a",)))
    assert proof.in_float == ("layer",)
    assert proof.integer_share == pytest.approx(8 * 8 * 12 / (8 * 8 * 12 + 6 * 6 * 2 * 36))


def test_a_layer_in_float_is_refused_unless_the_model_names_it_or_its_parent():
    model = nn.Identity()
    model.meta = {"float_layers": ["head"]}
    names = ("head", "head:2", "head.conv", "header", "stem.head")
    proof = int8_proof.Proof(tuple(int8_proof.Layer(name, "Conv", 1) for name in names))
    with pytest.raises(ExportError, match=r"2 of 5 layers in float: header, stem\.head"):
        export._demand_integers(proof, model)
    export._demand_integers(int8_proof.Proof(proof.layers[:3]), model)


def test_sums_that_only_floats_read_are_not_rounded(everything):
    prepared, _ = everything
    with torch.no_grad():
        values = torch.atanh(prepared(images(64))[0]).flatten()
    steps = values.sort().values.diff()
    assert len(values.unique()) > 200  # of 256; 8 bits over so narrow a range would leave few
    assert steps[steps > 0].min() < (values.max() - values.min()) / 2000


def test_roundings_have_their_own_ranges():
    """Pooled values are narrower than what is pooled: a shared moving average would clip the latter."""

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)

        def forward(self, image):
            x = F.relu(self.first(image * 2))
            return self.last(F.adaptive_avg_pool2d(x, 1).reshape(-1, 4)), x

    torch.manual_seed(1)
    model = Pooled()
    prepared = trained(model)
    with torch.no_grad():
        wide = prepared(images())[1]
        true = F.relu(prepared.first(images() * 2))
    scales = [float(m.scale) for n, m in prepared.named_children() if n.startswith("activation_post_process")]
    assert float(wide.max()) == pytest.approx(float(true.max()), rel=0.02)
    assert len(set(scales)) == len(scales)


def test_channels_of_one_sign_and_dead_channels(tmp_path):
    torch.manual_seed(1)
    model = Layer(nn.Conv2d(4, 3, 1))
    with torch.no_grad():
        model.layer.weight[0] = torch.rand(4, 1, 1) * 0.01 + 0.01
        model.layer.weight[1] = 0.0
        model.layer.bias[1] = 50.0
    prepared = quantize.prepare(model.eval(), (images(),)).eval()
    with torch.no_grad():
        prepared(images())
        expected = quantize.freeze_observers(prepared)(images())
        network = integer_network(prepared)
        np.testing.assert_allclose(network(images()), expected, atol=1e-4)
    ints = network.layer.weight.flatten(1)
    assert (ints[0].abs().max(), ints[1].abs().max()) == (127, 0)
    fitting = model.layer.weight.detach().flatten(1) / network.layer.weight_scale[:, None]
    assert (ints - fitting)[[0, 2]].abs().max() <= 0.51


def test_weights_of_seven_bits_cannot_overflow(tmp_path):
    torch.manual_seed(1)
    network = integer_network(trained(Everything(), 7))
    largest = max(int(m.weight.int().abs().max()) for m in network.modules() if hasattr(m, "weight_scale"))
    assert largest == 64
    assert 2 * 255 * largest < 2**15  # a pair of products, summed in 16 bits
    assert prove(written(network, tmp_path)).in_float == ()


def test_calibration_finds_the_ranges():
    torch.manual_seed(1)
    model = Layer(nn.Conv2d(4, 2, 1))
    with torch.no_grad():
        model.first.weight.fill_(0.0)
        model.first.weight[:, 0] = 1.0
        model.first.bias.zero_()
    calibrated = quantize.calibrate(model.eval(), [(x,) for x in images(64).split(16)])
    rounding = calibrated.activation_post_process_1
    assert float(rounding.scale) == pytest.approx(1 / 255, rel=0.02)  # uniform from 0 to 1
    assert int(rounding.zero_point) == 0
    with torch.no_grad():
        assert (calibrated(images()) - model(images())).abs().max() < 0.02
    with pytest.raises(ValueError, match="at least one"):
        quantize.calibrate(model, [])


def test_what_has_no_integer_form_is_refused():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.weight = nn.Conv2d(3, 4, 1), nn.Parameter(torch.rand(2, 4, 1, 1))

        def forward(self, image):
            return F.conv2d(F.relu(self.first(image)), self.weight)

    with pytest.raises(TypeError, match=r"nn\.PixelShuffle"):
        quantize.prepare(Layer(nn.ConvTranspose2d(4, 2, 2)).eval(), (images(),))
    with pytest.raises(TypeError, match="batch norm"):
        quantize.prepare(Layer(nn.BatchNorm2d(4)).eval(), (images(),))
    with pytest.raises(TypeError, match="use the module"):
        integer_network(trained(Functional()))
    with pytest.raises(TypeError, match=r"quantize\.prepare"):
        integer_network(nn.Linear(2, 2))


def test_inputs_besides_the_image(tmp_path):
    """They are named, have a free batch, and those that the network names stay as they are."""
    torch.manual_seed(0)
    boxes = torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) * 1000.0
    shown, names, path = (images(), boxes), ("image", "boxes"), tmp_path / "net.onnx"
    simulated = quantize.calibrate(Boxed().eval(), [shown])
    write_onnx(integer_network(simulated), path, tuple(x[:1] for x in shown), ("a", "places"), names)
    session = onnx_session(path, 1)
    assert [port.name for port in session.get_inputs()] == list(names)
    said, places = session.run(None, {"image": shown[0].numpy(), "boxes": boxes.numpy()})
    expected = torch.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], 1) / 2
    np.testing.assert_allclose(places[:, :2], expected, atol=1e-3)  # in 8 bits they would be off by up to 2
    np.testing.assert_allclose(places[:, 2:], boxes[:, 2:] - boxes[:, :2], atol=1e-3)
    with torch.no_grad():
        np.testing.assert_allclose(said, simulated(*shown)[0], atol=0.02)
    proof = prove(path)
    assert [(layer.name, layer.integer) for layer in proof.layers] == [("first", True), ("head", True)]


@pytest.mark.parametrize(
    ("steps", "freeze", "at"), [(1, 0.7, 1), (1, 0.0, 1), (10, 0.0, 1), (10, 0.7, 7), (10, 1.0, 10)]
)
def test_ranges_see_a_step_before_they_are_fixed(steps, freeze, at):
    """Fixed before, they had no scale to export."""
    settings = TrainConfig(net=None, qat=True, from_run=Path("float"), steps=steps, freeze=freeze)
    assert settings.freeze_step == at
