"""The lens as numbers to solve for: fx, fy, cx, cy, k1, k2, p1, p2, k3, with derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hoi_core import camera as cam
from hoi_core.types import F64, Bool, Camera

COUNT = 9
"""Numbers of a lens."""
_TANGENTIAL = slice(6, 8)
_K3 = 8
# How far a factory's figures may be off, one sigma: focal lengths and centre as shares (of the width).
_FACTORY_FOCAL = 0.004
_FACTORY_CENTRE = 1 / 400
_FACTORY_K = np.array([0.05, 0.1, 0.002, 0.002, 0.1])
_FIT_GRID = 25


def to_numbers(camera: Camera) -> F64:
    """`-> (9,)`; a lens of the inverse model is fitted by the forward one."""
    forward = as_brown(camera)
    return np.array([forward.fx, forward.fy, forward.cx, forward.cy, *forward.distortion])


def to_camera(numbers: F64, size: tuple[int, int], T_world_cam: F64) -> Camera:
    """A camera of `size` (width, height) px with a pose."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = (float(x) for x in numbers)
    return Camera(*size, fx, fy, cx, cy, (k1, k2, p1, p2, k3), "brown_conrady", T_world_cam)


def as_brown(camera: Camera) -> Camera:
    """The same lens with OpenCV's forward model, fitted over the whole image where the model is the inverse one."""
    if camera.distortion_model != "inverse_brown_conrady" or not any(camera.distortion):
        coefficients = (0.0,) * 5 if camera.distortion_model == "none" else camera.distortion
        return replace(camera, distortion=coefficients, distortion_model="brown_conrady")
    u, v = np.meshgrid(np.linspace(0, camera.width - 1, _FIT_GRID), np.linspace(0, camera.height - 1, _FIT_GRID))
    pixels = np.stack([u.ravel(), v.ravel()], axis=-1)
    formed = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    x, y = cam.rays(camera, pixels)[:, :2].T
    r2 = x * x + y * y
    # The forward model is linear in its coefficients.
    columns_x = np.stack([x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3], axis=-1)
    columns_y = np.stack([y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3], axis=-1)
    wanted = np.concatenate([formed[:, 0] - x, formed[:, 1] - y])
    found = np.linalg.lstsq(np.concatenate([columns_x, columns_y]), wanted, rcond=None)[0]
    k1, k2, p1, p2, k3 = (float(c) for c in found)
    return replace(camera, distortion=(k1, k2, p1, p2, k3), distortion_model="brown_conrady")


def freedom(*, tangential: bool, k3: bool) -> Bool:
    """(9,) which numbers are solved for."""
    free = np.ones(COUNT, dtype=bool)
    free[_TANGENTIAL] = tangential
    free[_K3] = k3
    return free


def factory_sigma(numbers: F64, size: tuple[int, int]) -> F64:
    """(9,) how far each of a factory's numbers may be off, one sigma."""
    focal = _FACTORY_FOCAL * numbers[:2]
    centre = _FACTORY_CENTRE * size[0]
    return np.concatenate([focal, [centre, centre], _FACTORY_K])


def project(lens: F64, points_m: F64) -> tuple[F64, F64, F64]:
    """Pixels and their derivatives.

    Args:
        lens: `(N, 9)`, the lens of each point.
        points_m: `(N, 3)` m in the camera's frame, before the camera.

    Returns:
        `(N, 2)` px, `(N, 2, 3)` px/m by the point, `(N, 2, 9)` by the lens.
    """
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens.T
    inverse_z = 1.0 / points_m[:, 2]
    x, y = points_m[:, 0] * inverse_z, points_m[:, 1] * inverse_z
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    across = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    dxx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    dyy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    pixels = np.stack([fx * xd + cx, fy * yd + cy], axis=-1)
    by_point = np.empty((len(x), 2, 3))
    by_point[:, 0, 0], by_point[:, 0, 1] = fx * dxx * inverse_z, fx * across * inverse_z
    by_point[:, 1, 0], by_point[:, 1, 1] = fy * across * inverse_z, fy * dyy * inverse_z
    by_point[:, :, 2] = -(by_point[:, :, 0] * x[:, None] + by_point[:, :, 1] * y[:, None])
    by_lens = np.zeros((len(x), 2, COUNT))
    by_lens[:, 0, 0], by_lens[:, 1, 1] = xd, yd
    by_lens[:, 0, 2] = by_lens[:, 1, 3] = 1.0
    by_lens[:, 0, 4:] = fx[:, None] * np.stack([x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3], axis=-1)
    by_lens[:, 1, 4:] = fy[:, None] * np.stack([y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3], axis=-1)
    return pixels, by_point, by_lens
