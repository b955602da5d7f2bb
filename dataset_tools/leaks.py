"""What two parts of a split share although they must not: the reason why test figures are too good.

Every leak is found from the recordings themselves where they tell, not from their names alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np

from dataset_tools.split import By, Splits, Take, read_splits, takes_of
from hoi_core import sequence as sequences
from hoi_core.errors import DatasetError
from hoi_core.types import I64

V = TypeVar("V", str, tuple[str, ...])
_SAME_FRAMES = 3
"""So many equal images are no accident: checksums have 32 bits, and a covered lens gives one image again and again."""


@dataclass(frozen=True)
class Leak:
    """One thing that two parts share."""

    kind: str
    """What is shared: `sequence`, `twice`, `instant`, `participant`, `object`, `scenario`, `view`, `redo`, `frames`,
    `overlap` or `unknown`."""
    parts: tuple[str, str]
    """The two splits."""
    what: str
    """In words."""

    def __str__(self) -> str:
        return f"{' and '.join(dict.fromkeys(self.parts))}: {self.what}"


def check_splits(root: Path) -> Splits:
    """The splits of a dataset, if no two parts of a set share what they keep apart.

    Raises:
        DatasetError: they leak; the message lists how.
    """
    found = find_leaks(root)
    if found:
        lines = "\n".join(f"  {leak}" for leak in found)
        raise DatasetError(f"the splits of {root} leak:\n{lines}\n", "Make them anew with `hoi-data split`.")
    return read_splits(root)


def find_leaks(root: Path) -> list[Leak]:
    """Everything that the parts of a set of splits share although they must not.

    Raises:
        DatasetError: dataset.json is malformed, or lists a recording that is not there.
        SequenceError: a recording cannot be read.
    """
    splits = read_splits(root)
    takes = {take.sequence: take for take in takes_of(root)}
    recorded = set(sequences.list_sequences(root))
    gone = sorted({_of(entry) for entries in splits.parts.values() for entry in entries} - recorded)
    if gone:
        raise DatasetError(f"dataset.json lists {', '.join(gone)}, not in {root}.", "Correct dataset.json.")
    copies = _copies(root, list(takes))
    times = _times(root)
    out: list[Leak] = []
    for family, parts in splits.sets().items():
        named = {f"{family}_{part}" if family else part: list(entries) for part, entries in parts.items()}
        kept = {name: [e for e in entries if _of(e) in takes] for name, entries in named.items() if name != "all"}
        by = splits.rules.get(family, "sequence")
        out += [leak for name, entries in named.items() for leak in _twice(name, entries)]
        for a, b in combinations(kept, 2):
            out += _shared(by, (a, b), (kept[a], kept[b]), takes)
            out += _hidden(by, (a, b), (kept[a], kept[b]), copies, times)
    return out


def group_leaks(reader: ModuleType, root: Path, splits: Sequence[str] = ("train", "test")) -> list[Leak]:
    """Groups (see `dataset_tools.readers`) that stand in two splits of any dataset.

    Args:
        reader: of the dataset.
        root: its folder.
        splits: names that must not share anything.
    """
    groups = {name: {reader.group(key) for key in reader.index(root, name)} for name in splits}
    return [
        Leak("sequence", (a, b), f"both have {what}")
        for a, b in combinations(groups, 2)
        for what in sorted(groups[a] & groups[b])
    ]


def _of(entry: str) -> str:
    return entry.partition("/")[0]


def _twice(name: str, entries: Sequence[str]) -> Iterator[Leak]:
    seen: set[str] = set()
    for entry in entries:
        if entry in seen or ("/" in entry and _of(entry) in seen):
            yield Leak("twice", (name, name), f"{entry} stands there twice")
        seen.add(entry)


def _shared(
    by: By, parts: tuple[str, str], entries: tuple[list[str], list[str]], takes: Mapping[str, Take]
) -> Iterator[Leak]:
    """What names and headers say."""
    left, right = (list(dict.fromkeys(names)) for names in entries)
    if by == "view":
        views = _both(_views(left, takes), _views(right, takes))
        yield from (Leak("view", parts, f"both have the view {view}") for view in views)
        return
    yield from (Leak("sequence", parts, f"both have {entry}") for entry in _both(left, right))
    together = _both([_of(e) for e in left], [_of(e) for e in right])
    for name in together:
        if name not in set(left) & set(right):
            yield Leak("instant", parts, f"views of {name} stand in both: they show the same instants")
    a, b = ([takes[name] for name in dict.fromkeys(map(_of, side)) if name not in together] for side in (left, right))
    if by == "sequence":
        for cell in _both([take.cell for take in a if take.cell], [take.cell for take in b if take.cell]):
            yield Leak("redo", parts, f"both have takes of {', '.join(cell)}")
        return
    blank = [take.sequence for take in (*a, *b) if not all(take.values(by))]
    if blank:
        yield Leak("unknown", parts, f"{', '.join(blank)} does not say its {by}")
    values = [[value for take in side for value in take.values(by) if value] for side in (a, b)]
    yield from (Leak(by, parts, f"both have the {by} {value}") for value in _both(*values))


def _hidden(
    by: By,
    parts: tuple[str, str],
    entries: tuple[list[str], list[str]],
    copies: set[frozenset[str]],
    times: Mapping[str, tuple[str, datetime, datetime]],
) -> Iterator[Leak]:
    """What only the recordings themselves tell: the same images, or the same person at the same time."""
    if by == "view":
        return
    for a in dict.fromkeys(map(_of, entries[0])):
        for b in dict.fromkeys(map(_of, entries[1])):
            if a == b:
                continue
            if frozenset((a, b)) in copies:
                yield Leak("frames", parts, f"{a} and {b} hold the same images")
            elif a in times and b in times and _overlap(times[a], times[b]):
                yield Leak("overlap", parts, f"{a} and {b} were recorded of one person at the same time")


def _views(entries: Sequence[str], takes: Mapping[str, Take]) -> list[str]:
    """Every view that entries have; a whole sequence has all of its own."""
    out: list[str] = []
    for entry in entries:
        name, _, view = entry.partition("/")
        out += [view] if view else takes[name].views
    return out


def _both(left: Sequence[V], right: Sequence[V]) -> list[V]:
    """What stands in both, once each, in the order of the left."""
    return [value for value in dict.fromkeys(left) if value in set(right)]


def _copies(root: Path, names: Sequence[str]) -> set[frozenset[str]]:
    """Pairs of recordings that share images of one stream."""
    owners: dict[int, list[str]] = {}
    for name in names:
        for checksum in _checksums(root, name).tolist():
            owners.setdefault(checksum, []).append(name)
    counts: dict[frozenset[str], int] = {}
    for found in owners.values():
        for pair in combinations(found, 2):
            counts[frozenset(pair)] = counts.get(frozenset(pair), 0) + 1
    return {pair for pair, count in counts.items() if count >= _SAME_FRAMES}


def _checksums(root: Path, name: str) -> I64:
    """Different checksums of the colour images of a recording."""
    with sequences.open_capture(sequences.sequence_dir(root, name)) as capture:
        found = [view.color.crc32 for view in capture.views.values()]
    return np.unique(np.concatenate(found or [np.zeros(0, np.uint32)])).astype(np.int64)


def _times(root: Path) -> dict[str, tuple[str, datetime, datetime]]:
    """Who was recorded when, where protocol.csv says it."""
    out = {}
    for row in sequences.read_table(root, "protocol").to_dict("records"):
        try:
            began = datetime.fromisoformat(row["created"])
            out[row["sequence"]] = row["participant"], began, began + timedelta(seconds=float(row["seconds"]))
        except ValueError:
            continue
    return out


def _overlap(a: tuple[str, datetime, datetime], b: tuple[str, datetime, datetime]) -> bool:
    same_clock = (a[1].tzinfo is None) == (b[1].tzinfo is None)
    return bool(a[0]) and a[0] == b[0] and same_clock and a[1] < b[2] and b[1] < a[2]
