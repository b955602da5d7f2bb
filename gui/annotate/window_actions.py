# SPDX-License-Identifier: GPL-3.0-or-later
"""What each action of the annotation window runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gui.sessions import AnnotationSession
from hoi_core.conventions import FINGERS
from hoi_core.types import Status

from .edits import Edits
from .keys import Keys
from .pair import CanvasPair
from .player import Player
from .selection import Selection
from .shop import Shop
from .side_panes import SidePanes
from .tabs import Tabs

Run = Callable[[], object]
_TURN_RAD = 0.18
_NEARER = 0.85
_ZOOM = 1.25


class Window(Protocol):
    """What actions need of the window: its parts, and what it does itself."""

    session: AnnotationSession
    selection: Selection
    edits: Edits
    shop: Shop
    player: Player
    pair: CanvasPair
    keys: Keys
    panes: SidePanes
    tabs: Tabs

    @property
    def frame(self) -> int:
        """The frame that is shown."""

    def go_to(self, frame: int) -> None:
        """Show a frame."""

    def go_to_key(self, way: int) -> None:
        """Go to the keyframe before or after."""

    def go_to_suggestion(self) -> None:
        """Go to the frame whose correction helps most."""

    def ask_frame(self) -> None:
        """Ask for the number of a frame."""

    def judge(self, status: Status) -> None:
        """Accept or reject the frame."""

    def let_go(self) -> None:
        """Leave what was begun."""

    def save_with_comment(self) -> None:
        """Ask what was done, and write a revision."""

    def comment_here(self) -> None:
        """Write about the frame."""

    def mark_points(self) -> None:
        """Begin to mark points of the object."""

    def tabs_remove_point(self) -> None:
        """Take back a mark of the object."""

    def layers_changed(self) -> None:
        """Show other layers."""

    def follow_toggled(self) -> None:
        """Zoom on the hand, or show everything again."""

    def show_palette(self) -> None:
        """Find an action by a few letters."""

    def show_keys(self) -> None:
        """List every key."""

    def toggle_theme(self) -> None:
        """Change between light and dark colours."""

    def close(self) -> bool:
        """Close the window."""

    def isFullScreen(self) -> bool:
        """Whether it fills the screen."""

    def showFullScreen(self) -> None:
        """Fill the screen."""

    def showNormal(self) -> None:
        """Go back from that."""


def functions(window: Window) -> dict[str, Run]:
    """Action id -> what it runs, for every action of the table."""
    return {
        **_files(window),
        **_frames(window),
        **_views(window),
        **_labels(window),
        **_joints(window),
        **_objects(window),
    }


def _files(window: Window) -> dict[str, Run]:
    return {
        "file.save": window.shop.save,
        "file.save_as": window.save_with_comment,
        "file.quit": window.close,
        "edit.undo": window.edits.undo,
        "edit.redo": window.edits.redo,
        "edit.comment": window.comment_here,
        "edit.cancel": window.let_go,
        "help.palette": window.show_palette,
        "help.keys": window.show_keys,
    }


def _frames(window: Window) -> dict[str, Run]:
    def step(frames: int) -> Run:
        return lambda: window.go_to(window.frame + frames)

    return {
        "frame.first": lambda: window.go_to(0),
        "frame.back": step(-1),
        "frame.play": window.player.toggle,
        "frame.ahead": step(1),
        "frame.back_ten": step(-10),
        "frame.ahead_ten": step(10),
        "frame.back_hundred": step(-100),
        "frame.ahead_hundred": step(100),
        "frame.last": lambda: window.go_to(window.session.n_frames - 1),
        "frame.key_back": lambda: window.go_to_key(-1),
        "frame.key_ahead": lambda: window.go_to_key(1),
        "frame.choose": window.ask_frame,
        "frame.suggest": window.go_to_suggestion,
    }


def _views(window: Window) -> dict[str, Run]:
    def turn(yaw: float, pitch: float) -> Run:
        return lambda: window.panes.turning.set_orbit(
            window.panes.turning.orbit.turned(yaw * _TURN_RAD, pitch * _TURN_RAD)
        )

    def nearer(factor: float) -> Run:
        return lambda: window.panes.turning.set_orbit(window.panes.turning.orbit.nearer(factor))

    def zoom(factor: float) -> Run:
        return lambda: window.pair.zoom_active(factor)

    def pane(name: str) -> Run:
        return lambda: window.panes.show_pane(name)

    def tab(name: str) -> Run:
        return lambda: window.tabs.show_tab(name)

    return {
        **{f"view.{name}": window.layers_changed for name in ("mesh", "wire", "keypoints", "objects", "depth")},
        "view.follow": window.follow_toggled,
        "view.other": window.selection.other_view,
        "view.near": zoom(_ZOOM),
        "view.far": zoom(1 / _ZOOM),
        **{f"pane.{name}": pane(name) for name in ("scene", "object", "sensor")},
        "turn.left": turn(-1, 0),
        "turn.right": turn(1, 0),
        "turn.up": turn(0, 1),
        "turn.down": turn(0, -1),
        "turn.nearer": nearer(_NEARER),
        "turn.farther": nearer(1 / _NEARER),
        "turn.view": lambda: window.panes.look_as(window.selection.view),
        "turn.top": window.panes.look_from_above,
        **{f"tab.{name}": tab(name) for name in ("frame", "joints", "objects", "review")},
        "view.theme": window.toggle_theme,
        "view.full": lambda: window.showNormal() if window.isFullScreen() else window.showFullScreen(),
    }


def _labels(window: Window) -> dict[str, Run]:
    return {
        "label.accept": lambda: window.judge("accepted"),
        "label.reject": lambda: window.judge("rejected"),
        "label.accept_rest": window.edits.accept_good,
        "label.fit": window.shop.fit,
        "label.refit": window.shop.refit,
        "label.guess": window.shop.guess,
        "label.interpolate": window.edits.interpolate,
        "label.copy": lambda: window.edits.copy_from(-1),
        "label.copy_next": lambda: window.edits.copy_from(1),
        "label.swap": window.edits.swap_hands,
        "label.delete": window.edits.delete_label,
    }


def _joints(window: Window) -> dict[str, Run]:
    chosen, keys = window.selection, window.keys

    def finger(n: int) -> Run:
        return lambda: chosen.choose_finger(n)

    def arrow(way: str, *, far: bool) -> Run:
        return lambda: keys.arrow(way, far=far)

    ways = ("left", "right", "up", "down")
    return {
        "joint.side": chosen.other_side,
        "joint.wrist": lambda: chosen.choose_joint(0),
        **{f"joint.{name}": finger(n) for n, name in enumerate(FINGERS)},
        "joint.next": lambda: chosen.step_joint(1),
        "joint.previous": lambda: chosen.step_joint(-1),
        "joint.clicks": keys.toggle_placing,
        "joint.place": keys.place_here,
        "joint.remove": window.edits.remove_joint,
        "joint.lock": window.edits.toggle_lock,
        "joint.lock_all": lambda: window.edits.toggle_lock(others=True),
        "joint.occluded": window.edits.toggle_occluded,
        **{f"move.{way}": arrow(way, far=False) for way in ways},
        **{f"far.{way}": arrow(way, far=True) for way in ways},
    }


def _objects(window: Window) -> dict[str, Run]:
    chosen, keys = window.selection, window.keys

    def turn(axis: int, sign: int) -> Run:
        return lambda: keys.turn(axis, sign)

    return {
        "object.next": chosen.next_object,
        "object.move": keys.toggle_object_keys,
        "object.away": lambda: keys.away(1),
        "object.nearer": lambda: keys.away(-1),
        **{
            f"object.turn_{way}_about_the_{name}_axis": turn(axis, sign)
            for axis, name in enumerate(("first", "second", "third"))
            for way, sign in (("on", 1), ("back", -1))
        },
        "object.axes": keys.next_axes,
        "object.points": window.mark_points,
        "object.point_next": lambda: window.panes.step_point(1),
        "object.point_back": lambda: window.panes.step_point(-1),
        "object.place": lambda: window.edits.do(lambda: window.session.place_object(chosen.object_name, chosen.frame)),
        "object.remove": window.tabs_remove_point,
        "object.copy": window.edits.copy_object,
    }
