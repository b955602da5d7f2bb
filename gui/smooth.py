# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the window's thread from waiting for the interpreter, while other threads read cameras and write files."""

from __future__ import annotations

import gc
import sys

from .session_host import SessionHost

# A thread that computes in Python gives way after this long; with Python's 5 ms, three of them are a delay to be felt.
_SWITCH_S = 0.001


def keep_smooth(host: SessionHost) -> None:
    """Share the interpreter in short turns, and collect garbage when a rig opens, not in the middle of a take."""
    sys.setswitchinterval(_SWITCH_S)
    host.opened.connect(_settle)


def _settle() -> None:
    """Look through all objects once, then leave those that live out of later collections.

    A full collection stops every thread: 100 ms and more with all that the recorder imports.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
