"""All of SPLite in one call of the native engine, from a camera's crop to the mesh, against OpenCV and ONNX Runtime."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hoi_core import native, runtime
from hoi_core.edges import EdgeParams
from hoi_core.errors import AssetError
from hoi_core.native import byte_layers, hand_over, onnx_wire
from hoi_core.network_input import network_input, pixels_of
from hoi_core.onnx_session import onnx_session
from learning import inputs, quantize
from learning.export import write_onnx
from learning.models import build
from learning.qdq import integer_network
from learning.scheme import Scheme

needs_engine = pytest.mark.skipif(bool(native.problem()), reason=f"no native engine: {native.problem()}")
SIZE = 64


def picture(size: int, kind: str, seed: int) -> np.ndarray:
    """A crop of noise, of flat patches with sharp borders, of slopes, or of one colour."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (size, size, 3), np.uint8)
    if kind == "patches":
        patches = rng.integers(0, 256, (size // 5 + 1, size // 5 + 1, 3), np.uint8)
        return np.ascontiguousarray(patches.repeat(5, axis=0).repeat(5, axis=1)[:size, :size])
    if kind == "slopes":
        y, x = np.mgrid[:size, :size]
        waves = np.sin(np.stack([x * a + y * b for a, b in rng.uniform(-0.7, 0.7, (3, 2))], axis=-1))
        return np.round(127.5 + 127.5 * waves).astype(np.uint8)
    return np.full((size, size, 3), rng.integers(0, 256), np.uint8)


@needs_engine
@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(2, 45), kind=st.sampled_from(["noise", "patches", "slopes", "flat"]), seed=st.integers(0, 999),
    blur=st.sampled_from([0.0, 0.05, 0.5, 0.8, 1.3, 3.0]), sobel=st.sampled_from([1, 22, 60, 255]),
    canny=st.sampled_from([(1, 1), (50, 120), (200, 900), (40_000, 50_000)]),
    fusion=st.sampled_from(["sandwich", "edge_gray", "single"]), gray=st.booleans(),
)  # fmt: skip
def test_edges_are_those_of_opencv_to_the_bit(*, size, kind, seed, blur, sobel, canny, fusion, gray):
    from hoi_core.native import _engine

    params = EdgeParams(blur, sobel, *canny, fusion)
    crop = picture(size, kind, seed)
    crop = np.ascontiguousarray(crop[:, :, 0]) if gray else crop
    expected = network_input(pixels_of(crop, "edges", params)[None], "edges")[0]
    np.testing.assert_array_equal(_engine.edge_input(crop, dataclasses.astuple(params)), expected)


@pytest.fixture(scope="module")
def model(tmp_path_factory, exported_splite) -> Path:
    return exported_splite(tmp_path_factory.mktemp("hand"))


@needs_engine
def test_crops_of_a_camera_give_the_hands_of_onnx_runtime(model):
    ours, theirs = (runtime.load(model, threads=1, engine=engine) for engine in ("native", "onnxruntime"))
    assert "computes everything" in ours.computed_by
    assert "ONNX Runtime" in theirs.computed_by
    for kind in ("noise", "patches", "slopes", "flat"):
        for crop in (picture(SIZE, kind, 0), np.ascontiguousarray(picture(SIZE, kind, 1)[:, :, 1])):
            for got, expected in zip(ours.run_crop(crop), theirs.run_crop(crop), strict=True):
                assert got.shape == expected.shape
                np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@needs_engine
@pytest.mark.parametrize(
    ("options", "size"), [({"partial": "drop"}, 32), ({"backbone": "resnet50", "part": 1.0, "width": 5}, 96)]
)
def test_other_forms_of_the_network_too(tmp_path, exported_splite, options, size):
    model = exported_splite(tmp_path, size=size, **options)
    ours, theirs = (runtime.load(model, threads=1, engine=engine) for engine in ("native", "onnxruntime"))
    assert "computes everything" in ours.computed_by
    for kind in ("noise", "slopes"):
        crop = picture(size, kind, 3)
        for got, expected in zip(ours.run_crop(crop), theirs.run_crop(crop), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@needs_engine
def test_frames_take_no_memory_and_arrays_of_another_shape_are_refused(model):
    from hoi_core.native import _engine
    from hoi_core.native.encoder import Encoder
    from hoi_core.native.hand import STAGES, Hand
    from hoi_core.native.session import _weights

    graph = onnx_wire.read(model.read_bytes(), "model")
    hand = Hand(graph, Encoder(_weights(graph), SIZE, stages=STAGES), EdgeParams())
    crops = [picture(SIZE, kind, 0) for kind in ("noise", "patches", "slopes", "flat")]

    def run(frames: int) -> int:
        for n in range(frames):
            hand.run_crop(crops[n % len(crops)])
        return int(Path("/proc/self/statm").read_text().split()[1])

    first = run(100)
    assert run(1500) - first < 30  # pages; one lost in ten frames would be 150
    for wrong in (crops[0][:, :-1], crops[0][::2, ::2], crops[0][:, :, :2]):
        with pytest.raises(ValueError, match="expected a crop"):
            hand.run_crop(np.ascontiguousarray(wrong))
    with pytest.raises(ValueError, match="expected an image"):
        hand.run(np.zeros((3, SIZE, SIZE + 1), np.float32))
    with pytest.raises(TypeError):
        hand.run(np.zeros((3, SIZE, SIZE), np.float64))  # nothing is copied in silence
    with pytest.raises(ValueError, match="threshold"):
        _engine.edge_input(crops[0], (0.8, 0, 50, 120, "sandwich"))
    with pytest.raises(ValueError, match="fusion"):
        _engine.edge_input(crops[0], (0.8, 22, 50, 120, "toast"))


@pytest.fixture(scope="module")
def in_bytes(model, tmp_path_factory) -> Path:
    """A network with fresh weights in 8-bit integers, its ranges those of the pictures here."""
    torch.manual_seed(0)
    network = build("splite", width=8, head_channels=16).eval()
    with torch.no_grad():
        # Fresh heads say nearly the same of every image.
        for name, weight in network.named_parameters():
            if name.startswith(("heatmap", "depth_out", "decoder.head.conv")):
                weight.mul_(10.0)
    shown = [torch.from_numpy(network_input(pixels_of(picture(SIZE, kind, 0), "edges", EdgeParams())[None], "edges"))
             for kind in ("noise", "patches", "slopes")]  # fmt: skip
    path = tmp_path_factory.mktemp("bytes") / "splite.onnx"
    ranged = quantize.prepare(network, (shown[0],), Scheme())
    for image in shown:
        ranged(image)
    write_onnx(integer_network(ranged), path, inputs.image(SIZE), runtime.HandModel.OUTPUTS)
    about = json.loads(model.with_suffix(".json").read_text()) | {
        "sha256": runtime.file_hash(path), "precision": "int8"
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(about))
    return path


@needs_engine
@pytest.mark.parametrize("name", native.instruction_sets() if not native.problem() else ("plain",))
def test_a_file_in_bytes_gives_the_hands_of_onnx_runtime(in_bytes, monkeypatch, name):
    """Every value is rounded where ONNX Runtime rounds it; what is not rounded differs by what floats differ."""
    monkeypatch.setenv(native.SWITCH, name)
    ours, theirs = (runtime.load(in_bytes, threads=1, engine=engine) for engine in ("native", "onnxruntime"))
    assert "computes everything" in ours.computed_by
    for kind in ("noise", "patches", "slopes", "flat"):
        crop = picture(SIZE, kind, 1)
        for got, expected in zip(ours.run_crop(crop), theirs.run_crop(crop), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@needs_engine
def test_bytes_of_onnx_runtime_give_the_same_hands_to_the_bit(in_bytes, monkeypatch):
    crops = [picture(SIZE, kind, 1) for kind in ("noise", "patches", "slopes", "flat")]
    found = []
    for share in ("0", "1"):
        monkeypatch.setenv(hand_over.SWITCH, share)
        hand = runtime.load(in_bytes, threads=1, engine="native")
        assert ("ONNX Runtime" in hand.computed_by) == (share == "0")
        found.append([hand.run_crop(crop) for crop in crops])
    for theirs, ours in zip(*found, strict=True):
        for got, expected in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(got, expected)


@needs_engine
def test_roundings_that_cut_most_off_are_computed_as_well(in_bytes, tmp_path):
    """Here most of what the heads read lies beyond its range."""
    from hoi_core.native.session import NativeSession

    proto = onnx.load(in_bytes)
    graph = onnx_wire.read(in_bytes.read_bytes(), "model")
    product = next(node for node in proto.graph.node if node.input[1:2] == [graph_weight(graph, "smooth8")])
    scale = next(node for node in proto.graph.node if node.output[0] == product.input[0]).input[1]
    steps = graph.readers[graph_weight(graph, "smooth8")][0].inputs[2]
    bias_scale = graph.makers[steps].inputs[1]
    for tensor in proto.graph.initializer:
        if tensor.name in (scale, bias_scale):
            before = onnx_wire.floats(graph, scale)
            values = onnx_wire.floats(graph, tensor.name) * np.float32(1e-4) / before
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
    onnx.save(proto, tmp_path / "cut.onnx")
    session = NativeSession(tmp_path / "cut.onnx", SIZE, 1, EdgeParams())
    assert "everything" in session.computed_by
    image = network_input(pixels_of(picture(SIZE, "slopes", 2), "edges", EdgeParams())[None], "edges")
    for got, expected in zip(
        session.run(None, {"image": image}),
        onnx_session(tmp_path / "cut.onnx", 1).run(None, {"image": image}),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@needs_engine
def test_heads_rounded_in_other_places_are_left_to_onnx_runtime(in_bytes, tmp_path):
    from hoi_core.native.session import NativeSession

    proto = onnx.load(in_bytes)
    graph = onnx_wire.read(in_bytes.read_bytes(), "model")
    rectified = graph.readers[graph.readers[graph_weight(graph, "smooth16")][0].outputs[0]][0]
    down = graph.readers[rectified.outputs[0]][0]
    scale = next(tensor for tensor in proto.graph.initializer if tensor.name == down.inputs[1])
    node = next(node for node in proto.graph.node if node.output[0] == down.outputs[0])
    twice = onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(scale), "twice")
    proto.graph.initializer.append(twice)
    node.input[1] = "twice"
    onnx.save(proto, tmp_path / "other.onnx")
    session = NativeSession(tmp_path / "other.onnx", SIZE, 1, EdgeParams())
    assert "ONNX Runtime the rest" in session.computed_by
    assert session.run_crop is None


@needs_engine
def test_a_file_in_bytes_that_lost_a_part_is_refused(in_bytes):
    from hoi_core.native.encoder import Encoder
    from hoi_core.native.hand import STAGES, Hand

    graph = onnx_wire.read(in_bytes.read_bytes(), "model")
    encoder = Encoder(byte_layers.read_encoder(graph, "encoder."), SIZE, stages=STAGES)
    scaling = graph.readers["smooth8.conv.weight"][0]
    for lost in (
        dataclasses.replace(scaling, outputs=()),
        dataclasses.replace(scaling, inputs=scaling.inputs[:2]),
        dataclasses.replace(scaling, inputs=(scaling.inputs[0], "lateral16.conv.weight_scale", scaling.inputs[2])),
        dataclasses.replace(scaling, operator="Relu"),
    ):
        nodes = tuple(lost if node is scaling else node for node in graph.nodes)
        with pytest.raises(AssetError):
            Hand(dataclasses.replace(graph, nodes=nodes), encoder, EdgeParams())


def graph_weight(graph: onnx_wire.Graph, layer: str) -> str:
    """The value that the weights of a layer are as floats."""
    return graph.readers[f"{layer}.conv.weight"][0].outputs[0]


def changed(graph: onnx_wire.Graph, name: str, values: np.ndarray) -> onnx_wire.Graph:
    """The graph with other numbers under a name, as an initialiser."""
    dims = b"".join(b"\x08" + onnx_wire._number(n) for n in values.shape)
    kind, data = (
        (b"\x10\x07", values.astype("<i8")) if values.dtype.kind == "i" else (b"\x10\x01", values.astype("<f4"))
    )
    message = dims + kind + onnx_wire._message(9, data.tobytes())
    return dataclasses.replace(graph, constants=graph.constants | {name: message})


@needs_engine
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("heatmap.weight", np.ones((20, 8, 1, 1))),
        ("heatmap.weight", np.ones((21, 9, 1, 1))),
        ("lateral16.conv.weight", np.ones((16, 32, 3, 3))),
        ("smooth8.conv.weight", np.ones((8, 8, 2, 2))),
        ("depth_out.weight", np.ones((22, 16, 1, 2))),
        ("decoder.lift.linear.weight", np.ones((9, 20))),
        ("decoder.up.1.linear.weight", np.ones((14, 12))),
        ("decoder.convs.0.conv.weight", np.ones((4, 37))),
        ("decoder.convs.2.mix.weight", np.ones((4, 7, 1, 1))),
        ("decoder.head.conv.mix.weight", np.ones((4, 2, 1, 1))),
        ("decoder.head.mean", np.ones((30, 3))),
        ("/decoder/convs.3/Constant_5_output_0", np.full(31 * 9, 31)),
        ("/decoder/convs.3/Constant_5_output_0", np.full(31 * 9, -1)),
        ("/decoder/convs.3/Constant_5_output_0", np.zeros(31 * 9 - 1, np.int64)),
        ("/decoder/convs.3/Constant_5_output_0", np.ones(31 * 9)),
    ],
)
def test_weights_that_do_not_fit_are_refused(model, name, values):
    from hoi_core.native.encoder import Encoder
    from hoi_core.native.hand import STAGES, Hand
    from hoi_core.native.session import _weights

    graph = onnx_wire.read(model.read_bytes(), "model")
    encoder = Encoder(_weights(graph), SIZE, stages=STAGES)
    with pytest.raises(AssetError):
        Hand(changed(graph, name, values), encoder, EdgeParams())


def test_auto_takes_what_there_is_and_says_what(model, monkeypatch):
    monkeypatch.setenv(native.SWITCH, "off")
    found = runtime.load(model, engine="auto")
    assert found.computed_by.startswith("ONNX Runtime")
    assert "switches it off" in found.computed_by
    crop = picture(SIZE, "slopes", 0)
    for got, expected in zip(found.run_crop(crop), runtime.load(model).run_crop(crop), strict=True):
        np.testing.assert_array_equal(got, expected)
    for name in () if native.problem() else native.instruction_sets():
        monkeypatch.setenv(native.SWITCH, name)
        older = runtime.load(model, engine="auto")
        assert f"({name})" in older.computed_by
        for got, expected in zip(older.run_crop(crop), found.run_crop(crop), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
