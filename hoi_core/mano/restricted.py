"""Read the arrays of a licensed MANO pickle without chumpy and without running anything that the file names.

A pickle is a program: it names functions and calls them. Here every name it may use leads to an inert object of
this module, which only stores what it is given; any other name ends the reading. Arrays, sparse matrices and chumpy
objects are rebuilt afterwards from what was stored, with their sizes checked.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_core.errors import AssetError
from hoi_core.inert_pickle import ARRAY_MODULES, ARRAY_NAMES, Inert, Locked, Name, array_of, bytes_of, shape_of, steps

_MAX_BYTES = 64 * 2**20
_MAX_DEPTH = 8
_MAX_STEPS = 200_000  # a licensed file takes some hundreds
_MAX_TUPLES = 10_000  # tuples within tuples could overflow the interpreter's stack
_HINT = "Use the original file from https://mano.is.tue.mpg.de (free registration)."


def _class_of(name: str) -> type:
    """A fresh class for one file: pickle's NEWOBJ demands a real class."""

    def new(cls: type, *args: object) -> Inert:
        return Inert(name, args)

    return type("InertClass", (), {"__new__": new, "__slots__": ()})


def _reconstructor(kind: object, *rest: object) -> Inert:
    """What `copyreg._reconstructor` would do, for inert classes only."""
    made = kind() if isinstance(kind, type) and kind.__name__ == "InertClass" else None
    if not isinstance(made, Inert):
        raise pickle.UnpicklingError("rebuilds an object that is not an array")
    return made


class _Reader(pickle.Unpickler):
    """Resolves the few names that MANO files use to inert objects."""

    def find_class(self, module: str, name: str) -> object:
        """The inert stand-in of `module.name`; anything unknown ends the reading."""
        full = f"{module}.{name}"
        if module in ARRAY_MODULES and name in ARRAY_NAMES:
            return Name(name)
        sparse = re.fullmatch(r"scipy\.sparse\.(_?(csc|csr)\.)?(csc|csr)_(matrix|array)", full)
        if sparse:
            return _class_of(f"sparse {sparse.group(3)}")
        if module.partition(".")[0] == "chumpy":
            return _class_of(f"chumpy {name}")
        if full in ("copyreg._reconstructor", "copy_reg._reconstructor"):
            return Locked(_reconstructor)
        if full == "_codecs.encode":
            return Locked(bytes_of)
        if full in ("builtins.object", "__builtin__.object"):
            return Name("object")
        if full in ("builtins.set", "__builtin__.set", "weakref.WeakKeyDictionary", "collections.OrderedDict"):
            return _class_of("container")  # inside chumpy's caches, which are not read
        raise pickle.UnpicklingError(f"names {full[:80]!r}, which no hand model needs")


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of a MANO pickle by their keys; entries that are no numeric arrays are left out.

    Raises:
        AssetError: the file is missing, is no pickle of a hand model, is truncated, or names anything but arrays.
    """
    data = read_bytes(path)
    try:
        _check_steps(data)
        content = _Reader(io.BytesIO(data), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        message = f"{path}: expected a hand model's arrays only, but the file is damaged or unsafe: it {error}."
        raise AssetError(message, f"Do not load it with other tools. {_HINT}") from error
    except Exception as error:  # a damaged pickle can raise anything
        message = f"{path}: expected a MANO pickle, found a damaged one ({type(error).__name__}: {error})."
        raise AssetError(message, _HINT) from error
    if not isinstance(content, dict):
        raise AssetError(f"{path}: expected a mapping of arrays, found {type(content).__name__}.", _HINT)
    arrays = {}
    for key, value in content.items():
        try:
            arrays[str(key)] = _resolve(value)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
            continue  # such as bs_style, a text; a needed array is then reported as missing
    return arrays


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that should be a MANO pickle.

    Raises:
        AssetError: it is missing, not readable, or far too large.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise AssetError(f"{path}: expected a MANO file of a few MB, found {path.stat().st_size >> 20} MB.", _HINT)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AssetError(
            f"expected a MANO file at {path}, but: {reason}.",
            f"Put it there or name another folder in HOI_MANO. {_HINT}",
        ) from error


def _check_steps(data: bytes) -> None:
    """Refuse a pickle with far more steps than a hand model needs, before any of them is taken.

    Raises:
        UnpicklingError: it has too many, or asks for a memo far longer than itself.
        KeyError, IndexError, ValueError: it is not a whole pickle.
    """
    tuples = 0
    for step, (opcode, _) in enumerate(steps(data)):
        tuples += opcode.name.startswith("TUPLE")
        if tuples > _MAX_TUPLES or step > _MAX_STEPS:
            raise pickle.UnpicklingError("takes far more steps than a hand model needs")


def _resolve(value: object, depth: int = 0) -> NDArray[np.generic]:
    """The numeric array that an unpickled value stands for."""
    if depth > _MAX_DEPTH:
        raise RecursionError("nested too deeply")
    if isinstance(value, (list, tuple)):
        # Nested lists could share parts and grow without bound; no hand model stores any.
        if all(isinstance(v, (int, float)) for v in value):
            return np.asarray(value, dtype=np.float64)
        raise TypeError("not numeric")
    if not isinstance(value, Inert):
        raise TypeError("not an array")
    if value.name in ("_reconstruct", "_frombuffer", "ndarray"):
        return array_of(value)
    if value.name.startswith("sparse"):
        return _sparse(value, depth)
    if value.name.startswith("chumpy"):
        return _chumpy(value, depth)
    raise TypeError("not an array")


def _sparse(value: Inert, depth: int) -> NDArray[np.generic]:
    state = value.state
    if not isinstance(state, dict):
        raise TypeError("a sparse matrix without content")
    rows, columns = shape_of(state.get("_shape", state.get("shape")))
    data, indices, pointers = (_resolve(state[k], depth + 1) for k in ("data", "indices", "indptr"))
    by_column = value.name == "sparse csc"
    major = columns if by_column else rows
    if rows * columns * 8 > _MAX_BYTES or pointers.shape != (major + 1,) or data.shape != indices.shape:
        raise ValueError("a sparse matrix whose parts do not fit")
    ends = pointers.astype(np.int64)
    counts = ends[1:] - ends[:-1]
    if (counts < 0).any() or counts.sum() != len(data):
        raise ValueError("a sparse matrix whose parts do not fit")
    outer, inner = np.repeat(np.arange(major), counts), indices.astype(np.int64)
    if (inner < 0).any():
        raise ValueError("a sparse matrix with a negative index")
    dense = np.zeros((rows, columns))
    np.add.at(dense, (inner, outer) if by_column else (outer, inner), data.astype(np.float64))
    return dense


def _chumpy(value: Inert, depth: int) -> NDArray[np.generic]:
    """A chumpy array holds its numbers in `x`; a selection holds another array and the chosen flat indices."""
    state = value.state
    if not isinstance(state, dict):
        raise TypeError("a chumpy object without content")
    if "x" in state:
        return _resolve(state["x"], depth + 1)
    source, chosen = _resolve(state["a"], depth + 1), _resolve(state["idxs"], depth + 1)
    picked = source.ravel()[chosen.astype(np.int64).ravel()]
    shape = state.get("preferred_shape")
    return picked if shape is None else picked.reshape(shape_of(shape))
