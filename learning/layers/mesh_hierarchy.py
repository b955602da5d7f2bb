"""Coarse-to-fine levels of a hand mesh: quadric-error decimation, barycentric upsampling, spirals.

Everything is computed from the hand model that the user has, so no licensed mesh data is shipped.
Quadrics: Garland and Heckbert 1997. Spirals: Gong et al. 2019 (SpiralNet++).
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_core import user_cache
from hoi_core.errors import AssetError
from hoi_core.types import F64, I64

_BOUNDARY_WEIGHT = 10.0  # keeps the wrist's rim in place
_EVEN_WEIGHT = 1e-2  # a little edge length in the cost spreads the vertices over flat regions


@dataclass(frozen=True)
class MeshHierarchy:
    """Levels of one mesh, finest first; level 0 is the mesh itself."""

    vertices_m: tuple[F64, ...]
    """Per level (V, 3) m; each level's vertices are a subset of the finer one's."""
    faces: tuple[I64, ...]
    """Per level (F, 3)."""
    selections: tuple[I64, ...]
    """Per coarser level (V_coarse,) the finer level's vertices it keeps."""
    upsampling: tuple[F64, ...]
    """Per coarser level (V_fine, V_coarse): barycentric rows of at most three entries that sum to one."""
    spirals: tuple[I64, ...]
    """Per level (V, L): the vertex itself, then its rings."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Vertices per level, finest first."""
        return tuple(len(v) for v in self.vertices_m)


def build_hierarchy(
    vertices_m: F64, faces: I64, sizes: tuple[int, ...] = (389, 195, 98, 49), spiral_length: int = 9
) -> MeshHierarchy:
    """Decimate a mesh level by level.

    Args:
        vertices_m: `(V, 3)` m.
        faces: `(F, 3)`.
        sizes: vertices of each coarser level, falling.
        spiral_length: vertices in each spiral, the centre included.

    Raises:
        AssetError: the mesh cannot be decimated so far.
    """
    levels_v, levels_f = [np.asarray(vertices_m, dtype=np.float64)], [np.asarray(faces, dtype=np.int64)]
    selections, upsampling = [], []
    for size in sizes:
        kept, coarse_faces = decimate(levels_v[-1], levels_f[-1], size)
        coarse = levels_v[-1][kept]
        upsampling.append(barycentric_matrix(levels_v[-1], coarse, coarse_faces))
        selections.append(kept)
        levels_v.append(coarse)
        levels_f.append(coarse_faces)
    spirals = tuple(
        spiral_indices(v, f, spiral_length) if len(v) >= spiral_length else _too_small(len(v), spiral_length)
        for v, f in zip(levels_v, levels_f, strict=True)
    )
    return MeshHierarchy(tuple(levels_v), tuple(levels_f), tuple(selections), tuple(upsampling), spirals)


def kept_hierarchy(vertices_m: F64, faces: I64, spiral_length: int = 9) -> MeshHierarchy:
    """`build_hierarchy` at its own sizes, kept in the user's cache: building takes seconds, reading milliseconds.

    Args:
        vertices_m: `(V, 3)` m.
        faces: `(F, 3)`.
        spiral_length: vertices in each spiral, the centre included.
    """
    mesh = hashlib.sha256(np.asarray(vertices_m, dtype=np.float64).tobytes())
    mesh.update(np.asarray(faces, dtype=np.int64).tobytes())
    name = f"hierarchy_{user_cache.code_version([Path(__file__)])}_{mesh.hexdigest()[:16]}_{spiral_length}"
    kept = user_cache.recall(name)
    parts = [field.name for field in fields(MeshHierarchy)]
    if kept is not None and set(parts) <= set(kept):
        return MeshHierarchy(**{part: tuple(kept[f"{part}_{i}"] for i in range(int(kept[part]))) for part in parts})
    built = build_hierarchy(vertices_m, faces, spiral_length=spiral_length)
    levels = {part: getattr(built, part) for part in parts}
    arrays = {f"{part}_{i}": np.asarray(array) for part in parts for i, array in enumerate(levels[part])}
    user_cache.keep(name, arrays | {part: np.array(len(levels[part])) for part in parts})
    return built


def _too_small(n_vertices: int, length: int) -> I64:
    raise AssetError(f"spirals of {length} need at least {length} vertices, got {n_vertices}.", "Use fewer levels.")


class _Decimation:
    """The state of a half-edge collapse: which vertices live, who their faces and neighbours are."""

    def __init__(self, vertices_m: F64, faces: I64) -> None:
        self.v = vertices_m / np.linalg.norm(np.ptp(vertices_m, axis=0))
        self.faces = {i: tuple(int(k) for k in face) for i, face in enumerate(faces)}
        self.faces_of: list[set[int]] = [set() for _ in self.v]
        for i, face in self.faces.items():
            for vertex in face:
                self.faces_of[vertex].add(i)
        self.quadrics = _quadrics(self.v, faces)
        self.alive = np.array([bool(of) for of in self.faces_of])
        self.version = np.zeros(len(self.v), dtype=np.int64)
        self.heap: list[tuple[float, int, int, int, int]] = []

    def neighbours(self, u: int) -> set[int]:
        return {w for i in self.faces_of[u] for w in self.faces[i]} - {u}

    def shared(self, u: int, w: int) -> set[int]:
        return self.faces_of[u] & self.faces_of[w]

    def on_boundary(self, u: int) -> bool:
        return any(len(self.shared(u, w)) == 1 for w in self.neighbours(u))

    def push(self, u: int) -> None:
        """Queue the collapses of `u` into each neighbour, and of each neighbour into `u`."""
        for w in self.neighbours(u):
            for a, b in ((u, w), (w, u)):
                x = np.append(self.v[b], 1.0)
                length2 = float(((self.v[a] - self.v[b]) ** 2).sum())
                cost = float(x @ (self.quadrics[a] + self.quadrics[b]) @ x) + _EVEN_WEIGHT * length2**2
                heapq.heappush(self.heap, (cost, a, b, int(self.version[a]), int(self.version[b])))

    def allowed(self, u: int, w: int, *, flips: bool) -> bool:
        """Whether collapsing `u` into `w` keeps the surface a manifold, its rim, and its orientation."""
        shared = self.shared(u, w)
        if not shared or len(self.neighbours(u) & self.neighbours(w)) != len(shared):
            return False
        if self.on_boundary(u) and len(shared) != 1:
            return False
        if not self.on_boundary(u) and len(self.neighbours(u)) < 4 and len(self.faces_of[w]) < 5:
            return False
        return flips or all(self._keeps_normal(i, u, w) for i in self.faces_of[u] - shared)

    def _keeps_normal(self, face: int, u: int, w: int) -> bool:
        old = self.v[list(self.faces[face])]
        new = self.v[[w if k == u else k for k in self.faces[face]]]
        n_old, n_new = np.cross(old[1] - old[0], old[2] - old[0]), np.cross(new[1] - new[0], new[2] - new[0])
        return float(n_old @ n_new) > 0.2 * float(np.linalg.norm(n_old) * np.linalg.norm(n_new))

    def collapse(self, u: int, w: int) -> None:
        for i in self.shared(u, w):
            for k in self.faces.pop(i):
                self.faces_of[k].discard(i)
        for i in self.faces_of[u]:
            a, b, c = (w if k == u else k for k in self.faces[i])
            self.faces[i] = (a, b, c)
            self.faces_of[w].add(i)
        self.faces_of[u] = set()
        self.alive[u] = False
        self.quadrics[w] = self.quadrics[u] + self.quadrics[w]
        self.version[w] += 1
        self.push(w)

    def reduce_to(self, n: int, *, flips: bool) -> bool:
        """Collapse the cheapest allowed edges; False if they run out first."""
        self.heap = []
        for start in np.flatnonzero(self.alive):
            self.push(int(start))
        count = int(self.alive.sum())
        while count > n and self.heap:
            _, u, w, version_u, version_w = heapq.heappop(self.heap)
            fresh = self.version[u] == version_u and self.version[w] == version_w
            if fresh and self.alive[u] and self.alive[w] and self.allowed(u, w, flips=flips):
                self.collapse(u, w)
                count -= 1
        return count <= n


def decimate(vertices_m: F64, faces: I64, n: int) -> tuple[I64, I64]:
    """Keep `n` vertices by half-edge collapses of least quadric error.

    Args:
        vertices_m: `(V, 3)` m.
        faces: `(F, 3)`.
        n: vertices to keep.

    Returns:
        `(n,)` rising indices of the kept vertices, and `(F', 3)` faces over them.

    Raises:
        AssetError: no collapse that keeps a manifold is left.
    """
    state = _Decimation(vertices_m, faces)
    if not (state.reduce_to(n, flips=False) or state.reduce_to(n, flips=True)):
        raise AssetError(
            f"expected a hand mesh that decimates to {n} vertices, stuck at {int(state.alive.sum())}.",
            "Check that the mesh is a connected manifold.",
        )
    kept = np.flatnonzero(state.alive)
    renumber = np.full(len(vertices_m), -1, dtype=np.int64)
    renumber[kept] = np.arange(len(kept))
    return kept, renumber[np.array([state.faces[i] for i in sorted(state.faces)])]


def _quadrics(v: F64, faces: I64) -> F64:
    """Per vertex (4, 4): area-weighted squared distance to the planes of its faces and of the rim."""
    a, b, c = v[faces[:, 0]], v[faces[:, 1]], v[faces[:, 2]]
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(area, 1e-20)
    plane = np.concatenate([normal, -(normal * a).sum(1, keepdims=True)], axis=1)
    per_face = plane[:, :, None] * plane[:, None, :] * area[:, :, None]
    out = np.zeros((len(v), 4, 4))
    for corner in range(3):
        np.add.at(out, faces[:, corner], per_face)
    for u, w, face in _rim(faces):
        side = np.cross(v[w] - v[u], normal[face])
        length = np.linalg.norm(side)
        side = side / max(float(length), 1e-20)
        rim_plane = np.append(side, -side @ v[u])
        quadric = _BOUNDARY_WEIGHT * length**2 * np.outer(rim_plane, rim_plane)
        out[u] += quadric
        out[w] += quadric
    return out


def _rim(faces: I64) -> list[tuple[int, int, int]]:
    """Directed boundary edges with the one face each has."""
    owner = {(int(f[k]), int(f[(k + 1) % 3])): i for i, f in enumerate(faces) for k in range(3)}
    return [(u, w, i) for (u, w), i in owner.items() if (w, u) not in owner]


def barycentric_matrix(points_m: F64, vertices_m: F64, faces: I64) -> F64:
    """Rows of barycentric weights of each point's nearest surface point. `-> (N, V)`."""
    a, b, c = (vertices_m[faces[:, k]] for k in range(3))
    candidates = [_inside(points_m, a, b, c)]
    for corner, (p, q) in enumerate(((a, b), (b, c), (c, a))):
        t = np.clip(((points_m[:, None] - p) * (q - p)).sum(-1) / np.maximum(((q - p) ** 2).sum(-1), 1e-20), 0.0, 1.0)
        weights = np.zeros((len(points_m), len(faces), 3))
        weights[..., corner], weights[..., (corner + 1) % 3] = 1.0 - t, t
        candidates.append(weights)
    weights = np.concatenate(candidates, axis=1)  # (N, 4 F, 3)
    corners = np.tile(np.stack([a, b, c], axis=1), (4, 1, 1))
    distance2 = ((np.einsum("nfk,fkd->nfd", weights, corners) - points_m[:, None]) ** 2).sum(-1)
    best = np.nanargmin(distance2, axis=1)
    out = np.zeros((len(points_m), len(vertices_m)))
    rows = np.arange(len(points_m))
    for k in range(3):
        np.add.at(out, (rows, faces[best % len(faces), k]), weights[rows, best, k])
    return out


def _inside(points: F64, a: F64, b: F64, c: F64) -> F64:
    """Barycentric weights of the foot on each triangle's plane, `(N, F, 3)`; NaN where it lies outside."""
    ab, ac, ap = b - a, c - a, points[:, None] - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    determinant = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / determinant, (d00 * d21 - d01 * d20) / determinant
    weights = np.stack([1.0 - v - w, v, w], axis=-1)
    return np.where((weights >= 0).all(-1, keepdims=True), weights, np.nan)


def spiral_indices(vertices_m: F64, faces: I64, length: int) -> NDArray[np.int64]:
    """Spirals of a mesh: the vertex, its one-ring in mesh order, the next rings, then nearest vertices.

    Args:
        vertices_m: `(V, 3)` m.
        faces: `(F, 3)`.
        length: vertices in each spiral.

    Returns:
        `(V, length)` vertex ids without repetition.
    """
    following: list[dict[int, int]] = [{} for _ in vertices_m]
    for face in faces:
        for k in range(3):
            following[int(face[k])][int(face[(k + 1) % 3])] = int(face[(k + 2) % 3])
    out = np.empty((len(vertices_m), length), dtype=np.int64)
    for centre in range(len(vertices_m)):
        spiral, ring = [centre], [centre]
        while len(spiral) < length and ring:
            fresh = [w for u in ring for w in _ordered_ring(following[u])]
            ring = [w for w in dict.fromkeys(fresh) if w not in spiral]
            spiral += ring
        nearest = np.argsort(((vertices_m - vertices_m[centre]) ** 2).sum(1), kind="stable")
        spiral += [int(w) for w in nearest if int(w) not in spiral][: max(0, length - len(spiral))]
        out[centre] = spiral[:length]
    return out


def _ordered_ring(following: dict[int, int]) -> list[int]:
    """One-ring in the order of the faces, from the rim's start where there is one."""
    ring: list[int] = []
    starts = sorted(set(following) - set(following.values())) or sorted(following)[:1]
    for start in starts:
        at: int | None = start
        while at is not None and at not in ring:
            ring.append(at)
            at = following.get(at)
    return ring
