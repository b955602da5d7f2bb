# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do in the recording window."""

from __future__ import annotations

from .actions import Action

ACTIONS: tuple[Action, ...] = (
    Action("record.toggle", "&Record or stop", ("Space", "F9"), "Start recording, or stop and save", "&Record"),
    Action("record.next", "&Next free name", ("Ctrl+N",), "Fill in the next free sequence name", "&Record"),
    Action("record.quit", "&Quit", ("Ctrl+Q",), "Save what is being recorded and close the window", "&Record"),
    Action(
        "view.depth",
        "&Depth large",
        ("D",),
        "Show depth in the large views and colour in the small ones",
        "&View",
        icon="depth",
        checkable=True,
        toolbar_text="Depth",
    ),
    Action("view.full", "&Full screen", ("F11",), "Fill the whole screen, or go back", "&View"),
    Action(
        "help.keys",
        "&Keyboard shortcuts",
        ("?", "F1"),
        "List every key of this window",
        "&Help",
        icon="help",
        toolbar_text="Shortcuts",
    ),
)
