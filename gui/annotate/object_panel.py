# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the recording: their labels, the points clicked on them, and how keys move them."""

from __future__ import annotations

from collections.abc import Sequence

from gui.panels.segments import Segments
from gui.qt import Qt, QtWidgets, Signal
from gui.sessions import AnnotationSession
from hoi_core.errors import HoiError
from hoi_core.types import STATUSES

from .buttons import button_row
from .selection import Selection

AXES = (("view", "View"), ("object", "Object"), ("world", "World"))


class ObjectPanel(QtWidgets.QWidget):
    """Which object, what is known of it at the frame, its clicks.

    Signals:
        axes_chosen(axes): keys move the object along these.
        point_removed(index): a person takes a click back.
    """

    axes_chosen = Signal(str)
    point_removed = Signal(int)

    def __init__(self, session: AnnotationSession, selection: Selection, buttons: Sequence[QtWidgets.QAction]) -> None:
        super().__init__()
        self._session, self._selection = session, selection
        self.names = QtWidgets.QComboBox()
        self.names.addItems(list(session.object_names))
        self.names.setFocusPolicy(Qt.ClickFocus)
        self.names.textActivated.connect(selection.choose_object)
        self.state = QtWidgets.QLabel(objectName="strong")
        self.hint = QtWidgets.QLabel(objectName="muted")
        for label in (self.state, self.hint):
            label.setWordWrap(True)
        self.points = QtWidgets.QListWidget()
        self.points.setFocusPolicy(Qt.ClickFocus)
        self.axes = Segments(AXES, stretch=True)
        self.axes.chosen.connect(self.axes_chosen)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 10)
        column.setSpacing(6)
        column.addWidget(self.names)
        column.addWidget(self.state)
        column.addWidget(self.hint)
        column.addWidget(self.points, 1)
        caption = QtWidgets.QLabel("Keys move along the axes of the", objectName="muted")
        column.addWidget(caption)
        column.addWidget(self.axes)
        column.addLayout(button_row(buttons))

    def refresh(self) -> None:
        """Show the chosen frame and object."""
        name, frame = self._selection.object_name, self._selection.frame
        self.names.setVisible(bool(name))
        if not name:
            self.state.setText("No objects")
            self.hint.setText("This recording names no object; objects.csv and the recording's header list them.")
            self.points.clear()
            return
        self.names.setCurrentText(name)
        track = self._session.revision.objects.get(name)
        labelled = track is not None and bool(track.valid[frame])
        self.state.setText(f"Label: {STATUSES[track.status[frame]]}" if track is not None and labelled else "No label")
        self.hint.setText(self._hint(name))
        self._list_points(name, frame)

    def _hint(self, name: str) -> str:
        try:
            vertices_m, faces = self._session.object_mesh(name)
        except HoiError as error:
            return str(error)
        size_mm = 1e3 * (vertices_m.max(0) - vertices_m.min(0))
        size = " × ".join(f"{value:.0f}" for value in size_mm)
        return f"{len(faces)} faces, {size} mm. Mark four points or more, then place it."

    def _list_points(self, name: str, frame: int) -> None:
        self.points.clear()
        held = self._session.revision.object_points.get(name)
        for k in range(len(held.moment)) if held is not None else ():
            if held is None or held.moment[k] != frame:
                continue
            u, v = held.point_px[k]
            item = QtWidgets.QListWidgetItem(f"{held.view[k]}  {u:.1f}, {v:.1f} px")
            item.setData(Qt.UserRole, k)
            self.points.addItem(item)

    def remove_point(self) -> bool:
        """Ask to take back the chosen click, or the last one; False where there is none."""
        item = self.points.currentItem() or self.points.item(self.points.count() - 1)
        if item is None:
            return False
        self.point_removed.emit(int(item.data(Qt.UserRole)))
        return True
