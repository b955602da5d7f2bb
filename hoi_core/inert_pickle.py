"""Pickles read without running anything that the file names.

A pickle is a program: it names functions and calls them. Here every name that a reader allows leads to an inert object
of this module, which only stores what it is given. Arrays are rebuilt afterwards from what was stored, with their sizes
checked. `plain_pickle` reads data sets this way, `mano.restricted` the files of a hand model.
"""

from __future__ import annotations

import pickle
import pickletools
import re
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

_NUMBER = re.compile(r"[fiu][1248]|b1")
ARRAY_MODULES = (
    "numpy",
    "numpy.core.multiarray",
    "numpy._core.multiarray",
    "numpy.core.numeric",
    "numpy._core.numeric",
)
"""Where the versions of numpy keep what rebuilds arrays."""
ARRAY_NAMES = ("_reconstruct", "scalar", "_frombuffer", "dtype", "ndarray")
"""What rebuilds them."""

_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_TAKEN = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_PAIRS = ("GLOBAL", "INST")  # two lines instead of one


class Inert:
    """Takes the place of an instance: keeps its arguments and its state, does nothing."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[object, ...] = ()) -> None:
        self.name, self.args = name, args
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __hash__(self) -> int:
        return id(self)

    # A pickle may fill dictionaries and lists in place; what is put into an inert object is dropped.
    def __setitem__(self, key: object, value: object) -> None:
        return None

    def append(self, value: object) -> None:
        """Drop the value."""

    def extend(self, values: object) -> None:
        """Drop the values."""


class Name:
    """Takes the place of a class or function: calling it makes an inert instance."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: object) -> Inert:
        """An inert instance."""
        return Inert(self.name, args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError(f"tries to change {self.name}")


def bytes_of(text: object, encoding: object = "latin1") -> bytes:
    """What `_codecs.encode` does for the bytes of an array in an old protocol."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("encodes something other than bytes")
    return text.encode("latin1")


class Locked:
    """A function that the file may call but not alter."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object) -> object:
        """What the function returns."""
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("tries to change a function")


def dtype_of(value: object) -> np.dtype[np.generic]:
    """The numeric type that an unpickled value stands for.

    Raises:
        TypeError: it stands for another.
    """
    if not (isinstance(value, Inert) and value.name == "dtype" and value.args and isinstance(value.args[0], str)):
        raise TypeError("not a numpy dtype")
    code = value.args[0]
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "<"
    if not _NUMBER.fullmatch(code) or order not in ("<", ">", "|", "="):
        raise TypeError(f"not a numeric dtype: {code}")
    return np.dtype(f"{order}{code}")


def shape_of(value: object) -> tuple[int, ...]:
    """The shape that an unpickled value stands for.

    Raises:
        TypeError: it is none.
    """
    shape = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise TypeError("not a shape")
    return tuple(int(n) for n in shape)


def array_of(value: Inert) -> NDArray[np.generic]:
    """The numeric array that an inert object stands for; it shares the memory of its bytes and is read-only.

    Raises:
        TypeError: it stands for something else.
        ValueError: its parts do not fit together.
    """
    if value.name == "_frombuffer":
        raw, kind, shape, order = value.args
    elif isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, kind, fortran, raw = value.state
        order = "F" if fortran else "C"
    else:
        raise TypeError("an array without content")
    if isinstance(raw, str):
        raw = raw.encode("latin1")  # Python 2's strings
    if not isinstance(raw, (bytes, bytearray)):
        raise TypeError("an array of objects")
    flat = np.frombuffer(bytes(raw), dtype=dtype_of(kind))
    return flat.reshape(shape_of(shape), order="F" if order == "F" else "C")


def steps(data: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, int]]:
    """Opcodes of a pickle, each with the number behind it, if it is one of the memo, else 0.

    Unlike `pickletools.genops` it takes no offence at texts of Python 2 that are not ASCII.

    Raises:
        UnpicklingError: it asks for a memo far longer than itself.
        KeyError, IndexError, ValueError: this is no pickle, or not a whole one.
    """
    at = 0
    while True:
        opcode = _OPCODES[chr(data[at])]
        at += 1
        number = 0
        if opcode.arg is not None:
            end = at + opcode.arg.n
            if opcode.arg.n == pickletools.UP_TO_NEWLINE:
                end = data.index(b"\n", at) + 1
                if opcode.name in _PAIRS:
                    end = data.index(b"\n", end) + 1
                number = int(data[at:end]) if opcode.name in ("PUT", "GET") else 0
            elif opcode.arg.n in _TAKEN:
                count = _TAKEN[opcode.arg.n]
                end = at + count + int.from_bytes(data[at : at + count], "little")
            else:
                number = int.from_bytes(data[at:end], "little")
            at = end
        if number > len(data) and "PUT" in opcode.name:
            raise pickle.UnpicklingError("keeps far more than it holds")
        yield opcode, number
        if opcode.name == "STOP":
            return
