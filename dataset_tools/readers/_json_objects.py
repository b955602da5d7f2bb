"""Huge JSON files of objects, read one entry at a time: a gigabyte of COCO needs no ten gigabytes of memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TextIO

from hoi_core.errors import DatasetError

_BLOCK = 4_000_000
_REMEDY = "Unpack the dataset again."


def members(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and value of each member of the outer object.

    Raises:
        DatasetError: missing, truncated, or no JSON object.
    """
    yield from entries(path, ())


def entries(path: Path, lists: Collection[str]) -> Iterator[tuple[str, Any]]:
    """As `members`, but a member named in `lists` must be a list, and comes entry by entry.

    Raises:
        DatasetError: missing, truncated, or no such JSON object.
    """
    try:
        with path.open(encoding="utf8") as file:
            yield from _outer(_Text(file), lists)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}.", _REMEDY) from error
    except ValueError as error:
        raise DatasetError(f"{path} is damaged: {error}.", _REMEDY) from error


def whole(value: Any, limit: int = 2**62) -> int:
    """A number that must be whole, not negative and below a limit; text of digits counts.

    Raises:
        ValueError: it is not.
    """
    number = int(value) if isinstance(value, (int, str)) or (isinstance(value, float) and value.is_integer()) else -1
    if not 0 <= number < limit:
        raise ValueError(f"expected a whole number from 0 to {limit - 1}, got {value!r}")
    return number


def _outer(text: _Text, lists: Collection[str]) -> Iterator[tuple[str, Any]]:
    text.expect("{")
    while text.peek() != "}":
        name = text.value()
        if not isinstance(name, str):
            raise ValueError(f"expected a name, got {name!r}")
        text.expect(":")
        if name in lists:
            text.expect("[")
            while text.peek() != "]":
                yield name, text.value()
                text.separator("]")
            text.expect("]")
        else:
            yield name, text.value()
        text.separator("}")
    text.expect("}")
    if text.peek():
        raise ValueError("something follows its end")


class _Text:
    """What is still to be read of a file, block by block."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at, self._ended = file, "", 0, False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def expect(self, character: str) -> None:
        """Pass over a character that must come next."""
        met = self.peek()
        if met != character:
            raise ValueError(f"expected {character!r}, got {met!r}" if met else "it ends too early")
        self._at += 1

    def separator(self, closing: str) -> None:
        """Pass over a comma, unless the list or object ends here."""
        if self.peek() != closing:
            self.expect(",")
            if self.peek() == closing:
                raise ValueError(f"expected an entry, got {closing!r}")

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                # A number that touches the end of what was read may go on.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return found
            self._more()

    def _more(self) -> None:
        block = self._file.read(max(_BLOCK, len(self._text) - self._at))
        self._ended = not block
        self._text, self._at = self._text[self._at :] + block, 0
