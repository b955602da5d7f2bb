"""Rigid objects that a network knows by number: their surfaces, their sizes, and under which turns they look alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.distance import cdist

from hoi_core import camera as cameras
from hoi_core.conventions import BOX_EDGES
from hoi_core.errors import AssetError
from hoi_core.mesh_file import Triangles
from hoi_core.rotation import exp_so3
from hoi_core.types import F64

MIRROR = np.diag([-1.0, 1.0, 1.0])
"""Turns a left hand's object into the one that is shown with the mirrored hand: `x` of its own frame changes sign."""

SYMMETRIC_YCB = frozenset({"024_bowl", "036_wood_block", "052_extra_large_clamp", "061_foam_brick"})
"""Of the YCB objects those that papers measure by the nearest point (classes 13, 16, 20 and 21 of DexYCB)."""
_YCB = re.compile(r"0(0[2-9]|10|11|19|21|24|25|35|36|37|40|51|52|61)_\w+")

_POINTS, _ASKED = 12_000, 600
_ALIKE, _QUANTILE = 0.03, 0.98
"""Turned points lie nearer to the surface than this share of its diameter, all but two in a hundred: a mug's handle is
six in a hundred."""
_ODD_TURN_RAD = 1.0  # no fraction of a full turn: alike after it means alike after any


@dataclass(frozen=True)
class KnownObject:
    """An object with its surface, in metres."""

    name: str
    """What its dataset calls it."""
    vertices_m: F64
    """(N, 3) m, object frame."""
    faces: NDArray[np.int32]
    """(F, 3), outward."""
    symmetric: bool = False
    """Whether it is measured by the nearest point (ADD-S), as one that looks alike from several sides."""
    turns: tuple[F64, ...] = field(default=(), repr=False)
    """(3, 3) rotations about the centre of its box after which it looks alike, without the identity."""
    axes: tuple[F64, ...] = field(default=(), repr=False)
    """(3,) directions through the centre about which every turn looks alike; several of a ball."""

    @cached_property
    def low_m(self) -> F64:
        """(3,) m, corner of the axis-aligned box with the smallest coordinates."""
        return np.asarray(self.vertices_m.min(0))

    @cached_property
    def high_m(self) -> F64:
        """(3,) m, the opposite corner."""
        return np.asarray(self.vertices_m.max(0))

    @property
    def centre_m(self) -> F64:
        """(3,) m, of the box."""
        return 0.5 * (self.low_m + self.high_m)

    @property
    def diagonal_m(self) -> float:
        """Of the box, m: what some papers call the diameter; never below the true one."""
        return float(np.linalg.norm(self.high_m - self.low_m))

    @cached_property
    def diameter_m(self) -> float:
        """Largest distance of two of its points, m."""
        return diameter(self.vertices_m)

    @cached_property
    def control_m(self) -> F64:
        """(21, 3) m, see `control_points`."""
        return control_points(self.low_m, self.high_m)

    @cached_property
    def mirrored(self) -> KnownObject:
        """Its mirror image, with which a left hand shown as a right one is seen."""
        turns = tuple(MIRROR @ turn @ MIRROR for turn in self.turns)
        other = replace(
            self,
            vertices_m=self.vertices_m @ MIRROR,
            faces=np.ascontiguousarray(self.faces[:, ::-1]),
            turns=turns,
            axes=tuple(MIRROR @ axis for axis in self.axes),
        )
        # The same point stays the same corner: it only lies on the other side.
        other.__dict__["control_m"] = self.control_m @ MIRROR
        return other

    def scaled(self, factor: float) -> KnownObject:
        """The object `factor` times as large."""
        return self if factor == 1.0 else replace(self, vertices_m=self.vertices_m * factor)

    def plainest(self, T: F64) -> F64:
        """Of the poses that look like `T`, the one whose rotation is nearest to none: what a network can learn.

        `(4, 4) m -> (4, 4) m`; of an object that is not symmetric the pose itself.
        """
        if not self.symmetric:
            return T
        R, centre = T[:3, :3], self.centre_m
        if len(self.axes) > 1:
            best = np.asarray(R.T)
        else:
            found = [turn @ self._twist(R @ turn) for turn in (np.eye(3), *self.turns)]
            best = max(found, key=lambda S: float(np.trace(R @ S)))
        return np.asarray(T @ cameras.rigid(best, centre - best @ centre))

    def _twist(self, R: F64) -> F64:
        """The turn about its axis, where it has one, after which a rotation is nearest to none. `(3, 3)`."""
        if not self.axes:
            return np.eye(3)
        (axis,) = self.axes
        # trace(R exp(t [a])) = const + A cos t + B sin t.
        A = np.trace(R) - axis @ R @ axis
        B = (R[1, 2] - R[2, 1]) * axis[0] + (R[2, 0] - R[0, 2]) * axis[1] + (R[0, 1] - R[1, 0]) * axis[2]
        return exp_so3(axis * np.arctan2(B, A))

    def to_dict(self) -> dict[str, Any]:
        """What the user of a network must know of it, without its surface: plain values for JSON."""
        return {
            "name": self.name,
            "low_m": self.low_m.tolist(),
            "high_m": self.high_m.tolist(),
            "diameter_m": self.diameter_m,
            "symmetric": self.symmetric,
        }


def known_object(name: str, surface: Triangles, scale: float = 1.0) -> KnownObject:
    """An object of a mesh; whether it is symmetric its name says where it is of the YCB set, else its shape.

    Args:
        name: what its dataset calls it.
        surface: its mesh.
        scale: metres per unit of the mesh.

    Raises:
        AssetError: the mesh has no extent.
    """
    vertices = np.asarray(surface.vertices, np.float64) * scale
    if not np.isfinite(vertices).all() or not (vertices.max(0) - vertices.min(0)).max() > 0:
        raise AssetError(f"the mesh of {name} has no extent.", "Export it again as a triangle mesh, OBJ in metres.")
    turns, axes = _symmetries(vertices, surface.faces)
    symmetric = name in SYMMETRIC_YCB if _YCB.fullmatch(name) else bool(turns or axes)
    return KnownObject(name, vertices, np.asarray(surface.faces, np.int32), symmetric, turns, axes)


def control_points(low_m: F64, high_m: F64) -> F64:
    """The 21 points of an axis-aligned box that a network says: corners, middles of edges, centre.

    Corners come in the order of a three-digit binary number of their x, y and z (0 low, 1 high), edges in that of the
    corners at their ends.

    Args:
        low_m: `(3,)` m.
        high_m: `(3,)` m.

    Returns:
        `(21, 3)` m.
    """
    unit = np.array(list(product((0.0, 1.0), repeat=3)))
    corners = low_m + unit * (high_m - low_m)
    edges = np.array([0.5 * (corners[a] + corners[b]) for a, b in BOX_EDGES])
    return np.concatenate([corners, edges, 0.5 * (low_m + high_m)[None]])


def diameter(vertices_m: F64) -> float:
    """Largest distance of two points, m. `(N, 3)`."""
    try:
        outer = vertices_m[ConvexHull(vertices_m).vertices]
    except QhullError:  # flat
        outer = np.unique(vertices_m, axis=0)
    return max((float(cdist(outer[at : at + 1000], outer).max()) for at in range(0, len(outer), 1000)), default=0.0)


def _symmetries(vertices_m: F64, faces: NDArray[np.integer]) -> tuple[tuple[F64, ...], tuple[F64, ...]]:
    """Quarter and half turns about the axes of its box after which a surface lies on itself, and axes of every turn."""
    points = surface_points(vertices_m, faces, _POINTS)
    low, high = vertices_m.min(0), vertices_m.max(0)
    points = points - 0.5 * (low + high)
    tree, asked = cKDTree(points), surface_points(vertices_m, faces, _ASKED, seed=1) - 0.5 * (low + high)
    limit = _ALIKE * float(np.linalg.norm(high - low))

    def alike(turn: F64) -> bool:
        return bool(np.quantile(tree.query(asked @ turn.T)[0], _QUANTILE) < limit)

    axes = tuple(axis for axis in np.eye(3) if alike(exp_so3(_ODD_TURN_RAD * axis)))
    return tuple(turn for turn in _box_turns() if alike(turn)), axes


def _box_turns() -> list[F64]:
    """The 23 turns of a cube onto itself."""
    signs = [np.diag(s) for s in product((1.0, -1.0), repeat=3)]
    swaps = [np.eye(3)[list(p)] for p in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2))]
    every = [swap @ sign for swap in swaps for sign in signs]
    return [turn for turn in every if np.linalg.det(turn) > 0 and not np.array_equal(turn, np.eye(3))]


def surface_points(vertices_m: F64, faces: NDArray[np.integer], count: int, seed: int = 0) -> F64:
    """Random points on a surface, even by area. `(N, 3) m, (F, 3) -> (count, 3) m`."""
    a, b, c = (vertices_m[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    rng = np.random.default_rng(seed)
    if not area.sum() > 0:
        return np.asarray(vertices_m[rng.integers(len(vertices_m), size=count)])
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    over = u + v > 1.0
    u, v = np.where(over, 1.0 - u, u), np.where(over, 1.0 - v, v)
    return np.asarray(a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen])
