"""The recording protocol: who is to do what with which object, what is done, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

CellStatus = Literal["planned", "recorded", "incomplete", "rejected", "withdrawn"]


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
    """Of the best take: `recorded`, else `incomplete`, else `rejected`, else `planned`."""
    sequence: str = ""
    """The take that counts; empty while there is none."""
    takes: int = 0
    """Number of takes so far, rejected ones too."""
    order: int = 0
    """Place in the participant's session, from 1; 0 where no order is planned."""


@dataclass(frozen=True)
class Coverage:
    """The whole protocol."""

    cells: tuple[Cell, ...]
    """In the planned order."""

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
        """In order of appearance."""
        return tuple(dict.fromkeys(cell.scenario for cell in self.cells))

    def of(self, participant: str) -> tuple[Cell, ...]:
        """The cells of one participant."""
        return tuple(cell for cell in self.cells if cell.participant == participant)


def plan(root: Path, seed: int = 0) -> Coverage:
    """Write the default protocol into the tables, and return it."""
    raise NotImplementedError(str(root))


def coverage(root: Path) -> Coverage:
    """The protocol and what of it is done."""
    return Coverage(())


def next_take(root: Path, participant: str | None = None) -> Cell | None:
    """The cell to record next, of one participant or of the first who has any; None when all is done."""
    return None


def reject_take(root: Path, sequence: str, reason: str = "") -> Cell:
    """Mark a take as rejected and plan its cell anew; the recording itself is kept."""
    raise NotImplementedError(sequence)


def require_consent(root: Path, participant: str, today: date | None = None) -> None:
    """Refuse to record somebody without consent in force."""
