"""Does a file mention somebody? Whole words, in text, in archives, in HDF5, and in any other bytes.

Compressed images are random bytes, in which a short word such as `p01` turns up by chance; so what is known to hold
nothing but numbers is left out, and what is compressed is unpacked first.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from bz2 import BZ2File
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

_BLOCK = 8 << 20
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")
_PNG, _JPEG, _HDF5, _NPY = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY"
_UNPACK: dict[bytes, type[gzip.GzipFile] | type[BZ2File] | type[lzma.LZMAFile]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


@dataclass(frozen=True)
class Words:
    """What is looked for: whole words, capitals or not."""

    words: tuple[str, ...]
    """Pseudonym, names of sequences, hashes of their content."""

    def in_text(self, text: str) -> bool:
        """Whether a text has one of the words."""
        return self.pattern.search(text) is not None

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches any of the words, with no letter or digit before or after."""
        longest = sorted(self.words, key=len, reverse=True)
        return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, longest))})(?![A-Za-z0-9])", re.IGNORECASE)

    @property
    def needles(self) -> tuple[bytes, ...]:
        """The words as bytes in lower case, also as UTF-16."""
        low = [word.lower() for word in self.words]
        return tuple(word.encode() for word in low) + tuple(word.encode("utf-16-le") for word in low)


def mentioned(path: Path, words: Words) -> str:
    """The first word that a file mentions in its content; empty if none.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    is_text = b"\0" not in head and not is_structured(path)
    for part in _parts(path, head):
        if found := _found(part, words.needles, is_text=is_text):
            return found
    return ""


def is_structured(path: Path) -> bool:
    """Whether a file is of a kind in which texts are told from numbers: HDF5, images, arrays, archives."""
    with path.open("rb") as file:
        head = file.read(16)
    known = (_HDF5, _PNG, _JPEG, _NPY, *_UNPACK)
    return head.startswith(known) or zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _parts(path: Path, head: bytes) -> Iterator[Iterable[bytes]]:
    """Runs of bytes that may hold words."""
    if head.startswith(_HDF5):
        yield from _hdf5(path)
        return
    if head.startswith((_PNG, _JPEG)):
        yield [_without_pixels(path.read_bytes())]
        return
    if head.startswith(_NPY):
        yield [_npy(path.read_bytes())]
        return
    if zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile, RuntimeError, NotImplementedError), zipfile.ZipFile(path) as archive:
            yield ["\n".join(archive.namelist()).encode(), archive.comment]
            for name in archive.namelist():
                content = archive.read(name)
                yield [_npy(content) if content.startswith(_NPY) else content]
            return
    for magic, opener in _UNPACK.items():
        if head.startswith(magic):
            with suppress(OSError, EOFError, lzma.LZMAError, zlib.error), opener(path) as packed:
                yield _blocks(packed)
                return
    yield _file_blocks(path)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _file_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _blocks(file)


def _blocks(file: _Readable) -> Iterator[bytes]:
    """Content in blocks that overlap, so that no word is cut."""
    tail = b""
    while block := file.read(_BLOCK):
        yield tail + block
        tail = (tail + block)[-512:]


def _hdf5(path: Path) -> Iterator[Iterable[bytes]]:
    """The file without the compressed numbers in it, and the texts that are compressed."""
    spans: list[tuple[int, int]] = []
    texts: list[bytes] = []

    def visit(_: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset) or item.size == 0:
            return
        if item.dtype.kind in "biuf":
            _add_spans(item, spans)
        else:  # also where they are not packed: strings of a fixed length stand there without a gap
            texts.append(_text_of(np.asarray(item[()])))

    try:
        with h5py.File(path, "r", locking=False) as file:
            file.visititems(visit)
    except (OSError, RuntimeError, ValueError, KeyError):
        with suppress(OSError, RuntimeError, ValueError, KeyError), h5py.File(path, "r", swmr=True, locking=False) as f:
            f.visititems(visit)
    yield texts
    yield _between(path, sorted(spans))


def _add_spans(dataset: h5py.Dataset, spans: list[tuple[int, int]]) -> None:
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        if start is not None:
            spans.append((start, dataset.id.get_storage_size()))
        return
    dataset.id.chunk_iter(lambda chunk: spans.append((chunk.byte_offset, chunk.size)))


def _text_of(values: np.ndarray) -> bytes:
    """Every string of an array, each on a line of its own."""
    if values.dtype.names:
        return b"\n".join(_text_of(values[name]) for name in values.dtype.names)
    if values.dtype.kind in "SUO":
        return b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in values.ravel())
    return b""


def _between(path: Path, spans: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """What of a file lies between spans."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        for start, length in [*spans, (size, 0)]:
            while at < start:
                file.seek(at)
                block = file.read(min(start - at, _BLOCK))
                if not block:
                    return
                yield block
                at += len(block) if at + len(block) >= start else max(len(block) - 512, 1)
            at = max(at, start + length)


def _without_pixels(content: bytes) -> bytes:
    """A PNG's chunks but for its pixels; a JPEG's segments before its pixels."""
    if content.startswith(_JPEG):
        start = content.find(b"\xff\xda")
        return content if start < 0 else content[:start]
    kept, at = [], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + length]
        if kind in (b"zTXt", b"iTXt"):
            with suppress(zlib.error):
                kept.append(zlib.decompress(data[data.index(b"\0") + 2 :]) if kind == b"zTXt" else b"")
        if kind != b"IDAT":
            kept.append(data)
        at += 12 + length
    return b"\n".join([*kept, content[at:]])


def _npy(content: bytes) -> bytes:
    """What an array says in words; its numbers are left out."""
    try:
        return _text_of(np.load(io.BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError):
        return content  # pickled objects


def _found(blocks: Iterable[bytes], needles: Sequence[bytes], *, is_text: bool) -> str:
    for block in blocks:
        low = block.lower()
        for needle in needles:
            at = low.find(needle)
            while at >= 0:
                if _is_word(low, at, needle, is_text=is_text):
                    return needle.decode("utf-16-le" if b"\0" in needle else "utf-8")
                at = low.find(needle, at + 1)
    return ""


def _is_word(low: bytes, at: int, needle: bytes, *, is_text: bool) -> bool:
    """Whether bytes at a place are a word of their own, as text or as a string with its length before it."""
    width = 2 if b"\0" in needle else 1
    end = at + len(needle)
    before, after = low[at - width : at] if at >= width else b"", low[end : end + width]
    if width == 2:
        return not _letter(before) and not _letter(after)
    if before and before[0] in (len(needle), len(needle) + 1):
        return True
    return all(_edge(byte) or (is_text and byte[0] >= 128) for byte in (before, after))


def _letter(pair: bytes) -> bool:
    return len(pair) == 2 and pair[1] == 0 and pair[0] in _ALNUM


def _edge(byte: bytes) -> bool:
    """Nothing, an end of text, white space, or a printable sign that is no letter or digit."""
    return not byte or byte[0] in (0, 9, 10, 13) or (32 <= byte[0] < 127 and byte[0] not in _ALNUM)
