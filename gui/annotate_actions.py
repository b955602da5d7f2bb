# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do in the annotation window: menus, keys, toolbar, palette and the sheet are made from this."""

from __future__ import annotations

from .actions import Action

_FILE, _EDIT, _FRAME, _VIEW = "&File", "&Edit", "F&rame", "&View"
_LABEL, _JOINT, _OBJECT, _HELP = "&Label", "&Joint", "&Object", "&Help"
_WAYS = {"Left": "left", "Right": "right", "Up": "up", "Down": "down"}
_FINGERS = ("thumb", "index finger", "middle finger", "ring finger", "little finger")


def _show(name: str, text: str, key: str, tip: str, icon: str = "") -> Action:
    return Action(f"view.{name}", text, (key,), tip, _VIEW, icon, True)


def _step(name: str, text: str, key: str, tip: str, icon: str = "") -> Action:
    return Action(f"frame.{name}", text, (key,), tip, _FRAME, icon, repeat=True)


def _arrows(area: str, menu: str, what: str, keys: str, ways: dict[str, str]) -> tuple[Action, ...]:
    return tuple(
        Action(f"{area}.{way.lower()}", f"{what} {words}", (f"{keys}+{way}",), f"{what} {words}", menu, repeat=True)
        for way, words in ways.items()
    )


_FILES = (
    Action("file.save", "&Save a revision", ("Ctrl+S",), "Write the labels as a new revision", _FILE, "save"),
    Action(
        "file.save_as", "Save with a &comment …", ("Ctrl+Shift+S",), "Write a revision and say what was done", _FILE
    ),
    Action("file.quit", "&Quit", ("Ctrl+Q",), "Close the window; unsaved work is kept and can be saved", _FILE),
)
_EDITS = (
    Action("edit.undo", "&Undo", ("Ctrl+Z",), "Undo the last change; the history has no end", _EDIT, "undo"),
    Action("edit.redo", "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Do the undone change again", _EDIT, "redo"),
    Action("edit.comment", "&Comment …", ("T",), "Write about this frame", _EDIT),
    Action("edit.cancel", "&Let go", ("Escape",), "Let go of what is held, end placing, choose no joint", _EDIT),
)
_FRAMES = (
    Action("frame.first", "&First frame", ("Home",), "Go to the first frame", _FRAME),
    _step("back", "&Previous frame", "Left", "Go one frame back", "previous"),
    Action("frame.play", "Pl&ay or pause", ("Space",), "Play in real time, or stop", _FRAME, "play"),
    _step("ahead", "&Next frame", "Right", "Go one frame ahead", "next"),
    _step("back_ten", "Back 10", "Shift+Left", "Go ten frames back"),
    _step("ahead_ten", "Ahead 10", "Shift+Right", "Go ten frames ahead"),
    _step("back_hundred", "Back 100", "Ctrl+Left", "Go a hundred frames back"),
    _step("ahead_hundred", "Ahead 100", "Ctrl+Right", "Go a hundred frames ahead"),
    Action("frame.last", "&Last frame", ("End",), "Go to the last frame", _FRAME),
    _step("key_back", "Previous &keyframe", ",", "Go to the edited or accepted frame before"),
    _step("key_ahead", "Next key&frame", ".", "Go to the next edited or accepted frame"),
    Action("frame.choose", "&Go to frame …", ("G",), "Type the number of a frame", _FRAME),
    Action(
        "frame.suggest",
        "Next &suggestion",
        ("E",),
        "Go to the frame whose correction helps most",
        _FRAME,
        "suggest",
        toolbar_text="Next",
    ),
)
_VIEWS = (
    _show("mesh", "&Mesh", "M", "Show the meshes of the hands", "mesh"),
    _show("wire", "&Wireframe", "W", "Show meshes as wireframes"),
    _show("keypoints", "&Joints", "K", "Show the joints and, as crosses, the 2D evidence", "keypoints"),
    _show("objects", "&Objects", "B", "Show the meshes of objects"),
    _show("depth", "&Depth", "D", "Show depth in place of colour", "depth"),
    _show("follow", "&Zoom on the hand", "Z", "Keep the hand large and in the middle"),
    Action("view.other", "&Other view", ("Q",), "Let keys act in the other view", _VIEW),
    Action("view.near", "Zoom i&n", ("+", "="), "Zoom into the active view", _VIEW, repeat=True),
    Action("view.far", "Zoom o&ut", ("-",), "Zoom out of the active view", _VIEW, repeat=True),
    Action("pane.scene", "Pane: &3D scene", ("F2",), "Turn the measured points and the labels", _VIEW),
    Action("pane.object", "Pane: object mes&h", ("F3",), "Choose points of the mesh of the object", _VIEW),
    Action("pane.sensor", "Pane: &sensor", ("F4",), "Show the labels in the image of the edge sensor", _VIEW),
    *_arrows("turn", _VIEW, "Turn the 3D scene", "Ctrl+Shift", _WAYS),
    Action("turn.nearer", "3D scene nearer", ("Ctrl+Shift+PgUp",), "Come nearer in the 3D scene", _VIEW, repeat=True),
    Action("turn.farther", "3D scene farther", ("Ctrl+Shift+PgDown",), "Go away in the 3D scene", _VIEW, repeat=True),
    Action("turn.view", "3D scene as the view", ("F6",), "Look from the camera of the active view", _VIEW),
    Action("turn.top", "3D scene from above", ("F7",), "Look from above", _VIEW),
    Action("tab.frame", "Panel: &frame", ("Ctrl+1",), "What is known about the frame", _VIEW),
    Action("tab.joints", "Panel: &joints", ("Ctrl+2",), "What is known about the joints", _VIEW),
    Action("tab.objects", "Panel: o&bjects", ("Ctrl+3",), "Objects, their labels and clicks", _VIEW),
    Action("tab.review", "Panel: &review", ("Ctrl+4",), "The frames that wait for a person", _VIEW),
    Action("view.theme", "Light or dar&k", ("Ctrl+T",), "Change between light and dark colours", _VIEW),
    Action("view.full", "Full s&creen", ("F11",), "Fill the whole screen, or go back", _VIEW),
)
_LABELS = (
    Action(
        "label.accept",
        "&Accept",
        ("A",),
        "Accept this frame and go to the next",
        _LABEL,
        "accept",
        repeat=True,
        toolbar_text="Accept",
    ),
    Action(
        "label.reject",
        "Re&ject",
        ("X",),
        "Reject this frame and go to the next",
        _LABEL,
        "reject",
        repeat=True,
        toolbar_text="Reject",
    ),
    Action(
        "label.accept_rest", "Accept all &good", ("Shift+A",), "Accept every open frame with good residuals", _LABEL
    ),
    Action("label.fit", "&Fit all frames", ("R",), "Run the automatic fit", _LABEL, "fit", toolbar_text="Fit all"),
    Action(
        "label.refit",
        "Refit &between keyframes",
        ("F",),
        "Fit the frames between the keyframes around, which are held",
        _LABEL,
        "again",
        toolbar_text="Refit",
    ),
    Action(
        "label.guess",
        "G&uess hand and object",
        ("J",),
        "Ask the network of --grasp-model for the hand and the object of this frame",
        _LABEL,
    ),
    Action("label.interpolate", "&Interpolate", ("I",), "Fill the frames between the keyframes around", _LABEL),
    Action("label.copy", "&Copy from previous", ("C",), "Take the label of the frame before", _LABEL),
    Action("label.copy_next", "Copy from ne&xt", ("Shift+C",), "Take the label of the frame after", _LABEL),
    Action("label.swap", "S&wap hands", ("Ctrl+H",), "Left is right: exchange the hands of this frame", _LABEL),
    Action("label.delete", "&Delete the label", ("Ctrl+Delete",), "Remove the label of the hand; clicks stay", _LABEL),
)
_JOINTS = (
    Action("joint.side", "Other &hand", ("H",), "Work on the other hand", _JOINT),
    Action("joint.wrist", "Choose the &wrist", ("0",), "Choose the wrist", _JOINT),
    *(
        Action(
            f"joint.{name.split()[0]}", f"Choose the {name}", (str(n + 1),), f"{name.capitalize()}; again: next", _JOINT
        )
        for n, name in enumerate(_FINGERS)
    ),
    Action("joint.next", "&Next joint", ("Tab",), "Choose the next joint", _JOINT, repeat=True),
    Action(
        "joint.previous", "&Previous joint", ("Shift+Tab", "Backtab"), "Choose the joint before", _JOINT, repeat=True
    ),
    Action(
        "joint.clicks",
        "Place by &clicks",
        ("P",),
        "Each click places the chosen joint and goes on to the next; Ctrl+click does it once",
        _JOINT,
        "mark",
        True,
        toolbar_text="Place",
    ),
    Action(
        "joint.place", "Place &here", ("Return", "Enter"), "Click the chosen joint or point where it is shown", _JOINT
    ),
    Action("joint.remove", "&Remove", ("Delete", "Backspace"), "Remove the click in the active view", _JOINT),
    Action("joint.lock", "&Lock", ("L",), "Fix the joint where it is, or free it", _JOINT),
    Action(
        "joint.lock_all", "Lock &all others", ("Shift+L",), "Fix all joints but the chosen one, or free them", _JOINT
    ),
    Action("joint.occluded", "&Occluded", ("O",), "The joint is hidden from the active view, or is not", _JOINT),
)
_TURNS = tuple(f"{sign} about the {axis} axis" for axis in ("first", "second", "third") for sign in ("on", "back"))
_MOVES = (
    *_arrows("move", _JOINT, "Move by 1 px or mm,", "Alt", _WAYS),
    *_arrows("far", _JOINT, "Move by 10 px or mm,", "Alt+Shift", _WAYS),
)
_OBJECTS = (
    Action("object.next", "&Next object", ("N",), "Work on the next object", _OBJECT),
    Action("object.move", "&Move by keys", ("Y",), "Alt and arrows move the object, not the joint", _OBJECT, "", True),
    Action(
        "object.away", "Move 1 mm away", ("Alt+PgUp",), "Move the object along the third axis", _OBJECT, repeat=True
    ),
    Action("object.nearer", "Move 1 mm nearer", ("Alt+PgDown",), "Move the object back along it", _OBJECT, repeat=True),
    *(
        Action(
            f"object.turn_{words.replace(' ', '_')}",
            f"Turn by 1° {words}",
            (f"Alt+{n}",),
            f"Turn the object {words}",
            _OBJECT,
            repeat=True,
        )
        for n, words in enumerate(_TURNS, start=1)
    ),
    Action("object.axes", "Other a&xes", ("Shift+Y",), "Move along the axes of the view, object or world", _OBJECT),
    Action("object.points", "Mark &points", ("U",), "Choose a point of the mesh, then click where it is seen", _OBJECT),
    Action("object.point_next", "Next mesh point", ("]",), "Choose the next point of the mesh", _OBJECT, repeat=True),
    Action("object.point_back", "Previous mesh point", ("[",), "Choose the point before", _OBJECT, repeat=True),
    Action("object.place", "P&lace", ("Shift+P",), "Find the pose from the points marked at this frame", _OBJECT),
    Action("object.remove", "Remove a mark", ("Shift+Delete",), "Take back the chosen mark, or the last", _OBJECT),
    Action(
        "object.copy",
        "Copy the pose from previous",
        ("Shift+V",),
        "Take the pose of the object from the frame before",
        _OBJECT,
    ),
)
_HELPS = (
    Action("help.palette", "Find an &action …", ("Ctrl+K",), "Type a few letters of what to do", _HELP),
    Action("help.keys", "&Keyboard shortcuts", ("?", "F1"), "List every key of this window", _HELP, "help"),
)

ACTIONS: tuple[Action, ...] = (
    *_FILES,
    *_EDITS,
    *_FRAMES,
    *_VIEWS,
    *_LABELS,
    *_JOINTS,
    *_MOVES,
    *_OBJECTS,
    *_HELPS,
)

READING = ("frame.", "view.", "pane.", "turn.", "tab.", "help.", "file.quit", "edit.cancel", "object.next")
"""Beginnings of the ids that stay when labels can only be looked at."""
EDITING = ("label.", "joint.", "move.", "far.", "object.", "edit.")
"""Beginnings of the ids that rest while a revision is written or a fit is taken over."""
