# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person is asked before the annotation window opens or closes."""

from __future__ import annotations

from typing import Literal

from gui.notice import sentence
from gui.qt import QtWidgets
from hoi_core.errors import HoiError

Answer = Literal["save", "later", "stay"]
LockAnswer = Literal["look", "again", "close"]


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


def lock_box(error: HoiError, *, can_look: bool) -> tuple[QtWidgets.QMessageBox, dict[object, LockAnswer]]:
    """The question what to do while somebody else writes the labels, and what its buttons answer."""
    box = QtWidgets.QMessageBox()
    box.setWindowTitle("hoi-annotate")
    box.setText(sentence(error.message))
    look = "You can look at the labels as they were saved last; nothing you do there changes them." if can_look else ""
    box.setInformativeText(look or "Try again once they are closed there.")
    look_only = box.addButton("Look only", QtWidgets.QMessageBox.AcceptRole) if can_look else None
    again = box.addButton("Try again", QtWidgets.QMessageBox.ActionRole)
    close = box.addButton("Close", QtWidgets.QMessageBox.RejectRole)
    answers: dict[object, LockAnswer] = {again: "again", close: "close"}
    if look_only is not None:
        answers[look_only] = "look"
    box.setDefaultButton(look_only or again)
    box.setEscapeButton(close)
    return box, answers


def ask_about_lock(error: HoiError, *, can_look: bool) -> LockAnswer:
    """Ask what to do while somebody else writes the labels; `error` says who, where and since when."""
    box, answers = lock_box(error, can_look=can_look)
    box.exec_()
    return answers.get(box.clickedButton(), "close")
