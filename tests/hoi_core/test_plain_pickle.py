"""Plain data out of pickles: what is read, what does not run, and what cannot exhaust the interpreter."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from hoi_core.errors import DatasetError
from hoi_core.plain_pickle import read_plain

ARRAY = np.arange(6.0).reshape(2, 3) / 7
CONTENT = {
    "name": "021_bleach_cleanser",
    "none": None,
    "flags": [True, False],
    7: (1, -2.5, b"\xff\x00"),
    "array": ARRAY,
    "fortran": np.asfortranarray(ARRAY),
    "small": ARRAY.astype(">f4"),
    "mask": ARRAY > 0.3,
    "none at all": np.empty((0, 3)),
    "scalar": np.float32(0.1),
    "count": np.int64(-5),
    "nested": {"K": np.eye(3)},
}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_of_every_protocol(tmp_path, protocol):
    read = read_plain(write(tmp_path / "a.pkl", pickle.dumps(CONTENT, protocol)))
    assert list(read) == list(CONTENT)
    for key, value in CONTENT.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(read[key], value)
            assert read[key].dtype == value.dtype
        elif key == "nested":
            np.testing.assert_array_equal(read[key]["K"], np.eye(3))
        else:
            assert read[key] == value
            assert type(read[key]) in (str, type(None), list, tuple, float, int)


def test_an_array_as_python_2_wrote_it(tmp_path):
    """Protocol 0, bytes as a text that is not ASCII: what cPickle of Python 2 writes by default."""
    raw = repr(np.array([0.1, -3.0]).tobytes())[1:].encode()
    old = (
        b"cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS" + raw + b"\ntb."
    )
    np.testing.assert_array_equal(read_plain(write(tmp_path / "a.pkl", old)), [0.1, -3.0])


class Evil:
    def __init__(self, reduction: tuple) -> None:
        self.reduction = reduction

    def __reduce__(self) -> tuple:
        return self.reduction


HOSTILE = {
    "system": lambda flag: Evil((os.system, (f"touch {flag}",))),
    "eval": lambda flag: Evil((eval, (f"open({str(flag)!r}, 'w')",))),
    "touch": lambda flag: Evil((Path.touch, (flag,))),
    "numpy load": lambda flag: Evil((np.load, (str(flag),))),
    "state": lambda flag: Evil((np.dtype, ("f8",), {"x": Evil((os.system, (f"touch {flag}",)))})),
    "set": lambda flag: {1, 2},
    "ordered": lambda flag: OrderedDict(a=1),
    "path": lambda flag: flag,
    "objects": lambda flag: np.array([{}, None]),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", HOSTILE)
def test_anything_else_is_refused_and_does_not_run(tmp_path, name, protocol):
    flag = tmp_path / "ran"
    for content in ({"a": HOSTILE[name](flag)}, [HOSTILE[name](flag)], HOSTILE[name](flag)):
        with pytest.raises(DatasetError, match="expected") as caught:
            read_plain(write(tmp_path / "a.pkl", pickle.dumps(content, protocol)))
        assert caught.value.hint
        assert not flag.exists()


def put(number: int) -> bytes:
    return b"r" + struct.pack("<I", number)


def get(number: int) -> bytes:
    return b"j" + struct.pack("<I", number)


BOMBS = {
    "tuples": b"\x80\x02})" + b"\x85" * 400_000 + b"K\x01s.",
    "tuples through the memo": b"\x80\x02}" + b")" + b"".join(
        put(n) + b"0" + get(n) + b"\x85" for n in range(100_000)
    ) + b"K\x01s.",
    "tuples in marks": b"\x80\x02}" + b"(" * 100_000 + b"t" * 100_000 + b"K\x01s.",
    "lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "shared lists": b"\x80\x02" + b"]" + put(0) + b"".join(
        b"](" + get(n) * 10 + b"e" + put(n + 1) for n in range(30)
    ) + b".",
    "memo": b"\x80\x02]" + put(2**32 - 1) + b".",
    "itself": b"\x80\x02]" + put(0) + get(0) + b"a.",
    "length": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01.",
    "persistent": b"\x80\x02U\x01aQ.",
    "extension": b"\x80\x02\x82\x01.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(tmp_path, name):
    with pytest.raises(DatasetError, match="expected"):
        read_plain(write(tmp_path / "a.pkl", BOMBS[name]), max_bytes=2**24)


def test_an_array_that_is_repeated_without_end(tmp_path):
    raw = b"C\xf0" + bytes(240)
    one = b"cnumpy.core.multiarray\n_frombuffer\n(h\x00cnumpy\ndtype\n(U\x02f8I0\nI1\ntRK\x1e\x85U\x01CtR"
    data = b"\x80\x03" + raw + b"q\x000](" + one * 200 + b"e."
    assert len(read_plain(write(tmp_path / "few.pkl", data))) == 200
    wide = data.replace(b"C\xf0" + bytes(240), b"B" + struct.pack("<I", 24_000) + bytes(24_000))
    with pytest.raises(DatasetError, match="far too often"):
        read_plain(write(tmp_path / "many.pkl", wide.replace(b"K\x1e\x85", b"M\xb8\x0b\x85")))


def test_damage(tmp_path):
    data = pickle.dumps(CONTENT)
    for kept in range(0, len(data), 7):
        with pytest.raises(DatasetError, match="damaged"):
            read_plain(write(tmp_path / "a.pkl", data[:kept]))
    with pytest.raises(DatasetError, match="No such file"):
        read_plain(tmp_path / "absent.pkl")
    with pytest.raises(DatasetError, match="Is a directory"):
        read_plain(tmp_path)
    with pytest.raises(DatasetError, match="at most"):
        read_plain(write(tmp_path / "a.pkl", data), max_bytes=100)


def test_changed_bytes_give_an_error_or_plain_data(tmp_path):
    data = pickle.dumps(CONTENT)
    rng = np.random.default_rng(0)
    for _ in range(500):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            changed[at] = rng.integers(256)
        try:
            read_plain(write(tmp_path / "a.pkl", bytes(changed)))
        except DatasetError:
            continue
