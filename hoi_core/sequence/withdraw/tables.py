"""What the dataset's tables say of one participant, for a withdrawal that holds the dataset's lock already."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hoi_core.sequence.tables import read_table, replace_table

_OF_A_TAKE = ("sequence", "rig", "created", "seconds", "drops", "notes")


def table_sequences(root: Path, participant: str) -> list[str]:
    """Sequences that the protocol gives to a participant."""
    return [name for name in _mine(read_table(root, "protocol"), participant)["sequence"] if name]


def own_objects(root: Path, participant: str) -> list[str]:
    """Objects that only this participant handles, as far as objects.csv has them."""
    protocol = read_table(root, "protocol")
    mine = _mine(protocol, participant)
    used = {name for cell in mine["objects"] for name in cell.split()}
    others = {name for cell in protocol.drop(index=mine.index)["objects"] for name in cell.split()}
    return sorted((used - others) & set(read_table(root, "objects")["object"]))


def without_objects(root: Path, names: list[str]) -> int:
    """Drop rows of objects.csv; returns how many."""
    frame = read_table(root, "objects")
    gone = frame["object"].isin(names)
    replace_table(root, "objects", frame[~gone])
    return int(gone.sum())


def cells_for(root: Path, participant: str, substitute: str) -> None:
    """Give the cells of a participant to somebody else: planned again, without a trace of the takes."""
    frame = read_table(root, "protocol")
    mine = _mine(frame, participant)
    cells = mine.drop_duplicates(["objects", "scenario", "action", "order"]).index
    frame = frame.drop(index=mine.index.difference(cells))
    frame.loc[cells, "participant"] = substitute
    frame.loc[cells, list(_OF_A_TAKE)] = ""
    frame.loc[cells, "status"] = "planned"
    replace_table(root, "protocol", frame)
    people = read_table(root, "participants")
    if substitute not in set(people["participant"]):
        row = pd.DataFrame([{"participant": substitute}], dtype=str)
        replace_table(root, "participants", pd.concat([people, row], ignore_index=True).fillna(""))


def _mine(frame: pd.DataFrame, participant: str) -> pd.DataFrame:
    return frame[frame["participant"].str.casefold() == participant.casefold()]
