# SPDX-License-Identifier: GPL-3.0-or-later
"""Leads from take to take: what is next, what the buttons do, and what is said when a take is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from capture.protocol import Cell
from capture.rig import RecordRequest as Header

from .desk_keeper import DeskKeeper
from .lab import Take
from .pages.record_page import RecordPage
from .qt import QtCore, Signal
from .sessions import RecordReport, RecordRequest
from .take_flow import BUSY, Plan, TakeFlow

if TYPE_CHECKING:
    from capture.annotatable import Verdict

_NEWS_S = 10.0
_SHORT_NEWS_S = 6.0


class Start(Header, Protocol):
    """What a window is told to begin with; what is empty is left to the protocol."""

    @property
    def seconds(self) -> float | None:
        """Length of a take, s."""


class TakeDirector(QtCore.QObject):
    """Brings together the course of a take, the protocol, and the page that records.

    Signals:
        shown(): the page that records must be seen now.
        told(kind, title, hint, seconds): news for the banner.
        calm(): earlier news is of no interest any more.
    """

    shown = Signal()
    told = Signal(str, str, str, float)
    calm = Signal()

    def __init__(
        self, flow: TakeFlow, desk: DeskKeeper, page: RecordPage, parent: QtCore.QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._flow, self._desk, self._page = flow, desk, page
        self._panel, self._form = page.panel, page.panel.form
        flow.changed.connect(self._flow_changed)
        flow.ticked.connect(self._show_time)
        flow.saved.connect(self._saved)
        flow.rejected.connect(self._rejected)
        desk.changed.connect(self._desk_changed)
        page.edited.connect(lambda: desk.ask_consent(self._form.request().participant))
        self._panel.pressed.connect(self.toggle)
        self._panel.marked.connect(flow.mark)
        self._panel.redone.connect(self.redo)
        self._panel.redone_take.connect(self.redo_take)

    def begin(self, start: Start) -> None:
        """Fill in what is known at the start, and ask the protocol for the rest."""
        form = self._form
        form.participant.setText(start.participant)
        form.objects.setText(", ".join(start.objects))
        form.scenario.setText(start.scenario)
        form.action.setText(start.action)
        form.sequence.setText(start.sequence)
        form.seconds.setValue(round(start.seconds or 0))
        if start.objects:
            self._desk.refresh()
        else:
            self._desk.propose(start.participant)

    def possible(self) -> dict[str, bool]:
        """Which actions can be done now, by their ids."""
        state, free = self._flow.state, self._flow.state not in BUSY
        return {
            "record.toggle": state in ("ready", "countdown", "recording"),
            "record.mark": state == "recording",
            "record.redo": state == "recording" or (state == "ready" and self._last() is not None),
            "record.next": free,
            "record.skip": free,
            "record.edit": free,
        }

    def toggle(self) -> None:
        """Start, cancel the countdown, or stop."""
        if self._flow.state == "ready":
            self._start(self._plan(self._form.request()))
        elif self._flow.state == "countdown":
            self._flow.cancel()
        else:
            self._flow.stop()

    def redo(self) -> None:
        """Reject the take that runs, or the last one, and record the same cell again."""
        last = self._last()
        if last is None:
            return
        if self._flow.state == "recording":
            self._flow.stop(self._again(last, rejects=last.sequence))
        elif self._flow.state == "ready":
            self._form.fill_request(last)
            self._start(self._again(last, rejects=last.sequence))

    def redo_take(self, take: Take) -> None:
        """Reject any take, and record its cell again."""
        if self._flow.state == "ready":
            request = _request(take)
            self._form.fill_request(request)
            self._start(self._again(request, rejects="" if take.status == "rejected" else take.sequence))

    def take_up(self, cell: Cell) -> None:
        """Make a cell of the protocol the next take."""
        if self._flow.state not in BUSY:
            self._page.propose(cell)
            self.shown.emit()

    def propose_next(self) -> None:
        """Take up what the protocol proposes, for this participant first."""
        self._desk.propose(self._form.request().participant)

    def skip(self) -> None:
        """Leave the present cell for later and take up the one after it."""
        cell = self._desk.after(self._form.request())
        if cell is not None:
            self.take_up(cell)

    def edit(self) -> None:
        """Show the fields of the next take."""
        self.shown.emit()
        self._panel.show_part("form")
        self._form.participant.setFocus()

    def _last(self) -> RecordRequest | None:
        """The last take: of this window, else the newest of the dataset that counts."""
        if self._flow.last is not None:
            return self._flow.last
        take = next((take for take in self._desk.now.takes if take.status in ("recorded", "incomplete")), None)
        return _request(take) if take is not None else None

    def _start(self, plan: Plan) -> None:
        self.shown.emit()
        self.calm.emit()
        self._flow.start(plan)

    def _plan(self, request: RecordRequest, rejects: str = "") -> Plan:
        return Plan(request, float(self._form.countdown.value()), rejects)

    def _again(self, request: RecordRequest, rejects: str) -> Plan:
        """The same cell under the next free name, as long as the form says now."""
        seconds = self._form.request().seconds
        cell = RecordRequest("", request.participant, request.objects, request.scenario, request.action, seconds)
        return self._plan(cell, rejects)

    def _desk_changed(self) -> None:
        self._page.show_desk(self._desk.now)
        self._panel.redo.setEnabled(self.possible()["record.redo"])
        proposal = self._desk.take_proposal()
        if self._flow.state in BUSY:
            return
        if proposal is not None:
            self._page.propose(proposal)
        else:
            # Neither flags nor a protocol may say who and what: something to start from.
            self._form.participant.setText(self._form.participant.text() or "p01")
            self._form.objects.setText(self._form.objects.text() or "o01")

    def _saved(self, report: RecordReport, request: RecordRequest) -> None:
        name, dropped = report.path.parent.name, len(report.drops)
        lost = "no frame dropped" if not dropped else f"{dropped} dropped frames, listed in the file"
        words = _other_words(report.verdict) if report.verdict is not None else ()
        good = not dropped and report.paired == report.moments and not words
        self.told.emit(
            "good" if good else "warn",
            f"{name} is saved: {report.seconds:.1f} s, {report.paired} of {report.moments} moments complete, {lost}.",
            f"{'; '.join(words[:3])}.  R records it again." if words else "P shows the report, V plays it.",
            0.0 if words else _NEWS_S,
        )
        self._form.sequence.clear()
        if self._flow.state == "ready":
            self._desk.propose(request.participant)

    def _rejected(self, sequence: str) -> None:
        self.told.emit("info", f"{sequence} is marked as rejected; its files stay.", "", _SHORT_NEWS_S)
        self._desk.refresh()

    def _flow_changed(self) -> None:
        self._panel.set_state(self._flow.state)
        self._panel.redo.setEnabled(self.possible()["record.redo"])
        request = self._flow.request
        if request is not None:
            self._page.show_request(request)
        self._show_time()

    def _show_time(self) -> None:
        marks = self._flow.marks
        notes = {
            "idle": "open a rig to record",
            "ready": "press Space to record",
            "countdown": "until recording starts",
            "recording": f"{marks} mark{'s' if marks != 1 else ''}" if marks else "Space stops, M marks",
            "saving": "writing to disk …",
        }
        self._panel.show_time(self._flow.seconds, notes.get(self._flow.state, ""))


def _request(take: Take) -> RecordRequest:
    return RecordRequest(take.sequence, take.participant, take.objects, take.scenario, take.action)


def _other_words(verdict: Verdict) -> tuple[str, ...]:
    """What a verdict says but for lost frames, which the report counts to the last one."""
    return tuple(replace(verdict, take=tuple(r for r in verdict.take if r.name != "drops")).words)
