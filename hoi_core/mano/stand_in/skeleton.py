"""The stand-in hand's bones: joint positions and thicknesses of a right hand, flat, palm down, fingers along -x.

The axes are those of MANO's template: x from the fingers to the forearm, y out of the back of the hand, z towards
the thumb. Lengths and widths follow common anthropometric tables for an adult hand of about 19 cm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hoi_core.conventions import MANO_FINGERS
from hoi_core.types import F64

WRIST_X_M = 0.095
"""Where the wrist joint lies on x, so that the origin is near the middle knuckle."""

# Millimetres ahead of the wrist, out of the back, towards the thumb; then yaw towards the thumb, degrees.
_KNUCKLES = {
    "index": ((87.0, 1.5, 24.5), 6.0),
    "middle": ((92.0, 3.5, 3.0), 0.5),
    "ring": ((86.0, 1.5, -17.5), -5.5),
    "little": ((76.5, -3.0, -36.0), -13.0),
}
_PHALANGES_MM = {
    "index": (39.0, 24.0, 21.5),
    "middle": (43.0, 27.5, 22.5),
    "ring": (39.5, 26.0, 22.5),
    "little": (31.5, 19.5, 20.0),
}
# Radii at knuckle, middle joint, end joint and pulp.
_RADII_MM = {
    "thumb": (14.5, 10.8, 9.6, 7.4),
    "index": (10.2, 9.2, 8.0, 6.7),
    "middle": (10.5, 9.4, 8.1, 6.9),
    "ring": (10.0, 8.8, 7.7, 6.5),
    "little": (8.9, 7.7, 6.8, 5.7),
}
_THUMB_MM = ((22.0, -9.0, 20.0), (57.0, -15.0, 43.0), (85.0, -17.5, 58.5), (109.0, -20.0, 68.0))
_THUMB_PAD = (0.0, -0.75, -0.66)
_DROOP_DEG = (4.0, 9.0, 13.0)


@dataclass(frozen=True, eq=False)
class Finger:
    """One finger of the template."""

    name: str
    """As in `conventions.FINGERS`."""
    joints: tuple[int, int, int]
    """Its MANO joints, base to tip."""
    points_m: F64
    """(4, 3) m: its three joints and the most distal point of its bone."""
    radii_m: F64
    """(4,) m, at the same points."""
    pad: F64
    """(3,) unit vector from the bone to the pulp, perpendicular to the last bone."""


def _place(mm: tuple[float, float, float]) -> F64:
    return np.array([WRIST_X_M - mm[0] * 1e-3, mm[1] * 1e-3, mm[2] * 1e-3])


def _finger_points(name: str) -> F64:
    """(4, 3) m. The bones droop a little, so that the axis of bending is defined by the bones alone."""
    base, yaw_deg = _KNUCKLES[name]
    yaw = np.deg2rad(yaw_deg)
    points = [_place(base)]
    for length, droop_deg in zip(_PHALANGES_MM[name], _DROOP_DEG, strict=True):
        droop = np.deg2rad(droop_deg)
        step = np.array([-np.cos(yaw) * np.cos(droop), -np.sin(droop), np.sin(yaw) * np.cos(droop)])
        points.append(points[-1] + step * length * 1e-3)
    return np.stack(points)


@lru_cache(maxsize=1)
def fingers() -> tuple[Finger, ...]:
    """The five fingers in the order of MANO's joints."""
    found = []
    for i, name in enumerate(MANO_FINGERS):
        points = np.stack([_place(p) for p in _THUMB_MM]) if name == "thumb" else _finger_points(name)
        last = points[3] - points[2]
        last = last / np.linalg.norm(last)
        towards = np.array(_THUMB_PAD) if name == "thumb" else np.array([0.0, -1.0, 0.0])
        pad = towards - (towards @ last) * last
        joints = (1 + 3 * i, 2 + 3 * i, 3 + 3 * i)
        radii = np.array(_RADII_MM[name]) * 1e-3
        found.append(Finger(name, joints, points, radii, pad / np.linalg.norm(pad)))
    return tuple(found)


def joints_m() -> F64:
    """(16, 3) m, the template's joints in MANO's order."""
    rows = [np.array([[WRIST_X_M, 0.0, 0.0]])]
    rows += [finger.points_m[:3] for finger in fingers()]
    return np.concatenate(rows)
