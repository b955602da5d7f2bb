# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of text around the views: what keys do now, what is kept, which frame to look at next."""

from __future__ import annotations

import math

from gui.qt import QtCore, QtWidgets, Signal
from gui.sessions import Agreement, AnnotationSession, Suggestion
from hoi_core.errors import HoiError

from .selection import Selection

_HINTS = {
    "none": "←  →  step      A  accept      X  reject      E  next      1…5  finger      Ctrl+K  find      ?  keys",
    "joint": "Alt+arrows  move      L  lock      O  occluded      Q  other view      Esc  none",
    "object": "Alt+arrows  move      Alt+1…6  turn      Shift+Y  axes      Esc  joints again",
    "place joint": "Click, or Alt+arrows and Enter, place the joint      Esc  ends",
    "place point": "Click, or Alt+arrows and Enter, place the mesh point      ]  next point      Esc  ends",
}


class Words(QtCore.QObject):
    """Three labels and their texts.

    Signals:
        failed(HoiError): no frame can be suggested.
    """

    failed = Signal(object)

    def __init__(self, session: AnnotationSession, selection: Selection, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._selection = session, selection
        self.hint = QtWidgets.QLabel(objectName="muted")
        self.kept = QtWidgets.QLabel(objectName="muted")
        self.suggested = QtWidgets.QLabel(objectName="muted")
        self.suggested.setToolTip("The frame whose correction is expected to help most, and why.")
        self.hint.setContentsMargins(14, 0, 0, 2)
        self.hint.setMinimumWidth(0)
        self.hint.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Preferred)
        self.kept.setContentsMargins(0, 0, 14, 2)

    def show_hint(self) -> None:
        """Say what keys do to what is chosen."""
        chosen = self._selection
        if chosen.placing:
            key = "place joint" if chosen.target == "joint" else "place point"
        elif chosen.target == "object":
            key = "object"
        else:
            key = "joint" if chosen.joint is not None else "none"
        self.hint.setText(_HINTS[key])

    def show_kept(self) -> None:
        """Say what of the work is on disk, and as what."""
        name = self._session.revision_name
        if self._session.read_only:
            text = "read only"
        elif self._session.dirty:
            text = f"● kept on disk, not yet a revision after {name}" if name else "● kept on disk, not yet a revision"
        else:
            text = f"✓ saved as {name}" if name else "nothing to save"
        self.kept.setText(text)

    def suggest(self) -> Suggestion | None:
        """The frame to look at next, None when all are good enough; says it, and why."""
        try:
            found = self._session.suggestion(self._selection.frame) if self._session.n_frames else None
        except HoiError as error:
            self.failed.emit(error)
            found = None
        if found is None:
            again = len(self._session.to_repeat)
            self.suggested.setText(
                f"All {again} frames are labelled a second time." if again else "No frame needs a look."
            )
            return None
        expected_mm = found.expected_error_mm
        error_text = f", expected error {expected_mm:.1f} mm" if math.isfinite(expected_mm) else ""
        self.suggested.setText(f"Next (E): frame {found.frame} – {found.reason}{error_text}")
        return found


def blind_task(session: AnnotationSession) -> str:
    """What a person who does not see the labels is asked to do."""
    again = len(session.to_repeat)
    if not again:
        return "Nobody has checked a frame yet, so none is drawn; label any. Ctrl+S writes yours beside them."
    frames = "1 frame" if again == 1 else f"{again} frames"
    return f"E goes through the {frames} drawn to be labelled again; Ctrl+S writes yours beside them, to compare."


def agreement_words(found: Agreement) -> str:
    """How far two labels of the same frames are apart, for a person."""
    if found.moments:
        frames = "1 frame" if found.moments == 1 else f"{found.moments} frames"
        return (
            f"Over {frames} your joints are {found.joint_mm:.1f} mm from the stored labels on average, "
            f"95 % of them within {found.joint_p95_mm:.1f} mm."
        )
    if math.isfinite(found.click_px):
        return f"Your clicks are {found.click_px:.1f} px from those of the stored labels on average."
    return "No frame is labelled twice yet: fit (R), then accept (A) or correct the frames drawn, and save again."
