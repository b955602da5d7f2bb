"""Splits of our recordings into training, validation and test: by sequence, participant, object, scenario or view.

`dataset.json` lists them: `"splits": {"train": ["seq_001", "seq_002/left"], ...}`, a view alone after a slash, and in
`"split_rules"` what each of them keeps apart. Splits whose names start alike (`s1_train`, `s1_test`) belong together.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from hoi_core import sequence as sequences
from hoi_core.errors import DatasetError
from hoi_core.names import natural_key
from hoi_core.whole_file import write_whole

By = Literal["sequence", "participant", "object", "scenario", "view"]
RULES: tuple[By, ...] = get_args(By)
PARTS = ("train", "val", "test")
STANDARD: Mapping[str, By] = {"s0": "sequence", "s1": "participant", "s2": "view", "s3": "object", "s4": "scenario"}
"""Names and rules of a full set; s0 to s3 are what DexYCB calls so."""
_SPLITS, _RULES = "splits", "split_rules"


@dataclass(frozen=True)
class Take:
    """What decides where a recording belongs."""

    sequence: str
    """Its name."""
    participant: str
    """Pseudonym; empty if unknown."""
    objects: tuple[str, ...]
    """Identifiers."""
    scenario: str
    """Name."""
    action: str
    """What was done."""
    views: tuple[str, ...]
    """Names of its views."""

    @property
    def cell(self) -> tuple[str, ...]:
        """Who did what with which objects where; a redo has the same. Empty where something of it is unknown."""
        cell = (self.participant, " ".join(self.objects), self.scenario, self.action)
        return cell if all(cell) else ()

    def values(self, by: By) -> tuple[str, ...]:
        """What the take must not share with another part; an empty text is unknown."""
        if by == "sequence":
            return ("\0".join(self.cell) or self.sequence,)
        named = {"participant": (self.participant,), "scenario": (self.scenario,), "view": self.views}
        return named.get(by) or self.objects or ("",)


def takes_of(root: Path) -> list[Take]:
    """Every recording of a dataset that was not rejected, by name.

    Raises:
        DatasetError: there is none.
        SequenceError: a recording cannot be read.
    """
    root = Path(root)
    table = sequences.read_table(root, "protocol").drop_duplicates("sequence")
    protocol = {str(row["sequence"]): row for row in table.to_dict("records")}
    out = []
    for name in sorted(sequences.list_sequences(root), key=natural_key):
        row = protocol.get(name, {})
        if row.get("status") == "rejected":
            continue
        out.append(take_of(root, name, row))
    if not out:
        raise DatasetError(f"{root} holds no recording to split.", "Record one with `hoi-capture`.")
    return out


def take_of(root: Path, name: str, row: Mapping[Hashable, Any] | None = None) -> Take:
    """What the header of a recording says of it; the protocol says what the header leaves open.

    Args:
        root: the dataset.
        name: of the sequence.
        row: of the protocol.

    Raises:
        SequenceError: there is none of that name, or it cannot be read.
    """
    told = row or {}
    with sequences.open_capture(sequences.find_sequence(root, name)) as capture:
        header, views = capture.header, tuple(capture.views)
    return Take(
        sequence=name,
        participant=header.participant,
        objects=tuple(header.objects),
        scenario=header.scenario or str(told.get("scenario", "")),
        action=header.action or str(told.get("action", "")),
        views=views,
    )


def split(
    takes: Sequence[Take], by: By, shares: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> dict[str, list[str]]:
    """Deal recordings, or views of them, to the parts.

    Args:
        takes: from `takes_of`.
        by: what no two parts share. Takes that share an object, or repeat each other, stay together.
        shares: of training, validation and test; a part without a share is left out.
        seed: of the shuffle.

    Returns:
        Part -> sequences, or `sequence/view`.

    Raises:
        DatasetError: fewer groups than parts, takes that do not say what they are to be split by, or bad shares.
    """
    if len(shares) != len(PARTS) or min(shares) < 0 or not np.isclose(sum(shares), 1.0):
        raise DatasetError(
            f"expected shares of training, validation and test that sum to 1, got {tuple(shares)}.",
            "Write for example 0.8 0.1 0.1.",
        )
    wanted = {part: share for part, share in zip(PARTS, shares, strict=True) if share > 0}
    groups = _groups(takes, by)
    if len(groups) < len(wanted):
        raise DatasetError(
            f"a split by {by} into {len(wanted)} parts needs as many groups of takes that share no {by}, "
            f"found {len(groups)}.",
            "Record more, give a part the share 0, or split by something else.",
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    return _dealt([groups[i] for i in order], wanted)


def _groups(takes: Sequence[Take], by: By) -> list[list[str]]:
    """Entries that must stay together, each group by name."""
    if by == "view":
        views = sorted({view for take in takes for view in take.views})
        return [[f"{take.sequence}/{view}" for take in takes if view in take.views] for view in views]
    missing = [take.sequence for take in takes if not all(take.values(by))]
    if missing:
        raise DatasetError(
            f"{len(missing)} recordings do not say their {by}: {', '.join(missing[:5])}.",
            "Enter it in protocol.csv before recording, or split by something else.",
        )
    return [[takes[i].sequence for i in group] for group in _connected([take.values(by) for take in takes])]


def _connected(keys: Sequence[Iterable[str]]) -> list[list[int]]:
    """Rows that share a key, directly or through others."""
    parent = list(range(len(keys)))

    def top(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, row in enumerate(keys):
        for key in row:
            parent[top(i)] = top(first.setdefault(key, i))
    found: dict[int, list[int]] = {}
    for i in range(len(keys)):
        found.setdefault(top(i), []).append(i)
    return list(found.values())


def _dealt(groups: Sequence[list[str]], wanted: Mapping[str, float]) -> dict[str, list[str]]:
    """Large groups first, each to the part that lacks most of its share; no part stays empty."""
    total = sum(len(group) for group in groups)
    parts: dict[str, list[str]] = {part: [] for part in wanted}
    by_size = sorted(groups, key=len, reverse=True)
    for at, group in enumerate(by_size):
        empty = [part for part, held in parts.items() if not held]
        left = len(by_size) - at
        open_parts = empty if left <= len(empty) else list(parts)
        lacking = max(open_parts, key=lambda part: wanted[part] * total - len(parts[part]))
        parts[lacking] += group
    return {part: sorted(held, key=natural_key) for part, held in parts.items()}


@dataclass(frozen=True)
class Splits:
    """What dataset.json says."""

    parts: Mapping[str, Sequence[str]]
    """Split -> sequences, or `sequence/view`."""
    rules: Mapping[str, By]
    """Set of splits (`s1`, or empty for the plain names) -> what its parts keep apart."""

    def sets(self) -> dict[str, dict[str, Sequence[str]]]:
        """Set -> part -> entries."""
        out: dict[str, dict[str, Sequence[str]]] = {}
        for name, entries in self.parts.items():
            family, _, part = name.rpartition("_")
            out.setdefault(family, {})[part] = entries
        return out


def read_splits(root: Path) -> Splits:
    """The splits of a dataset; none where dataset.json lists none.

    Raises:
        DatasetError: dataset.json is malformed.
    """
    values = _described(Path(root))
    try:
        parts = {str(name): [str(entry) for entry in listed] for name, listed in values.get(_SPLITS, {}).items()}
        rules = {str(name): str(rule["by"]) for name, rule in values.get(_RULES, {}).items()}
        unknown = [rule for rule in rules.values() if rule not in RULES]
        if unknown:
            raise ValueError(f"no rule {unknown[0]!r}")
        return Splits(parts, rules)  # type: ignore[arg-type]  # checked above
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise DatasetError(
            f'expected {Path(root) / "dataset.json"} with "splits": {{"train": ["seq_001"]}}, got: {error}.',
            "Correct the file, or make splits with `hoi-data split`.",
        ) from error


def write_splits(root: Path, name: str, by: By, parts: Mapping[str, Sequence[str]], seed: int) -> None:
    """Enter splits in dataset.json; others with another name stay.

    Args:
        root: the dataset.
        name: of the set, such as `s1`; empty for plain `train`, `val`, `test`.
        by: what the parts keep apart.
        parts: from `split`.
        seed: that they were made with.

    Raises:
        DatasetError: dataset.json is malformed.
        StorageError: it cannot be written.
    """
    root = Path(root)
    values = _described(root)
    kept = {split: held for split, held in values.get(_SPLITS, {}).items() if split.rpartition("_")[0] != name}
    made = {f"{name}_{part}" if name else part: list(held) for part, held in parts.items()}
    rules = {**values.get(_RULES, {}), name: {"by": by, "seed": seed}}
    path = root / "dataset.json"
    with sequences.storage_errors(path):
        write_whole(path, json.dumps({**values, _SPLITS: {**kept, **made}, _RULES: rules}, indent=2) + "\n")


def _described(root: Path) -> dict[str, Any]:
    path = root / "dataset.json"
    try:
        values = json.loads(path.read_text(encoding="utf8")) if path.exists() else {}
        for part in (_SPLITS, _RULES):
            if not isinstance(values.get(part, {}), dict):
                raise TypeError(f"{part} is no table")
    except (ValueError, AttributeError, TypeError) as error:
        raise DatasetError(
            f'expected {path} with "splits": {{"train": ["seq_001"]}}, got: {error}.', "Correct the file."
        ) from error
    return dict(values)
