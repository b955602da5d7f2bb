"""Lay an object that is roughly placed onto the depth images of one moment, and say how well it lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from annotate.objects.mesh import SolidMesh
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.types import F32, F64, Bool, Camera

_STRICT_M = (0.04, 0.03, 0.02, 0.015, 0.01, 0.01, 0.006, 0.006, 0.006, 0.006)
"""Distance at which a point counts half, step by step: from what a network errs to what depth does."""
_SHIFTS_M = (-0.06, -0.03, 0.0, 0.03, 0.06)
"""Along the camera's rays, where a single image errs most: a start each."""
_HIDDEN = 0.3
"""Weight of a point before which something else was measured: a hand holds the object."""
_AGREES_M = 0.006
_FEWEST, _EMPTY = 60, 0.25
"""Fewest points of the surface that are where depth has them, and the largest share of those that are not hidden at
which it has nothing."""
_TURN_RAD = 0.1
_EVERY = 3
"""A step looks at every third point of the surface."""
_CELLS, _THICK_M = 20, 0.015
"""Points of one of so many cells across the object's image that lie farther behind the nearest are hidden by it."""


@dataclass(frozen=True)
class Laid:
    """An object on the depth of one moment."""

    T_world_obj: F64
    """(4, 4) m, object to world."""
    agreement: float
    """Share of the surface towards the cameras that depth has within 6 mm; less where a hand hides a part. NaN where
    too little is measured, or what should be seen is not there."""


def lay(mesh: SolidMesh, T_world_obj: F64, views: Mapping[str, Camera], depth_m: Mapping[str, F32], eye: str) -> Laid:
    """The pose nearest to a rough one under which depth shows the surface.

    Gauss-Newton from point to plane, each point of the surface against what is measured along its own ray.

    Args:
        mesh: of the object.
        T_world_obj: `(4, 4)` m, where it roughly is.
        views: view -> its colour camera.
        depth_m: view -> `(H, W)` m as that camera sees it, 0 where unknown.
        eye: the view along whose rays the rough pose may be wrong most.
    """
    centre = cameras.transform(T_world_obj, mesh.centre_m[None])[0]
    away = centre - views[eye].T_world_cam[:3, 3]
    along = away / np.linalg.norm(away)
    best = Laid(T_world_obj, np.nan)
    for shift_m in _SHIFTS_M:
        T = T_world_obj.copy()
        T[:3, 3] += shift_m * along
        for strict_m in _STRICT_M:
            T = _step(mesh, T, views, depth_m, strict_m)
        found = Laid(T, agreement(mesh, T, views, depth_m))
        if not found.agreement <= best.agreement:
            best = found if np.isfinite(found.agreement) else best
    return best


def agreement(mesh: SolidMesh, T_world_obj: F64, views: Mapping[str, Camera], depth_m: Mapping[str, F32]) -> float:
    """How well depth shows an object in a pose, see `Laid.agreement`."""
    seen = [_seen(mesh, T_world_obj, views[view], image)[1] for view, image in depth_m.items()]
    behind = np.concatenate([np.zeros(0), *seen])
    near, empty = int((np.abs(behind) < _AGREES_M).sum()), int((behind >= _AGREES_M).sum())
    return near / len(behind) if near >= _FEWEST and empty < _EMPTY * (near + empty) else np.nan


def _seen(mesh: SolidMesh, T: F64, camera: Camera, depth_m: F32, every: int = 1) -> tuple[Bool, F64, F64]:
    """Which points of the surface a view should see and measures; how much farther it measures, m; their rays."""
    world = cameras.transform(T, mesh.samples_m[::every])
    normals = mesh.sample_normals[::every] @ T[:3, :3].T
    local = cameras.transform(camera.T_cam_world, world)
    pixels = cameras.project(camera, local)
    facing = (normals * (camera.T_world_cam[:3, 3] - world)).sum(-1) > 0
    shown: Bool = np.asarray(facing & (local[:, 2] > 0) & cameras.inside(camera, pixels))
    shown[shown] = _foremost(pixels[shown], local[shown, 2])
    u, v = np.rint(pixels[shown]).astype(int).T
    measured = depth_m[v, u].astype(np.float64)
    shown[np.flatnonzero(shown)[~(measured > 0)]] = False
    rays = local[shown] / local[shown, 2:] @ camera.T_world_cam[:3, :3].T
    return shown, measured[measured > 0] - local[shown, 2], rays


def _foremost(pixels: F64, z: F64) -> Bool:
    """(K,) points that no other point of the object hides, such as the inside of a mug. `(K, 2)` px, `(K,)` m."""
    if not len(z):
        return np.zeros(0, np.bool_)
    low, extent = pixels.min(0), float(np.ptp(pixels, axis=0).max())
    column, row = ((pixels - low) / max(extent, 1.0) * (_CELLS - 1e-6)).astype(int).T
    nearest = np.full((_CELLS, _CELLS), np.inf)
    np.minimum.at(nearest, (row, column), z)
    return np.asarray(z < nearest[row, column] + _THICK_M)


def _step(mesh: SolidMesh, T: F64, views: Mapping[str, Camera], depth_m: Mapping[str, F32], strict_m: float) -> F64:
    """One step of Gauss-Newton."""
    centre = cameras.transform(T, mesh.centre_m[None])[0]
    H, g = 1e-6 * np.eye(6), np.zeros(6)
    for view, image in depth_m.items():
        shown, behind, rays = _seen(mesh, T, views[view], image, _EVERY)
        point = cameras.transform(T, mesh.samples_m[::_EVERY][shown])
        normal = mesh.sample_normals[::_EVERY][shown] @ T[:3, :3].T
        miss = (normal * rays).sum(-1) * behind
        weight = (strict_m**2 / (strict_m**2 + behind**2)) ** 2 * np.where(behind < -_AGREES_M, _HIDDEN, 1.0)
        J = np.concatenate([normal, np.cross(point - centre, normal)], axis=1)
        H += (J * weight[:, None]).T @ J
        g += (J * (weight * miss)[:, None]).sum(0)
    # A sphere, or an object that is hardly seen, does not say how it is turned.
    H += np.diag([*[1e-3] * 3, *[1e-2 * mesh.radius_m**2] * 3]) * max(H[0, 0] + H[1, 1] + H[2, 2], 1e-6)
    step = np.linalg.solve(H, g)
    turn = np.clip(step[3:], -_TURN_RAD, _TURN_RAD)
    out = T.copy()
    out[:3, :3] = rotation.exp_so3(turn) @ T[:3, :3]
    moved = centre + np.clip(step[:3], -strict_m, strict_m)
    out[:3, 3] = moved - out[:3, :3] @ mesh.centre_m
    return out
