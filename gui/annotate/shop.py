# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting, refitting and saving: begun by a person, done in the background, taken over when done."""

from __future__ import annotations

import numpy as np

from gui.frame_facts import reprojection_px
from gui.qt import QtCore, Signal
from gui.sessions import AnnotationSession
from hoi_core.errors import HoiError
from hoi_core.types import Revision

from .edits import Edits
from .grab import Grab
from .guesses import Guess, Guesser
from .long_work import LongWork
from .selection import Selection
from .words import agreement_words


class Shop(QtCore.QObject):
    """Starts the work that takes seconds.

    Signals:
        told(kind, title, hint): what came of it.
        fitted(): the labels of all frames are others now.
        saved(name): a revision was written.
        compared(title, hint): it was written blind; how far it agrees with the labels.
    """

    told = Signal(str, str, str)
    fitted = Signal()
    saved = Signal(str)
    compared = Signal(str, str)

    def __init__(
        self,
        session: AnnotationSession,
        selection: Selection,
        edits: Edits,
        grab: Grab,
        work: LongWork,
        guesser: Guesser | None = None,
    ) -> None:
        super().__init__(work)
        self._guesser = guesser
        self._session, self._selection, self._edits = session, selection, edits
        self._grab, self._work = grab, work

    def fit(self) -> None:
        """Fit all frames; labels may be edited meanwhile."""
        self._grab.release()
        self._work.run("Fitting", self._session.fit, self._adopt, changes_labels=False)

    def _adopt(self, revision: Revision) -> None:
        if self._edits.do(lambda: self._session.adopt(revision)):
            median = float(np.nanmedian(np.append(reprojection_px(revision), np.nan)))
            words = f"The fit is done: median residual {median:.1f} px." if np.isfinite(median) else "The fit is done."
            self.told.emit("good", words, "Ctrl+Z takes it back; Ctrl+S writes a revision.")
            self.fitted.emit()

    def guess(self) -> None:
        """Ask a network for the hand and the object of the frame."""
        guesser, session, chosen = self._guesser, self._session, self._selection
        if guesser is None:
            self.told.emit("warn", "No network was named that guesses.", "Start with hoi-annotate --grasp-model FILE.")
            return
        self._grab.release()
        asked = chosen.side, chosen.frame, chosen.object_name
        self._work.run(
            "Guessing",
            lambda _progress, _cancelled: guesser.guess(session, *asked),
            self._take_guess,
            changes_labels=True,
            can_stop=False,
        )

    def _take_guess(self, guess: Guess) -> None:
        if guess.revision is self._session.revision:
            self.told.emit("warn", guess.told, "Nothing was changed.")
        elif self._edits.do(lambda: self._session.adopt(guess.revision, guess.text)):
            self.told.emit("good", guess.told, "Look at it: A accepts, dragging corrects, Ctrl+Z takes it back.")

    def refit(self) -> None:
        """Fit the frames between the keyframes around."""
        self._grab.release()
        span, side = self._edits.span(), self._selection.side
        if span is not None:
            self._work.run(
                "Refitting",
                lambda progress, cancelled: self._session.refit_between(side, *span, progress, cancelled),
                lambda _: self._edits.changed.emit(),
                changes_labels=True,
            )

    def save(self, comment: str = "") -> None:
        """Write a new revision."""
        self._grab.release()
        self._edits.hand_on_work()
        self._work.run(
            "Saving",
            lambda _progress, _cancelled: self._write(comment),
            self._saved,
            changes_labels=True,
            can_stop=False,
        )

    def _write(self, comment: str) -> tuple[str, str]:
        """Save, on a thread. Returns the revision's name, and how far blind labels agree with those they are beside."""
        name = self._session.save(comment)
        if not self._session.blind:
            return name, ""
        try:
            return name, agreement_words(self._session.agreement(name))
        except HoiError as error:
            # The revision is written; only the figures are missing.
            return name, str(error)

    def _saved(self, written: tuple[str, str]) -> None:
        name, agreement = written
        if agreement:
            self.compared.emit(f"Saved as {name}, beside the labels.", agreement)
        else:
            self.told.emit("good", f"Saved as {name}.", f"{self._session.sequence}/annotation.h5")
        self.saved.emit(name)
