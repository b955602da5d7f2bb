"""The stand-in hand as a distance field: rounded cones along the bones, smoothly joined, that move with the joints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from hoi_core.mano.stand_in.skeleton import WRIST_X_M, Finger, fingers
from hoi_core.types import F64, I64

_STEP_M = 2e-4  # of the finite differences


@dataclass(frozen=True)
class Cone:
    """A capsule whose radius changes along its axis, squeezed or stretched along one direction."""

    joint: int
    """The MANO joint that it moves with."""
    a_m: F64
    """(3,) m."""
    b_m: F64
    """(3,) m."""
    radius_a_m: float
    """m, at a."""
    radius_b_m: float
    """m, at b."""
    along: F64
    """(3,) unit vector of the squeezed direction."""
    squeeze: float
    """Extent along `along` relative to the other directions."""


@dataclass(frozen=True)
class Group:
    """Cones that melt into each other within `blend_m`."""

    cones: tuple[Cone, ...]
    """At least one."""
    blend_m: float
    """m."""

    @cached_property
    def packed(self) -> tuple[I64, F64, F64, F64, F64]:
        """Joints (C,), starts (C, 1, 3), stretches (C, 3, 3), stretched axes (C, 3, 1), radii and scale (3, C, 1)."""
        a, b = (np.stack([getattr(c, k) for c in self.cones]) for k in ("a_m", "b_m"))
        stretch = np.stack([np.eye(3) + (1.0 / c.squeeze - 1.0) * np.outer(c.along, c.along) for c in self.cones])
        axes = stretch @ (b - a)[..., None]
        radii = np.array([(c.radius_a_m, c.radius_b_m - c.radius_a_m, min(c.squeeze, 1.0)) for c in self.cones])
        return np.array([c.joint for c in self.cones]), a[:, None], stretch, axes, radii.T[..., None]


def smooth_min(a: F64, b: F64, blend_m: float) -> F64:
    """Minimum of two distances, rounded where they differ by less than `blend_m`."""
    h = np.maximum(blend_m - np.abs(a - b), 0.0) / blend_m
    return np.minimum(a, b) - h * h * blend_m * 0.25


def group_distance(points_m: F64, group: Group, to_rest: F64 | None = None) -> F64:
    """Distance to a group. `(N, 3) m -> (N,) m`; `to_rest (16, 4, 4)` carries posed space to the template's."""
    joints, starts, stretch, axes, (radius, growth, scale) = group.packed
    p = points_m[None]
    if to_rest is not None:
        T = to_rest[joints]
        p = p @ T[:, :3, :3].transpose(0, 2, 1) + T[:, None, :3, 3]
    p = (p - starts) @ stretch
    t = np.clip((p @ axes)[..., 0] / (axes * axes).sum(1), 0.0, 1.0)
    rest = p - t[..., None] * axes[:, None, :, 0]
    distances = (np.sqrt((rest * rest).sum(-1)) - radius - growth * t) * scale
    total = distances[0]
    for d in distances[1:]:
        total = smooth_min(total, d, group.blend_m)
    return total


@lru_cache(maxsize=5)
def finger_group(finger: Finger) -> Group:
    """A finger from its knuckle to its tip: three bones and the pulp."""
    up = -finger.pad
    cones = []
    for k in range(3):
        a, b = finger.points_m[k], finger.points_m[k + 1]
        ra, rb = finger.radii_m[k], finger.radii_m[k + 1]
        if k == 2:
            b = b - (b - a) / np.linalg.norm(b - a) * rb * 0.9
        if k == 0 and finger.name != "thumb":
            # The web hides the first half of the bone; the knuckle above it is the palm's.
            a = a + 0.25 * (b - a)
        cones.append(Cone(finger.joints[k], a, b, float(ra) * 0.98, float(rb), up, 0.93))
    a, b = finger.points_m[2], finger.points_m[3]
    pulp = a + 0.62 * (b - a) + 0.1e-2 * finger.pad
    end = a + 0.72 * (b - a) + 0.12e-2 * finger.pad
    cones.append(Cone(finger.joints[2], pulp, end, float(finger.radii_m[3]) * 1.03, float(finger.radii_m[3]), up, 0.9))
    for k in (0, 1):  # soft pads between the creases
        a, b = finger.points_m[k], finger.points_m[k + 1]
        r = float(finger.radii_m[k] + finger.radii_m[k + 1]) * 0.43
        lo, hi = (0.6, 0.75) if k == 0 else (0.4, 0.6)
        cones.append(
            Cone(
                finger.joints[k],
                a + lo * (b - a) + 0.15e-2 * finger.pad,
                a + hi * (b - a) + 0.15e-2 * finger.pad,
                r,
                r,
                up,
                0.95,
            )
        )
    return Group(tuple(cones), 4e-3)


def _mm(ahead: float, up: float, thumbward: float) -> F64:
    return np.array([WRIST_X_M - ahead * 1e-3, up * 1e-3, thumbward * 1e-3])


@lru_cache(maxsize=1)
def palm_group() -> Group:
    """Forearm stub, metacarpals, and the bulges at the base of the thumb and of the little finger."""
    y, one = np.array([0.0, 1.0, 0.0]), 1e-3
    cones = [
        Cone(0, _mm(-45, 0, 12), _mm(5, -1, 12), 17 * one, 18.0 * one, y, 1.0),
        Cone(0, _mm(-45, 0, -10), _mm(5, -1, -12), 17 * one, 18.0 * one, y, 1.0),
        Cone(0, _mm(10, -7, -22), _mm(58, -10, -34), 13.5 * one, 10.5 * one, y, 1.0),  # hypothenar
        Cone(0, _mm(16, -9, 14), _mm(52, -13, 26), 14.0 * one, 11.0 * one, y, 1.0),  # thenar
    ]
    for finger in fingers():
        if finger.name == "thumb":
            continue
        knuckle, toward = finger.points_m[0], finger.points_m[1] - finger.points_m[0]
        toward = toward / np.linalg.norm(toward)
        root = _mm(8, 0, 0) + np.array([0.0, 0.0, 0.42 * knuckle[2]])
        r = 13.2 * one if finger.name != "little" else 11.8 * one
        cones.append(Cone(0, root - [0, 1.5 * one, 0], knuckle - [0, 3.5 * one, 0], 15 * one, r, y, 0.92))
        cones.append(
            Cone(
                0,
                knuckle - [0, 4.0 * one, 0],
                knuckle + 7.5e-3 * toward - [0, 4.5 * one, 0],
                r * 0.93,
                10.0 * one,
                y,
                0.95,
            )
        )
    return Group(tuple(cones), 9e-3)


@lru_cache(maxsize=1)
def thumb_group() -> Group:
    """The thumb with its metacarpal and the skin towards the index finger."""
    thumb = fingers()[4]
    y = np.array([0.0, 1.0, 0.0])
    web = Cone(13, _mm(38, -8, 26), _mm(58, -10, 34), 9e-3, 7.5e-3, y, 0.8)
    return Group((*finger_group(thumb).cones, web), 7e-3)


def hand_distance(points_m: F64, to_rest: F64 | None = None) -> F64:
    """Signed distance to the whole right hand. `(N, 3) m -> (N,) m`, negative inside."""
    palm = group_distance(points_m, palm_group(), to_rest)
    thumb = group_distance(points_m, thumb_group(), to_rest)
    total = smooth_min(palm, thumb, 11e-3)
    for finger in fingers()[:4]:
        d = smooth_min(palm, group_distance(points_m, finger_group(finger), to_rest), 7e-3)
        total = smooth_min(total, d, 2.5e-3)
    return total


def gradient(points_m: F64, to_rest: F64 | None = None) -> F64:
    """Outward unit normals of the distance field. `(N, 3) m -> (N, 3)`."""
    corners = np.array([[1.0, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    stacked = (points_m[None] + _STEP_M * corners[:, None]).reshape(-1, 3)
    values = hand_distance(stacked, to_rest).reshape(4, -1)
    normal = np.einsum("kn,kd->nd", values, corners)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)


def pull_to_surface(points_m: F64, steps: int = 3, to_rest: F64 | None = None) -> F64:
    """Move points to the surface along the field's gradient. `(N, 3) m -> (N, 3) m`."""
    for _ in range(steps):
        points_m = points_m - hand_distance(points_m, to_rest)[:, None] * gradient(points_m, to_rest)
    return points_m
