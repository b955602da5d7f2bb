"""The journal: an append-only file of steps, each with checksums, that survives a kill at any moment.

A record is a head of fixed size, a line of JSON that says what it is, and its bytes; see docs/annotate_files.md.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from hoi_core.errors import SequenceError
from hoi_core.sequence import storage_errors

Kind = Literal["begin", "do", "undo", "redo", "work", "saved"]
"""Whose journal it is; a step; it was taken back; it was done again; human work; a revision was written."""

_KINDS: tuple[Kind, ...] = get_args(Kind)
_MAGIC = b"HOIJ"
_HEAD = struct.Struct("<4sBxHIII")
"""Magic, kind, length of the line, length of the bytes, CRC-32 of the bytes, CRC-32 of all before it and the line."""
_CHECKED = _HEAD.size - 4


@dataclass(frozen=True)
class Record:
    """Where a record lies, and its line; its bytes are read when they are needed."""

    kind: Kind
    about: Mapping[str, Any]
    """The line."""
    start: int
    """Offset of the record in the file."""
    at: int
    """Offset of its bytes."""
    size: int
    """Length of its bytes."""
    crc: int
    """CRC-32 of its bytes."""

    @property
    def end(self) -> int:
        """Offset of the next record."""
        return self.at + self.size


class Journal:
    """A journal, open for reading and, if it may, for adding.

    Args:
        path: the file; made when the first record is added.
        writable: False never changes the file.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path, self._writable = path, writable
        self.records: list[Record] = []
        self.torn_bytes = 0
        """Length of an unfinished record that was found at the end; it is cut off."""
        self._file = -1
        if path.exists():
            self._open()
            self._scan()

    def _open(self) -> None:
        with storage_errors(self.path):
            flags = os.O_RDWR | os.O_CREAT if self._writable else os.O_RDONLY
            self._file = os.open(self.path, flags | os.O_CLOEXEC, 0o644)

    @property
    def _end(self) -> int:
        return self.records[-1].end if self.records else 0

    def _scan(self) -> None:
        """Find all records; an unfinished one at the end is cut off."""
        size = os.fstat(self._file).st_size
        while (record := self._read_head(self._end)) and record.end <= size:
            self.records.append(record)
        self.torn_bytes = size - self._end
        if self.torn_bytes:
            unfinished = record is not None or self.torn_bytes < _HEAD.size
            self._cut(keep=not unfinished)

    def _read_head(self, start: int) -> Record | None:
        head = os.pread(self._file, _HEAD.size, start)
        if len(head) < _HEAD.size:
            return None
        magic, kind, length, size, crc, check = _HEAD.unpack(head)
        line = os.pread(self._file, length, start + _HEAD.size)
        if magic != _MAGIC or kind >= len(_KINDS) or zlib.crc32(head[:_CHECKED] + line) != check:
            return None
        return Record(_KINDS[kind], json.loads(line), start, start + _HEAD.size + length, size, crc)

    def cut_from(self, index: int) -> None:
        """Forget a record that cannot be used and all after it; the file is kept aside as it was."""
        del self.records[index:]
        self._cut(keep=True)

    def _cut(self, *, keep: bool) -> None:
        if not self._writable:
            return
        with storage_errors(self.path):
            if keep:
                shutil.copyfile(self.path, _free_name(self.path))
            os.ftruncate(self._file, self._end)

    def append(self, kind: Kind, about: Mapping[str, object], data: bytes = b"") -> Record:
        """Add a record; it is on disk when this returns.

        Raises:
            StorageError: the disk is full; the journal is as before.
        """
        line = json.dumps(about, ensure_ascii=False).encode()
        start, crc = self._end, zlib.crc32(data)
        checked = _HEAD.pack(_MAGIC, _KINDS.index(kind), len(line), len(data), crc, 0)[:_CHECKED]
        head = checked + struct.pack("<I", zlib.crc32(checked + line))
        if self._file < 0:
            self._open()
        with storage_errors(self.path):
            try:
                _write_all(self._file, head + line + data, start)
                os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, start)
                raise
        record = Record(kind, about, start, start + len(head) + len(line), len(data), crc)
        self.records.append(record)
        return record

    def read(self, record: Record) -> bytes:
        """The bytes of a record.

        Raises:
            SequenceError: they are damaged.
        """
        data = os.pread(self._file, record.size, record.at)
        if len(data) != record.size or zlib.crc32(data) != record.crc:
            raise SequenceError(
                f"{self.path} is damaged: the step {record.about.get('text', '')!r} does not match its checksum.",
                "Steps before it cannot be taken back any more; the labels are as they were.",
            )
        return data

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write_all(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _free_name(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    return kept
