"""A linear model of how skin looks: a mean and components, in the logarithm of the albedo.

Skin's colour varies along two pigments, melanin and haemoglobin, that multiply (Tsumura et al. 1999): in the logarithm
they add. The components are ours, made by rule from the hand's anatomy; nothing is taken from a texture model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core._raster import vertex_normals
from hoi_core.conventions import FINGERS, finger_joints
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import HandFrame, hand_frame
from hoi_core.types import F64

N_FIELDS = 14
"""Smooth fields over the hand along which each of the two pigments varies."""
_MEAN_RGB = (0.46, 0.265, 0.178)
# Change of ln(albedo) for one unit; melanin from the lightest to the darkest skin spans 2 sqrt(3) units.
_MELANIN = np.array([-0.46, -0.62, -0.73])
_BLOOD = np.array([-0.015, -0.105, -0.085])
_WARMTH = np.array([0.02, 0.0, -0.075])
_COEFFICIENT_LIMIT = 2.5


@dataclass(frozen=True)
class SkinModel:
    """The look of one hand model's skin."""

    mean: F64
    """(778, 3) ln of the linear albedo."""
    components: F64
    """(K, 778, 3) change of it for one standard deviation."""
    dorsal: F64
    """(778,) 1 on the back of the hand, 0 on the palm."""

    def draw(self, rng: np.random.Generator) -> F64:
        """Coefficients of a random person. `-> (K,)`; melanin is spread evenly, so that no tone is rare."""
        out = rng.normal(0.0, 1.0, len(self.components)).clip(-_COEFFICIENT_LIMIT, _COEFFICIENT_LIMIT)
        out[0] = rng.uniform(-np.sqrt(3.0), np.sqrt(3.0))
        return out

    def albedo(self, coefficients: F64) -> F64:
        """Linear RGB of every vertex. `(K,) -> (778, 3)`, 0..1."""
        return np.exp(np.minimum(self.mean + np.tensordot(coefficients, self.components, 1), -0.05))


def skin_model(layer: ManoLayer) -> SkinModel:
    """The skin model of a hand."""
    frame = hand_frame(layer)
    points = layer.model.v_template
    normals = np.zeros_like(points)
    vertex_normals(points, np.ascontiguousarray(layer.closed_faces, np.int32), normals)
    dorsal = 0.5 - 0.5 * (normals @ frame.palm)
    palmar = np.clip(1.0 - 2.0 * dorsal, 0.0, 1.0)
    knuckles, tips = _knuckles(points, frame), _tips(points, frame)
    back = np.clip(2.0 * dorsal - 1.0, 0.0, 1.0)
    # Palms hold little melanin, knuckles more, and blood shows where the skin is thin.
    melanin = 1.0 - 0.5 * palmar + 0.16 * knuckles * back
    blood = 1.0 + 0.9 * palmar
    mean = np.log(_MEAN_RGB) + _outer(-0.35 * palmar, _MELANIN) + _outer(1.6 * tips + 1.0 * knuckles, _BLOOD)
    parts = [
        _outer(melanin, _MELANIN),
        _outer(blood, 1.3 * _BLOOD),
        _outer(np.ones(len(points)), _WARMTH),
        _outer(palmar, -0.22 * _MELANIN),
        _outer(knuckles * back, 0.10 * _MELANIN),
        _outer(knuckles, 1.2 * _BLOOD),
        _outer(tips, 1.5 * _BLOOD),
    ]
    for k, field in enumerate(_fields(points)):
        parts.append(_outer(field, (0.045 if k < N_FIELDS // 2 else 0.025) * _MELANIN))
        parts.append(_outer(field, 0.33 * _BLOOD))
    return SkinModel(mean, np.stack(parts), dorsal)


def _outer(share: F64, direction: F64) -> F64:
    return share[:, None] * direction


def _near(points_m: F64, centre: F64, size_m: float) -> F64:
    return np.exp(-((points_m - centre) ** 2).sum(-1) / (2.0 * size_m**2))


def _knuckles(points_m: F64, frame: HandFrame) -> F64:
    """How much each vertex lies at a knuckle. `(N, 3) m -> (N,)`, 0..1."""
    total = np.zeros(len(points_m))
    for finger in FINGERS:
        base, middle, end, _ = finger_joints(finger)
        for joint, size in ((base, 0.011), (middle, 0.008), (end, 0.006)):
            total += _near(points_m, frame.joints_m[joint], size)
    return np.minimum(total, 1.0)


def _tips(points_m: F64, frame: HandFrame) -> F64:
    return np.max([_near(points_m, frame.joints_m[finger_joints(f)[-1]], 0.009) for f in FINGERS], axis=0)


def _fields(points_m: F64) -> list[F64]:
    """Waves over the template, long ones first, always the same; unit spread."""
    rng = np.random.default_rng(11)
    lengths_m = np.geomspace(0.16, 0.03, N_FIELDS)
    fields = []
    for length in lengths_m:
        direction = rng.normal(0.0, 1.0, 3)
        wave = np.cos(
            points_m @ (direction / np.linalg.norm(direction)) * (2.0 * np.pi / length) + rng.uniform(0, 6.28)
        )
        fields.append((wave - wave.mean()) / wave.std())
    return fields
