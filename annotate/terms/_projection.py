"""Pixels of world points and how they move with them."""

from __future__ import annotations

import numpy as np

from hoi_core.types import F64, Camera

NEAREST_M = 0.05


def project_with_slope(camera: Camera, points_m: F64) -> tuple[F64, F64]:
    """Pixels of world points and their derivative. `(K, 3) m -> (K, 2) px, (K, 2, 3) px/m`; no distortion."""
    T = camera.T_cam_world
    x = points_m @ T[:3, :3].T + T[:3, 3]
    z = np.maximum(x[:, 2:], NEAREST_M)
    focal = np.array([camera.fx, camera.fy])
    at = x[:, :2] / z * focal
    slope = (focal[:, None] * T[:2, :3])[None] - at[..., None] * T[2, :3]
    return at + np.array([camera.cx, camera.cy]), slope / z[..., None]
