"""Normal equations of residuals that depend on one joint's rotation each, compiled."""

from __future__ import annotations

import numba

from hoi_core.types import F64


@numba.njit(cache=True, nogil=True)
def add_rows(slopes: F64, residual: F64, weight: F64, H: F64, g: F64) -> None:
    """Add three residuals of each finger joint.

    Args:
        slopes: `(M, 15, 3, 3)` residual by the joint's step.
        residual: `(M, 15, 3)`.
        weight: `(M, 15, 3)` of the squared residuals.
        H: `(M, 51, 51)`; added to.
        g: `(M, 51)`; added to.
    """
    for m in range(len(residual)):
        for joint in range(residual.shape[1]):
            first = 6 + 3 * joint
            for row in range(3):
                w = weight[m, joint, row]
                if w == 0.0:
                    continue
                for a in range(3):
                    pull = w * slopes[m, joint, row, a]
                    g[m, first + a] += pull * residual[m, joint, row]
                    for b in range(3):
                        H[m, first + a, first + b] += pull * slopes[m, joint, row, b]
