"""The native engine in 8-bit integers: against ONNX's operators in numpy, and against ONNX Runtime bit for bit."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from hoi_core import native
from hoi_core.errors import AssetError
from hoi_core.native import byte_layers, hand_over, onnx_wire
from hoi_core.native.encoder import Encoder
from hoi_core.onnx_session import onnx_session
from learning import inputs
from learning.export import write_onnx
from learning.int8_engines import give_features, write_int8
from learning.layers.sparse import fold_batch_norms
from learning.models._sparse_resnet import SparseResNet
from learning.scheme import Scheme

needs_engine = pytest.mark.skipif(bool(native.problem()), reason=f"no native engine: {native.problem()}")
OCCUPANCIES = (0.0, 0.02, 0.2, 1.0)
SETS = ("plain",) if native.problem() else native.instruction_sets()
SIZE = 32
STAGES = (0, 1)
UNCHANGED = np.arange(256, dtype=np.uint8)
NEAR_A_TIE = 1e-3


def images(size: int, channels: int, occupancy: float, seed: int) -> np.ndarray:
    """Two frames `(2, C, size, size)`; some values round to nothing, some are clipped."""
    rng = np.random.default_rng(seed)
    on = rng.random((2, 1, size, size)) < occupancy
    return (rng.uniform(0.0, 1.2, (2, channels, size, size)) * on * rng.integers(0, 2, on.shape)).astype(np.float32)


def rounded(values: np.ndarray, zero: int = 0, low: int = 0) -> np.ndarray:
    return np.clip(np.rint(values) + zero, low, 255)


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Whole numbers, exact in double precision: `(C_in, S, S)` -> `(C_out, S / stride, S / stride)`."""
    tensors = (torch.from_numpy(np.asarray(a, np.float64)) for a in (x[None], weight, bias))
    return F.conv2d(*tensors, stride=stride, padding=weight.shape[-1] // 2)[0].numpy()


def coarser(sites: np.ndarray, stride: int) -> np.ndarray:
    size = len(sites) // stride
    return sites.reshape(size, stride, size, stride).any(axis=(1, 3))


def random_layer(rng: np.random.Generator, c_in: int, c_out: int, kernel: int, stride: int, bits: int) -> dict:
    largest = 2 ** (bits - 1)
    shape = (c_out, c_in, kernel, kernel)
    weight = rng.integers(-largest, largest, shape, dtype=np.int8)
    extreme = rng.choice([-largest, largest - 1], shape).astype(np.int8)  # where 16 bits would overflow
    weight = np.where(rng.random((c_out, 1, 1, 1)) < 0.3, extreme, weight)
    spread = 255 * largest * np.sqrt(c_in * kernel**2) / 3
    multiplier = (rng.uniform(30, 300, c_out) / spread).astype(np.float32)
    bias = rng.integers(-5000, 5000, c_out, dtype=np.int32)
    return {
        "weight": weight, "bias": bias, "multiplier": multiplier, "stride": stride, "relu": True, "zero": 0,
        "scale": 1.0, "residual": -1, "table": UNCHANGED, "own_ratio": 1.0, "kept_ratio": 1.0, "fixed": 0.0,
    }  # fmt: skip


def own_bytes(x: np.ndarray, layer: dict, *, relu: bool) -> np.ndarray:
    """As ONNX defines a quantised convolution, its product in float32."""
    sums = convolved(x, layer["weight"], layer["bias"], layer["stride"])
    product = sums.astype(np.float32) * layer["multiplier"][:, None, None]
    return rounded(product, layer["zero"], layer["zero"] if relu else 0)


@needs_engine
@settings(max_examples=25)
@given(
    cells=st.integers(1, 6), channels=st.tuples(*[st.integers(1, 70)] * 2), c_in=st.integers(1, 4),
    kernels=st.tuples(*[st.sampled_from([1, 3, 5, 7])] * 2), strides=st.tuples(*[st.sampled_from([1, 2])] * 2),
    relu=st.booleans(), bits=st.sampled_from([7, 8]), occupancy=st.sampled_from(OCCUPANCIES),
    name=st.sampled_from(SETS), threads=st.sampled_from([1, 1, 2, 3]), seed=st.integers(0, 999),
)  # fmt: skip
def test_layers_of_any_shape(*, cells, channels, c_in, kernels, strides, relu, bits, occupancy, name, threads, seed):
    """Image -> convolution -> convolution and what it adds to it, with zero points, a ReLU and a table."""
    from hoi_core.native import _engine

    rng = np.random.default_rng(seed)
    size, step = cells * strides[0] * strides[1], np.float32(rng.uniform(0.002, 0.006))
    first = random_layer(rng, c_in, channels[0], kernels[0], strides[0], bits)
    kept = random_layer(rng, *channels, 1, strides[1], bits) | {"relu": False, "zero": int(rng.integers(256))}
    second = random_layer(rng, *channels, kernels[1], strides[1], bits) | {"relu": relu, "zero": int(rng.integers(256))}
    ratios = rng.uniform(0.3, 2.0, 2).astype(np.float32)
    fixed = -np.float32(ratios[0] * second["zero"] + ratios[1] * kept["zero"])
    table = rng.integers(0, 256, 256, dtype=np.uint8)
    network = _engine.Network(size, c_in, name, threads)
    network.take_bytes(float(step), float(step), 2 ** (bits - 1))
    x = network.convolve_bytes(0, first)
    side = network.convolve_bytes(x, kept)
    adding = {"residual": side, "own_ratio": ratios[0], "kept_ratio": ratios[1], "fixed": fixed, "table": table}
    y = network.convolve_bytes(x, second | adding)
    network.finish([x, side, y])
    for image in images(size, c_in, occupancy, seed):
        got = network.run(image)
        pixels = rounded(image / step)
        fine = coarser((pixels > 0).any(axis=0), strides[0])
        coarse = coarser(fine, strides[1])
        wanted_x = own_bytes(pixels, first, relu=True) * fine
        wanted_side, own = (own_bytes(wanted_x, layer, relu=False) for layer in (kept, second))
        np.testing.assert_array_equal(got[0], wanted_x)
        np.testing.assert_array_equal(got[1], (wanted_side - kept["zero"]) * coarse)
        total = own * float(ratios[0]) + wanted_side * float(ratios[1]) + float(fixed)
        sure = (abs(total - np.floor(total) - 0.5) > NEAR_A_TIE) | ~coarse
        np.testing.assert_array_equal(got[2][sure], (table[rounded(total).astype(int)] * coarse)[sure])


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The beginning of an encoder in int8 as the exporter writes it."""
    torch.manual_seed(0)
    encoder = SparseResNet(5).eval()
    encoder.stages = encoder.stages[:2]
    for stage in encoder.stages:
        stage.blocks = stage.blocks[:1]
    for module in encoder.modules():
        if hasattr(module, "running_var"):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    path = tmp_path_factory.mktemp("int8") / "encoder.onnx"
    write_int8(encoder, torch.from_numpy(images(SIZE, 3, 0.5, 0)), Scheme(), path, STAGES)
    return path


@needs_engine
def test_the_encoder_is_what_onnx_runtime_computes(model, tmp_path):
    encoder = byte_layers.read_encoder(onnx_wire.read(model.read_bytes(), "model"), "encoder.")
    features = tmp_path / "features.onnx"
    shutil.copy(model, features)
    give_features(features)
    theirs = onnx_session(features, 1)
    frames = np.concatenate([images(SIZE, 3, occupancy, 1) for occupancy in OCCUPANCIES])
    for name in SETS:
        ours = Encoder(encoder, SIZE, instruction_set=name)
        for image in frames:
            for got, wanted in zip(ours.run(image), theirs.run(None, {"image": image[None]}), strict=True):
                np.testing.assert_array_equal(got, wanted[0])


@needs_engine
@pytest.mark.parametrize("hand_over_above", ["0", "1"])
def test_a_session_gives_what_onnx_runtime_gives(model, monkeypatch, hand_over_above):
    from hoi_core.native.session import NativeSession

    monkeypatch.setenv(hand_over.SWITCH, hand_over_above)
    frames = images(SIZE, 3, 0.3, 2)
    for got, wanted in zip(
        NativeSession(model, SIZE, 2).run(None, {"image": frames}),
        onnx_session(model, 1).run(None, {"image": frames}),
        strict=True,
    ):
        np.testing.assert_array_equal(got, wanted)


@needs_engine
def test_threads_change_nothing():
    torch.manual_seed(0)
    weights = {k: v.numpy() for k, v in fold_batch_norms(SparseResNet(20).eval()).state_dict().items()}
    frames = np.concatenate([images(64, 3, occupancy, 1) for occupancy in OCCUPANCIES])
    alone, shared = (Encoder(weights, 64, threads=threads) for threads in (1, 3))
    for image in frames:
        for got, wanted in zip(shared.run(image), alone.run(image), strict=True):
            np.testing.assert_array_equal(got, wanted)
    with pytest.raises(AssetError, match="threads"):
        Encoder(weights, 64, threads=0)


def changed(model: Path, name: str, values: np.ndarray) -> onnx_wire.Graph:
    """The file with other numbers in one of its constants, whose name begins and ends so."""
    proto = onnx.load(model)
    start, _, end = name.partition("*")
    found = [t for t in proto.graph.initializer if t.name.startswith(start) and t.name.endswith(end)]
    found[0].CopyFrom(onnx.numpy_helper.from_array(values, found[0].name))
    return onnx_wire.read(proto.SerializeToString(), "model")


CONV = "encoder.stages.0.blocks.0.conv1.conv"


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("activation*.scale", np.float32(np.nan), "not finite"),
        ("activation*.scale", np.float32(np.inf), "not finite"),
        ("activation*.scale", np.float32(0.0), "above 0"),
        ("activation*.scale", np.ones(2, np.float32), "one number"),
        ("activation*.zero", np.array(3, np.uint8), "zero point 0"),
        ("activation*.zero", np.array(300, np.int32), "uint8"),
        (f"{CONV}.weight", np.zeros((5, 5, 3, 3), np.float32), "int8"),
        (f"{CONV}.weight", np.zeros((5, 5), np.int8), "belong together"),
        (f"{CONV}.weight_scale", np.zeros(5, np.float32), "above 0"),
        (f"{CONV}.weight_scale", np.full(5, np.nan, np.float32), "not finite"),
        (f"{CONV}.weight_scale", np.ones(4, np.float32), "belong together"),
        (f"{CONV}.bias_scale", np.ones(5, np.float32), "other steps"),
        (f"{CONV}.bias", np.zeros(5, np.int8), "int32"),
    ],
)
def test_numbers_that_make_no_layer_are_refused(model, name, values, says):
    with pytest.raises(AssetError, match=says):
        byte_layers.read_encoder(changed(model, name, values), "encoder.")


def mutated(proto: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """A graph whose operators or constants are one to three times not what they were."""
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    constants = found.graph.initializer
    for _ in range(rng.integers(1, 4)):
        nodes = [node for node in found.graph.node if node.input]
        node, other = (nodes[rng.integers(len(nodes))] for _ in range(2))
        tensor, another = (constants[rng.integers(len(constants))] for _ in range(2))
        values = onnx.numpy_helper.to_array(tensor)
        kind = rng.choice(["operator", "inputs", "outputs", "reads", "removed", "named", "shape", "numbers", "kind"])
        if kind == "operator":
            node.op_type = other.op_type
        elif kind == "inputs":
            del node.input[rng.integers(len(node.input)) :]
        elif kind == "outputs":
            del node.output[:]
        elif kind == "reads":
            node.input[rng.integers(len(node.input))] = [*other.output, tensor.name][0]
        elif kind == "removed":
            found.graph.node.remove(node)
        elif kind == "named":
            tensor.name, another.name = another.name, tensor.name
        elif kind == "shape":
            values = values.reshape(-1)[: rng.integers(values.size + 1)]
        elif kind == "numbers":
            values = np.full_like(values, rng.choice([0, 1, 127]))
        else:
            values = values.astype(rng.choice(["f4", "i1", "u1", "i4", "i8"]))
        if kind in ("shape", "numbers", "kind"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return found


@needs_engine
def test_a_damaged_graph_is_refused_or_runs(model):
    """Whatever is wrong with it, nothing but an AssetError comes out."""
    proto, image, outcomes = onnx.load(model), images(SIZE, 3, 0.5, 1)[0], {"refused": 0, "ran": 0}
    for seed in range(80):
        graph = onnx_wire.read(mutated(proto, np.random.default_rng(seed)).SerializeToString(), "this file")
        try:
            Encoder(byte_layers.read_encoder(graph, "encoder."), SIZE).run(image)
            outcomes["ran"] += 1
        except AssetError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 3, outcomes


@needs_engine
def test_layers_that_do_not_fit_are_refused(model):
    encoder = byte_layers.read_encoder(onnx_wire.read(model.read_bytes(), "model"), "encoder.")
    name = "stages.0.blocks.0.conv1"
    layer = encoder.layers[name]
    overflowing = np.full(5, 2**30 + 1, np.int32)
    for wrong in (
        {"weight": np.zeros((5, 6, 3, 3), np.int8)}, {"multiplier": np.ones(4, np.float32)}, {"bias": overflowing},
        {"multiplier": np.full(5, np.inf, np.float32)}, {"relu": False}, {"adds": True}, {"table": UNCHANGED[:9]},
        {"own": byte_layers.Rounding(1.0, 7)}, {"own": byte_layers.Rounding(1.0, 300)},
        {"result": byte_layers.Rounding(float("nan"), 0)},
    ):  # fmt: skip
        layers = {**encoder.layers, name: dataclasses.replace(layer, **wrong)}
        with pytest.raises(AssetError):
            Encoder(dataclasses.replace(encoder, layers=layers), SIZE)
    for wrong in ({"site_scale": 0.0}, {"image": byte_layers.Rounding(-1.0, 0)}, {"pooled_scale": float("inf")}):
        with pytest.raises(AssetError):
            Encoder(dataclasses.replace(encoder, **wrong), SIZE)
    missing = {k: v for k, v in encoder.layers.items() if k != "stages.0.blocks.0.conv2"}
    with pytest.raises(AssetError, match="conv2"):
        Encoder(dataclasses.replace(encoder, layers=missing), SIZE)


@needs_engine
def test_weights_too_large_for_the_kernel_are_refused():
    """Taken for weights of 7 bits, which 16 bits hold two products of, those of 8 would give other sums."""
    from hoi_core.native import _engine

    for name in set(SETS) & {"avx2", "avx512"}:
        network = _engine.Network(8, 3, name)
        network.take_bytes(1.0, 1.0, 64)
        layer = random_layer(np.random.default_rng(0), 3, 5, 3, 1, 8)
        layer["weight"][0] = 127
        with pytest.raises(ValueError, match="at most 64"):
            network.convolve_bytes(0, layer)


def test_a_float_file_has_no_bytes(tmp_path):
    write_onnx(
        fold_batch_norms(SparseResNet(4).eval()), tmp_path / "float.onnx", inputs.image(SIZE), ("a", "b", "c", "d")
    )
    graph = onnx_wire.read((tmp_path / "float.onnx").read_bytes(), "model")
    assert not byte_layers.is_in_bytes(graph)
    with pytest.raises(AssetError):
        byte_layers.read_encoder(graph, "encoder.")


def test_sums_are_rounded_as_onnx_runtime_rounds_them():
    """All pairs of bytes; the last bit of what is added decides ties, and with them deep networks as a whole."""
    rng = np.random.default_rng(0)
    pairs = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None], (256, 256)).copy()
    scales = rng.uniform(0.01, 0.03, (60, 3)).astype(np.float32)
    zeros = rng.integers(0, 256, (60, 2))
    for (own, kept, total), (own_zero, kept_zero) in zip(scales, zeros, strict=True):
        given = (byte_layers.Rounding(float(own), int(own_zero)), byte_layers.Rounding(float(kept), int(kept_zero)))
        result = byte_layers.Rounding(float(total), 0)
        theirs = added_by_onnx_runtime(*given, result).run(None, {"own": pairs, "kept": pairs.T.copy()})[0]
        a, b, fixed = (np.float64(x) for x in byte_layers.ratios_of_a_sum(*given, result))
        inner = (b * pairs.T + fixed).astype(np.float32)  # as one fused operation, like the next
        np.testing.assert_array_equal(rounded((a * pairs + inner).astype(np.float32)), theirs)


def added_by_onnx_runtime(own: byte_layers.Rounding, kept: byte_layers.Rounding, result: byte_layers.Rounding):
    """A session `own`, `kept` -> ReLU of the sum, all in bytes."""
    make, kind = onnx.helper, onnx.TensorProto
    numbers = []
    for name, one in (("own", own), ("kept", kept), ("sum", result)):
        numbers.append(make.make_tensor(f"{name}_scale", kind.FLOAT, [], [one.scale]))
        numbers.append(make.make_tensor(f"{name}_zero", kind.UINT8, [], [one.zero]))
    read = [make.make_node("DequantizeLinear", [n, f"{n}_scale", f"{n}_zero"], [f"{n}_real"]) for n in ("own", "kept")]
    nodes = [
        *read, make.make_node("Add", ["own_real", "kept_real"], ["sum"]), make.make_node("Relu", ["sum"], ["positive"]),
        make.make_node("QuantizeLinear", ["positive", "sum_scale", "sum_zero"], ["bytes"]),
    ]  # fmt: skip
    bytes_of = {name: make.make_tensor_value_info(name, kind.UINT8, [256, 256]) for name in ("own", "kept", "bytes")}
    graph = make.make_graph(nodes, "sum", [bytes_of["own"], bytes_of["kept"]], [bytes_of["bytes"]], numbers)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    return onnx_session(model.SerializeToString(), 1)
