# SPDX-License-Identifier: GPL-3.0-or-later
"""The views side by side: what each shows of the frame, zoomed on the hand, linked by epipolar lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gui.frame_facts import judge, score
from gui.image_view import ImageView
from gui.qt import QtCore, QtWidgets, Signal
from gui.sessions import AnnotationSession, DragView
from gui.theme import Theme
from hoi_core import draw
from hoi_core.conventions import Side
from hoi_core.errors import HoiError

from .canvas import Canvas
from .grab import Grab, Hold
from .picture import (
    Body,
    Layers,
    Overlay,
    Picture,
    base_image,
    bodies,
    ellipse_px,
    hand_box,
    hand_marks,
    hand_rgb,
    object_clicks,
    overlay,
)
from .selection import Selection

# Size of the zoomed hand relative to the picture; leaves room for the object.
_HAND_SHARE = 0.5


class CanvasPair(QtWidgets.QWidget):
    """One canvas for every view.

    Signals:
        failed(HoiError): an image cannot be read.
    """

    failed = Signal(object)

    def __init__(self, session: AnnotationSession, selection: Selection, grab: Grab, theme: Theme) -> None:
        super().__init__()
        self._session, self._selection, self._grab = session, selection, grab
        self.layers = Layers()
        self.follow = True
        self._zoom: dict[str, float] = {}
        self._stays: dict[str, Overlay | None] = {}
        self._stays_for: Hold | None = None
        self.canvases = {view: Canvas(theme, view, selection) for view in session.views}
        self._sensor: ImageView | None = None
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        for canvas in self.canvases.values():
            canvas.editable = not session.read_only
            row.addWidget(canvas, 1)
            canvas.hovered.connect(self._hovered)
            canvas.touched.connect(selection.choose_view)
        grab.followed.connect(self.show_drag)

    def draw(self) -> None:
        """Show the chosen frame with the labels as they are."""
        self._stays_for = None
        session, frame = self._session, self._selection.frame
        if not session.n_frames:
            return
        shown = bodies(session, frame, self.layers)
        level = judge(float(score(session.revision)[frame]))
        for view, canvas in self.canvases.items():
            canvas.let_go()
            canvas.empty_text = "no image from this view at this moment"
            canvas.set_picture(self._picture(view, frame, shown))
            if self.follow:
                self._follow(view, frame)
            index = session.revision.frame_index.get(view, np.arange(session.n_frames))[frame]
            canvas.set_state(level, f"image {index}" if index >= 0 else "missing")
        self.show_link()

    def _picture(self, view: str, frame: int, shown: list[Body]) -> Picture:
        session, camera = self._session, self._session.camera(view)
        try:
            image = base_image(session, view, frame, self.layers)
        except HoiError as error:
            self.failed.emit(error)
            return Picture()
        if image is None:
            return Picture()
        marks = hand_marks(session, view, frame, camera) if self.layers.keypoints else ()
        return Picture(
            image,
            overlay(shown, camera, wireframe=self.layers.wireframe),
            hands=marks,
            ellipse=self._ellipse(view) if self.layers.keypoints else None,
            object_px=object_clicks(session, view, frame) if self.layers.objects else np.zeros((0, 2)),
        )

    def _ellipse(self, view: str) -> tuple[float, float, float, float, float] | None:
        chosen, track = self._selection, self._session.revision.hands.get(self._selection.side)
        if chosen.joint is None or track is None or not track.valid[chosen.frame]:
            return None
        joint_m, covariance_m2 = (field[chosen.frame, chosen.joint] for field in (track.joints_m, track.joint_cov_m2))
        return ellipse_px(self._session.camera(view), joint_m, covariance_m2)

    def show_drag(self, drag: DragView) -> None:
        """Show a hand that is being dragged in place of its label."""
        hold, session = self._grab.hold, self._session
        if hold is None:
            return
        if self._stays_for != hold:
            others = bodies(session, hold.frame, self.layers, without=hold.side)
            wires = self.layers.wireframe
            self._stays = {v: overlay(others, session.camera(v), wireframe=wires, scale=1) for v in self.canvases}
            self._stays_for = hold
        # Coarser, and over what stays rather than in its midst, so that the hand keeps up with the pointer.
        hand = Body(np.asarray(drag.vertices_m), session.faces(hold.side), hand_rgb(session, hold.side, hold.frame))
        shown = [hand] if self.layers.mesh else []
        for view, canvas in self.canvases.items():
            camera = session.camera(view)
            joints_px = draw.world_to_pixels(camera, np.asarray(drag.joints_m))
            hands = tuple(
                replace(marks, joints_px=joints_px) if marks.side == hold.side else marks
                for marks in canvas.picture.hands
            )
            over: Overlay | None = overlay(shown, camera, wireframe=self.layers.wireframe, scale=1)
            behind = self._stays[view]
            canvas.set_picture(replace(canvas.picture, overlay=over, behind=behind, hands=hands, ellipse=None))
        self.show_link()

    def show_held_point(self) -> None:
        """Show the point under the pointer at once; the hand follows when its fit is there."""
        hold = self._grab.hold
        if hold is None or hold.view not in self.canvases:
            return
        self.canvases[hold.view].set_held(hold.side, hold.joint, self._grab.at_px)
        self.show_link()

    def zoom_on_hands(self) -> None:
        """Zoom by what fits the hand over the whole sequence, or show everything again."""
        count = self._session.n_frames
        for view, canvas in self.canvases.items():
            some = range(0, count, max(count // 30, 1))
            sizes = [box[2] for box in (hand_box(self._session, view, n) for n in some) if box is not None]
            self._zoom[view] = _HAND_SHARE / max(float(np.median(sizes)), 0.05) if sizes else 1.0
            canvas.look_at(0.5, 0.5, self._zoom[view] if self.follow else 1.0)

    def zoom_active(self, factor: float) -> None:
        """Zoom the active view about its middle."""
        canvas = self.canvases[self._selection.view]
        size = canvas.image_size
        u, v = self.middle_px(self._selection.view)
        canvas.look_at((u + 0.5) / max(size[0], 1), (v + 0.5) / max(size[1], 1), canvas.zoom * factor)

    def _follow(self, view: str, frame: int) -> None:
        box = None if self._grab.held else hand_box(self._session, view, frame)
        if box is not None:
            self.canvases[view].look_at(box[0], box[1])

    def _hovered(self, view: str, side: Side, joint: int) -> None:
        if joint < 0:
            self.show_link()
        else:
            self._link(view, side, joint)

    def show_link(self) -> None:
        """Show where the held or chosen joint of the active view may lie in the others."""
        chosen, hold = self._selection, self._grab.hold
        if hold is not None:
            self._link(hold.view, hold.side, hold.joint)
        elif chosen.joint is not None and self.layers.keypoints and chosen.target == "joint":
            self._link(chosen.view, chosen.side, chosen.joint)
        else:
            for canvas in self.canvases.values():
                canvas.set_epipolar(np.zeros((0, 2)))

    def _link(self, view: str, side: Side, joint: int) -> None:
        at_px = self.joint_px(view, side, joint)
        for other, canvas in self.canvases.items():
            line = np.zeros((0, 2))
            if other != view and at_px is not None:
                line = np.asarray(self._session.epipolar(view, at_px, other))
            canvas.set_epipolar(line)

    def joint_px(self, view: str, side: Side, joint: int) -> tuple[float, float] | None:
        """Where a joint is in a view: as held, as clicked or detected, as labelled; None where it is nowhere."""
        hold = self._grab.hold
        if hold is not None and (hold.view, hold.side, hold.joint) == (view, side, joint):
            return self._grab.at_px
        for marks in self.canvases[view].picture.hands:
            if marks.side == side:
                for place in (marks.evidence_px[joint, :2], marks.joints_px[joint]):
                    if np.isfinite(place).all():
                        return float(place[0]), float(place[1])
        return None

    def middle_px(self, view: str) -> tuple[float, float]:
        """The pixel in the middle of what a view shows."""
        canvas = self.canvases[view]
        return canvas.to_image(QtCore.QPointF(canvas.area().center()))
