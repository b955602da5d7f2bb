"""The diagonal blocks of the inverse of a matrix in which each moment meets the two before and the two after it."""

from __future__ import annotations

import numpy as np

from hoi_core.types import F64


def selected_inverse(own: F64, near: F64, far: F64) -> F64:
    """Diagonal blocks of the inverse of a symmetric positive definite band of blocks.

    Two moments make one block of a block-tridiagonal matrix, whose inverse has a two-pass recursion
    (Rybicki and Hummer 1991, appendix B).

    Args:
        own: `(M, D, D)` blocks of the moments.
        near: `(M - 1, D, D)` blocks of moments m + 1 (rows) and m.
        far: `(M - 2, D, D)` blocks of moments m + 2 (rows) and m.

    Returns:
        `(M, D, D)`.
    """
    diagonal, beside = _pairs(own, near, far)
    reduced, ratio = [diagonal[0]], []
    for k in range(len(beside)):
        ratio.append(np.linalg.solve(reduced[k], beside[k].T))
        reduced.append(diagonal[k + 1] - beside[k] @ ratio[k])
    inverse = np.linalg.inv(reduced[-1])
    found = [inverse]
    for k in range(len(beside) - 1, -1, -1):
        inverse = np.linalg.inv(reduced[k]) + ratio[k] @ inverse @ ratio[k].T
        found.append(inverse)
    size = own.shape[-1]
    blocks = np.stack(found[::-1])
    moments = np.stack([blocks[:, :size, :size], blocks[:, size:, size:]], axis=1)
    return moments.reshape(-1, size, size)[: len(own)]


def _pairs(own: F64, near: F64, far: F64) -> tuple[F64, F64]:
    """Blocks of two moments: `(P, 2 D, 2 D)` on the diagonal and `(P - 1, 2 D, 2 D)` below it."""
    moments, size = len(own), own.shape[-1]
    pairs = (moments + 1) // 2
    diagonal = np.zeros((pairs, 2 * size, 2 * size))
    beside = np.zeros((pairs - 1, 2 * size, 2 * size))
    diagonal[:, size:, size:] = np.eye(size)  # stands for the moment that an odd number lacks
    diagonal[:, :size, :size] = own[::2]
    diagonal[: moments // 2, size:, size:] = own[1::2]
    inner = near[::2]
    diagonal[: len(inner), size:, :size] = inner
    diagonal[: len(inner), :size, size:] = np.swapaxes(inner, 1, 2)
    beside[: len(far[::2]), :size, :size] = far[::2]
    beside[: len(near[1::2]), :size, size:] = near[1::2]
    beside[: len(far[1::2]), size:, size:] = far[1::2]
    return diagonal, beside
