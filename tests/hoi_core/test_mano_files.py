"""MANO files: what may be read, what must not run, and what the reader says."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from hoi_core.conventions import SIDES
from hoi_core.errors import AssetError, StorageError
from hoi_core.mano import ManoLayer
from hoi_core.mano.model import to_arrays
from hoi_core.mano.restricted import read_arrays


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return to_arrays(ManoLayer.stand_in("right").model)


def write(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def assert_same(layer: ManoLayer, other: ManoLayer) -> None:
    for key, value in to_arrays(other.model).items():
        np.testing.assert_array_equal(to_arrays(layer.model)[key], value, err_msg=key)


@pytest.mark.parametrize("side", SIDES)
def test_save_and_load(tmp_path, side):
    layer = ManoLayer.stand_in(side)
    path = layer.save_pickle(tmp_path / "models")
    assert path == tmp_path / "models" / f"MANO_{side.upper()}.pkl"
    again = ManoLayer.from_file(path, side)
    assert_same(again, layer)
    assert len(again.model.source) == 64
    assert not again.model.shapedirs_fixed
    assert layer.model.source == "stand-in"


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol(tmp_path, arrays, protocol):
    for name, given in {"c": arrays, "fortran": {k: np.asfortranarray(v) for k, v in arrays.items()}}.items():
        layer = ManoLayer.from_file(write(tmp_path / f"{name}.pkl", given, protocol), "right")
        assert_same(layer, ManoLayer.stand_in("right"))


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "csc_array", "csr_array"])
@pytest.mark.parametrize("protocol", [2, 5])
def test_sparse_regressor(tmp_path, arrays, kind, protocol):
    given = dict(
        arrays, J_regressor=getattr(scipy.sparse, kind)(arrays["J_regressor"]), bs_style="lbs", bs_type="lrotmin"
    )
    assert_same(ManoLayer.from_file(write(tmp_path / "m.pkl", given, protocol), "right"), ManoLayer.stand_in("right"))


@pytest.fixture
def chumpy(monkeypatch) -> types.SimpleNamespace:
    """A module that pickles like chumpy 0.70, gone again before anything is read."""
    ch, reordering = types.ModuleType("chumpy.ch"), types.ModuleType("chumpy.reordering")

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.x, self._dirty_vars, self._itr, self._cache = x, set(), None, {"drs": {}, "r": None}

        def __setstate__(self, state: dict) -> None:
            raise RuntimeError("chumpy's own code ran")

    class Select:
        def __init__(self, a: Ch, idxs: np.ndarray, preferred_shape: tuple[int, ...]) -> None:
            self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    Select.__module__, Select.__qualname__ = "chumpy.reordering", "Select"
    ch.Ch, reordering.Select = Ch, Select
    modules = {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": ch, "chumpy.reordering": reordering}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return types.SimpleNamespace(Ch=Ch, Select=Select, forget=lambda: [sys.modules.pop(name) for name in modules])


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_chumpy_objects_become_plain_arrays(tmp_path, arrays, chumpy, protocol):
    order = np.random.default_rng(0).permutation(arrays["shapedirs"].size)
    shuffled = np.empty(arrays["shapedirs"].size)
    shuffled[order] = arrays["shapedirs"].ravel()
    given = dict(
        arrays,
        v_template=chumpy.Ch(arrays["v_template"]),
        posedirs=chumpy.Ch(arrays["posedirs"]),
        shapedirs=chumpy.Select(chumpy.Ch(shuffled), order, (778, 3, 10)),
        J_regressor=scipy.sparse.csc_matrix(arrays["J_regressor"]),
    )
    path = write(tmp_path / "MANO_RIGHT.pkl", given, protocol)
    chumpy.forget()
    assert_same(ManoLayer.from_file(path, "right"), ManoLayer.stand_in("right"))


class Evil:
    def __init__(self, reduction: tuple) -> None:
        self.reduction = reduction

    def __reduce__(self) -> tuple:
        return self.reduction


HOSTILE = {
    "system": lambda flag: Evil((os.system, (f"touch {flag}",))),
    "eval": lambda flag: Evil((eval, (f"open({str(flag)!r}, 'w')",))),
    "exec": lambda flag: Evil((exec, (f"open({str(flag)!r}, 'w')",))),
    "open": lambda flag: Evil((open, (str(flag), "w"))),
    "getattr": lambda flag: Evil((getattr, ("x", "upper"))),
    "touch": lambda flag: Evil((Path.touch, (flag,))),
    "numpy load": lambda flag: Evil((np.load, (str(flag),))),
    "numpy runstring": lambda flag: Evil((np.save, (str(flag), 1))),
    "sparse load": lambda flag: Evil((scipy.sparse.load_npz, (str(flag),))),
    "import": lambda flag: Evil((__import__, ("antigravity",))),
    "state": lambda flag: Evil((np.dtype, ("f8",), {"x": Evil((os.system, (f"touch {flag}",)))})),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_do_not_run(tmp_path, arrays, name, protocol):
    flag = tmp_path / "ran"
    for i, content in enumerate(
        ({**arrays, "v_template": HOSTILE[name](flag)}, HOSTILE[name](flag), [HOSTILE[name](flag)])
    ):
        path = write(tmp_path / f"{i}.pkl", content, protocol)
        with pytest.raises(AssetError, match="unsafe") as caught:
            ManoLayer.from_file(path, "right")
        assert "mano.is.tue.mpg.de" in caught.value.hint
    # np.save would have added .npy
    assert not list(tmp_path.glob("ran*"))


RAW = {
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93.",
    "chain through an allowed module": b"\x80\x04\x8c\x05numpy\x8c\x0clib.os.system\x93.",
    "copyreg rebuilds a real class": b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
    "copyreg rebuilds a text": b"ccopyreg\n_reconstructor\n(Vx\ncbuiltins\nobject\nNtR.",
    "state on a function": b"c_codecs\nencode\n(dVx\nVy\nsb.",
    "attributes on a function": b"\x80\x02c_codecs\nencode\n(N}U\x08__code__K\x01stb.",
    "state on a class name": b"cnumpy\ndtype\n}b.",
    "codec other than latin1": b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
    "persistent id": b"Pabc\n.",
    "extension registry": b"\x80\x02\x82\x01.",
    "empty": b"",
    "text": b"not a pickle at all",
    "huge length": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc",
    "stack underflow": b"\x80\x02R.",
    "memo that is not there": b"\x80\x02h\x07.",
    "memo without bounds": b"\x80\x02]r\xff\xff\xff\xff.",
    "numpy's old exec": b"cnumpy.testing._private.utils\nrunstring\n(Vimport os\n}tR.",
    "scipy beside sparse": b"cscipy.sparse.linalg\nspsolve\n.",
    "looks like chumpy": b"cchumpyevil\nCh\n.",
    "tuples a million deep": b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "a million steps": b"\x80\x02]" + b"K\x01a" * 500_000 + b".",
    "a list": pickle.dumps([1, 2, 3]),
    "a number": pickle.dumps(7),
}


@pytest.mark.parametrize("name", RAW)
def test_broken_and_crafted_files(tmp_path, name):
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(RAW[name])
    with pytest.raises(AssetError) as caught:
        ManoLayer.from_file(path, "right")
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_reading_leaves_the_reader_unchanged(tmp_path, arrays):
    """A crafted file cannot prepare the next one."""
    for name in ("state on a function", "attributes on a function", "copyreg rebuilds a real class"):
        path = tmp_path / "crafted.pkl"
        path.write_bytes(RAW[name])
        with pytest.raises(AssetError):
            read_arrays(path)
    assert_same(ManoLayer.from_file(write(tmp_path / "good.pkl", arrays, 0), "right"), ManoLayer.stand_in("right"))


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_truncated(tmp_path, arrays, part):
    data = pickle.dumps(arrays, protocol=2)
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(AssetError, match="damaged"):
        ManoLayer.from_file(path, "right")


def changed(arrays: dict, key: str, change) -> dict:
    return {**arrays, key: change(arrays[key].copy())}


def with_nan(a: np.ndarray) -> np.ndarray:
    a.flat[5] = np.nan
    return a


BAD = {
    "missing key": (lambda a: {k: v for k, v in a.items() if k != "posedirs"}, "posedirs"),
    "wrong shape": (lambda a: changed(a, "v_template", lambda v: v[:777]), r"\(777, 3\)"),
    "transposed": (lambda a: changed(a, "J_regressor", np.transpose), r"\(778, 16\)"),
    "nan": (lambda a: changed(a, "weights", with_nan), "NaN"),
    "objects": (lambda a: {**a, "v_template": np.array([[None] * 3] * 778)}, "v_template"),
    "text": (lambda a: {**a, "f": np.array([["a"] * 3] * 1538)}, "missing|numbers"),
    "complex": (lambda a: changed(a, "weights", lambda w: w.astype(complex)), "missing|numbers"),
    "another tree": (lambda a: changed(a, "kintree_table", lambda k: k[:, ::-1]), "tree"),
    "faces outside": (lambda a: changed(a, "f", lambda f: f + 1), "outside"),
    "body model": (lambda a: {**a, "v_template": np.zeros((6890, 3))}, "6890"),
}


@pytest.mark.parametrize("name", BAD)
def test_malformed(tmp_path, arrays, name):
    spoil, message = BAD[name]
    with pytest.raises(AssetError, match=message) as caught:
        ManoLayer.from_file(write(tmp_path / "MANO_RIGHT.pkl", spoil(arrays)), "right")
    assert "mano.is.tue.mpg.de" in caught.value.hint


def test_shared_nested_lists_do_not_explode(tmp_path):
    nested: list = [1.0, 2.0]
    for _ in range(60):
        nested = [nested, nested]
    assert read_arrays(write(tmp_path / "m.pkl", {"v_template": nested, "hands_mean": [0.5, 1.0]})).keys() == {
        "hands_mean"
    }


def test_numbers_too_large_for_an_array_are_left_out(tmp_path):
    assert read_arrays(write(tmp_path / "m.pkl", {"hands_mean": [10**400], "weights": [1.0]})).keys() == {"weights"}


def test_names_cannot_write_to_the_terminal(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04\x8c\x02os\x8c\x08\x1b[31mred\x93.")
    with pytest.raises(AssetError) as caught:
        read_arrays(path)
    assert "\x1b" not in str(caught.value)


def crafted_sparse(**state: object) -> bytes:
    matrix = scipy.sparse.csc_matrix(np.eye(4))
    for key, value in state.items():
        setattr(matrix, key, value)
    return pickle.dumps({"J_regressor": matrix})


@pytest.mark.parametrize(
    "state",
    [
        {"_shape": (2**31, 2**31)},
        {"indices": np.array([0, 1, 2, -1], dtype=np.int32)},
        {"indices": np.array([0, 1, 2, 99], dtype=np.int32)},
        {"indptr": np.array([0, 4, 1, 2, 4], dtype=np.int32)},
        {"data": np.ones(3)},
    ],
)
def test_sparse_matrices_that_do_not_fit_are_left_out(tmp_path, state):
    path = tmp_path / "m.pkl"
    path.write_bytes(crafted_sparse(**state))
    assert read_arrays(path) == {}


def test_missing_file(tmp_path):
    with pytest.raises(AssetError, match="No such file") as caught:
        ManoLayer.from_file(tmp_path / "MANO_RIGHT.pkl", "right")
    assert "HOI_MANO" in caught.value.hint
    with pytest.raises(AssetError, match="directory"):
        ManoLayer.from_file(tmp_path, "right")


def test_far_too_large(tmp_path):
    path = tmp_path / "MANO_RIGHT.pkl"
    with path.open("wb") as f:
        f.truncate(100 * 2**20)
    with pytest.raises(AssetError, match="100 MB"):
        ManoLayer.from_file(path, "right")


def test_wrong_hand(tmp_path):
    path = ManoLayer.stand_in("left").save_pickle(tmp_path)
    with pytest.raises(AssetError, match="expected a right hand"):
        ManoLayer.from_file(path, "right")


def test_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("HOI_MANO", raising=False)
    assert ManoLayer.from_env("left").model.source == "stand-in"
    monkeypatch.setenv("HOI_MANO", str(tmp_path))
    with pytest.raises(AssetError, match=r"MANO_LEFT\.pkl"):
        ManoLayer.from_env("left")
    ManoLayer.stand_in("left").save_pickle(tmp_path)
    assert len(ManoLayer.from_env("left").model.source) == 64


def test_a_file_of_the_environment_is_read_again_only_when_one_of_both_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOI_MANO", str(tmp_path))
    path = ManoLayer.stand_in("right").save_pickle(tmp_path)
    first = ManoLayer.from_env("right")
    assert ManoLayer.from_env("right") is first
    ManoLayer.stand_in("left").save_pickle(tmp_path)  # the left hand is corrected by the right one
    second = ManoLayer.from_env("right")
    assert second is not first
    path.write_bytes(path.read_bytes() + b"x")
    assert ManoLayer.from_env("right").model.source != second.model.source


@pytest.mark.parametrize("with_right", [True, False])
@pytest.mark.parametrize("wrong", [True, False])
def test_left_shape_axes_are_corrected_when_they_need_it(tmp_path, with_right, wrong):
    left = ManoLayer.stand_in("left")
    given = to_arrays(left.model)
    if wrong:
        given["shapedirs"] = given["shapedirs"] * np.array([-1.0, 1.0, 1.0])[:, None]
    path = write(tmp_path / "MANO_LEFT.pkl", given)
    if with_right:
        ManoLayer.stand_in("right").save_pickle(tmp_path)
    loaded = ManoLayer.from_file(path, "left")
    assert loaded.model.shapedirs_fixed is wrong
    np.testing.assert_array_equal(loaded.model.shapedirs, left.model.shapedirs)


def test_write_errors(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"):
        ManoLayer.stand_in().save_pickle(tmp_path / "taken" / "sub")


@pytest.mark.mano
@pytest.mark.skipif(not os.environ.get("HOI_MANO"), reason="needs the licensed MANO files in $HOI_MANO")
@pytest.mark.parametrize("side", SIDES)
def test_licensed_files(side):
    layer = ManoLayer.from_env(side)
    out = layer(np.zeros((1, 3)), np.zeros((1, 45)))
    np.testing.assert_allclose(out.vertices_m[0], layer.model.v_template, atol=1e-9)


def test_pickle_holds_plain_arrays_only(tmp_path):
    path = ManoLayer.stand_in().save_pickle(tmp_path)

    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            assert module.partition(".")[0] in ("numpy", "_codecs"), f"{module}.{name}"
            return super().find_class(module, name)

    content = Plain(io.BytesIO(path.read_bytes())).load()
    assert content["v_template"].shape == (778, 3)
