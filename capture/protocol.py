"""The recording protocol: who is to do what with which object, what is done, and what comes next.

It lives in protocol.csv: rows without a sequence are planned, the others are takes. Any other protocol is made by
editing that table.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from capture.catalogue import Catalogue, Thing, deal, read_catalogue
from hoi_core.errors import ConfigError, SequenceError
from hoi_core.names import natural_key
from hoi_core.plugins import unknown_name
from hoi_core.sequence.tables import edit_table, make_dataset, read_table

CellStatus = Literal["planned", "recorded", "incomplete", "rejected", "skipped"]
STATUSES: tuple[CellStatus, ...] = get_args(CellStatus)

_KEY = ("participant", "objects", "scenario", "action")
_BEST: tuple[CellStatus, ...] = ("recorded", "skipped", "incomplete", "rejected", "planned")


@dataclass(frozen=True)
class Cell:
    """One cell of the protocol: a participant, what is handled, where, and how."""

    participant: str
    """Pseudonym."""
    objects: tuple[str, ...]
    """Identifiers, as in objects.csv."""
    scenario: str
    """Name of the scenario."""
    action: str
    """What the participant does."""
    status: CellStatus
    """Of the best take: `recorded`, else `incomplete`, `rejected` or `planned`; `skipped` ones are not wanted."""
    sequence: str = ""
    """The take that counts, or else the last one; empty while there is none."""
    takes: int = 0
    """Number of takes so far, rejected ones too."""
    order: int = 0
    """Place in the participant's session, from 1; 0 where no order is planned."""

    @property
    def open(self) -> bool:
        """Whether a take is still wanted."""
        return self.status not in ("recorded", "skipped")


@dataclass(frozen=True)
class Coverage:
    """The whole protocol."""

    cells: tuple[Cell, ...]
    """Participant by participant, in the planned order."""

    @property
    def done(self) -> int:
        """Cells with a take that counts."""
        return sum(cell.status == "recorded" for cell in self.cells)

    @property
    def participants(self) -> tuple[str, ...]:
        """In the planned order."""
        return tuple(dict.fromkeys(cell.participant for cell in self.cells))

    @property
    def scenarios(self) -> tuple[str, ...]:
        """By name."""
        return tuple(sorted({cell.scenario for cell in self.cells}))

    def of(self, participant: str) -> tuple[Cell, ...]:
        """The cells of one participant."""
        return tuple(cell for cell in self.cells if cell.participant == participant)


def plan(root: Path, seed: int = 0, catalogue: str | Path = "household", *, replace: bool = False) -> Coverage:
    """Write a protocol into the tables: objects, participants, and a planned row for each cell.

    The default is 20 participants (p01 ... p20) with 5 objects each out of 100 categories in 4 scenarios. Takes that
    are in the table already stay, and fill the cells that they match.

    Args:
        root: the dataset; made if there is none.
        seed: decides who gets what and in which order.
        catalogue: `household`, `simulated`, or a YAML file like them.
        replace: forget the cells planned before that have no take yet.

    Raises:
        ConfigError: there is a plan already, or the catalogue is malformed.
        SequenceError: a table is malformed.
    """
    root = Path(root)
    found = read_catalogue(catalogue)
    found = replaced(found, things=tuple(_named(found.things, read_table(root, "objects"))))
    planned = _rows(found, deal(found, seed))
    make_dataset(root)
    edit_table(root, "protocol", lambda frame: _with_plan(root, frame, planned, replace=replace))
    edit_table(root, "objects", lambda frame: _with_things(frame, found.things))
    edit_table(root, "participants", lambda frame: _with_people(frame, [row["participant"] for row in planned]))
    return coverage(root)


def _named(things: Sequence[Thing], objects: pd.DataFrame) -> list[Thing]:
    """The objects with the identifiers that they have in objects.csv already, or else with the next free `oNNN`."""
    before = {(row["category"], row["scenario"]): row["object"] for _, row in objects.iterrows() if row["category"]}
    taken = {*objects["object"], *(thing.identifier for thing in things)}
    free = (name for name in (f"o{n:03d}" for n in itertools.count(1)) if name not in taken)
    return [
        replaced(thing, identifier=thing.identifier or before.get((thing.category, thing.scenario)) or next(free))
        for thing in things
    ]


def _rows(catalogue: Catalogue, hands: Sequence[Sequence[Thing]]) -> list[dict[str, str]]:
    width = max(len(str(catalogue.participants)), 2)
    return [
        {
            "participant": f"p{n + 1:0{width}d}",
            "objects": thing.identifier,
            "scenario": thing.scenario,
            "action": thing.action,
            "order": str(place + 1),
            "status": "planned",
        }
        for n, hand in enumerate(hands)
        for place, thing in enumerate(hand)
    ]


def _with_plan(root: Path, frame: pd.DataFrame, planned: list[dict[str, str]], *, replace: bool) -> pd.DataFrame:
    waiting = (frame["sequence"] == "") & frame["status"].isin(("", "planned"))
    if waiting.any() and not replace:
        raise ConfigError(
            f"{root / 'protocol.csv'} has {int(waiting.sum())} planned cells already.",
            "Go on with them (`hoi-data protocol`), or plan anew with --replace; takes are kept.",
        )
    frame = frame[~waiting].copy()
    new = []
    for row in planned:
        mine = frame.index[[all(row[name] == old[name] for name in _KEY) for _, old in frame.iterrows()]]
        frame.loc[mine, "order"] = row["order"]
        if not len(mine):
            new.append(row)
    return pd.concat([frame, pd.DataFrame(new, dtype=str)], ignore_index=True)


def _with_things(frame: pd.DataFrame, things: Sequence[Thing]) -> pd.DataFrame:
    new = []
    for thing in things:
        row = {"category": thing.category, "scenario": thing.scenario, "action": thing.action}
        at = frame.index[frame["object"] == thing.identifier]
        if not len(at):
            new.append({"object": thing.identifier, "name": thing.category, **row})
            continue
        for name, value in {"name": thing.category, **row}.items():
            if not frame.loc[at[0], name]:
                frame.loc[at[0], name] = value
    return pd.concat([frame, pd.DataFrame(new, dtype=str)], ignore_index=True)


def _with_people(frame: pd.DataFrame, people: Sequence[str]) -> pd.DataFrame:
    new = [{"participant": name} for name in dict.fromkeys(people) if name not in set(frame["participant"])]
    return pd.concat([frame, pd.DataFrame(new, dtype=str)], ignore_index=True)


def coverage(root: Path) -> Coverage:
    """The protocol and what of it is done; takes that nobody planned are cells too.

    Raises:
        SequenceError: protocol.csv is malformed, or has a status or an order that means nothing.
    """
    rows = _checked(Path(root))
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        objects = " ".join(sorted(row["objects"].split()))
        key = (row["participant"], objects, row["scenario"], row["action"], row["order"])
        groups.setdefault(key, []).append(row)
    cells = [cell for group in groups.values() for cell in _cells(group)]
    people = sorted(dict.fromkeys(cell.participant for cell in cells), key=natural_key)
    return Coverage(tuple(sorted(cells, key=lambda c: (people.index(c.participant), c.order or 1 << 30))))


def _checked(root: Path) -> list[dict[str, str]]:
    """Rows of protocol.csv, the status one of `STATUSES`."""
    rows: list[dict[str, str]] = read_table(root, "protocol").to_dict("records")  # type: ignore[assignment]
    seen: set[str] = set()
    checked = []
    for row in rows:
        if row["sequence"] in seen:
            continue
        seen |= {row["sequence"]} - {""}
        status = row["status"] or ("recorded" if row["sequence"] else "planned")
        if status not in STATUSES:
            raise SequenceError(
                f"{root / 'protocol.csv'}: {row['sequence'] or row['participant']} has the status {row['status']!r}.",
                f"Write one of: {', '.join(STATUSES)}.",
            )
        order = row["order"].removesuffix(".0")  # some spreadsheets write whole numbers so
        if order and not order.isdigit():
            raise SequenceError(
                f"{root / 'protocol.csv'}: order must be a whole number, got {row['order']!r}.", "Correct it."
            )
        checked.append({**row, "status": status, "order": str(int(order)) if order else ""})
    return checked


def _cells(rows: Sequence[dict[str, str]]) -> list[Cell]:
    """The cells of rows that agree in who, what, where, how and order.

    With an order they are one cell. Without one, each planned row and each good take is a cell of its own, so that
    several takes of the same can be planned by repeating the row; failed takes belong to the first that is open.
    """
    if rows[0]["order"]:
        return [_cell(rows)]
    wanted = [row for row in rows if not row["sequence"] or row["status"] == "recorded"]
    failed = [row for row in rows if row["sequence"] and row["status"] != "recorded"]
    if not wanted:
        return [_cell(failed)]
    home = next((k for k, row in enumerate(wanted) if not row["sequence"]), 0)
    return [_cell([*(failed if k == home else ()), row]) for k, row in enumerate(wanted)]


def _cell(rows: Sequence[dict[str, str]]) -> Cell:
    takes = [row for row in rows if row["sequence"]]
    status = min((row["status"] for row in rows), key=_BEST.index)
    counts = [row for row in takes if row["status"] == status] or takes
    row = rows[0]
    return Cell(
        participant=row["participant"],
        objects=tuple(row["objects"].split()),
        scenario=row["scenario"],
        action=row["action"],
        status=status,  # type: ignore[arg-type]
        sequence=counts[-1]["sequence"] if counts else "",
        takes=len(takes),
        order=int(row["order"] or 0),
    )


def next_take(
    root: Path,
    participant: str | None = None,
    *,
    objects: Sequence[str] = (),
    scenario: str = "",
    action: str = "",
) -> Cell | None:
    """The cell to record next; None when all is done. A failed take is proposed again at its place in the order.

    Args:
        root: the dataset.
        participant: only cells of this one; None or empty for the first who has any.
        objects: only cells with just these; empty for any, as for the two that follow.
        scenario: only cells of this one.
        action: only cells of this one.

    Raises:
        SequenceError: protocol.csv is malformed.
    """
    for cell in coverage(root).cells:
        asked = ((participant, cell.participant), (scenario, cell.scenario), (action, cell.action))
        fits = all(value in (None, "", own) for value, own in asked)
        if cell.open and fits and (not objects or set(objects) == set(cell.objects)):
            return cell
    return None


def reject_take(root: Path, sequence: str, reason: str = "") -> Cell:
    """Mark a take as rejected, so that its cell is open again; the recording itself is kept.

    Args:
        root: the dataset.
        sequence: the take.
        reason: added to its notes.

    Returns:
        The cell to record anew.

    Raises:
        ConfigError: protocol.csv knows no such take.
        SequenceError: protocol.csv is malformed.
    """

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        at = frame.index[frame["sequence"] == sequence] if sequence else frame.index[:0]
        if not len(at):
            raise unknown_name("take in protocol.csv", sequence, [name for name in frame["sequence"] if name])
        notes = "; ".join(text for text in (frame.loc[at[0], "notes"], reason) if text)
        frame.loc[at[0], ["status", "notes"]] = ["rejected", notes]
        return frame

    edit_table(root, "protocol", change)
    row = next(row for row in _checked(Path(root)) if row["sequence"] == sequence)
    same = [cell for cell in coverage(root).cells if cell.participant == row["participant"]]
    wanted = (set(row["objects"].split()), row["scenario"], row["action"], int(row["order"] or 0))
    return next(c for c in same if (set(c.objects), c.scenario, c.action, c.order) == wanted)
