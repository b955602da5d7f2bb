# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do in the window that plays a recording."""

from __future__ import annotations

from .actions import Action

MODES = ("color", "gray", "edge", "depth", "infrared")
"""What the large views can show; each has an action `view.<name>`."""

SPEEDS: dict[str, float] = {"half": 0.5, "true": 1.0, "double": 2.0}
"""How fast it plays; each has an action `speed.<name>`."""

ACTIONS: tuple[Action, ...] = (
    Action("file.sheet", "&Save this picture …", ("Ctrl+S",), "Save what is shown now as a PNG", "&File", "save"),
    Action(
        "file.frames",
        "Save the &frames …",
        ("Ctrl+Shift+S",),
        "Save every stream's own image of this moment as PNGs, depth with its 16 bits",
        "&File",
    ),
    Action("file.report", "Re&port", ("P",), "Show the report of this recording", "&File", "report"),
    Action("file.quit", "&Close", ("Ctrl+Q", "Ctrl+W"), "Close this window", "&File"),
    Action("frame.first", "&First moment", ("Home",), "Go to the first moment", "F&rame", "first"),
    Action("frame.back", "&Previous moment", ("Left",), "Go one moment back", "F&rame", "previous", repeat=True),
    Action("frame.play", "Pl&ay or pause", ("Space",), "Play, or stop", "F&rame", "play"),
    Action("frame.ahead", "&Next moment", ("Right",), "Go one moment ahead", "F&rame", "next", repeat=True),
    Action("frame.back_ten", "Back 10", ("Shift+Left",), "Go ten moments back", "F&rame", repeat=True),
    Action("frame.ahead_ten", "Ahead 10", ("Shift+Right",), "Go ten moments ahead", "F&rame", repeat=True),
    Action("frame.back_second", "Back 5 s", ("Ctrl+Left",), "Go five seconds back", "F&rame"),
    Action("frame.ahead_second", "Ahead 5 s", ("Ctrl+Right",), "Go five seconds ahead", "F&rame"),
    Action("frame.last", "&Last moment", ("End",), "Go to the last moment", "F&rame"),
    Action("jump.mark", "Next &mark", ("M",), "Go to the next mark", "&Jump", "mark", toolbar_text="Mark"),
    Action("jump.mark_back", "Previous mark", ("Shift+M",), "Go to the mark before", "&Jump"),
    Action(
        "jump.drop",
        "Next &gap",
        ("E",),
        "Go to the next missing frame, lost device or restarted clock",
        "&Jump",
        "suggest",
        toolbar_text="Gap",
    ),
    Action("jump.drop_back", "Previous gap", ("Shift+E",), "Go to the gap before", "&Jump"),
    Action("speed.half", "&Half speed", ("[",), "Play at half the true speed", "&Speed", checkable=True),
    Action("speed.true", "&True speed", ("\\",), "Play as fast as it happened", "&Speed", checkable=True),
    Action("speed.double", "&Double speed", ("]",), "Play at twice the true speed", "&Speed", checkable=True),
    Action("view.color", "&Colour", ("1",), "Show colour in the large views", "&View", checkable=True),
    Action("view.gray", "&Gray", ("2",), "Show gray in the large views", "&View", checkable=True),
    Action("view.edge", "&Edges", ("3",), "Show edges in the large views", "&View", checkable=True),
    Action("view.depth", "&Depth", ("4", "D"), "Show depth in the large views", "&View", checkable=True),
    Action("view.infrared", "&Infrared", ("5",), "Show infrared, where it was recorded", "&View", checkable=True),
    Action(
        "view.labels",
        "&Labels",
        ("L",),
        "Lay the current labels over colour, gray and edges",
        "&View",
        "mesh",
        True,
        toolbar_text="Labels",
    ),
    Action("view.theme", "Light or &dark", ("Ctrl+T",), "Change between light and dark colours", "&View", "theme"),
    Action("view.full", "&Full screen", ("F11",), "Fill the whole screen, or go back", "&View"),
    Action("help.keys", "&Keyboard shortcuts", ("?", "F1"), "List every key of this window", "&Help", "help"),
)
