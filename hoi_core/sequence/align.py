"""Depth as the colour camera sees it: every depth pixel becomes a small square in the colour image."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hoi_core.camera import inverse_rigid, project, rays, transform
from hoi_core.types import F32, F64, I64, Camera

_INVERSE_STEPS = 8
_CONVERGED = 1e-10  # squared, in units of the focal length: 0.006 px at 600 px
# Neighbouring squares share a corner only at equal depth; this much overlap, in px, closes the cracks of slopes.
_PAD_PX = 0.05


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _brown(x: float, y: float, d: F64) -> tuple[float, float]:
    r2 = x * x + y * y
    radial = 1.0 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
    return (
        x * radial + 2.0 * d[2] * x * y + d[3] * (r2 + 2.0 * x * x),
        y * radial + d[2] * (r2 + 2.0 * y * y) + 2.0 * d[3] * x * y,
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _lens(x: float, y: float, d: F64, model: int) -> tuple[float, float]:
    """Ideal to formed coordinates; model 0 none, 1 Brown, 2 inverse Brown."""
    if model == 0:
        return x, y
    if model == 1:
        return _brown(x, y, d)
    u, v = x, y
    for _ in range(_INVERSE_STEPS):
        bu, bv = _brown(u, v, d)
        du, dv = bu - x, bv - y
        u, v = u - du, v - dv
        if du * du + dv * dv < _CONVERGED:
            break
    return u, v


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _splat(
    depth: NDArray[np.uint16],
    scale_m: float,
    corners: F64,
    T: F64,
    intrinsics: F64,
    lens: tuple[F64, int],
    out: F32,
) -> None:
    """Fill `out` (H, W) with the nearest depth; `corners` (h, w, 4) are the rays of each pixel's two corners.

    `intrinsics` are fx, fy, cx, cy of the image that `out` is: of a part of an image, cx and cy are as much less.
    """
    height, width = out.shape
    d, model = lens
    for i in range(depth.shape[0]):
        for j in range(depth.shape[1]):
            if depth[i, j] == 0:
                continue
            z = depth[i, j] * scale_m
            ray = corners[i, j]
            near, u0, v0, u1, v1 = 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(2):
                x, y = ray[2 * k] * z, ray[2 * k + 1] * z
                px = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
                py = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
                pz = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
                if pz <= 0.0:
                    near = -1.0
                    break
                near += 0.5 * pz
                a, b = _lens(px / pz, py / pz, d, model)
                u, v = intrinsics[0] * a + intrinsics[2], intrinsics[1] * b + intrinsics[3]
                if k == 0:
                    u0, v0 = u, v
                else:
                    u1, v1 = u, v
            if near <= 0.0:
                continue
            left, right = (
                max(int(np.ceil(min(u0, u1) - _PAD_PX)), 0),
                min(int(np.floor(max(u0, u1) + _PAD_PX)), width - 1),
            )
            top, bottom = (
                max(int(np.ceil(min(v0, v1) - _PAD_PX)), 0),
                min(int(np.floor(max(v0, v1) + _PAD_PX)), height - 1),
            )
            for v_px in range(top, bottom + 1):
                for u_px in range(left, right + 1):
                    if out[v_px, u_px] == 0.0 or near < out[v_px, u_px]:
                        out[v_px, u_px] = near


def _corner_rays(camera: Camera) -> F64:
    """(H, W, 4): x and y of the rays through each pixel's upper left and lower right corner."""
    v, u = np.mgrid[0 : camera.height + 1, 0 : camera.width + 1] - 0.5
    grid = rays(camera, np.stack([u, v], axis=-1))[..., :2]
    return np.ascontiguousarray(np.concatenate([grid[:-1, :-1], grid[1:, 1:]], axis=-1))


@njit(cache=True, nogil=True)
def _splat_around(
    depth: NDArray[np.uint16],
    scale_m: float,
    corners: F64,
    T: F64,
    intrinsics: F64,
    lens: tuple[F64, int],
    where: tuple[I64, I64, int],
) -> F64:
    """`(K,)` median depth in squares of the colour image; NaN where nothing was measured.

    `where`: their middles (K, 2), px; (K, 4) rows and columns of the depth image that may be seen there, last ones
    excluded; half their side, px.
    """
    pixels, boxes, reach = where
    size = 2 * reach + 1
    found = np.full(len(pixels), np.nan)
    own = intrinsics.copy()
    for k in range(len(pixels)):
        top, bottom, left, right = boxes[k]
        if top >= bottom or left >= right:
            continue
        own[2] = intrinsics[2] - (pixels[k, 0] - reach)
        own[3] = intrinsics[3] - (pixels[k, 1] - reach)
        seen = np.zeros((size, size), dtype=np.float32)
        part = slice(top, bottom), slice(left, right)
        _splat(depth[part], scale_m, corners[part], T, own, lens, seen)
        measured = seen.ravel()
        measured = measured[measured > 0.0]
        if len(measured):
            found[k] = np.median(measured)
    return found


_NEAREST_M, _FARTHEST_M = 0.1, 10.0
_SLACK_PX = 3


class Aligner:
    """Aligns depth images to colour; what depends on the cameras is computed once.

    Args:
        depth: camera of the depth stream.
        color: camera of the colour stream.
        T_depth_color: (4, 4) colour to depth imager, m.
        scale_m: metres per depth unit.
    """

    def __init__(self, depth: Camera, color: Camera, T_depth_color: F64, scale_m: float) -> None:
        self._depth, self._color, self._scale_m = depth, color, scale_m
        self._corners = _corner_rays(depth)
        self._T_depth_color = np.asarray(T_depth_color, dtype=np.float64)
        self._T = np.ascontiguousarray(inverse_rigid(self._T_depth_color))
        self._intrinsics = np.array([color.fx, color.fy, color.cx, color.cy])
        coefficients = np.asarray(color.distortion, dtype=np.float64)
        bent = color.distortion_model != "none" and bool(coefficients.any())
        model = 0 if not bent else (2 if color.distortion_model == "inverse_brown_conrady" else 1)
        self._lens = coefficients, model

    def image(self, depth: NDArray[np.unsignedinteger]) -> F32:
        """A whole image. `(h, w) -> (H, W)` m along the colour camera's z; 0 where nothing was measured."""
        out = np.zeros((self._color.height, self._color.width), dtype=np.float32)
        units = np.ascontiguousarray(depth)
        _splat(units, self._scale_m, self._corners, self._T, self._intrinsics, self._lens, out)
        return out

    def around(self, depth: NDArray[np.unsignedinteger], pixels: F64, reach: int) -> F64:
        """What `image` has around some pixels, without aligning the rest.

        Args:
            depth: `(h, w)` in its own frame.
            pixels: `(K, 2)` px of the colour image; may be NaN or outside.
            reach: half the side of the square around each.

        Returns:
            `(K,)` m median of what was measured in the square, between 0.1 and 10 m; NaN where nothing was.
        """
        found = np.full(len(pixels), np.nan)
        with np.errstate(invalid="ignore"):
            nearest = np.rint(pixels)
            inside = ((nearest >= 0) & (nearest < [self._color.width, self._color.height])).all(-1)
        nearest = nearest[inside]
        where = nearest.astype(np.int64), self._boxes(nearest, reach), reach
        units = np.ascontiguousarray(depth)
        found[inside] = _splat_around(units, self._scale_m, self._corners, self._T, self._intrinsics, self._lens, where)
        return found

    def _boxes(self, pixels: F64, reach: int) -> I64:
        """`(K, 4)` rows and columns of the depth image that the squares may show, at whatever distance."""
        offsets = reach * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
        toward = rays(self._color, pixels[:, None] + offsets)
        ends = np.concatenate([toward * _NEAREST_M, toward * _FARTHEST_M], axis=1)
        seen = project(self._depth, transform(self._T_depth_color, ends))
        seen = np.where(np.isfinite(seen), seen, 0.0)
        low, high = np.floor(seen.min(1)) - _SLACK_PX, np.ceil(seen.max(1)) + _SLACK_PX + 1
        size = [self._depth.width, self._depth.height]
        low, high = np.clip(low, 0, size), np.clip(high, 0, size)
        return np.stack([low[:, 1], high[:, 1], low[:, 0], high[:, 0]], axis=-1).astype(np.int64)
