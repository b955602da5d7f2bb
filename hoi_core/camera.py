"""Pinhole cameras with Brown distortion: project, unproject, crop, resize, rigid transforms, triangulation.

Points are `(..., 3)` in metres, pixels `(..., 2)` with centres at integers; `T_dst_src @ x_src = x_dst`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hoi_core.types import F64, I64, Bool, Camera

_UNDISTORT_STEPS = 20


def transform(T_dst_src: F64, points_m: F64) -> F64:
    """Apply rigid transforms. `(..., 4, 4), (..., N, 3) m -> (..., N, 3) m`."""
    return points_m @ np.swapaxes(T_dst_src[..., :3, :3], -1, -2) + T_dst_src[..., None, :3, 3]


def inverse_rigid(T: F64) -> F64:
    """Inverse of rigid transforms, without a matrix inversion. `(..., 4, 4) -> (..., 4, 4)`."""
    out = np.zeros_like(T)
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    out[..., :3, :3] = Rt
    out[..., :3, 3] = -(Rt @ T[..., :3, 3:])[..., 0]
    out[..., 3, 3] = 1.0
    return out


def rigid(R: F64, t_m: F64) -> F64:
    """Assemble `(..., 4, 4)` from `(..., 3, 3)` and `(..., 3) m`."""
    out = np.zeros((*R.shape[:-2], 4, 4))
    out[..., :3, :3] = R
    out[..., :3, 3] = t_m
    out[..., 3, 3] = 1.0
    return out


def look_at(eye_m: F64, target_m: F64, up: F64) -> F64:
    """`T_world_cam` of a camera at `eye_m` that looks at `target_m`, with `up` towards the image's top."""
    z = (target_m - eye_m) / np.linalg.norm(target_m - eye_m)
    x = np.cross(z, up)
    x = x / np.linalg.norm(x)
    return rigid(np.stack([x, np.cross(z, x), z], axis=-1), eye_m)


def row_time_ns(t_ns: I64, row_px: F64, height: int, readout_us: float) -> I64:
    """When rows of an image were exposed: a rolling shutter reads them one after another, the middle at `t_ns`.

    Args:
        t_ns: (...) mid-exposure of the image, ns.
        row_px: (...) v coordinate of what was seen, px.
        height: image height, px.
        readout_us: time from the exposure of the first row to that of the last, microseconds.

    Returns:
        (...) ns.
    """
    share = (np.asarray(row_px) - 0.5 * (height - 1)) / max(height - 1, 1)
    return np.asarray(t_ns, dtype=np.int64) + np.rint(share * readout_us * 1e3).astype(np.int64)


def _brown(xy: F64, coefficients: tuple[float, ...]) -> F64:
    """Brown's model on normalised coordinates, `(..., 2) -> (..., 2)`."""
    k1, k2, p1, p2, k3 = coefficients
    x, y = xy[..., 0], xy[..., 1]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ],
        axis=-1,
    )


def _brown_inverse(xy: F64, coefficients: tuple[float, ...]) -> F64:
    """Solve `_brown(u) = xy` by fixed-point steps, `(..., 2) -> (..., 2)`."""
    from hoi_core._lens import invert_brown

    flat = np.ascontiguousarray(xy, dtype=np.float64).reshape(-1, 2)
    return invert_brown(flat, np.asarray(coefficients, dtype=np.float64), _UNDISTORT_STEPS).reshape(xy.shape)


def distort(camera: Camera, xy: F64) -> F64:
    """Ideal normalised coordinates to those that the lens forms. `(..., 2) -> (..., 2)`."""
    if camera.distortion_model == "none" or not any(camera.distortion):
        return xy
    step = _brown_inverse if camera.distortion_model == "inverse_brown_conrady" else _brown
    return step(xy, camera.distortion)


def undistort(camera: Camera, xy: F64) -> F64:
    """Inverse of `distort`. `(..., 2) -> (..., 2)`."""
    if camera.distortion_model == "none" or not any(camera.distortion):
        return xy
    step = _brown if camera.distortion_model == "inverse_brown_conrady" else _brown_inverse
    return step(xy, camera.distortion)


def project(camera: Camera, points_m: F64) -> F64:
    """Project points of the camera frame. `(..., 3) m -> (..., 2) px`; NaN at or behind the camera plane."""
    z = points_m[..., 2]
    ahead = z > 0
    # A masked division takes several times as long, and seldom lies anything behind.
    depth = z if ahead.all() else np.where(ahead, z, np.nan)
    # Here and in `rays` one coordinate after the other: numpy takes many times as long over rows of two numbers.
    xy = np.empty((*z.shape, 2))
    for axis in range(2):
        np.divide(points_m[..., axis], depth, out=xy[..., axis])
    bent = distort(camera, xy)
    for axis, (focal, centre) in enumerate(((camera.fx, camera.cx), (camera.fy, camera.cy))):
        np.multiply(bent[..., axis], focal, out=xy[..., axis])
        xy[..., axis] += centre
    return xy


def unproject(camera: Camera, pixels: F64, depth_m: F64) -> F64:
    """Points of the camera frame at `depth_m` along z. `(..., 2) px, (...) m -> (..., 3) m`."""
    return rays(camera, pixels) * np.asarray(depth_m)[..., None]


def rays(camera: Camera, pixels: F64) -> F64:
    """Undistorted viewing rays with z = 1. `(..., 2) px -> (..., 3)`."""
    pixels = np.asarray(pixels, dtype=np.float64)
    out = np.ones((*pixels.shape[:-1], 3))
    for axis, (focal, centre) in enumerate(((camera.fx, camera.cx), (camera.fy, camera.cy))):
        np.subtract(pixels[..., axis], centre, out=out[..., axis])
        out[..., axis] /= focal
    out[..., :2] = undistort(camera, out[..., :2])
    return out


def guessed(width: int, height: int, fov_deg: float = 60.0) -> Camera:
    """A camera of which nothing is known but the size of its images: it looks straight through their middle.

    Args:
        width: px.
        height: px.
        fov_deg: what it sees across the width, degrees.
    """
    focal_px = float(width / 2 / np.tan(np.deg2rad(fov_deg) / 2))
    return Camera(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)


def crop(camera: Camera, left_px: float, top_px: float, width: int, height: int) -> Camera:
    """Intrinsics of the image cut out at (left, top); may reach outside."""
    return replace(camera, width=width, height=height, cx=camera.cx - left_px, cy=camera.cy - top_px)


def resize(camera: Camera, width: int, height: int) -> Camera:
    """Intrinsics of the image scaled to `width` x `height`, pixel centres at integers."""
    sx, sy = width / camera.width, height / camera.height
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * sx,
        fy=camera.fy * sy,
        cx=(camera.cx + 0.5) * sx - 0.5,
        cy=(camera.cy + 0.5) * sy - 0.5,
    )


def inside(camera: Camera, pixels: F64) -> Bool:
    """Whether pixels lie on the image. `(..., 2) px -> (...)`; NaN is outside."""
    u, v = pixels[..., 0], pixels[..., 1]
    return (u >= -0.5) & (u < camera.width - 0.5) & (v >= -0.5) & (v < camera.height - 0.5)


def triangulate(cameras: list[Camera], pixels: F64, weights: F64 | None = None) -> F64:
    """Linear triangulation (DLT) on undistorted rays, each row scaled to unit length.

    Args:
        cameras: V cameras with `T_world_cam`.
        pixels: `(V, ..., 2)` px; NaN where a view does not see the point.
        weights: `(V, ...)` non-negative, or None for ones.

    Returns:
        `(..., 3)` m in the world; NaN where fewer than two views see the point.
    """
    rows, seen = [], np.zeros(pixels.shape[1:-1])
    for v, camera in enumerate(cameras):
        ok = np.isfinite(pixels[v]).all(-1)
        weight = np.where(ok, 1.0 if weights is None else weights[v], 0.0)
        ray = rays(camera, np.where(ok[..., None], pixels[v], 0.0))
        P = camera.T_cam_world[:3]
        for axis in (0, 1):
            row = ray[..., axis : axis + 1] * P[2] - P[axis]
            rows.append(row / np.linalg.norm(row[..., :3], axis=-1, keepdims=True) * weight[..., None])
        seen = seen + (weight > 0)
    _, _, vt = np.linalg.svd(np.stack(rows, axis=-2))
    h = vt[..., -1, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        points = h[..., :3] / h[..., 3:]
    return np.where((seen >= 2)[..., None], points, np.nan)
