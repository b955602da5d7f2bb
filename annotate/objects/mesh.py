"""An object's mesh as the fit uses it: checked, cleaned, with distances to its surface and its symmetry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from annotate.objects._triangles import REACH_M, Cells, cells_of, look_up, nearest
from annotate.objects.symmetry import Symmetry, estimate_symmetry, read_symmetry
from hoi_core import user_cache
from hoi_core.errors import AssetError
from hoi_core.mesh_file import SUFFIXES, read_mesh
from hoi_core.types import F32, F64, I64

LARGEST_M = 2.0
"""A longer object is not held in a hand: its file is in millimetres."""
SMALLEST_M = 0.008
"""A shorter one cannot be seen in depth: its file was scaled twice."""
_SPACING_M = 0.002
_MARGIN_M = 0.012
_SAMPLES = 1200
_MOST_NODES = 2_000_000
_LEAST_SHARE = 0.02


@dataclass(frozen=True)
class DistanceGrid:
    """Signed distances to a surface on a regular grid, negative inside."""

    low_m: F64
    """(3,) m first node, object frame."""
    spacing_m: float
    """Between nodes, m."""
    values_m: F32
    """(X, Y, Z) m."""

    def at(self, points_m: F64) -> tuple[F64, F64]:
        """Signed distance and outward direction. `(..., 3) m -> (...) m, (..., 3)`, object frame."""
        flat = np.ascontiguousarray(points_m.reshape(-1, 3), dtype=np.float64)
        distance, gradient = np.empty(len(flat)), np.empty((len(flat), 3))
        look_up(self.values_m, self.low_m, self.spacing_m, flat, distance, gradient)
        return distance.reshape(points_m.shape[:-1]), gradient.reshape(points_m.shape)


@dataclass(frozen=True)
class SolidMesh:
    """A rigid object's surface in metres, in the object's own frame."""

    name: str
    """Identifier, such as `o01`."""
    vertices_m: F64
    """(N, 3) m."""
    faces: NDArray[np.int32]
    """(F, 3), counter-clockwise seen from outside."""
    centre_m: F64
    """(3,) m middle of the surface."""
    radius_m: float
    """Largest distance of the surface from the middle, m."""
    samples_m: F64
    """(S, 3) m points spread evenly over the surface."""
    sample_normals: F64
    """(S, 3) outward unit normals there."""
    cells: Cells
    """Its triangles, to find the nearest one of a point."""
    grid: DistanceGrid
    """Distances to its surface."""
    symmetry: Symmetry
    """Rotations that leave its shape as it is."""


def mesh_path(root: Path, name: str) -> Path:
    """The mesh file of an object.

    Args:
        root: the dataset.
        name: identifier of the object.

    Raises:
        AssetError: it has none.
    """
    folder = Path(root) / "objects" / name
    for suffix in SUFFIXES:
        path = folder / f"mesh{suffix}"
        if path.exists():
            return path
    raise AssetError(
        f"object {name!r} has no mesh: {folder} must hold mesh.obj, mesh.ply or mesh.stl.",
        f"Copy its mesh there, in metres, or scan it: `hoi-data scan TAKE --object {name}`.",
    )


def load_mesh(root: Path, name: str) -> SolidMesh:
    """Read an object's mesh from `<root>/objects/<name>/mesh.obj` (or `.ply`, `.stl`).

    Its symmetry comes from `object.json` beside it, else from the shape itself. What takes seconds to prepare is kept
    in the user's cache folder, under the content of the mesh.

    Args:
        root: the dataset.
        name: identifier of the object.

    Raises:
        AssetError: no mesh, not a mesh, in millimetres, or with points that are not numbers.
    """
    path = mesh_path(root, name)
    mesh = read_mesh(path)
    symmetry = read_symmetry(path.with_name("object.json"))
    key = f"mesh_{_fingerprint(mesh.vertices, mesh.faces, symmetry)}"
    kept = user_cache.recall(key)
    if kept is not None and set(kept) == _ARRAYS:
        return _from_arrays(name, kept)
    made = solid_mesh(name, mesh.vertices, mesh.faces, symmetry, str(path))
    user_cache.keep(key, _to_arrays(made))
    return made


def _fingerprint(vertices_m: F64, faces: NDArray[np.int32], symmetry: Symmetry | None) -> str:
    """Changes with the mesh, with its stated symmetry, and with the code that prepares it."""
    total = hashlib.sha256(_code_version().encode())
    for part in (vertices_m, faces):
        total.update(f"{part.shape} {part.dtype}".encode() + np.ascontiguousarray(part).tobytes())
    total.update(repr(symmetry).encode())
    return total.hexdigest()[:24]


@lru_cache(maxsize=1)
def _code_version() -> str:
    here = Path(__file__).parent
    return user_cache.code_version(here / name for name in ("mesh.py", "_triangles.py", "symmetry.py"))


_OWN = ("vertices_m", "faces", "centre_m", "radius_m", "samples_m", "sample_normals")
_GRID = ("low_m", "spacing_m", "values_m")
_ARRAYS = {*_OWN, *(f"grid.{n}" for n in _GRID), *(f"cells.{n}" for n in Cells._fields), "kind", "axis", "rotations"}


def _to_arrays(mesh: SolidMesh) -> dict[str, NDArray[Any]]:
    """A mesh as arrays, all but its name."""
    out = {name: np.asarray(getattr(mesh, name)) for name in _OWN}
    out |= {f"grid.{name}": np.asarray(getattr(mesh.grid, name)) for name in _GRID}
    out |= {f"cells.{name}": array for name, array in mesh.cells._asdict().items()}
    symmetry = mesh.symmetry
    rotations = np.array(symmetry.rotations, dtype=np.float64).reshape(-1, 3)
    return out | {"kind": np.array(symmetry.kind), "axis": np.array(symmetry.axis), "rotations": rotations}


def _from_arrays(name: str, arrays: Mapping[str, NDArray[Any]]) -> SolidMesh:
    """The inverse of `_to_arrays`."""
    own: dict[str, Any] = {field: arrays[field] for field in _OWN} | {"radius_m": float(arrays["radius_m"])}
    low, spacing, values = (arrays[f"grid.{field}"] for field in _GRID)
    x, y, z = arrays["axis"].tolist()
    kind: Any = str(arrays["kind"])
    return SolidMesh(
        name=name,
        cells=Cells(*(arrays[f"cells.{field}"] for field in Cells._fields)),
        grid=DistanceGrid(low, float(spacing), values),
        symmetry=Symmetry(kind, (x, y, z), tuple((a, b, c) for a, b, c in arrays["rotations"].tolist())),
        **own,
    )


def solid_mesh(
    name: str, vertices_m: F64, faces: NDArray[np.int32], symmetry: Symmetry | None = None, source: str = "the mesh"
) -> SolidMesh:
    """Check a mesh and prepare it for fitting.

    Args:
        name: identifier of the object.
        vertices_m: `(N, 3)` m.
        faces: `(F, 3)`; triangles without area and loose crumbs are left out.
        symmetry: None to estimate it from the shape.
        source: what to call the mesh in errors.

    Raises:
        AssetError: in millimetres, flat, or with points that are not numbers.
    """
    _check(vertices_m, faces, source)
    shells = _shells(vertices_m, faces)
    faces = np.concatenate(shells)
    samples, normals = _sample(vertices_m, faces, _SAMPLES)
    grid = _distances(vertices_m, shells)
    if len(shells) > 1:
        # Walls within the object, such as the end of a handle inside a mug's wall, are never seen.
        inner, _ = grid.at(vertices_m[faces].mean(1))
        faces = faces[inner > -0.6 * grid.spacing_m]
        samples, normals = _sample(vertices_m, faces, _SAMPLES)
    centre = samples.mean(0)
    return SolidMesh(
        name=name,
        vertices_m=vertices_m,
        faces=faces,
        centre_m=centre,
        radius_m=float(np.linalg.norm(vertices_m[np.unique(faces)] - centre, axis=1).max()),
        samples_m=samples,
        sample_normals=normals,
        cells=cells_of(vertices_m, faces),
        grid=grid,
        symmetry=symmetry or estimate_symmetry(samples, centre, lambda p: grid.at(p)[0]),
    )


def _check(vertices_m: F64, faces: NDArray[np.int32], source: str) -> None:
    used = vertices_m[np.unique(faces)]
    if not np.isfinite(used).all():
        raise AssetError(
            f"{source} has {int((~np.isfinite(used)).any(1).sum())} points that are not numbers.",
            "Export it again, or repair it with a mesh editor.",
        )
    extent = float(np.ptp(used, axis=0).max())
    if extent > LARGEST_M:
        raise AssetError(
            f"{source} is {extent:.0f} m long: a mesh must be in metres, this one seems to be in millimetres.",
            "Scale it by 0.001 and save it again.",
        )
    if extent < SMALLEST_M:
        raise AssetError(
            f"{source} is {1e3 * extent:.3f} mm long, too small to be seen.",
            "A mesh must be in metres: it was scaled twice, or is in kilometres. Scale it by 1000 and save it again.",
        )
    area = np.linalg.norm(_areas(vertices_m, faces), axis=1).sum()
    if area < 1e-6:
        raise AssetError(f"{source} has no surface: its triangles have no area.", "Export it again.")


def _areas(vertices_m: F64, faces: NDArray[np.int32]) -> F64:
    """(F, 3) normals as long as twice the area, m^2."""
    a, b, c = (vertices_m[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def _shells(vertices_m: F64, faces: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Connected parts of a surface without crumbs, the largest first; points at the same place count as one."""
    area = np.linalg.norm(_areas(vertices_m, faces), axis=1)
    faces, area = faces[area > 1e-14], area[area > 1e-14]
    _, merged = np.unique(np.round(vertices_m, 7), axis=0, return_inverse=True)
    corners = merged.reshape(-1)[faces]
    pairs = np.concatenate([corners[:, :2], corners[:, 1:]])
    n = int(merged.max()) + 1
    _, part = connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), shape=(n, n)), directed=False)
    part = part[corners[:, 0]]
    size = np.bincount(part, weights=area)
    kept = np.argsort(size)[::-1]
    return [faces[part == p] for p in kept if size[p] >= _LEAST_SHARE * size.sum()]


def _sample(vertices_m: F64, faces: NDArray[np.int32], count: int) -> tuple[F64, F64]:
    """Points spread over the surface and the normals there, always the same. `-> (S, 3) m, (S, 3)`."""
    normals = _areas(vertices_m, faces)
    area = np.linalg.norm(normals, axis=1)
    # Evenly along the running sum of areas; golden-ratio fractions spread them within triangles (Roberts' R2).
    k = np.arange(count)
    chosen = np.searchsorted(np.cumsum(area), (k + 0.5) / count * area.sum()).clip(0, len(faces) - 1)
    u, v = np.modf(k * 0.7548776662)[0], np.modf(k * 0.5698402910)[0]
    u, v = np.where(u + v > 1.0, 1.0 - u, u)[:, None], np.where(u + v > 1.0, 1.0 - v, v)[:, None]
    a, b, c = (vertices_m[faces[chosen, i]] for i in range(3))
    return a + u * (b - a) + v * (c - a), normals[chosen] / area[chosen, None]


def _distances(vertices_m: F64, shells: list[NDArray[np.int32]]) -> DistanceGrid:
    """Signed distances to the union of shells; an inside-out shell is a cavity."""
    used = vertices_m[np.unique(np.concatenate(shells))]
    low, high = used.min(0) - _MARGIN_M, used.max(0) + _MARGIN_M
    spacing = max(_SPACING_M, float((np.prod(high - low) / _MOST_NODES) ** (1.0 / 3.0)))
    shape: I64 = np.ceil((high - low) / spacing).astype(np.int64) + 1
    nodes = low + spacing * np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    values = None
    for faces in shells:
        own = _shell_distance(vertices_m, faces, nodes)
        a, b, c = (vertices_m[faces[:, i]] for i in range(3))
        cavity = float((np.cross(a, b) * c).sum()) < 0.0 and values is not None
        values = own if values is None else (np.maximum(values, own) if cavity else np.minimum(values, own))
    if values is None:
        raise AssetError("the mesh has no surface.", "Export it again.")
    return DistanceGrid(low, spacing, values.astype(np.float32))


def _shell_distance(vertices_m: F64, faces: NDArray[np.int32], nodes_m: F64) -> F64:
    """(X, Y, Z) m: exact near the surface; farther out from points of it, with the sign of what is near."""
    nodes = nodes_m.reshape(-1, 3)
    anywhere, gates = np.full(3, np.nan), np.full(len(nodes), REACH_M)
    _, distances = nearest(cells_of(vertices_m, faces), nodes, anywhere, gates, np.empty_like(nodes))
    exact = distances.reshape(nodes_m.shape[:3])
    far = ~np.isfinite(exact)
    if not far.any():
        return exact
    dense, _ = _sample(vertices_m, faces, 8_000)
    _, place = distance_transform_edt(far, return_indices=True)
    sign = np.sign(exact[tuple(place)])
    out = exact.copy()
    out[far] = sign[far] * cKDTree(dense).query(nodes_m[far])[0]
    return out
