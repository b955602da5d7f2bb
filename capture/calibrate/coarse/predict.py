"""What a coarse sensor sees of the board: its pixels are too wide for corners, so whole images are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from capture.calibrate import lens as optics
from capture.calibrate.board import Board
from hoi_core import camera as cam
from hoi_core.types import F32, F64, Bool, Camera

_FINE = 3
_TEXTURE_PX = 20
_MARGIN_PX = 6
_EDGE_PX = 3
# A pixel counts where this much of what it sees, blur included, is board.
_ON_BOARD = 0.985


@dataclass(frozen=True)
class Prediction:
    """The board in one image, in a window of it."""

    corner: tuple[int, int]
    """Column and row of the window's first pixel."""
    image: F64
    """(h, w) brightness, 0 black to 1 white."""
    inside: Bool
    """(h, w) whether the pixel sees nothing but board."""
    point_m: F64
    """(h, w, 3) m, what the pixel's centre sees, in the sensor's frame."""


class Lens:
    """The viewing rays of a lens, computed once for many boards."""

    def __init__(self, numbers: F64, size: tuple[int, int], blur_px: float) -> None:
        self.numbers, self.size, self.blur_px = numbers, size, blur_px
        self.camera: Camera = optics.to_camera(numbers, size, np.eye(4))
        step = (np.arange(_FINE) + 0.5) / _FINE - 0.5
        u = (np.arange(size[0])[:, None] + step).ravel()
        v = (np.arange(size[1])[:, None] + step).ravel()
        self.fine_rays = cam.rays(self.camera, np.stack(np.meshgrid(u, v), axis=-1))

    def predict(self, board: Board, texture: F32, T_cam_board: F64) -> Prediction | None:
        """Draw the board at a pose; None where it is not before the sensor or hardly in its image.

        Args:
            board: what is seen.
            texture: from `texture_of(board)`.
            T_cam_board: (4, 4) m.
        """
        window = self._window(board, T_cam_board)
        if window is None:
            return None
        x0, y0, x1, y1 = window
        rays = self.fine_rays[_FINE * y0 : _FINE * y1, _FINE * x0 : _FINE * x1]
        points = _meet_plane(rays, T_cam_board)
        where = (points - T_cam_board[:3, 3]) @ T_cam_board[:3, :2] / board.square_m
        pixels = (where * _TEXTURE_PX - 0.5).astype(np.float32)
        fine = cv2.remap(texture, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR, borderValue=1.0)
        on = (where >= 0).all(-1) & (where <= [board.squares_x, board.squares_y]).all(-1)
        image, share = (self._reduce(np.asarray(part, np.float64)) for part in (fine, on))
        inside = share > _ON_BOARD
        # Blur brings in what lies beyond the image's edge.
        inside[: max(_EDGE_PX - y0, 0)] = inside[max(self.size[1] - _EDGE_PX - y0, 0) :] = False
        inside[:, : max(_EDGE_PX - x0, 0)] = inside[:, max(self.size[0] - _EDGE_PX - x0, 0) :] = False
        middle = points[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]
        return Prediction((x0, y0), image, inside, middle)

    def _reduce(self, fine: F64) -> F64:
        height, width = fine.shape[0] // _FINE, fine.shape[1] // _FINE
        image = fine.reshape(height, _FINE, width, _FINE).mean((1, 3))
        if self.blur_px <= 0:
            return np.asarray(image, dtype=np.float64)
        return np.asarray(cv2.GaussianBlur(image.astype(np.float64), (0, 0), self.blur_px), dtype=np.float64)

    def _window(self, board: Board, T_cam_board: F64) -> tuple[int, int, int, int] | None:
        outline = cam.transform(T_cam_board, board.outline_m)
        if (outline[:, 2] < board.square_m).any():
            return None
        pixels = cam.project(self.camera, outline)
        low = np.maximum(np.floor(pixels.min(0)).astype(int) - _MARGIN_PX, 0)
        high = np.minimum(np.ceil(pixels.max(0)).astype(int) + _MARGIN_PX + 1, self.size)
        if (high - low < 4 * _MARGIN_PX).any():
            return None
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def texture_of(board: Board) -> F32:
    """The board's picture as brightness 0 to 1, for `Lens.predict`."""
    return np.asarray(board.image(_TEXTURE_PX), dtype=np.float32) / np.float32(255.0)


def _meet_plane(rays: F64, T_cam_board: F64) -> F64:
    """Where rays meet the board's plane, `(..., 3) -> (..., 3)` m."""
    normal, origin = T_cam_board[:3, 2], T_cam_board[:3, 3]
    facing = rays @ normal
    safe = np.where(np.abs(facing) < 1e-6, 1e-6, facing)
    return np.asarray(rays * ((origin @ normal) / safe)[..., None])
