# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do in the recording window."""

from __future__ import annotations

from .actions import Action

PAGES = ("rig", "calibrate", "record", "coverage")
"""The pages in the order of the rail; each has an action `page.<name>`."""

MODES = ("color", "gray", "edge", "depth")
"""What the large views can show; each has an action `view.<name>`."""

ACTIONS: tuple[Action, ...] = (
    Action("record.toggle", "&Record or stop", ("Space", "F9"), "Start recording, or stop and save", "&Record"),
    Action("record.mark", "&Mark this moment", ("M",), "Mark this moment of the recording", "&Record"),
    Action("record.redo", "R&edo", ("R",), "Mark the last take as rejected and record the same cell again", "&Record"),
    Action("record.next", "&Next take", ("N",), "Take up the next cell that the protocol proposes", "&Record"),
    Action("record.skip", "&Skip this cell", ("S",), "Leave this cell for later, go on to the one after it", "&Record"),
    Action("record.edit", "Edit &take …", ("E",), "Change what is recorded next", "&Record"),
    Action("record.report", "Re&port of the take", ("P",), "Show the report of the chosen take", "&Record"),
    Action("record.replay", "Repla&y", ("V",), "Play the chosen take, all streams in time", "&Record"),
    Action("record.quit", "&Quit", ("Ctrl+Q",), "Save what is being recorded and close the window", "&Record"),
    Action("view.color", "&Colour", ("1",), "Show colour in the large views", "&View", checkable=True),
    Action("view.gray", "&Gray", ("2",), "Show gray in the large views", "&View", checkable=True),
    Action("view.edge", "&Edges", ("3",), "Show edges in the large views", "&View", checkable=True),
    Action("view.depth", "&Depth", ("4", "D"), "Show depth in the large views", "&View", checkable=True),
    Action("view.theme", "&Light or dark", ("Ctrl+T",), "Change between light and dark colours", "&View", "theme"),
    Action("view.full", "&Full screen", ("F11",), "Fill the whole screen, or go back", "&View"),
    Action(
        "page.rig",
        "&Rig",
        ("Ctrl+1",),
        "Choose the rig and look at its devices",
        "&Go",
        "rig",
        True,
        toolbar_text="Rig",
    ),
    Action(
        "page.calibrate",
        "C&alibrate",
        ("Ctrl+2",),
        "Calibrate the cameras, or check them for the day",
        "&Go",
        "calibrate",
        True,
        toolbar_text="Calibrate",
    ),
    Action(
        "page.record",
        "Re&cord",
        ("Ctrl+3",),
        "Look at the cameras and record",
        "&Go",
        "record",
        True,
        toolbar_text="Record",
    ),
    Action(
        "page.coverage",
        "Co&verage",
        ("Ctrl+4",),
        "See what is recorded and what is not",
        "&Go",
        "coverage",
        True,
        toolbar_text="Coverage",
    ),
    Action("help.keys", "&Keyboard shortcuts", ("?", "F1"), "List every key of this window", "&Help", "help"),
)
