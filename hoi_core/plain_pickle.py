"""Plain data out of a pickle: dict, list, tuple, str, bytes, numbers, None and arrays of numbers; nothing else.

Datasets ship their labels as pickles. A name that is not needed for such data ends the reading, and what would exhaust
the interpreter (deep nesting, shared parts that multiply) is refused before or while it is rebuilt.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_core.errors import DatasetError
from hoi_core.inert_pickle import ARRAY_MODULES, ARRAY_NAMES, Inert, Locked, Name, array_of, bytes_of, dtype_of, steps

MAX_BYTES = 2**20
"""Size of a file of labels of one image."""
_MAX_DEPTH = 16
_MOST_ARRAY_BYTES = 4  # per byte of the file
_HINT = "Unpack the dataset again from its own site, and open the file with no other tool."
_MARK = -1
_SETS = ("EMPTY_SET", "FROZENSET", "ADDITEMS")


class _Reader(pickle.Unpickler):
    """Resolves the names of arrays to inert objects."""

    def find_class(self, module: str, name: str) -> object:
        """The inert stand-in of `module.name`; anything unknown ends the reading."""
        if module in ARRAY_MODULES and name in ARRAY_NAMES:
            return Name(name)
        if (module, name) == ("_codecs", "encode"):
            return Locked(bytes_of)
        if name == "bytes" and module in ("builtins", "__builtin__"):
            return Locked(_no_bytes)
        raise pickle.UnpicklingError(f"names {f'{module}.{name}'[:80]!r}, which no labels need")

    def persistent_load(self, pid: object) -> object:
        """Refuse a reference to something outside the file."""
        raise pickle.UnpicklingError("refers to something outside of itself")


def _no_bytes() -> bytes:
    """How old protocols write bytes of no length."""
    return b""


def read_plain(path: Path, max_bytes: int = MAX_BYTES) -> object:
    """The content of a pickle of any protocol; texts of Python 2 are read as latin-1.

    Args:
        path: of the file.
        max_bytes: a larger file is refused.

    Returns:
        Containers of Python with read-only arrays in them.

    Raises:
        DatasetError: the file is missing, too large, damaged, or holds anything but plain data.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DatasetError(f"expected at most {max_bytes >> 10} KB in {path}, found {size >> 10} KB.", _HINT)
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(f"expected labels in {path}, but: {reason}.", _HINT) from error
    try:
        _check_depth(data)
        content = _Reader(io.BytesIO(data), encoding="latin1").load()
        return _Rebuilder(_MOST_ARRAY_BYTES * len(data)).plain(content)
    except pickle.UnpicklingError as error:
        message = f"{path}: expected plain labels, but the file is damaged or unsafe: it {error}."
        raise DatasetError(message, _HINT) from error
    except Exception as error:  # a damaged pickle can raise anything
        message = f"{path}: expected a pickle of labels, found a damaged one ({type(error).__name__}: {error})."
        raise DatasetError(message, _HINT) from error


class _Rebuilder:
    """Turns what was unpickled into plain data, each part once."""

    def __init__(self, most_bytes: int) -> None:
        self.bytes_left = most_bytes
        # The inert object is kept with its result: as long as it lives, no other has its id.
        self.done: dict[int, tuple[object, object]] = {}

    def plain(self, value: object, depth: int = 0) -> object:
        """The plain data that a value stands for."""
        if depth > _MAX_DEPTH:
            raise pickle.UnpicklingError("nests its parts too deeply")
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        if id(value) not in self.done:
            self.done[id(value)] = (value, self._rebuilt(value, depth + 1))
        return self.done[id(value)][1]

    def _rebuilt(self, value: object, depth: int) -> object:
        if isinstance(value, dict):
            return {self.plain(key, depth): self.plain(held, depth) for key, held in value.items()}
        if isinstance(value, list):
            return [self.plain(held, depth) for held in value]
        if isinstance(value, tuple):
            return tuple(self.plain(held, depth) for held in value)
        if isinstance(value, Inert):
            return self._number(value) if value.name == "scalar" else self._array(value)
        raise pickle.UnpicklingError(f"holds a {type(value).__name__}")

    def _array(self, value: Inert) -> NDArray[np.generic]:
        array = array_of(value)
        self.bytes_left -= array.nbytes
        if self.bytes_left < 0:
            raise pickle.UnpicklingError("repeats its arrays far too often")
        return array

    def _number(self, value: Inert) -> object:
        kind, raw = value.args
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(raw, bytes):
            raise pickle.UnpicklingError("holds a number without digits")
        (number,) = np.frombuffer(raw, dtype_of(kind)).tolist()
        return number


def _check_depth(data: bytes) -> None:
    """Refuse tuples within tuples beyond a depth, before one is made: hashing them could overflow the C stack.

    The stack of the unpickler is followed with the depth of each value in place of the value.

    Raises:
        UnpicklingError: too deep, or a set, whose members would be hashed as they are read.
        KeyError, IndexError: this is no pickle.
    """
    stack: list[int] = []
    memo: dict[int, int] = {}
    for opcode, argument in steps(data):
        name = opcode.name
        if name in _SETS:
            raise pickle.UnpicklingError("holds a set")
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif "GET" in name:
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            stack.append(_MARK)
        else:
            taken = _take(stack, [kind.name for kind in opcode.stack_before])
            nested = 1 + max(taken, default=0) if "TUPLE" in name else 0
            if nested > _MAX_DEPTH:
                raise pickle.UnpicklingError("nests tuples too deeply")
            # What a container holds is hashed by its identity or not at all: its own depth is none.
            stack += [nested] * len(opcode.stack_after)


def _take(stack: list[int], kinds: list[str]) -> list[int]:
    """Take from the stack what an opcode takes; `kinds` are pickletools' names, the top last."""
    taken = []
    if "mark" in kinds:
        while (depth := stack.pop()) != _MARK:
            taken.append(depth)
        kinds = kinds[: kinds.index("mark")]
    return taken + [stack.pop() for _ in kinds]
