"""Huge JSON lists of equal arrays, read once and kept as memory-mapped arrays: 32,560 meshes are 700 MB of text.

A file of another size or time is read anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dataset_tools.readers import _kept_arrays
from hoi_core.errors import DatasetError
from hoi_core.types import F32

_BLOCK = 16_000_000
_OPEN, _CLOSE = ord("["), ord("]")
_REMEDY = "Unpack the dataset again."


def load(path: Path, shape: tuple[int, ...]) -> F32:
    """The arrays of a file.

    Args:
        path: JSON, a list of N arrays of numbers, of three levels or more together.
        shape: of each array; a file may nest it in further lists of one.

    Returns:
        `(N, *shape)`, memory-mapped and read-only; 32 bits tell apart less than 0.1 um at arm's length.

    Raises:
        DatasetError: missing, truncated or no such list; an array of another shape, or with a value that is no number.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", _REMEDY) from error
    kept = _kept_arrays.load(path, f"{facts.st_size}.{facts.st_mtime_ns}", lambda: _read(path, shape))
    if kept.shape[1:] != shape or kept.dtype != np.float32:
        raise DatasetError(f"expected arrays of shape {shape} in {path}, got {kept.shape[1:]}.", _REMEDY)
    return kept.view(np.float32)


def _read(path: Path, shape: tuple[int, ...]) -> F32:
    arrays = np.concatenate([_block(piece, shape, path) for piece in _pieces(path)])
    bad = np.flatnonzero(~np.isfinite(arrays.reshape(len(arrays), -1)).all(1))
    if len(bad):
        raise DatasetError(f"entry {bad[0]} of {path} holds a value that is no number.", _REMEDY)
    return arrays


def _pieces(path: Path) -> Iterator[bytes]:
    """Some whole entries of the outer list at a time, with the commas between them."""
    with path.open("rb") as file:
        left, depth = b"", 0
        for block in _blocks(file):
            codes = np.frombuffer(block, np.uint8)
            steps = (codes == _OPEN).astype(np.int8) - (codes == _CLOSE).astype(np.int8)
            depths = depth + np.cumsum(steps, dtype=np.int64)
            ends = np.flatnonzero((steps < 0) & (depths == 1))
            start = int(np.flatnonzero(depths == 1)[0]) + 1 if not depth and (depths == 1).any() else 0
            depth = int(depths[-1])
            if not len(ends):
                left += block[start:]
                continue
            yield left + block[start : ends[-1] + 1]
            left = block[ends[-1] + 1 :]
        if depth or not left.strip().endswith(b"]"):
            raise DatasetError(f"{path} ends in the middle of a list.", _REMEDY)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _block(piece: bytes, shape: tuple[int, ...], path: Path) -> F32:
    try:
        arrays = np.asarray(json.loads(b"[" + piece.lstrip(b", \r\n\t") + b"]"), dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path} is no list of arrays of equal shape: {error}.", _REMEDY) from error
    if int(np.prod(arrays.shape[1:])) != int(np.prod(shape)):
        raise DatasetError(f"expected arrays of shape {shape} in {path}, got {arrays.shape[1:]}.", _REMEDY)
    return arrays.reshape(len(arrays), *shape)
