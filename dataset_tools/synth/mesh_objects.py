"""Things to hold: the built-in objects, or the meshes of the user's folder with a distance field made from each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from hoi_core.errors import AssetError
from hoi_core.mesh_file import SUFFIXES, read_mesh
from hoi_core.scene._shapes import Distance, Shape
from hoi_core.scene.objects import NAMES, GraspHint, ObjectModel, make
from hoi_core.types import F64

_SMALLEST_M, _LARGEST_M = 0.015, 0.60
_MOST_FACES = 12_000
_MARGIN_M, _MOST_STEPS = 0.03, 110
# Built-in things have thin walls; the distance to a user's mesh takes longer.
_STEP_M, _MESH_STEP_M = 0.0025, 0.004
_LOW_M = 0.06
_SAMPLES = 30_000


@dataclass(frozen=True)
class Thing:
    """An object that can be held."""

    model: ObjectModel
    """The object, standing on z = 0 of its frame."""
    digest: str
    """Changes with its shape."""
    mesh: Path | None
    """Its file; None for a built-in object."""
    offset_m: F64
    """(3,) m: a point of the file's mesh plus this is the point of the model."""


def built_in() -> list[Thing]:
    """The project's own objects."""
    return [Thing(_quick(make(name), _STEP_M), name, None, np.zeros(3)) for name in NAMES]


def _quick(model: ObjectModel, step_m: float) -> ObjectModel:
    return replace(model, shape=replace(model.shape, distance_m=_Field(model.shape, step_m).distance_m))


def from_folder(folder: Path) -> list[Thing]:
    """The meshes of a folder, in metres.

    Raises:
        AssetError: there are none, or one cannot be read or is no size for a hand.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise AssetError(
            f"expected meshes ({', '.join(SUFFIXES)}) in {folder}, found none.",
            "Name a folder that holds some, or leave --objects out.",
        )
    return [_from_file(path) for path in files]


def _from_file(path: Path) -> Thing:
    mesh = read_mesh(path)
    size = mesh.vertices.max(0) - mesh.vertices.min(0)
    if not np.isfinite(size).all() or not _SMALLEST_M <= float(size.max()) <= _LARGEST_M:
        raise AssetError(
            f"{path} is {size.max():.3g} m long, expected {_SMALLEST_M} to {_LARGEST_M} m.",
            "Scale it to metres, or remove it from the folder.",
        )
    middle = 0.5 * (mesh.vertices.max(0) + mesh.vertices.min(0))
    offset = np.array([-middle[0], -middle[1], -mesh.vertices[:, 2].min()])
    vertices, faces = _fewer(mesh.vertices + offset, mesh.faces)
    if ((vertices[faces[:, 0]] * np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])).sum()) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    digest = hashlib.sha256(vertices.tobytes() + faces.tobytes()).hexdigest()[:16]
    rng = np.random.default_rng(int(digest, 16))
    shape = Shape(vertices, faces, _distance_of_mesh(vertices, faces))
    colors = np.tile(rng.integers(30, 235, 3).astype(np.uint8), (len(vertices), 1))
    model = ObjectModel(path.stem, "mesh", shape, colors, float(rng.uniform(0.05, 0.3)), 0.12, _hints(size))
    return Thing(_quick(model, _MESH_STEP_M), digest, path, offset)


def _hints(size_m: F64) -> tuple[GraspHint, ...]:
    """Low things are taken from above, high ones from the side too; the hand closes across the narrow width."""
    yaw = 0.0 if size_m[0] >= size_m[1] else 90.0
    top = GraspHint("top", (0.0, 0.0, float(max(size_m[2] - 0.03, 0.5 * size_m[2]))), yaw)
    if size_m[2] < _LOW_M:
        return (top,)
    return (GraspHint("side", (0.0, 0.0, float(0.5 * size_m[2])), yaw), top)


def _fewer(vertices: F64, faces: NDArray[np.int32]) -> tuple[F64, NDArray[np.int32]]:
    """Merge vertices within growing cells until few enough faces are left."""
    cell = float((vertices.max(0) - vertices.min(0)).max()) / 160.0
    while len(faces) > _MOST_FACES:
        _, index, merged = np.unique(np.floor(vertices / cell), axis=0, return_index=True, return_inverse=True)
        vertices, faces = vertices[index], merged.reshape(-1)[faces].astype(np.int32)
        kept = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
        faces, cell = faces[kept], cell * 1.3
    return vertices, np.ascontiguousarray(faces, np.int32)


class _Field:
    """Signed distance on a grid about a shape, interpolated between its points: much faster than the exact one.

    The grid is filled when the first distance is asked for. Beyond it the distance is that at its border.
    """

    def __init__(self, shape: Shape, step_m: float) -> None:
        self._shape = shape
        self._low = shape.vertices_m.min(0) - _MARGIN_M
        self._extent = shape.vertices_m.max(0) + _MARGIN_M - self._low
        self._step = max(step_m, float(self._extent.max()) / _MOST_STEPS)

    @cached_property
    def _values(self) -> F64:
        counts = np.ceil(self._extent / self._step).astype(int) + 1
        grid = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), -1) * self._step + self._low
        return np.stack([self._shape.distance_m(layer) for layer in grid])

    def distance_m(self, points_m: F64) -> F64:
        """`(..., 3) m -> (...) m`, negative inside."""
        place = np.moveaxis((points_m - self._low) / self._step, -1, 0)
        return np.asarray(map_coordinates(self._values, place, order=1, mode="nearest"), np.float64)


def _distance_of_mesh(vertices: F64, faces: NDArray[np.int32]) -> Distance:
    """Distance to a dense sample of the surface; its sign is that of the nearest sample's normal."""

    def distance(points_m: F64) -> F64:
        points, normals = _samples(vertices, faces)
        far, nearest = cKDTree(points).query(points_m, workers=1)
        outward = ((points_m - points[nearest]) * normals[nearest]).sum(-1)
        return np.where(outward < 0.0, -far, far)

    return distance


def _samples(vertices: F64, faces: NDArray[np.int32]) -> tuple[F64, F64]:
    """Points on the surface, spread by area, and the normals there."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    area = np.linalg.norm(cross, axis=1)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(faces), _SAMPLES, p=area / area.sum())
    u, v = rng.random((2, _SAMPLES, 1))
    outside = u + v > 1.0
    u, v = np.where(outside, 1.0 - u, u), np.where(outside, 1.0 - v, v)
    points = a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]
    return points, cross[chosen] / area[chosen, None]


def repainted(model: ObjectModel, rng: np.random.Generator) -> ObjectModel:
    """The object in other colours: channels swapped and weighted."""
    order = rng.permutation(3)
    gain = rng.uniform(0.5, 1.1, 3)
    colors = np.clip(model.colors[:, order] * gain, 0, 255).astype(np.uint8)
    return replace(model, colors=colors)
