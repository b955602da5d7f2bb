"""Whether the tables and dataset.json of a dataset say what its recordings say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_tools.split import read_splits
from hoi_core import sequence as sequences
from hoi_core.errors import DatasetError, SequenceError


def check_tables(root: Path) -> list[str]:
    """Everything that is wrong with the tables of a dataset, in words."""
    root = Path(root)
    recorded = set(sequences.list_sequences(root))
    problems = []
    try:
        protocol = sequences.read_table(root, "protocol")
        people = set(sequences.read_table(root, "participants")["participant"])
        things = set(sequences.read_table(root, "objects")["object"])
        listed = {entry.partition("/")[0] for held in read_splits(root).parts.values() for entry in held}
    except (SequenceError, DatasetError) as error:
        return [error.message]
    takes = {str(row["sequence"]): row for row in protocol.to_dict("records") if row["sequence"]}
    problems += [f"protocol.csv lists {name}, which is not there" for name in sorted(set(takes) - recorded)]
    problems += [f"{name} is not in protocol.csv" for name in sorted(recorded - set(takes))]
    problems += [f"dataset.json lists {name}, which is not there" for name in sorted(listed - recorded)]
    for name in sorted(recorded):
        problems += [f"{name}: {what}" for what in _header(root, name, takes.get(name, {}), people, things)]
    return problems


def _header(root: Path, name: str, row: Mapping[Any, Any], people: set[str], things: set[str]) -> list[str]:
    """What a recording's own header says, against the tables."""
    try:
        with sequences.open_capture(sequences.sequence_dir(root, name)) as capture:
            header = capture.header
    except SequenceError:
        return []  # the check of the sequence tells
    problems = []
    if header.sequence != name:
        problems.append(f"it calls itself {header.sequence}; was its folder renamed?")
    if row and row["participant"] != header.participant:
        problems.append(f"protocol.csv says participant {row['participant']!r}, the recording {header.participant!r}")
    if header.participant and header.participant not in people:
        problems.append(f"participant {header.participant} is not in participants.csv")
    problems += [f"object {thing} is not in objects.csv" for thing in header.objects if thing not in things]
    return problems
