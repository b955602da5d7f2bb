"""Take every mention of some words out of tables, lists and JSON, and keep the rest."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from hoi_core.sequence import _table_text
from hoi_core.sequence.withdraw.mentions import Words

_TABLES = (".csv", ".tsv")
_LINES = (".txt", ".list", ".lst", ".md", ".log", ".jsonl", ".ndjson", ".yaml", ".yml", ".obj", ".mtl", ".html")
_RECORD_KEYS = ("sequence", "participant", "subject", "capture_hash", "key")
_GAP = re.compile(r"[\s,;|]+")

Json = dict[str, "Json"] | list["Json"] | str | float | bool | None


@dataclass(frozen=True)
class Erased:
    """What is left of a file."""

    text: str
    """Its new content; empty where nothing sensible is left."""
    encoding: str
    """Encoding that it had."""
    removed: int
    """Rows, lines or entries that went."""


def can_edit(path: Path) -> bool:
    """Whether mentions can be taken out of a file of this kind, rather than the whole file."""
    return path.suffix.lower() in (*_TABLES, *_LINES, ".json")


def erase(path: Path, words: Words, *, may_go: bool = True) -> Erased | None:
    """A file's content without the words; None where it is not what its name says.

    Rows of tables go when a cell is nothing but the words; within longer cells just the words go. Lines of lists go.
    In JSON the smallest record that mentions one goes; the whole file if its root says that it is about one, and it
    `may_go`.
    """
    try:
        text, encoding = _table_text.decode(path.read_bytes())
        edit: Callable[[str, Words], tuple[str, int]] = _edit_lines
        if path.suffix.lower() in _TABLES:
            edit = _edit_table
        elif path.suffix.lower() == ".json":
            edit = _edit_json if may_go else _prune_json
        left, removed = edit(text, words)
        if path.suffix.lower() in (".yaml", ".yml"):
            yaml.safe_load(left)
    except (UnicodeDecodeError, csv.Error, ValueError, yaml.YAMLError):
        return None
    return Erased(left, encoding, removed)


def without(text: str, words: Words) -> str:
    """A text without the pieces, between blanks or commas, that mention a word; empty if all of them do."""
    pieces = [piece for piece in _GAP.split(text) if piece]
    if all(words.in_text(piece) for piece in pieces):
        return ""
    kept = re.split(r"([\s,;|]+)", text)
    out = ""
    for piece, gap in zip(kept[::2], [*kept[1::2], ""], strict=True):
        if not words.in_text(piece):
            out += piece + gap
    return out.strip(" ,;|")


def _edit_table(text: str, words: Words) -> tuple[str, int]:
    sep = _table_text.separator(text, ("sequence", "participant", "object"))
    rows = list(csv.reader(io.StringIO(text), delimiter=sep, strict=True))
    kept, removed = [], 0
    for k, row in enumerate(rows):
        if k and any(words.in_text(cell) and not without(cell, words) for cell in row):
            removed += 1
            continue
        changed = [without(cell, words) if words.in_text(cell) else cell for cell in row]
        removed += changed != row
        kept.append(changed)
    out = io.StringIO()
    csv.writer(out, delimiter=sep, lineterminator="\n").writerows(kept)
    return out.getvalue(), removed


def _edit_lines(text: str, words: Words) -> tuple[str, int]:
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not words.in_text(line)]
    return "".join(kept), len(lines) - len(kept)


def _edit_json(text: str, words: Words) -> tuple[str, int]:
    value: Json = json.loads(text)
    if isinstance(value, str) or (isinstance(value, dict) and _is_record(value, words, at_root=True)):
        return "", 1
    return _prune_json(text, words)


def _prune_json(text: str, words: Words) -> tuple[str, int]:
    value: Json = json.loads(text)
    count = [0]
    left = _pruned(value, words, count)
    indent = 2 if "\n" in text.strip() else None
    return json.dumps(left, indent=indent, ensure_ascii=False) + "\n", count[0]


def _is_record(value: dict[str, Json], words: Words, *, at_root: bool = False) -> bool:
    """Whether an object is about somebody: one of its own texts says so, at the root one under a telling key."""
    return any(
        isinstance(item, str) and words.in_text(item) and not without(item, words)
        for key, item in value.items()
        if not at_root or key in _RECORD_KEYS
    )


def _pruned(value: Json, words: Words, count: list[int]) -> Json:
    if isinstance(value, dict):
        out: dict[str, Json] = {}
        for key, item in value.items():
            if words.in_text(key) or _goes(item, words):
                count[0] += 1
            else:
                out[key] = _pruned(item, words, count)
        return out
    if isinstance(value, list):
        kept = [item for item in value if not _goes(item, words)]
        count[0] += len(value) - len(kept)
        return [_pruned(item, words, count) for item in kept]
    if isinstance(value, str) and words.in_text(value):
        count[0] += 1
        return without(value, words)
    return value


def _goes(item: Json, words: Words) -> bool:
    if isinstance(item, str):
        return words.in_text(item) and not without(item, words)
    return isinstance(item, dict) and _is_record(item, words)
