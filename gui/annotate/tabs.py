# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels beside the timeline, of which one is shown: frame, joints, objects, review."""

from __future__ import annotations

from collections.abc import Mapping

from gui.panels.frame_info import FrameInfo
from gui.panels.segments import Segments
from gui.qt import QtWidgets
from gui.sessions import AnnotationSession
from gui.theme import Theme

from .joint_panel import JointPanel
from .object_panel import ObjectPanel
from .review_panel import ReviewPanel
from .selection import Selection

_TABS = (("frame", "Frame"), ("joints", "Joints"), ("objects", "Objects"), ("review", "Review"))
_JOINT_BUTTONS = ("joint.place", "joint.lock", "joint.occluded", "joint.remove")
_OBJECT_BUTTONS = ("object.points", "object.place", "object.move")


class Tabs(QtWidgets.QFrame):
    """A row of names over the panel that is chosen."""

    def __init__(
        self,
        session: AnnotationSession,
        selection: Selection,
        actions: Mapping[str, QtWidgets.QAction],
        theme: Theme,
    ) -> None:
        super().__init__()
        self.setObjectName("card")
        self.frame = FrameInfo(theme)
        self.joints = JointPanel(session, selection, [actions[name] for name in _JOINT_BUTTONS], theme)
        self.objects = ObjectPanel(session, selection, [actions[name] for name in _OBJECT_BUTTONS])
        self.review = ReviewPanel(session, selection, theme)
        self._pages = {"frame": self.frame, "joints": self.joints, "objects": self.objects, "review": self.review}
        self.names = Segments(_TABS, stretch=True)
        self.names.chosen.connect(self.show_tab)
        self.stack = QtWidgets.QStackedWidget()
        for page in self._pages.values():
            self.stack.addWidget(page)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 4)
        column.setSpacing(2)
        column.addWidget(self.names)
        column.addWidget(self.stack, 1)

    def show_tab(self, name: str) -> None:
        """Show `frame`, `joints`, `objects` or `review`."""
        self.names.choose(name)
        self.stack.setCurrentWidget(self._pages[name])
        self.refresh()

    def refresh(self) -> None:
        """Show the chosen frame in the panel that is seen; the frame's own is filled by the window."""
        page = self.stack.currentWidget()
        if isinstance(page, JointPanel | ObjectPanel):
            page.refresh()
