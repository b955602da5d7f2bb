"""Which rotations leave an object's shape as it is: none, a few, or all about an axis."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from hoi_core import rotation
from hoi_core.errors import AssetError
from hoi_core.types import F64

Kind = Literal["none", "rotations", "revolution", "sphere"]
_REMEDY = (
    'Write {"symmetry": "none"}, {"symmetry": "revolution", "axis": [0, 0, 1]}, {"symmetry": "sphere"}, or '
    '{"symmetry": "rotations", "rotations_rad": [[0, 0, 3.14159]]} with axis-angles about the middle.'
)
_MEAN_M = 0.0006
_WORST_M = 0.003
_TURNS = (2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Symmetry:
    """Rotations about the middle of the object that leave its shape as it is."""

    kind: Kind = "none"
    """`rotations`: those listed; `revolution`: all about `axis`; `sphere`: all."""
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Unit vector in the object's frame, of a revolution."""
    rotations: tuple[tuple[float, float, float], ...] = field(default=())
    """Axis-angles, rad, besides the identity."""

    @property
    def free(self) -> F64:
        """(K, 3) axes about which depth says nothing of the object's turn: 0, 1 or 3."""
        if self.kind == "sphere":
            return np.eye(3)
        return np.array([self.axis]) if self.kind == "revolution" else np.zeros((0, 3))


def read_symmetry(path: Path) -> Symmetry | None:
    """The symmetry that `object.json` states; None where it states none.

    Raises:
        AssetError: it cannot be read, or states something else.
    """
    if not path.exists():
        return None
    try:
        stated = json.loads(path.read_text(encoding="utf8"))
        kind = stated.get("symmetry")
        axis = np.array(stated.get("axis", (0.0, 0.0, 1.0)), dtype=np.float64).reshape(3)
        rotations = np.array(stated.get("rotations_rad", ()), dtype=np.float64).reshape(-1, 3)
    except (ValueError, AttributeError, OSError) as error:
        raise AssetError(f"{path} does not state a symmetry: {error}.", _REMEDY) from error
    if kind is None:
        return None
    length = float(np.linalg.norm(axis))
    sound = np.isfinite(rotations).all() and np.isfinite(length) and length > 0
    if kind not in ("none", "rotations", "revolution", "sphere") or not sound:
        raise AssetError(f"{path} states the symmetry {kind!r}, which is not one that is known.", _REMEDY)
    x, y, z = (axis / length).tolist()
    return Symmetry(kind, (x, y, z), tuple((a, b, c) for a, b, c in rotations.tolist()))


def estimate_symmetry(samples_m: F64, centre_m: F64, distance_m: Callable[[F64], F64]) -> Symmetry:
    """Try rotations about the axes of the object's frame and its principal axes.

    Args:
        samples_m: `(S, 3)` m points of the surface.
        centre_m: `(3,)` m its middle.
        distance_m: `(S, 3) m -> (S,) m` distance to the surface.
    """

    def fits(axis_angle: F64) -> bool:
        away = np.abs(distance_m((samples_m - centre_m) @ rotation.exp_so3(axis_angle).T + centre_m))
        return bool(away.mean() < _MEAN_M and np.percentile(away, 98) < _WORST_M)

    _, _, principal = np.linalg.svd(samples_m - centre_m, full_matrices=False)
    axes = _distinct(np.concatenate([np.eye(3), principal]))
    round_about = [axis for axis in axes if all(fits(axis * angle) for angle in (0.37, 1.0, 1.9, 2.6))]
    if len(round_about) > 1:
        return Symmetry("sphere")
    if round_about:
        x, y, z = round_about[0].tolist()
        return Symmetry("revolution", (x, y, z))
    found: list[F64] = []
    for axis in axes:
        for turns in _TURNS:
            if fits(axis * (2.0 * np.pi / turns)):
                found += [axis * (2.0 * np.pi * k / turns) for k in range(1, turns)]
    listed = _distinct_rotations(found)
    return Symmetry("rotations", rotations=tuple((a, b, c) for a, b, c in listed)) if listed else Symmetry()


def _distinct(axes: F64) -> list[F64]:
    """Axes that differ by more than five degrees."""
    kept: list[F64] = []
    for axis in axes:
        if all(abs(float(axis @ other)) < np.cos(np.deg2rad(5.0)) for other in kept):
            kept.append(axis)
    return kept


def _distinct_rotations(axis_angles: list[F64]) -> list[list[float]]:
    kept: list[F64] = []
    for one in axis_angles:
        R = rotation.exp_so3(one)
        if all(float(rotation.geodesic_angle(R, rotation.exp_so3(other))) > np.deg2rad(5.0) for other in kept):
            kept.append(one)
    return [one.tolist() for one in kept]
