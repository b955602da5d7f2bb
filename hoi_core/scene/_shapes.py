"""Closed triangle meshes from a few shapes, each with the exact distance to its surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hoi_core.types import F64

Distance = Callable[[F64], F64]
"""`(..., 3) m -> (...) m`, negative inside."""


@dataclass(frozen=True)
class Shape:
    """A closed surface and the signed distance to it."""

    vertices_m: F64
    """(N, 3) m."""
    faces: NDArray[np.int32]
    """(F, 3), counter-clockwise seen from outside."""
    distance_m: Distance
    """Signed distance, negative inside."""


def resample(polyline_m: F64, step_m: float) -> F64:
    """Put points on a polyline so that none are further apart than `step_m`; its corners stay."""
    points = [polyline_m[:1]]
    for a, b in pairwise(polyline_m):
        n = max(int(np.ceil(np.linalg.norm(b - a) / step_m)), 1)
        points.append(a + (b - a) * (np.arange(1, n + 1) / n)[:, None])
    return np.concatenate(points)


def revolve(profile_m: F64, sides: int = 48, step_m: float = 0.005) -> Shape:
    """Turn a profile about the z axis.

    Args:
        profile_m: `(K, 2)` radius and height m, from one point on the axis to another, so that outside lies
            to the right when walking along it (for a convex body: from the bottom to the top).
        sides: vertices around the axis.
        step_m: greatest distance between rings.
    """
    fine = resample(profile_m, step_m)
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    inner = fine[1:-1]
    rings = np.concatenate(
        [inner[:, None, :1] * ring, np.broadcast_to(inner[:, None, 1:], (len(inner), sides, 1))], axis=-1
    )
    ends = np.array([[0.0, 0.0, fine[0, 1]], [0.0, 0.0, fine[-1, 1]]])
    vertices = np.concatenate([rings.reshape(-1, 3), ends])
    faces = _grid_faces(len(inner), sides, first_pole=len(vertices) - 2)

    def distance(points_m: F64) -> F64:
        flat = np.stack([np.hypot(points_m[..., 0], points_m[..., 1]), points_m[..., 2]], axis=-1)
        return _polygon_distance(flat, profile_m)

    return Shape(vertices, faces, distance)


def tube(centres_m: F64, radii_m: F64, sides: int = 24) -> Shape:
    """A bent rod with closed ends; the distance is that to its chain of spheres, exact but for the ends."""
    tangent = np.gradient(centres_m, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # All our rods are planar: one common normal avoids twist.
    plane = np.cross(tangent[0], tangent[-1])
    length = np.linalg.norm(plane)
    plane = plane / length if length > 1e-9 else np.cross(tangent[0], [0.3, 0.5, 0.8])
    plane = plane / np.linalg.norm(plane)
    side = np.cross(plane, tangent)
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    offsets = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * plane
    rings = centres_m[:, None] + radii_m[:, None, None] * offsets
    ends = np.stack([centres_m[0] - tangent[0] * radii_m[0] * 0.5, centres_m[-1] + tangent[-1] * radii_m[-1] * 0.5])
    vertices = np.concatenate([rings.reshape(-1, 3), ends])
    faces = _grid_faces(len(centres_m), sides, first_pole=len(vertices) - 2)
    volume = (np.cross(vertices[faces[:, 0]], vertices[faces[:, 1]]) * vertices[faces[:, 2]]).sum()
    if volume < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])

    def distance(points_m: F64) -> F64:
        start, along = centres_m[:-1], np.diff(centres_m, axis=0)
        offset = points_m[..., None, :] - start
        t = np.clip((offset * along).sum(-1) / (along * along).sum(-1), 0.0, 1.0)
        radius = radii_m[:-1] + t * np.diff(radii_m)
        return (np.linalg.norm(offset - t[..., None] * along, axis=-1) - radius).min(-1)

    return Shape(vertices, faces, distance)


def rounded_box(half_m: F64, radius_m: float, step_m: float = 0.006) -> Shape:
    """A box with rounded edges, centred at the origin."""
    axes = []
    for h in half_m:
        inner = h - radius_m
        flat = np.linspace(-inner, inner, max(int(np.ceil(2 * inner / step_m)), 1) + 1)
        curve = inner + radius_m * np.tan(np.deg2rad([15.0, 30.0, 45.0]))
        axes.append(np.concatenate([-curve[::-1], flat, curve]))
    vertices, faces = _box_grid(axes)
    core = np.clip(vertices, -(half_m - radius_m), half_m - radius_m)
    offset = vertices - core
    vertices = core + radius_m * offset / np.linalg.norm(offset, axis=1, keepdims=True)

    def distance(points_m: F64) -> F64:
        q = np.abs(points_m) - (half_m - radius_m)
        return np.linalg.norm(np.maximum(q, 0.0), axis=-1) + np.minimum(q.max(-1), 0.0) - radius_m

    return Shape(vertices, faces, distance)


def moved(shape: Shape, offset_m: F64) -> Shape:
    """The shape shifted by `offset_m (3,)`."""
    return Shape(shape.vertices_m + offset_m, shape.faces, lambda p: shape.distance_m(p - offset_m))


def union(a: Shape, b: Shape) -> Shape:
    """Both shapes as one; the surfaces may overlap, each stays closed."""
    return Shape(
        np.concatenate([a.vertices_m, b.vertices_m]),
        np.concatenate([a.faces, b.faces + np.int32(len(a.vertices_m))]),
        lambda p: np.minimum(a.distance_m(p), b.distance_m(p)),
    )


def _grid_faces(rings: int, sides: int, first_pole: int) -> NDArray[np.int32]:
    """Triangles of a stack of rings that is closed by one pole at each end."""
    j = np.arange(sides)
    k = (j + 1) % sides
    bottom = np.stack([np.full(sides, first_pole), k, j], axis=-1)
    last = (rings - 1) * sides
    top = np.stack([np.full(sides, first_pole + 1), last + j, last + k], axis=-1)
    i = np.arange(rings - 1)[:, None] * sides
    a, b, c, d = i + j, i + k, i + sides + j, i + sides + k
    walls = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    return np.ascontiguousarray(np.concatenate([bottom, walls, top]), dtype=np.int32)


def _box_grid(axes: list[F64]) -> tuple[F64, NDArray[np.int32]]:
    """Surface of a box as grids with shared edges. Three coordinate lists -> `(N, 3)`, `(F, 3)`."""
    patches, quads, start = [], [], 0
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        grid = np.stack(np.meshgrid(axes[u], axes[v], indexing="ij"), -1)
        n, m = grid.shape[:2]
        index = np.arange(n * m).reshape(n, m)
        quad = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1).reshape(-1, 4)
        for sign in (-1, 1):
            points = np.empty((n * m, 3))
            points[:, axis] = axes[axis][0 if sign < 0 else -1]
            points[:, u], points[:, v] = grid[..., 0].ravel(), grid[..., 1].ravel()
            patches.append(points)
            quads.append((quad if sign > 0 else quad[:, ::-1]) + start)
            start += n * m
    vertices, merged = np.unique(np.round(np.concatenate(patches), 9), axis=0, return_inverse=True)
    corners = merged.ravel()[np.concatenate(quads)]
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    return vertices, np.ascontiguousarray(faces, dtype=np.int32)


def _polygon_distance(points: F64, polygon: F64) -> F64:
    """Signed distance to a polygon that the axis r = 0 closes. `(..., 2), (K, 2) -> (...)`."""
    a, b = polygon[:-1], polygon[1:]
    along = b - a
    offset = points[..., None, :] - a
    t = np.clip((offset * along).sum(-1) / (along * along).sum(-1), 0.0, 1.0)
    away = np.linalg.norm(offset - t[..., None] * along, axis=-1).min(-1)
    # Even-odd rule along the ray towards growing radius.
    y = points[..., 1, None]
    crosses = (a[:, 1] <= y) != (b[:, 1] <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (y - a[:, 1]) / along[:, 1] * along[:, 0]
    inside = (crosses & (at > points[..., 0, None])).sum(-1) % 2 == 1
    return np.where(inside, -away, away)
