"""Draws a flat board exactly: every sample's ray meets the plane, at its own time within the exposure.

The lens' distortion is in the rays, so the board's corners lie where `hoi_core.camera.project` puts them, pixel
centres at integers. Colours are added in linear light, as a sensor does.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from capture.calibrate.board import Board
from hoi_core import camera as cam
from hoi_core.render import Window, window_of
from hoi_core.types import F32, F64, U8, Camera

PLATE_M = 0.012
"""The plate is larger than the pattern by this much on every side."""
_SQUARE_PX = 192
_FAR_M = 0.06
"""How much further from the plate than its edge a pixel's first sample may fall while another one still hits."""
_INK, _PAPER, _BACK = 0.03, 0.80, 0.25


@dataclass(frozen=True)
class Texture:
    """The front of the plate."""

    print_: U8
    """(h, w) from 0 for ink to 255 for paper, the plate's border included."""
    width_m: float
    """Width of the pattern without the plate's border."""
    height_m: float
    """Height of the pattern without the plate's border."""
    per_m: float
    """Texels per metre."""


def paint(board: Board, texels_per_m: float) -> Texture:
    """Print a board on its plate; a texel should be about as large as a sample's footprint on the board."""
    width_m, height_m = board.size_m
    fine = board.image(_SQUARE_PX)
    size = (round(width_m * texels_per_m), round(height_m * texels_per_m))
    small = cv2.resize(fine, size, interpolation=cv2.INTER_AREA)
    edge = round(PLATE_M * texels_per_m)
    printed = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=255.0)
    return Texture(np.ascontiguousarray(printed, np.uint8), width_m, height_m, texels_per_m)


class PlateView:
    """Draws the plate in one camera.

    Args:
        camera: true camera.
        texture: the plate.
        samples: colour samples per pixel and axis.
    """

    def __init__(self, camera: Camera, texture: Texture, samples: int) -> None:
        self.camera = camera
        self._texture = texture
        self._samples = samples
        fine = cam.resize(camera, camera.width * samples, camera.height * samples)
        self._rays = _ray_grid(fine)
        self._centre_rays = _ray_grid(camera)
        # Samples of a pixel are spread over the exposure, neighbours far apart in time.
        self._times = np.random.default_rng(1).permutation(samples * samples)
        edge = PLATE_M
        width, height = texture.width_m, texture.height_m
        self._outline_m = np.array(
            [
                [-edge, -edge, 0.0],
                [width + edge, -edge, 0.0],
                [width + edge, height + edge, 0.0],
                [-edge, height + edge, 0.0],
            ]
        )

    @property
    def moments(self) -> int:
        """How many poses an exposure takes."""
        return len(self._times)

    def window(self, T_world_board: F64, margin_px: int = 4) -> Window | None:
        """What the plate may touch at poses `(M, 4, 4)`; None if nothing."""
        points = cam.transform(T_world_board, self._outline_m).reshape(-1, 3)
        return window_of(points, self.camera, margin_px)

    def color(self, T_world_board: F64, light: F64, behind: U8, window: Window) -> U8:
        """The plate over what lies behind it.

        Args:
            T_world_board: `(moments, 4, 4)` poses at even times of the exposure.
            light: `(3,)` linear RGB that falls on the plate.
            behind: `(h, w, 3)` RGB of the window.
            window: part of the image.

        Returns:
            `(h, w, 3)` RGB.
        """
        to_board = self._to_board(T_world_board)[self._times]
        front = bool(T_world_board[0, :3, 2] @ (T_world_board[0, :3, 3] - self.camera.T_world_cam[:3, 3]) > 0)
        out = np.empty_like(behind)
        texture = self._texture
        plate = np.array([texture.width_m, texture.height_m, PLATE_M, texture.per_m, -1.0 if front else _BACK])
        _paint((texture.print_, plate, light), self._rays, to_board, behind, window, self._samples, out)
        return out

    def depth(self, T_world_board: F64, behind_m: F32, window: Window) -> F32:
        """Depth of the plate over what lies behind it. `(4, 4), (h, w) m -> (h, w)` m."""
        plate = np.array([self._texture.width_m, self._texture.height_m, PLATE_M])
        out = np.empty_like(behind_m)
        _plane_depth(self._centre_rays, self._to_board(T_world_board[None])[0], plate, behind_m, window, out)
        return out

    def _to_board(self, T_world_board: F64) -> F64:
        """Homographies from rays with z = 1 to the plane, third coordinate 1 / depth. `(M, 4, 4) -> (M, 3, 3)`."""
        T = self.camera.T_cam_world @ T_world_board
        return np.asarray(np.linalg.inv(np.stack([T[:, :3, 0], T[:, :3, 1], T[:, :3, 3]], axis=-1)), np.float64)


def _ray_grid(camera: Camera) -> F32:
    """The ray of each pixel, its x and y at z = 1. `-> (H, W, 2)`."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    return np.ascontiguousarray(cam.rays(camera, np.stack([u, v], -1))[..., :2], np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def _paint(
    look: tuple[U8, F64, F64], rays: F32, to_board: F64, behind: U8, window: Window, samples: int, out: U8
) -> None:
    """Fill the window of an image; `look` is the texture, the plate's measures and the light."""
    print_, plate, light = look
    x0, y0, x1, y1 = window
    width, height, edge, scale, back = plate
    bottom, right = print_.shape[0] - 1.001, print_.shape[1] - 1.001
    share, far = 1.0 / (samples * samples), edge + _FAR_M
    for y in range(y0, y1):
        for x in range(x0, x1):
            total, hits, k = 0.0, 0, 0
            w, px, py = _meet(to_board[0], rays[y * samples, x * samples])
            if w > 0.0 and -far < px < width + far and -far < py < height + far:
                for row in range(y * samples, (y + 1) * samples):
                    for column in range(x * samples, (x + 1) * samples):
                        w, px, py = _meet(to_board[k], rays[row, column])
                        k += 1
                        if w > 0.0 and -edge < px < width + edge and -edge < py < height + edge:
                            hits += 1
                            total += _texel(print_, (px + edge) * scale, (py + edge) * scale, right, bottom)
            reflected = hits * _INK + total * (_PAPER - _INK) / 255.0 if back < 0.0 else hits * back
            _blend(behind[y - y0, x - x0], reflected * share, 1.0 - hits * share, light, out[y - y0, x - x0])


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _meet(H: F64, ray: F32) -> tuple[float, float, float]:
    """Inverse depth at which a ray meets the plate's plane (not positive: behind the camera), and where, m."""
    w = H[2, 0] * ray[0] + H[2, 1] * ray[1] + H[2, 2]
    z = 1.0 / w if w > 0.0 else 0.0
    return w, (H[0, 0] * ray[0] + H[0, 1] * ray[1] + H[0, 2]) * z, (H[1, 0] * ray[0] + H[1, 1] * ray[1] + H[1, 2]) * z


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _texel(print_: U8, u: float, v: float, right: float, bottom: float) -> float:
    """The print between its texels, whose centres lie half a texel from the border."""
    u, v = min(max(u - 0.5, 0.0), right), min(max(v - 0.5, 0.0), bottom)
    i, j = int(v), int(u)
    a, b = v - i, u - j
    upper = (1.0 - b) * print_[i, j] + b * print_[i, j + 1]
    return (1.0 - a) * upper + a * ((1.0 - b) * print_[i + 1, j] + b * print_[i + 1, j + 1])


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _blend(behind: U8, reflected: float, rest: float, light: F64, out: U8) -> None:
    """Add up in linear light what the plate throws back and what is seen past it."""
    for c in range(3):
        if rest >= 1.0:
            out[c] = behind[c]
        else:
            shade = behind[c] / 255.0
            linear = reflected * light[c] + rest * shade * shade
            out[c] = int(min(255.0 * np.sqrt(linear), 255.0) + 0.5)


@njit(cache=True, nogil=True, fastmath=True)
def _plane_depth(rays: F32, H: F64, plate: F64, behind_m: F32, window: Window, out: F32) -> None:
    """Depth of the plate at the pixel centres, where it is in front."""
    x0, y0, x1, y1 = window
    width, height, edge = plate[0], plate[1], plate[2]
    for y in range(y0, y1):
        for x in range(x0, x1):
            z = behind_m[y - y0, x - x0]
            w, px, py = _meet(H, rays[y, x])
            on_plate = -edge < px < width + edge and -edge < py < height + edge
            if w > 0.0 and on_plate and (z <= 0.0 or z * w > 1.0):
                z = 1.0 / w
            out[y - y0, x - x0] = z
