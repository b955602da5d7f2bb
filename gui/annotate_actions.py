# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do in the annotation window."""

from __future__ import annotations

from .actions import Action

ACTIONS: tuple[Action, ...] = (
    Action("file.save", "&Save a revision", ("Ctrl+S",), "Write the labels as a new revision", "&File", "save"),
    Action("file.quit", "&Quit", ("Ctrl+Q",), "Close the window; unsaved work is offered to be saved", "&File"),
    Action("edit.undo", "&Undo", ("Ctrl+Z",), "Undo the last change of the labels", "&Edit", "undo"),
    Action("edit.redo", "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Do the undone change again", "&Edit", "redo"),
    Action("frame.first", "&First frame", ("Home",), "Go to the first frame", "F&rame", "first"),
    Action("frame.back", "&Previous frame", ("Left",), "Go one frame back", "F&rame", "previous", repeat=True),
    Action("frame.play", "Pl&ay or pause", ("Space",), "Play in real time, or stop", "F&rame", "play"),
    Action("frame.ahead", "&Next frame", ("Right",), "Go one frame ahead", "F&rame", "next", repeat=True),
    Action("frame.back_ten", "Back 10", ("Shift+Left",), "Go ten frames back", "F&rame", repeat=True),
    Action("frame.ahead_ten", "Ahead 10", ("Shift+Right",), "Go ten frames ahead", "F&rame", repeat=True),
    Action("frame.back_hundred", "Back 100", ("Ctrl+Left",), "Go a hundred frames back", "F&rame"),
    Action("frame.ahead_hundred", "Ahead 100", ("Ctrl+Right",), "Go a hundred frames ahead", "F&rame"),
    Action("frame.last", "&Last frame", ("End",), "Go to the last frame", "F&rame"),
    Action(
        "frame.suggest",
        "&Worst unreviewed",
        ("E",),
        "Go to the unreviewed frame with the largest residual",
        "F&rame",
        "suggest",
        toolbar_text="Worst",
    ),
    Action("view.mesh", "&Mesh", ("M",), "Show the fitted hand", "&View", "mesh", True, toolbar_text="Mesh"),
    Action("view.wire", "&Wireframe", ("W",), "Show the hand as a wireframe", "&View", checkable=True),
    Action(
        "view.keypoints",
        "&Keypoints",
        ("K",),
        "Show the fitted joints and, as crosses, the 2D evidence",
        "&View",
        "keypoints",
        True,
        toolbar_text="Keypoints",
    ),
    Action(
        "view.depth", "&Depth", ("D",), "Show depth in place of colour", "&View", "depth", True, toolbar_text="Depth"
    ),
    Action(
        "view.follow", "&Zoom on the hand", ("Z",), "Keep the hand large and in the middle", "&View", checkable=True
    ),
    Action("view.full", "&Full screen", ("F11",), "Fill the whole screen, or go back", "&View"),
    Action(
        "label.accept",
        "&Accept",
        ("A",),
        "Accept this frame and go to the next",
        "&Label",
        "accept",
        repeat=True,
        toolbar_text="Accept",
    ),
    Action(
        "label.reject",
        "Re&ject",
        ("X",),
        "Reject this frame and go to the next",
        "&Label",
        "reject",
        repeat=True,
        toolbar_text="Reject",
    ),
    Action(
        "label.accept_rest",
        "Accept all &good",
        ("Shift+A",),
        "Accept every unreviewed frame with good residuals",
        "&Label",
    ),
    Action("label.fit", "&Fit all frames", ("R",), "Run the automatic fit", "&Label", "fit", toolbar_text="Auto-fit"),
    Action("help.keys", "&Keyboard shortcuts", ("?", "F1"), "List every key of this window", "&Help", "help"),
)
