"""Derivatives of rotation vectors by steps in the tangent space."""

from __future__ import annotations

import numpy as np

from hoi_core import rotation
from hoi_core.types import F64

_SMALL = 1e-3


def right_jacobian_inverse(w: F64) -> F64:
    """`d log(R exp(d)) / dd` at d = 0 for `R = exp(w)`. `(..., 3) rad -> (..., 3, 3)`.

    Its transpose is the derivative for a step from the left (Sola et al. 2018, eq. 144 and 146).
    """
    k = rotation.skew(w)
    angle = np.linalg.norm(w, axis=-1)[..., None, None]
    small = angle < _SMALL
    safe = np.where(small, 1.0, angle)
    factor = np.where(small, 1.0 / 12.0 + angle**2 / 720.0, 1.0 / safe**2 - 0.5 / (safe * np.tan(safe / 2)))
    return np.eye(3) + 0.5 * k + factor * (k @ k)
