"""CSV as people and spreadsheets leave it: byte order marks, semicolons, blank lines, spaces, other encodings."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence

SEPARATORS = (",", ";", "\t")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decode(raw: bytes) -> tuple[str, str]:
    """Text of a file, and the encoding that it is in: UTF-8, UTF-16 with a mark, or Windows-1252 as Excel saves it.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding), encoding
    if b"\0" in raw:
        raise UnicodeDecodeError("utf-8", raw, raw.index(b"\0"), raw.index(b"\0") + 1, "binary data")
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("cp1252"), "cp1252"


def separator(text: str, wanted: Sequence[str] = ()) -> str:
    """What separates the columns of a table: what splits off a wanted column's name, else what splits most."""
    line = first_line(text)
    if line.lower().startswith("sep=") and len(line) == 5:
        return line[4]
    found = {sep: next(csv.reader([line], delimiter=sep), []) for sep in SEPARATORS}
    named = [sep for sep, names in found.items() if {clean_name(name) for name in names} & set(wanted)]
    return max(named or SEPARATORS, key=lambda sep: len(found[sep]))


def first_line(text: str) -> str:
    """The first line that is not blank; empty if there is none."""
    return next((line for line in text.splitlines() if line.strip(" ;,\t")), "")


def clean_name(name: str) -> str:
    """A column's name as it is meant."""
    return name.strip().strip('"').strip().casefold()


def rows_of(text: str, sep: str) -> list[list[str]]:
    """Every row that is not blank, cells stripped; Excel's `sep=;` line is left out.

    Raises:
        csv.Error: a quote is never closed.
    """
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=sep, strict=True)]
    rows = [row for row in rows if any(row)]
    if rows and len("".join(rows[0])) <= 5 and "".join(rows[0]).lower().startswith("sep="):
        rows = rows[1:]
    return rows
