"""The file that ONNX Runtime runs, run by the native engine: the same hands, and no damage that crashes it."""

import json
from pathlib import Path

import numpy as np
import pytest

from hoi_core import native, runtime
from hoi_core.errors import AssetError, ConfigError
from hoi_core.native import onnx_wire
from learning.bench import time_models

needs_engine = pytest.mark.skipif(bool(native.problem()), reason=f"no native engine: {native.problem()}")
SIZE = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory, exported_splite) -> Path:
    return exported_splite(tmp_path_factory.mktemp("native"))


def frames(*occupancies: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    on = rng.random((len(occupancies), 1, SIZE, SIZE)) < np.reshape(occupancies, (-1, 1, 1, 1))
    return (rng.uniform(0.01, 1.0, (len(occupancies), 3, SIZE, SIZE)) * on).astype(np.float32)


@needs_engine
def test_both_engines_give_the_same_hands(model):
    ours, theirs = (runtime.load(model, threads=1, engine=engine) for engine in ("native", "onnxruntime"))
    for image in (frames(0.1), frames(0.0), frames(1.0, 0.02, 0.5)):
        for got, expected in zip(ours.run(image), theirs.run(image), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    picture = np.random.default_rng(2).integers(0, 255, (80, 90, 3), np.uint8)
    camera = runtime.Camera(90, 80, 100.0, 100.0, 44.5, 39.5)
    hands = [hand.predict(picture, camera).vertices_m for hand in (ours, theirs)]
    np.testing.assert_allclose(*hands, atol=1e-5)


@needs_engine
def test_both_engines_are_timed_in_turns(model):
    rows = time_models([model], engines=("onnxruntime", "native"), repeats=3)
    assert [(row.engine, row.input) for row in rows] == [("ort_fp32", SIZE), ("native_fp32", SIZE)]
    assert all(0.0 < row.median_ms <= row.p99_ms for row in rows)
    with pytest.raises(ConfigError, match="one engine"):
        time_models([model], engines=())


@needs_engine
def test_models_without_a_sparse_encoder_are_refused(tmp_path, exported_splite):
    path = exported_splite(tmp_path, encoder="dense")
    runtime.load(path)
    with pytest.raises(AssetError, match="not a sparse one"):
        runtime.load(path, engine="native")


@needs_engine
def test_a_file_that_computes_something_else_under_the_same_names_is_refused(model, tmp_path):
    """One operator of the encoder is another: nothing in the names tells."""
    other = tmp_path / model.name
    rectify = b'"\x04Relu'
    assert model.read_bytes().count(rectify) > 20
    other.write_bytes(model.read_bytes().replace(rectify, b'"\x04Ceil', 1))
    about = json.loads(model.with_suffix(".json").read_text()) | {"sha256": runtime.file_hash(other)}
    other.with_suffix(".json").write_text(json.dumps(about))
    with pytest.raises(AssetError, match="disagree"):
        runtime.load(other, engine="native")


def test_where_the_engine_is_off_it_is_refused_and_onnx_runtime_runs(model, monkeypatch):
    monkeypatch.setenv(native.SWITCH, "off")
    runtime.load(model)
    with pytest.raises(AssetError, match="switches it off"):
        runtime.load(model, engine="native")


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, or with bytes changed, near the beginning more often: most of a file is numbers of weights."""
    spread = np.asarray(len(data) * rng.random(8) ** 4, dtype=int)
    if rng.random() < 0.3:
        return data[: spread[0]]
    out = bytearray(data)
    for at in spread[: rng.integers(1, 8)]:
        out[at] = rng.integers(256)
    return bytes(out)


def test_damaged_files_are_errors_that_say_so(model):
    """Taken apart, read and put together again; whatever the damage, nothing but an AssetError comes out."""
    data, rng = model.read_bytes(), np.random.default_rng(0)
    outcomes = {"refused": 0, "read": 0}
    for _ in range(80):
        try:
            graph = onnx_wire.read(damaged(data, rng), "this file")
            for name in graph.constants:
                if name.startswith("encoder.stem"):
                    onnx_wire.floats(graph, name)
            onnx_wire.cut(graph, {"/encoder/Relu_output_0": (8, 32, 32)})
            outcomes["read"] += 1
        except AssetError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


@needs_engine
@pytest.mark.parametrize("seed", range(2))
def test_the_engine_loads_no_damaged_file_or_agrees_with_onnx_runtime(model, tmp_path, seed):
    from hoi_core.native.session import NativeSession

    rng = np.random.default_rng(seed)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(damaged(model.read_bytes(), rng))
    try:
        session = NativeSession(path, SIZE, 1)
    except AssetError:
        return
    assert len(session.run(None, {"image": frames(0.1)})) == 4


def tensor(*fields: bytes) -> onnx_wire.Graph:
    return onnx_wire.Graph((), (), (), {"w": b"".join(fields)}, {})


FLOAT32 = b"\x10\x01"
EIGHT_BYTES = b"\x4a\x08" + bytes(8)


def test_numbers_are_read_as_their_shape_says():
    np.testing.assert_array_equal(onnx_wire.floats(tensor(b"\x08\x02", FLOAT32, EIGHT_BYTES), "w"), [0.0, 0.0])
    packed = onnx_wire.floats(tensor(b"\x0a\x02\x01\x02", FLOAT32, EIGHT_BYTES), "w")
    assert packed.shape == (1, 2)


@pytest.mark.parametrize(
    "fields",
    [
        (b"\x08\x03", FLOAT32, EIGHT_BYTES),
        (b"\x08\x02", b"\x10\x0b", EIGHT_BYTES),
        (b"\x08\x00", FLOAT32, EIGHT_BYTES),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", FLOAT32, EIGHT_BYTES),
        (b"\x08\x80\x80\x80\x80\x10" * 8 + b"\x08\x02", FLOAT32, EIGHT_BYTES),
        (b"\x08\x01" * 9 + b"\x08\x02", FLOAT32, EIGHT_BYTES),
        (b"\x08\x02", FLOAT32, b"\x4a\x08" + b"\xff" * 8),
        (b"\x08\x02", FLOAT32, b"\x4a\x7f" + bytes(8)),
        (b"\x0b\x02",),
        (b"\xff" * 11,),
    ],
    ids=["too few", "double", "empty", "minus one", "huge", "many axes", "nan", "past the end", "group", "long number"],
)
def test_numbers_that_lie_about_themselves_are_refused(fields):
    with pytest.raises(AssetError):
        onnx_wire.floats(tensor(*fields), "w")
