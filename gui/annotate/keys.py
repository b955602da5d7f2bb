# SPDX-License-Identifier: GPL-3.0-or-later
"""What arrows and Enter do: they move the chosen joint, the object, or the cross-hair with which points are placed."""

from __future__ import annotations

import math

from gui.qt import QtCore, Signal
from gui.sessions import AnnotationSession

from .edits import Edits
from .grab import Grab, Hold
from .object_panel import AXES
from .pair import CanvasPair
from .selection import Selection
from .side_panes import SidePanes

_STEP_M = 1e-3
_STEP_RAD = math.radians(1.0)
_FAR = 10
_ARROWS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


class Keys(QtCore.QObject):
    """Acts on the chosen joint or object in the active view.

    Signals:
        told(kind, title, hint): why a key did nothing.
        axes_changed(axes): keys move the object along others.
    """

    told = Signal(str, str, str)
    axes_changed = Signal(str)

    def __init__(
        self, session: AnnotationSession, selection: Selection, edits: Edits, grab: Grab, pair: CanvasPair
    ) -> None:
        super().__init__(pair)
        self._session, self._selection, self._edits = session, selection, edits
        self._grab, self._pair = grab, pair
        self.panes: SidePanes | None = None
        self.axes = AXES[0][0]
        self._cursor_px: tuple[float, float] | None = None

    def arrow(self, way: str, *, far: bool = False) -> None:
        """Move what is chosen by a pixel or a millimetre, or ten."""
        (x, y), step = _ARROWS[way], _FAR if far else 1
        chosen = self._selection
        if chosen.placing:
            u, v = self.cursor_px()
            self._set_cursor((u + step * x, v + step * y))
        elif chosen.target == "object":
            # Up on the screen is against the y axis of a camera, and along that of the other axes.
            up = 1.0 if self.axes == "view" else -1.0
            self.nudge((step * x * _STEP_M, step * up * y * _STEP_M, 0.0), (0.0, 0.0, 0.0))
        else:
            self._move_joint(step * x, step * y)

    def _move_joint(self, du: float, dv: float) -> None:
        chosen, grab = self._selection, self._grab
        if chosen.joint is None:
            self.told.emit(
                "info", "No joint is chosen.", "Keys 1 to 5 choose a finger, 0 the wrist, Tab the next joint."
            )
            return
        wanted = Hold(chosen.side, chosen.joint, chosen.view, chosen.frame)
        if grab.hold != wanted:
            at_px = self._pair.joint_px(chosen.view, chosen.side, chosen.joint)
            if at_px is None:
                self.told.emit("info", "This joint is nowhere in this view yet.", "P, arrows and Enter place it.")
                return
            grab.grip(wanted, at_px)
        grab.move(grab.at_px[0] + du, grab.at_px[1] + dv, keys=True)

    def nudge(self, shift_m: tuple[float, float, float], turn_rad: tuple[float, float, float]) -> None:
        """Move and turn the chosen object."""
        chosen = self._selection
        if not chosen.object_name:
            self.told.emit("info", "This recording names no object.", "")
            return
        axes = f"camera:{chosen.view}" if self.axes == "view" else self.axes
        self._edits.do(lambda: self._session.nudge_object(chosen.object_name, chosen.frame, shift_m, turn_rad, axes))

    def away(self, sign: int) -> None:
        """Move the object along the third axis."""
        self.nudge((0.0, 0.0, sign * _STEP_M), (0.0, 0.0, 0.0))

    def turn(self, axis: int, sign: int) -> None:
        """Turn the object about an axis, 0 to 2."""
        turn_rad = [0.0, 0.0, 0.0]
        turn_rad[axis] = sign * _STEP_RAD
        self.nudge((0.0, 0.0, 0.0), (turn_rad[0], turn_rad[1], turn_rad[2]))

    def next_axes(self) -> None:
        """Move the object along other axes."""
        names = [key for key, _ in AXES]
        self.set_axes(names[(names.index(self.axes) + 1) % len(names)])

    def set_axes(self, axes: str) -> None:
        """Move the object along these axes."""
        self.axes = axes
        self.axes_changed.emit(axes)

    def toggle_placing(self) -> None:
        """Begin or end to place joints by clicks."""
        on = not (self._selection.placing and self._selection.target == "joint")
        self._selection.target = "joint"
        if on and self._selection.joint is None:
            self._selection.joint = 0
        self._selection.set_placing(on=on)

    def toggle_object_keys(self) -> None:
        """Let keys move the object, or the joint again."""
        self._selection.placing = False
        self._selection.set_target("object" if self._selection.target == "joint" else "joint")

    def place_here(self) -> None:
        """Click where the cross-hair is; without one, where the chosen joint is shown."""
        chosen = self._selection
        if chosen.placing:
            self.place(chosen.view, *self.cursor_px())
            self.show_cursor()
            return
        self._grab.release()
        at_px = None if chosen.joint is None else self._pair.joint_px(chosen.view, chosen.side, chosen.joint)
        if at_px is None:
            self.told.emit("info", "There is no chosen joint in this view.", "Choose one; P places it by arrows.")
        else:
            self.place(chosen.view, *at_px)

    def place(self, view: str, u: float, v: float) -> None:
        """Click the chosen joint, or the chosen point of the mesh, at a pixel of a view."""
        chosen = self._selection
        chosen.choose_view(view)
        if chosen.target == "joint":
            self._grab.release()
            self._edits.place_joint(view, u, v)
            self._cursor_px = None
            return
        point_m = None if self.panes is None else self.panes.point_m
        if point_m is None:
            self.told.emit("info", "No point of the mesh is chosen.", "Click the mesh on the right, or press ].")
            return
        self._edits.do(
            lambda: self._session.add_object_point(
                chosen.object_name, chosen.frame, view, (u, v), [float(c) for c in point_m]
            )
        )

    def cursor_px(self) -> tuple[float, float]:
        """Where the cross-hair is: where it was moved, where the joint is shown, or in the middle."""
        chosen = self._selection
        if self._cursor_px is not None:
            return self._cursor_px
        at_px = None
        if chosen.target == "joint" and chosen.joint is not None:
            at_px = self._pair.joint_px(chosen.view, chosen.side, chosen.joint)
        return at_px or self._pair.middle_px(chosen.view)

    def _set_cursor(self, at_px: tuple[float, float] | None) -> None:
        self._cursor_px = at_px
        self.show_cursor()

    def forget_cursor(self) -> None:
        """Something else is chosen: the cross-hair begins anew."""
        self._set_cursor(None)

    def show_cursor(self) -> None:
        """Show the cross-hair in the active view while points are placed by keys."""
        for view, canvas in self._pair.canvases.items():
            shown = self._selection.placing and view == self._selection.view and canvas.has_image
            canvas.set_cursor(self.cursor_px() if shown else None)
