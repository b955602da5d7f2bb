"""Where an object is in one frame, from points of its mesh that a person clicked in any views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from annotate.evidence import undistorted_px, without_distortion
from annotate.objects.mesh import SolidMesh
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.errors import FitError
from hoi_core.types import F32, F64, Bool, Camera, ObjectPoints

CLICK_PX = 3.0
"""Expected error of a click, px."""
OFF_MESH_M = 0.01
"""A clicked point farther from the surface is not of this mesh."""
CONTRADICTION_PX = 20.0
"""Clicks that the best pose misses by more, in the median, contradict each other."""
_DEPTH_M = 0.006
_STEPS = 15
_KEPT = 6
_PATCH_PX = 2
_REMEDY = "Click at least three points of the object that are far apart, in one view or both, or one on its depth."


@dataclass(frozen=True)
class _Rows:
    """Clicks as rows of a least-squares problem. K clicks."""

    point_m: F64
    """(K, 3) m, object."""
    eye_m: F64
    """(K, 3) m, centre of the camera, world."""
    T_cam_world: F64
    """(K, 4, 4)."""
    focal_px: F64
    """(K,)."""
    ray: F64
    """(K, 3) in the camera's frame, z = 1."""
    surface_m: F64
    """(K, 3) m where depth has the clicked pixel, world; NaN where it has none."""

    @property
    def measured(self) -> Bool:
        """(K,) whether depth knows the clicked pixel."""
        return np.asarray(np.isfinite(self.surface_m).all(-1))

    @property
    def direction(self) -> F64:
        """(K, 3) unit rays, world."""
        turned = (np.swapaxes(self.T_cam_world[:, :3, :3], -1, -2) @ self.ray[..., None])[..., 0]
        return turned / np.linalg.norm(turned, axis=-1, keepdims=True)


def place(mesh: SolidMesh, views: Mapping[str, Camera], points: ObjectPoints, depth_m: Mapping[str, F32 | F64]) -> F64:
    """Pose of the object that projects the clicked points of its mesh to their pixels.

    Three clicks or more fix the pose. One or two need depth under them: the object then stands as its mesh does, z
    up, and turns about the vertical as depth says.

    Args:
        mesh: of the object.
        views: view -> its colour camera.
        points: clicks of one frame.
        depth_m: view -> `(H, W)` m depth as its colour camera sees it, 0 where unknown; views may be missing.

    Returns:
        `(4, 4)` m, object to world.

    Raises:
        FitError: too few clicks, clicks off the mesh, or clicks that contradict each other.
    """
    rows = _rows(mesh, views, points, depth_m)
    several = len(np.unique(np.round(rows.point_m, 6), axis=0)) >= 3
    if several:
        R = _any_rotation()
        R, t = _refined(rows, R, _shift(rows, R, rows.measured))
    else:
        R, t = _standing(rows)
    miss_px = _miss_px(rows, R, t)
    cost = (np.minimum(miss_px / CLICK_PX, 10.0) ** 2).sum(1)
    best = np.argsort(cost)[: _KEPT if several else len(cost)]
    T = cameras.rigid(R[best], t[best])
    seen = np.array([_depth_cost(mesh, pose, views, depth_m) for pose in T])
    chosen = int(np.argmin(cost[best] + len(rows.point_m) * seen))
    median = float(np.median(miss_px[best][chosen]))
    if several and median > CONTRADICTION_PX:
        raise FitError(
            f"the clicks on {mesh.name} contradict each other: the best pose misses half of them by {median:.0f} px "
            "or more.",
            "Remove the wrong ones; check that each mesh point is the one seen in the image.",
        )
    return np.asarray(T[chosen], dtype=np.float64)


def _rows(
    mesh: SolidMesh, views: Mapping[str, Camera], points: ObjectPoints, depth_m: Mapping[str, F32 | F64]
) -> _Rows:
    known = [k for k, view in enumerate(points.view) if view in views and np.isfinite(points.point_px[k]).all()]
    if not known:
        raise FitError(f"no point of {mesh.name} is clicked in this frame.", _REMEDY)
    away, _ = mesh.grid.at(points.point_m[known])
    if not (np.abs(away) < OFF_MESH_M).all():
        raise FitError(
            f"a clicked point of {mesh.name} lies {1e3 * float(np.nanmax(np.abs(away))):.0f} mm off its mesh.",
            "The mesh was replaced after the clicks: remove them and click again.",
        )
    made = [_row(views[points.view[k]], points.point_px[k], depth_m.get(points.view[k])) for k in known]
    ray, surface, T, focal = (np.array(column) for column in zip(*made, strict=True))
    rows = _Rows(points.point_m[known], np.linalg.inv(T)[:, :3, 3], T, focal, ray, surface)
    distinct = len(np.unique(np.round(rows.point_m, 6), axis=0))
    if distinct < 3 and not np.isfinite(surface).all(-1).any():
        raise FitError(
            f"{distinct} clicked point(s) of {mesh.name} do not fix its pose, and there is no depth under them.",
            _REMEDY,
        )
    return rows


def _row(camera: Camera, pixel: F64, depth_m: F32 | F64 | None) -> tuple[F64, F64, F64, float]:
    ideal = without_distortion(camera)
    ray = cameras.rays(ideal, undistorted_px(camera, pixel[None]))[0]
    surface = np.full(3, np.nan)
    u, v = np.rint(pixel).astype(int)
    if depth_m is not None and 0 <= v < depth_m.shape[0] and 0 <= u < depth_m.shape[1]:
        patch = depth_m[max(v - _PATCH_PX, 0) : v + _PATCH_PX + 1, max(u - _PATCH_PX, 0) : u + _PATCH_PX + 1]
        if (patch > 0).any():
            # The nearest surface of the patch: at the rim of the object the rest is what lies behind it.
            surface = cameras.transform(camera.T_world_cam, (ray * np.quantile(patch[patch > 0], 0.25))[None])[0]
    return ray, surface, camera.T_cam_world, 0.5 * (camera.fx + camera.fy)


def _any_rotation() -> F64:
    """(60, 3, 3) rotations spread evenly: those of an icosahedron."""
    return np.asarray(Rotation.create_group("I").as_matrix(), dtype=np.float64)


def _standing(rows: _Rows) -> tuple[F64, F64]:
    """Turns about the vertical, each shifted to the depth of one click: another's may be that of what lies behind."""
    angles = np.arange(48) * (2.0 * np.pi / 48)
    known = rows.measured
    own, found = rows.point_m[known, :2], rows.surface_m[known, :2]
    if known.sum() >= 2 and np.linalg.norm(np.ptp(own, axis=0)) > 0.005:
        a, b = own - own.mean(0), found - found.mean(0)
        aligned = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum())
        angles = np.concatenate([angles, aligned + np.linspace(-0.2, 0.2, 9)])
    R = rotation.exp_so3(angles[:, None] * np.array([0.0, 0.0, 1.0]))
    alone = [np.arange(len(known)) == k for k in np.flatnonzero(known)]
    return np.tile(R, (len(alone), 1, 1)), np.concatenate([_shift(rows, R, one) for one in alone])


def _shift(rows: _Rows, R: F64, measured: Bool) -> F64:
    """(B, 3) m: the translation that brings the points nearest to their rays, and to the `measured` surfaces."""
    across = np.eye(3) - rows.direction[:, :, None] * rows.direction[:, None, :]
    along = rows.direction[:, :, None] * rows.direction[:, None, :] * (0.25 * measured)[:, None, None]
    turned = np.einsum("bij,kj->bki", R, rows.point_m)
    goal = (across @ rows.eye_m[..., None])[..., 0] + (along @ np.nan_to_num(rows.surface_m)[..., None])[..., 0]
    right = (goal - np.einsum("kij,bkj->bki", across + along, turned)).sum(1)
    return np.asarray(np.linalg.solve((across + along).sum(0) + 1e-9 * np.eye(3), right.T).T, dtype=np.float64)


def _refined(rows: _Rows, R: F64, t: F64) -> tuple[F64, F64]:
    """Damped Gauss-Newton on every start at once. `(B, 3, 3), (B, 3)`."""
    damping = np.full(len(R), 1e-2)
    residual, slopes = _linear(rows, R, t)
    cost = _capped(residual)
    for _ in range(_STEPS):
        H = np.swapaxes(slopes, -1, -2) @ slopes
        g = (np.swapaxes(slopes, -1, -2) @ residual[..., None])[..., 0]
        H = H + damping[:, None, None] * np.einsum("bii->bi", H)[:, None, :] * np.eye(6) + 1e-9 * np.eye(6)
        step = -np.linalg.solve(H, g[..., None])[..., 0]
        tried_R, tried_t = R @ rotation.exp_so3(step[:, 3:]), t + step[:, :3]
        tried, tried_slopes = _linear(rows, tried_R, tried_t)
        better: Bool = np.asarray(_capped(tried) < cost)
        R, t = np.where(better[:, None, None], tried_R, R), np.where(better[:, None], tried_t, t)
        residual = np.where(better[:, None], tried, residual)
        slopes = np.where(better[:, None, None], tried_slopes, slopes)
        cost = np.where(better, _capped(tried), cost)
        damping = np.clip(np.where(better, damping * 0.2, damping * 10.0), 1e-7, 1e4)
    return R, t


def _capped(residual: F64) -> F64:
    """(B,) cost, in which what lies behind a camera is very bad."""
    return np.nan_to_num((residual**2).sum(1), nan=1e12, posinf=1e12)


def _linear(rows: _Rows, R: F64, t: F64) -> tuple[F64, F64]:
    """Residuals in sigmas `(B, 3 K)` and their slopes `(B, 3 K, 6)` by shift (world) and turn (object)."""
    turned = np.einsum("bij,kj->bki", R, rows.point_m)
    world = turned + t[:, None]
    local = np.einsum("kij,bkj->bki", rows.T_cam_world[:, :3, :3], world) + rows.T_cam_world[:, :3, 3]
    z = np.maximum(local[..., 2:], 0.01)
    # A start behind the camera keeps a steep cost that leads in front of it.
    miss = (local[..., :2] / z - rows.ray[:, :2]) * rows.focal_px[:, None] / CLICK_PX
    by_local = np.zeros((*miss.shape, 3))
    by_local[..., 0, 0] = by_local[..., 1, 1] = 1.0 / z[..., 0]
    by_local[..., 2] = -local[..., :2] / z**2
    by_world = by_local @ rows.T_cam_world[:, :3, :3] * (rows.focal_px / CLICK_PX)[:, None, None]
    deep = np.where(rows.measured[:, None], rows.direction, 0.0) / _DEPTH_M
    depth = (deep * (world - np.nan_to_num(rows.surface_m))).sum(-1)
    # Depth at a clicked rim may be that of something else: it loses its pull beyond three sigmas.
    pull = 1.0 / (1.0 + (depth / 3.0) ** 2)
    residual = np.concatenate([miss, (depth * pull)[..., None]], axis=-1).reshape(len(R), -1)
    rays = np.broadcast_to(deep, (len(R), *deep.shape)) * pull[..., None]
    by_shift = np.concatenate([by_world, rays[..., None, :]], axis=-2)
    by_turn = -by_shift @ R[:, None] @ rotation.skew(rows.point_m)
    return residual, np.concatenate([by_shift, by_turn], axis=-1).reshape(len(R), -1, 6)


def _miss_px(rows: _Rows, R: F64, t: F64) -> F64:
    """(B, K) px from the clicks; large behind a camera."""
    world = np.einsum("bij,kj->bki", R, rows.point_m) + t[:, None]
    local = np.einsum("kij,bkj->bki", rows.T_cam_world[:, :3, :3], world) + rows.T_cam_world[:, :3, 3]
    z = np.maximum(local[..., 2:], 1e-3)
    miss: F64 = np.linalg.norm((local[..., :2] / z - rows.ray[:, :2]) * rows.focal_px[:, None], axis=-1)
    return np.where(local[..., 2] > 0, miss, 1e4)


def _depth_cost(mesh: SolidMesh, T: F64, views: Mapping[str, Camera], depth_m: Mapping[str, F32 | F64]) -> float:
    """How badly the images of depth fit the surface there, 0 to 9; surfaces nearer than it hide it and say little."""
    costs: list[NDArray[np.float64]] = []
    world, normals = cameras.transform(T, mesh.samples_m), mesh.sample_normals @ T[:3, :3].T
    for view, image in depth_m.items():
        camera = views[view]
        facing = (normals * (camera.T_world_cam[:3, 3] - world)).sum(-1) > 0
        local = cameras.transform(camera.T_cam_world, world[facing])
        pixels = cameras.project(camera, local)
        inside = cameras.inside(camera, pixels)
        u, v = np.rint(pixels[inside]).astype(int).T
        measured, z = image[v, u], local[inside, 2]
        apart = np.where(measured > 0, measured - z, np.nan)
        cost = np.where(apart > 0, np.minimum((apart / 0.006) ** 2, 9.0), np.minimum((apart / 0.006) ** 2, 3.0))
        costs.append(cost[np.isfinite(cost)])
    joined = np.concatenate(costs) if costs else np.zeros(0)
    return float(joined.mean()) if len(joined) else 0.0
