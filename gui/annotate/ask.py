# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is asked before the annotation window closes."""

from __future__ import annotations

from typing import Literal

from gui.qt import QtWidgets

Answer = Literal["save", "later", "stay"]


def ask_about_unsaved(window: QtWidgets.QWidget) -> Answer:
    """Ask what becomes of changes that no revision holds."""
    box = QtWidgets.QMessageBox(window)
    box.setWindowTitle("Unsaved changes")
    box.setText("Some changes are not in a revision yet.")
    box.setInformativeText("They are kept in any case and taken up the next time.")
    save = box.addButton("Save a revision", QtWidgets.QMessageBox.AcceptRole)
    later = box.addButton("Close, save later", QtWidgets.QMessageBox.DestructiveRole)
    box.addButton("Stay", QtWidgets.QMessageBox.RejectRole)
    box.exec_()
    return "save" if box.clickedButton() is save else "later" if box.clickedButton() is later else "stay"
