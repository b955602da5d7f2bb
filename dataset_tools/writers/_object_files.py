"""Objects beside the labels: their meshes, in metres, under the name that a format gives them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from hoi_core.mesh_file import Triangles, read_mesh, write_obj
from hoi_core.types import F64, ObjectPose


def surface_of(shown: ObjectPose) -> Triangles | None:
    """The surface of an object in metres; None where the dataset has no mesh of it.

    Raises:
        AssetError: the mesh is damaged.
    """
    if shown.mesh is None:
        return None
    mesh = _read(shown.mesh, shown.mesh.stat().st_mtime_ns)
    return Triangles(mesh.vertices * shown.scale, mesh.faces)


def write_model(folder: Path, name: str, shown: ObjectPose) -> None:
    """Write `models/<name>/textured_simple.obj`, once, where the dataset has the mesh.

    Raises:
        AssetError: the mesh is damaged.
        StorageError: the disk is full or not writable.
    """
    path = folder / "models" / name / "textured_simple.obj"
    surface = None if path.exists() else surface_of(shown)
    if surface is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_obj(path, *surface)


def corners_of(surface: Triangles) -> F64:
    """Corners of the box around a surface. `(8, 3)` m."""
    low, high = surface.vertices.min(0), surface.vertices.max(0)
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def nearest(objects: tuple[ObjectPose, ...], joints_m: F64) -> int:
    """Number of the object whose origin lies nearest to the middle of a hand. `(21, 3) m`."""
    return int(np.argmin([np.linalg.norm(shown.T_cam_obj[:3, 3] - joints_m.mean(0)) for shown in objects]))


@lru_cache(maxsize=32)
def _read(path: Path, time_ns: int) -> Triangles:
    """`time_ns` tells a mesh from one written later."""
    return read_mesh(path)
