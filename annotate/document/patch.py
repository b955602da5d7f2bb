"""What a step changes: rows of arrays before and after, as bytes, so that taking it back restores every bit."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from annotate.document.flat import Array, Flat
from hoi_core.errors import SequenceError
from hoi_core.types import I64


@dataclass(frozen=True)
class Change:
    """One array before and after."""

    path: str
    """Which array."""
    rows: I64 | None
    """(K,) rows that changed; None for the whole array."""
    before: Array | None
    """The rows, or the array; None where there was none."""
    after: Array | None
    """As `before`; None where there is none any more."""


Patch = tuple[Change, ...]
_REMEDY = "The labels are as they were; what came before this step can not be taken back."
_COUNT = struct.Struct("<I")


def difference(old: Flat, new: Flat) -> Patch:
    """What turns one table into the other; NaN equals NaN, and 0 differs from -0."""
    changes = []
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before is after:
            continue
        if before is None or after is None or before.shape != after.shape or before.dtype != after.dtype:
            changes.append(Change(path, None, before, after))
        elif len(rows := _differing(before, after)):
            changes.append(Change(path, rows, before[rows], after[rows]))
    return tuple(changes)


def _differing(before: Array, after: Array) -> I64:
    """Rows whose bytes differ."""
    if not before.size:
        return np.zeros(0, np.int64)
    a, b = (np.ascontiguousarray(x).view(np.uint8).reshape(len(x), -1) for x in (before, after))
    return np.flatnonzero((a != b).any(1))


def reverse(patch: Patch) -> Patch:
    """The patch that takes another one back."""
    return tuple(Change(c.path, c.rows, c.after, c.before) for c in patch)


def apply(flat: Flat, patch: Patch) -> Flat:
    """The table after a patch; the given one stays as it is.

    Raises:
        SequenceError: the patch was made for other labels.
    """
    out = dict(flat)
    for change in patch:
        held = out.get(change.path)
        if not _fits(held, change):
            raise SequenceError(f"a step of the journal was made for other labels ({change.path}).", _REMEDY)
        if change.after is None:
            del out[change.path]
        elif change.rows is None or held is None:
            out[change.path] = change.after
        else:
            out[change.path] = held.copy()
            out[change.path][change.rows] = change.after
    return out


def _fits(held: Array | None, change: Change) -> bool:
    """Whether a table holds, bit for bit, what a change takes away."""
    before = change.before
    if held is None or before is None:
        return held is None and before is None
    there = held
    if change.rows is not None:
        if held.ndim < 1 or len(held) <= change.rows.max(initial=-1):
            return False
        there = held[change.rows]
    return there.shape == before.shape and there.dtype == before.dtype and there.tobytes() == before.tobytes()


def frames_of(patch: Patch, moments: int) -> tuple[int, int] | None:
    """First and last moment that a patch touches; None where it touches arrays as a whole only."""
    rows = [c.rows for c in patch if c.rows is not None and _by_moment(c, moments)]
    return (int(min(r[0] for r in rows)), int(max(r[-1] for r in rows))) if rows else None


def _by_moment(change: Change, moments: int) -> bool:
    group = change.path.split("/", 1)[0]
    per_sequence = group in ("clicks", "corrections", "comments", "keypoint_source") or change.path.endswith("/betas")
    return not per_sequence and change.rows is not None and bool(change.rows[-1] < moments)


def encode(patch: Patch) -> bytes:
    """Bytes of a patch: a JSON list of what follows, then the arrays."""
    heads, parts = [], []
    for change in patch:
        arrays = [change.rows, change.before, change.after]
        heads.append([change.path, *(None if a is None else [a.dtype.str, list(a.shape)] for a in arrays)])
        parts += [np.ascontiguousarray(a).tobytes() for a in arrays if a is not None]
    head = json.dumps(heads).encode()
    return b"".join([_COUNT.pack(len(head)), head, *parts])


def decode(data: bytes) -> Patch:
    """Inverse of `encode`.

    Raises:
        SequenceError: the bytes are no patch.
    """
    try:
        (length,) = _COUNT.unpack_from(data)
        at = _COUNT.size + length
        changes = []
        for path, *heads in json.loads(data[_COUNT.size : at]):
            arrays: list[Array | None] = []
            for head in heads:
                array, at = _array(data, at, head)
                arrays.append(array)
            changes.append(Change(path, *arrays))
        return tuple(changes)
    except (struct.error, ValueError, TypeError) as error:
        raise SequenceError(f"a step of the journal cannot be read: {error}.", _REMEDY) from error


def _array(data: bytes, at: int, head: tuple[str, Iterable[int]] | None) -> tuple[Array | None, int]:
    if head is None:
        return None, at
    dtype, shape = np.dtype(head[0]), tuple(head[1])
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(data, dtype, count, at).reshape(shape), at + count * dtype.itemsize
