# SPDX-License-Identifier: GPL-3.0-or-later
"""The live pictures: two large views, and a row of small ones for depth and the 128 x 128 sensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gui.feed import Picture, Wanted
from gui.health import rate_level
from gui.image_view import CAPTION_PX, ImageView
from gui.panels.verdict import level_of
from gui.pictures import MODE_NAMES, source, title
from gui.qt import Qt, QtCore, QtGui, QtWidgets, Signal
from gui.theme import Theme
from hoi_core.types import StreamInfo

if TYPE_CHECKING:
    from capture.hand_watch import Sight

_DEFAULT_VIEWS = ("left", "right")
_DEFAULT_SENSOR = "edge128"
# Least and most of the height that goes to the large pictures.
_LARGE_SHARE = (0.5, 0.69)


@dataclass(frozen=True)
class Place:
    """What a picture shows."""

    view: str
    """Name of a view or sensor."""
    mode: str
    """What is shown of it."""


class LiveViews(QtWidgets.QWidget):
    """Two large pictures that follow the mode, and four small ones; a click on a caption changes one alone.

    Args:
        theme: the colours.
        zoomable: whether the wheel zooms into pictures.
        beside: whether the small ones stand beside the large ones, not below.

    Signals:
        wanted(tuple of Wanted): what there is room for now.
    """

    wanted = Signal(object)

    def __init__(self, theme: Theme, *, zoomable: bool = False, beside: bool = False) -> None:
        super().__init__()
        self._infos: dict[str, StreamInfo] = {}
        self.mode = "color"
        self.large = [ImageView(theme, "", zoomable=zoomable) for _ in range(2)]
        self.small = [ImageView(theme, "", zoomable=zoomable) for _ in range(4)]
        self.places: list[Place] = []
        self._fps: Mapping[str, float] = {}
        self._rows: QtWidgets.QVBoxLayout | None = None
        if beside:
            self._lay_out_beside()
        else:
            self._lay_out_below()
        for n, view in enumerate(self.views):
            view.caption_clicked.connect(lambda at, n=n: self._show_menu(n, at))
            view.resized.connect(self.ask)
        self.set_streams(())

    def _lay_out_below(self) -> None:
        rows = QtWidgets.QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(10)
        # Widths follow the pictures' own shapes: 4:3 from the cameras, square from the sensor.
        for views, widths in ((self.large, (1, 1)), (self.small, (4, 4, 3, 3))):
            row = QtWidgets.QHBoxLayout()
            row.setSpacing(10)
            for view, width in zip(views, widths, strict=True):
                row.addWidget(view, width)
            rows.addLayout(row, 1)
        self._rows = rows

    def resizeEvent(self, event: QtGui.QResizeEvent | None) -> None:
        """Give the large pictures the height that they can fill, and the small ones the rest."""
        super().resizeEvent(event)
        if self._rows is not None:
            filled = (0.375 * self.width() + CAPTION_PX) / max(self.height(), 1)
            share = min(max(filled, _LARGE_SHARE[0]), _LARGE_SHARE[1])
            self._rows.setStretch(0, round(1000 * share))
            self._rows.setStretch(1, round(1000 * (1 - share)))

    def _lay_out_beside(self) -> None:
        """The small ones two by two on the right, for a window that is wider than high."""
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        for view in self.large:
            row.addWidget(view, 35)
        grid = QtWidgets.QGridLayout()
        grid.setSpacing(10)
        for n, view in enumerate(self.small):
            grid.addWidget(view, n // 2, n % 2)
        row.addLayout(grid, 34)

    @property
    def views(self) -> list[ImageView]:
        """All pictures, the large ones first."""
        return [*self.large, *self.small]

    def set_streams(self, streams: Sequence[StreamInfo]) -> None:
        """Tell what the session delivers; nothing while no rig is open."""
        self._infos = {info.name: info for info in streams}
        self._fps = {}
        self._place()

    def set_mode(self, mode: str) -> None:
        """Show this in the large views; the small ones show what that leaves out."""
        self.mode = mode
        self._place()

    def set_place(self, n: int, mode: str, view: str = "") -> None:
        """Show another modality in one picture, or another view too, until the mode is changed."""
        self.places[n] = Place(view or self.places[n].view, mode)
        self._title(n)
        self.ask()

    def modes(self, view: str) -> tuple[str, ...]:
        """What can be shown of a view."""
        names = frozenset(self._infos)
        return tuple(mode for mode in MODE_NAMES if source(view, mode, names))

    def set_empty_text(self, text: str) -> None:
        """Say why there are no pictures."""
        for view in self.views:
            view.empty_text = text
            view.update()

    def show_pictures(self, pictures: Sequence[Picture]) -> None:
        """Paint what is ready; a picture for a place that shows something else by now is dropped."""
        for made in pictures:
            n = made.wanted.place
            if (
                n < len(self.places)
                and self.stream_of(n) == made.wanted.stream
                and self.places[n].mode == made.wanted.mode
            ):
                self.views[n].set_image(made.pixels)

    def show_rates(self, fps: Mapping[str, float]) -> None:
        """Show size and measured rate in each caption."""
        self._fps = fps
        for n in range(len(self.places)):
            self._caption(n)

    def show_hands(self, seen: Mapping[str, Sight]) -> None:
        """Mark in the large pictures whether a network sees a hand in them."""
        for n, view in enumerate(self.large):
            found = seen.get(self.places[n].view)
            view.set_mark(level_of(found.level) if found else "idle", found.mark if found else "")
            if (tip := found.text if found else "") != view.toolTip():
                view.setToolTip(tip)

    def _place(self) -> None:
        """Assign views and modes to the pictures."""
        views = tuple(dict.fromkeys(n.split("/")[0] for n, i in self._infos.items() if i.kind != "sensor"))
        sensors = tuple(dict.fromkeys(n.split("/")[0] for n, i in self._infos.items() if i.kind == "sensor"))
        views, sensor = views or _DEFAULT_VIEWS, (sensors or (_DEFAULT_SENSOR,))[0]
        second = "color" if self.mode == "depth" else "depth"
        if len(views) == 1:
            self.places = [Place(views[0], mode) for mode in (self.mode, second)]
            rest = [mode for mode in ("color", "gray", "edge", "depth") if mode not in (self.mode, second)]
            self.places += [Place(views[0], mode) for mode in rest]
        else:
            self.places = [Place(view, self.mode) for view in views[:2]]
            self.places += [Place(view, second) for view in views[:2]]
        self.places += [Place(sensor, "gray"), Place(sensor, "edge")]
        for n in range(len(self.places)):
            self._title(n)
        self.ask()

    def stream_of(self, n: int) -> str:
        """The stream that a picture is made from; empty if there is none."""
        place = self.places[n]
        return source(place.view, place.mode, frozenset(self._infos))

    def _title(self, n: int) -> None:
        place, view = self.places[n], self.views[n]
        view.title = title(place.view, place.mode)
        view.smooth = not any(c.isdigit() for c in place.view)
        view.set_image(None)
        self._caption(n)

    def _caption(self, n: int) -> None:
        view, info = self.views[n], self._infos.get(self.stream_of(n))
        rate = self._fps.get(info.name) if info is not None else None
        view.set_stale(stale=rate is not None and rate <= 0)
        if info is None:
            view.set_state("idle", "not in this rig" if self._infos else "")
            return
        if rate is None:
            view.set_state("idle", "")
            return
        size = f"{info.shape[1]} × {info.shape[0]}"
        words = f"{rate:.0f} fps" if n >= len(self.large) else f"{size}  ·  {rate:.1f} fps"
        view.set_state(rate_level(rate, info.fps), words)

    def ask(self) -> None:
        """Tell again what there is room for."""
        ratio = self.devicePixelRatioF()
        asked = []
        for n, place in enumerate(self.places):
            stream, area = self.stream_of(n), self.views[n].area()
            if stream and self.views[n].isVisible():
                room = (max(int(area.width() * ratio), 1), max(int(area.height() * ratio), 1))
                asked.append(Wanted(n, stream, place.mode, room))
        self.wanted.emit(tuple(asked))

    def showEvent(self, event: QtGui.QShowEvent | None) -> None:
        """Ask for pictures again."""
        super().showEvent(event)
        QtCore.QTimer.singleShot(0, self.ask)

    def hideEvent(self, event: QtGui.QHideEvent | None) -> None:
        """Ask for none while nobody looks."""
        super().hideEvent(event)
        self.wanted.emit(())

    def _show_menu(self, n: int, at: QtCore.QPoint) -> None:
        menu = QtWidgets.QMenu(self)
        menu.setAttribute(Qt.WA_DeleteOnClose)
        for view in dict.fromkeys(name.split("/")[0] for name in self._infos):
            menu.addSeparator()
            for mode in self.modes(view):
                entry = menu.addAction(title(view, mode))
                entry.setCheckable(True)
                entry.setChecked(self.places[n] == Place(view, mode))
                entry.triggered.connect(lambda _checked=False, mode=mode, view=view: self.set_place(n, mode, view))
        if not menu.isEmpty():
            menu.popup(at)
