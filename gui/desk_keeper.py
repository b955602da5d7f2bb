# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the protocol as the window knows it up to date with the tables on disk."""

from __future__ import annotations

from collections.abc import Callable

from capture.protocol import Cell, Coverage

from .jobs import Jobs
from .lab import Consent, Desk, Lab
from .qt import QtCore, Signal
from .sessions import RecordRequest


class DeskKeeper(QtCore.QObject):
    """Reads the tables on threads, and tells when there is news.

    Signals:
        changed(): `now` is another one.
        consent(Consent): the answer to `ask_consent`.
    """

    changed = Signal()
    consent = Signal(object)

    def __init__(self, lab: Lab, jobs: Jobs, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._lab, self._jobs = lab, jobs
        self.now = Desk(Coverage(cells=()), None, (), {}, "")
        self._consents: dict[str, Consent] = {}
        self._asked = ""
        self._proposal: Cell | None = None

    def refresh(self) -> None:
        """Read everything again."""
        self._read(None, propose=False)

    def propose(self, participant: str) -> None:
        """Read everything again, and propose a take; for this participant as long as there is one."""
        self._read(participant or None, propose=True)

    def plan(self, catalogue: str) -> None:
        """Write a protocol and show it."""

        def work() -> Desk:
            self._lab.plan(catalogue)
            return self._lab.desk()

        self._jobs.run("desk", work, lambda desk: self._take(desk, propose=True))

    def take_proposal(self) -> Cell | None:
        """The proposal that nobody has looked at yet."""
        proposal, self._proposal = self._proposal, None
        return proposal

    def after(self, request: RecordRequest) -> Cell | None:
        """The open cell after the one of a request: of the same participant, else of all; from the start at the end."""
        cells = [cell for cell in self.now.coverage.cells if cell.status not in ("recorded", "withdrawn")]
        own = [cell for cell in cells if cell.participant == request.participant] or cells
        here = next((n for n, cell in enumerate(own) if _is(cell, request)), -1)
        return own[(here + 1) % len(own)] if own else None

    def ask_consent(self, participant: str) -> None:
        """Tell whether a participant may be recorded; answered from memory where it is known."""
        if not participant:
            return
        known = self._consents.get(participant)
        if known is not None:
            self.consent.emit(known)
        elif participant != self._asked:
            self._asked = participant
            self._jobs.run("consent", lambda: self._lab.consent(participant), self._take_consent)

    def _read(self, participant: str | None, *, propose: bool) -> None:
        work: Callable[[], Desk] = lambda: self._lab.desk(participant)  # noqa: E731
        self._jobs.run("desk", work, lambda desk: self._take(desk, propose=propose))

    def _take(self, desk: Desk, *, propose: bool) -> None:
        self.now = desk
        self._consents.clear()
        if propose:
            self._proposal = desk.next_take
        self.changed.emit()

    def _take_consent(self, consent: Consent) -> None:
        self._asked = ""
        self._consents[consent.participant] = consent
        self.consent.emit(consent)


def _is(cell: Cell, request: RecordRequest) -> bool:
    own = (cell.participant, tuple(cell.objects), cell.scenario, cell.action)
    return own == (request.participant, request.objects, request.scenario, request.action)
