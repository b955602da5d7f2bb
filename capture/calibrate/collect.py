"""Collect shots of the board while a person moves it, and say what is still missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.detect import COARSE_PX, Detection, detect, make_detector, to_gray
from capture.calibrate.result import DepthPoints, Shot
from hoi_core.types import F64, I64, U8, Camera

GRID = (4, 6)
"""Rows and columns of the coverage map."""
# Four of these are held out to measure the error, sixteen are left to solve from.
_ENOUGH_SHOTS = 20
# The outermost cells are reached only by boards that are partly out of view.
_ENOUGH_CELLS = 0.5
_ENOUGH_TILT = 0.6
# Corners that move less than this from one image to the next belong to a board that is held still.
_STILL_SHARE = 0.5 / 640
# A shot is new when the board's outline differs by this share of the image's width from all shots before.
_NEW_SHARE = 0.04
# Spread of the board's normals (both components) with which tilt counts as complete: 15 degrees to either side.
_FULL_TILT = 0.25


@dataclass(frozen=True)
class ViewGuidance:
    """What one view has seen so far."""

    corners: int
    """Corners found in the last image."""
    corners_px: F64
    """(N, 2) px, to draw on the last image."""
    coverage: I64
    """(4, 6) how many accepted corners fell into each cell of the image."""
    count: int
    """Accepted shots in which the view saw the board."""
    tilt: float
    """Variety of the board's tilt, 0 to 1."""


@dataclass(frozen=True)
class Guidance:
    """What to do next."""

    accepted: bool
    """Whether the last images became a shot."""
    text: str
    """One sentence for the person with the board."""
    views: Mapping[str, ViewGuidance]
    """view -> what it has seen."""
    shots: int
    """Accepted shots."""
    progress: float
    """0 to 1."""
    ready: bool
    """Whether there is enough to calibrate."""


class Collector:
    """Chooses shots from a stream of images: the board still, seen by two views, and not where it was before.

    Args:
        board: what the person holds.
        views: names of the views, the reference first.
        factory: cameras as the factory knows them, where it does; needed for coarse sensors.
    """

    def __init__(self, board: Board, views: Sequence[str], factory: Mapping[str, Camera] | None = None) -> None:
        self.board = board
        self.views = tuple(views)
        self.factory = dict(factory or {})
        self._detector = make_detector(board)
        self._shots: list[Shot] = []
        self._outlines: list[dict[str, F64]] = []
        self._normals: dict[str, list[F64]] = {view: [] for view in self.views}
        self._coverage = {view: np.zeros(GRID, dtype=np.int64) for view in self.views}
        self._last: dict[str, Detection] = {}

    @property
    def shots(self) -> tuple[Shot, ...]:
        """Accepted shots, for `calibrate`."""
        return tuple(self._shots)

    @property
    def detections(self) -> tuple[Mapping[str, Detection], ...]:
        """Accepted corners by view, one mapping for each shot."""
        return tuple(shot.detections for shot in self._shots)

    def add(self, images: Mapping[str, U8], depth: Mapping[str, DepthPoints] | None = None) -> Guidance:
        """Look at the newest image of each view.

        Args:
            images: view -> `(H, W, 3)` RGB or `(H, W)`.
            depth: view -> depth in the colour camera's frame, see `live.depth_points`.
        """
        grays = {view: to_gray(image) for view, image in images.items() if view in self._coverage}
        coarse = {view: gray for view, gray in grays.items() if gray.shape[1] < COARSE_PX}
        searched = {v: detect(self.board, gray, self._detector) for v, gray in grays.items() if v not in coarse}
        found = {view: detection for view, detection in searched.items() if detection is not None}
        still = self._still(found)
        self._last = found
        outlines = {view: self._outline(detection) for view, detection in found.items()}
        needed = min(2, len([view for view in self.views if view not in coarse]))
        accepted = len(found) >= needed and still and self._new(outlines)
        if accepted:
            self._accept(found, coarse, depth or {}, outlines)
        return self._guidance(found, searched, accepted=accepted, still=still)

    def _still(self, found: Mapping[str, Detection]) -> bool:
        if not found or not set(found) <= set(self._last):
            return False
        return all(_moved(self._last[v], now) < _STILL_SHARE * now.size[0] for v, now in found.items())

    def _outline(self, detection: Detection) -> F64:
        """The board's outline as shares of the image's width, `(4, 2)`."""
        points = self.board.corners_m[detection.ids, :2]
        H, _ = cv2.findHomography(points, detection.corners_px)
        if H is None:
            return np.full((4, 2), np.inf)
        outline = cv2.perspectiveTransform(self.board.outline_m[None, :, :2], H)[0]
        return np.asarray(outline / detection.size[0], dtype=np.float64)

    def _new(self, outlines: Mapping[str, F64]) -> bool:
        for earlier in self._outlines:
            both = set(earlier) & set(outlines)
            if set(outlines) <= both and all(
                np.abs(earlier[view] - outlines[view]).mean() < _NEW_SHARE for view in both
            ):
                return False
        return True

    def _accept(
        self,
        found: Mapping[str, Detection],
        coarse: Mapping[str, U8],
        depth: Mapping[str, DepthPoints],
        outlines: dict[str, F64],
    ) -> None:
        name = f"{len(self._shots):03d}"
        on_board = {view: points.within(found[view]) for view, points in depth.items() if view in found}
        self._shots.append(Shot(dict(found), {view: gray.copy() for view, gray in coarse.items()}, on_board, name))
        self._outlines.append(outlines)
        for view, detection in found.items():
            self._coverage[view] += _cells(detection)
            self._normals[view].append(self._normal(view, detection))

    def _normal(self, view: str, detection: Detection) -> F64:
        """The board's normal in the camera's frame, roughly. `(3,)`."""
        camera = self.factory.get(view)
        width, height = detection.size
        focal = camera.fx if camera is not None else 0.95 * width
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        points = self.board.corners_m[detection.ids]
        _, turns, _, _ = cv2.solvePnPGeneric(points, detection.corners_px, K, None, flags=cv2.SOLVEPNP_IPPE)
        return np.asarray(cv2.Rodrigues(turns[0])[0][:, 2])

    def _guidance(
        self,
        found: Mapping[str, Detection],
        searched: Mapping[str, Detection | None],
        *,
        accepted: bool,
        still: bool,
    ) -> Guidance:
        views = {}
        for view in self.views:
            seen = found.get(view)
            count = sum(view in shot.detections or view in shot.images for shot in self._shots)
            corners = seen.corners_px if seen is not None else np.zeros((0, 2))
            tilt = _variety(self._normals[view])
            views[view] = ViewGuidance(len(corners), corners, self._coverage[view].copy(), count, tilt)
        fine = {view: guidance for view, guidance in views.items() if view in searched}
        done = [min(len(self._shots) / _ENOUGH_SHOTS, 1.0)]
        for guidance in fine.values():
            done.append(min((guidance.coverage > 0).mean() / _ENOUGH_CELLS, 1.0))
            done.append(min(guidance.tilt / _ENOUGH_TILT, 1.0))
        ready = bool(fine) and min(done) >= 1.0
        text = _advice(fine, found, accepted=accepted, still=still, ready=ready)
        return Guidance(accepted, text, views, len(self._shots), float(np.mean(done)), ready)


def _cells(detection: Detection) -> I64:
    """How many corners fall into each cell, `(4, 6)`."""
    share = detection.corners_px / detection.size
    row = np.clip((share[:, 1] * GRID[0]).astype(int), 0, GRID[0] - 1)
    column = np.clip((share[:, 0] * GRID[1]).astype(int), 0, GRID[1] - 1)
    counts = np.zeros(GRID, dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    return counts


def _moved(before: Detection, now: Detection) -> float:
    """Median movement of the corners that both images show, px; infinite without any."""
    _, a, b = np.intersect1d(before.ids, now.ids, return_indices=True)
    if not len(a):
        return float("inf")
    return float(np.median(np.linalg.norm(before.corners_px[a] - now.corners_px[b], axis=1)))


def _variety(normals: Sequence[F64]) -> float:
    if len(normals) < 3:
        return 0.0
    spread = np.std(np.stack(normals)[:, :2], axis=0).min()
    return float(min(spread / _FULL_TILT, 1.0))


def _advice(
    views: Mapping[str, ViewGuidance], found: Mapping[str, Detection], *, accepted: bool, still: bool, ready: bool
) -> str:
    if ready:
        return "Enough: calibrate now, or go on for more accuracy."
    if accepted:
        return "Taken. Move the board to another place and tilt it differently."
    missing = [view for view in views if view not in found]
    if missing:
        return f"Show the whole board to {' and '.join(missing)}."
    if not still:
        return "Hold the board still for a moment."
    least = min(views, key=lambda view: (views[view].coverage > 0).sum())
    if (views[least].coverage > 0).mean() < _ENOUGH_CELLS:
        return f"Move the board to {_emptiest(views[least].coverage)} of the image of {least}."
    flattest = min(views, key=lambda view: views[view].tilt)
    if views[flattest].tilt < _ENOUGH_TILT:
        return f"Tilt the board more, left and right, up and down, as {flattest} sees it."
    return "Move the board to another place, nearer or farther."


def _emptiest(coverage: I64) -> str:
    """The part of the image with the fewest corners, in words."""
    thirds = {"left": slice(0, 2), "middle": slice(2, 4), "right": slice(4, 6)}
    halves = {"upper": slice(0, 2), "lower": slice(2, 4)}
    parts = {f"the {half} {third}": coverage[halves[half], thirds[third]] for half in halves for third in thirds}
    return min(parts, key=lambda name: int(parts[name].sum()))
