"""The dataset's tables: participants, objects and the protocol of recordings, as plain CSV files.

People edit them with spreadsheets, so reading is lenient about how a table is written and strict about what it says.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hoi_core.errors import SequenceError
from hoi_core.sequence import _table_text
from hoi_core.sequence._files import alone, storage_errors
from hoi_core.sequence.writer import CaptureHeader
from hoi_core.whole_file import write_whole

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Table = Literal["participants", "objects", "protocol"]

COLUMNS: dict[Table, tuple[str, ...]] = {
    "participants": (
        "participant",
        "handedness",
        "consent_version",
        "consent_scope",
        "consent_date",
        "consent_expiry",
        "notes",
    ),
    "objects": ("object", "name", "category", "scenario", "action", "mesh", "notes"),
    "protocol": (
        "sequence",
        "participant",
        "objects",
        "scenario",
        "action",
        "order",
        "rig",
        "status",
        "created",
        "seconds",
        "drops",
        "notes",
    ),
}
"""Columns of each table; the first one names the row. Further columns of the user's own are kept.

Rows of protocol.csv without a sequence are planned: recording fills the first that matches.
"""

_FORMAT = {"format": "hoi-dataset", "format_version": "1.0"}
_CELL = ("objects", "scenario", "action")


def read_table(root: Path, table: Table) -> pd.DataFrame:
    """A table as text columns, every known column there; empty where the file does not exist yet.

    Byte order marks, semicolons or tabs, blank lines, spaces around cells, capitals in known columns' names and rows
    that stand there twice are taken as they are meant.

    Raises:
        SequenceError: the file is no table, or lacks the column that names its rows.
    """
    import pandas as pd

    path, columns = Path(root) / f"{table}.csv", list(COLUMNS[table])
    if not path.exists():
        return pd.DataFrame(columns=columns, dtype=str)
    header, rows = _parse(path, columns)
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    for column in columns:
        if column not in frame.columns:
            frame[column] = ""
    if table == "protocol":
        frame["status"] = frame["status"].str.casefold()
    named = frame[frame[columns[0]] != ""]
    same = named.duplicated()
    if same.any():
        log.warning("%s: %d rows stand there twice; one of each counts.", path, int(same.sum()))
        frame = frame.drop(index=named.index[same]).reset_index(drop=True)
    again = frame[columns[0]][(frame[columns[0]] != "") & frame.duplicated(columns[0])]
    if len(again):
        log.warning("%s: more than one row for %s; the first counts.", path, ", ".join(sorted(set(again))))
    return frame


def _parse(path: Path, columns: list[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, all of one length."""
    try:
        text, _ = _table_text.decode(path.read_bytes())
        rows = _table_text.rows_of(text, _table_text.separator(text, columns))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SequenceError(f"{path} is not a CSV table: {error}.", "Correct it, or move it aside.") from error
    if not rows:
        raise SequenceError(f"{path} is not a CSV table: it is empty.", "Correct it, or move it aside.")
    header = [clean if (clean := _table_text.clean_name(name)) in columns else name for name in rows[0]]
    if columns[0] not in header:
        raise SequenceError(f"{path} has no column {columns[0]!r}.", f"Its columns are: {', '.join(columns)}.")
    if twice := {name for name in header if name and header.count(name) > 1}:
        raise SequenceError(f"{path} has the column {', '.join(sorted(twice))} twice.", "Rename one of them.")
    width = max(len(row) for row in rows)
    header += [""] * (width - len(header))
    body = [row + [""] * (width - len(row)) for row in rows[1:]]
    kept = [k for k, name in enumerate(header) if name or any(row[k] for row in body)]
    if nameless := [k for k in kept if not header[k]]:
        row = next(row for row in body if row[nameless[0]])
        raise SequenceError(
            f"{path}: a row has more cells than there are columns: {', '.join(filter(None, row))}.",
            "Put quotes around cells that hold the separator.",
        )
    return [header[k] for k in kept], [[row[k] for k in kept] for row in body]


def edit_table(root: Path, table: Table, change: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Read, change and replace a table in one step that no other writer can come between.

    Args:
        root: the dataset; made if there is none.
        table: which one.
        change: takes the table, returns the new one.

    Raises:
        SequenceError: the table is malformed.
        StorageError: it cannot be written; it is as before.
    """
    root = Path(root)
    with storage_errors(root / f"{table}.csv"), alone(root):
        frame = change(read_table(root, table)).fillna("")
        replace_table(root, table, frame)
    return frame


def replace_table(root: Path, table: Table, frame: pd.DataFrame) -> None:
    """Write a whole table, for callers that hold the dataset's lock."""
    write_whole(Path(root) / f"{table}.csv", frame.fillna("").to_csv(index=False))


def set_row(root: Path, table: Table, values: Mapping[str, str]) -> None:
    """Add a row, or set the given columns of the row that carries the same name; other columns stay.

    Raises:
        SequenceError: the table is malformed.
        StorageError: it cannot be written; it is as before.
    """
    key = COLUMNS[table][0]

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return with_row(frame, values, frame.index[frame[key] == values[key]])

    edit_table(root, table, change)


def with_row(frame: pd.DataFrame, values: Mapping[str, str], at: pd.Index) -> pd.DataFrame:
    """The table with `values` in the first row of `at`, or in a new row if `at` is empty."""
    import pandas as pd

    for column in values:
        if column not in frame.columns:
            frame[column] = ""
    if len(at):
        frame.loc[at[0], list(values)] = list(values.values())
        return frame
    return pd.concat([frame, pd.DataFrame([dict(values)], dtype=str)], ignore_index=True).fillna("")


def register_recording(root: Path, header: CaptureHeader, *, seconds: float, drops: int, status: str) -> None:
    """Enter a recording into the protocol, and its participant and objects where they are new.

    It fills the first planned row of its participant and objects whose scenario and action are the same; what the
    row or the recording leaves open matches anything. One more take of the same has the same place in the order.

    Args:
        root: the dataset; its dataset.json is made if there is none.
        header: of the recording.
        seconds: length, s.
        drops: number of missing frames.
        status: `recorded`, `incomplete` or `rejected`.
    """
    root = Path(root)
    make_dataset(root)
    row = {"sequence": header.sequence, "participant": header.participant, "objects": " ".join(header.objects)}
    row |= {"scenario": header.scenario, "action": header.action, "rig": header.rig, "created": header.created}
    row |= {"status": status, "seconds": f"{seconds:.2f}", "drops": str(drops)}
    edit_table(root, "protocol", lambda frame: _entered(frame, row))
    if header.participant:
        set_row(root, "participants", {"participant": header.participant})
    for name in header.objects:
        set_row(root, "objects", {"object": name})


def make_dataset(root: Path) -> None:
    """Make a dataset's folder and its dataset.json where there are none."""
    root = Path(root)
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "dataset.json").exists():
            write_whole(root / "dataset.json", json.dumps({**_FORMAT, "name": root.resolve().name}, indent=2) + "\n")


def _entered(frame: pd.DataFrame, row: Mapping[str, str]) -> pd.DataFrame:
    """The protocol with a recording in its row, in the planned row that it fills, or in a new one."""
    at = frame.index[frame["sequence"] == row["sequence"]]
    if len(at):
        return with_row(frame, row, at)
    mine = frame[frame["participant"] == row["participant"]]
    fits = [_matches(dict(zip(_CELL, cells, strict=True)), row) for cells in mine[list(_CELL)].to_numpy()]
    mine = mine.loc[np.array(fits, dtype=bool)]
    planned = mine.index[(mine["sequence"] == "") & mine["status"].isin(("", "planned"))]
    if len(planned):
        known = {name: frame.loc[planned[0], name] for name in ("scenario", "action") if not row[name]}
        return with_row(frame, {**row, **known}, planned[:1])
    # A redo follows the failed take in the plan; a second good one stands beside the first.
    order = next((str(order) for order in mine["order"] if order), "")
    return with_row(frame, {**row, "order": order}, at)


def _matches(cell: Mapping[str, str], row: Mapping[str, str]) -> bool:
    if set(cell["objects"].split()) != set(row["objects"].split()):
        return False
    return all(not cell[name] or not row[name] or cell[name] == row[name] for name in ("scenario", "action"))
