"""The dataset's tables: participants, objects and the protocol of recordings, as plain CSV files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hoi_core.errors import SequenceError
from hoi_core.sequence._files import alone, storage_errors
from hoi_core.sequence.writer import CaptureHeader

if TYPE_CHECKING:
    import pandas as pd

Table = Literal["participants", "objects", "protocol"]

COLUMNS: dict[Table, tuple[str, ...]] = {
    "participants": ("participant", "handedness", "consent_version", "consent_date", "notes"),
    "objects": ("object", "name", "mesh", "notes"),
    "protocol": (
        "sequence",
        "participant",
        "objects",
        "scenario",
        "action",
        "rig",
        "status",
        "created",
        "seconds",
        "drops",
        "notes",
    ),
}
"""Columns of each table; the first one names the row. Further columns of the user's own are kept."""

_FORMAT = {"format": "hoi-dataset", "format_version": "1.0"}


def read_table(root: Path, table: Table) -> pd.DataFrame:
    """A table as text columns; empty with its columns where the file does not exist yet.

    Raises:
        SequenceError: the file is no table, or lacks the column that names its rows.
    """
    import pandas as pd

    path, columns = Path(root) / f"{table}.csv", list(COLUMNS[table])
    if not path.exists():
        return pd.DataFrame(columns=columns, dtype=str)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SequenceError(f"{path} is not a CSV table: {error}.", "Correct it, or move it aside.") from error
    if columns[0] not in frame.columns:
        raise SequenceError(f"{path} has no column {columns[0]!r}.", f"Its columns are: {', '.join(columns)}.")
    return frame


def set_row(root: Path, table: Table, values: Mapping[str, str]) -> None:
    """Add a row, or set the given columns of the row that carries the same name; other columns stay.

    Raises:
        SequenceError: the table is malformed.
        StorageError: it cannot be written; it is as before.
    """
    import pandas as pd

    root, key = Path(root), COLUMNS[table][0]
    with storage_errors(root / f"{table}.csv"), alone(root):
        frame = read_table(root, table)
        for column in values:
            if column not in frame.columns:
                frame[column] = ""
        at = frame.index[frame[key] == values[key]]
        if len(at):
            frame.loc[at[0], list(values)] = list(values.values())
        else:
            frame = pd.concat([frame, pd.DataFrame([dict(values)], dtype=str)], ignore_index=True)
        _replace(root / f"{table}.csv", frame.fillna("").to_csv(index=False))


def register_recording(root: Path, header: CaptureHeader, *, seconds: float, drops: int, status: str) -> None:
    """Enter a recording into the protocol, and its participant and objects where they are new.

    Args:
        root: the dataset; its dataset.json is made if there is none.
        header: of the recording.
        seconds: length, s.
        drops: number of missing frames.
        status: `recorded`, `incomplete` or `rejected`.
    """
    root = Path(root)
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "dataset.json").exists():
            _replace(root / "dataset.json", json.dumps({**_FORMAT, "name": root.resolve().name}, indent=2) + "\n")
    row = {"sequence": header.sequence, "participant": header.participant, "objects": " ".join(header.objects)}
    row |= {"scenario": header.scenario, "action": header.action, "rig": header.rig, "created": header.created}
    set_row(root, "protocol", row | {"status": status, "seconds": f"{seconds:.2f}", "drops": str(drops)})
    if header.participant:
        set_row(root, "participants", {"participant": header.participant})
    for name in header.objects:
        set_row(root, "objects", {"object": name})


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf8")
    os.replace(draft, path)
