"""The diagonal blocks of the inverse of a matrix in which each moment meets the two before and the two after it."""

from __future__ import annotations

import numba
import numpy as np

from hoi_core.types import F64


def selected_inverse(own: F64, near: F64, far: F64) -> F64:
    """Diagonal blocks of the inverse of a symmetric positive definite band of blocks.

    Two moments make one block of a block-tridiagonal matrix, whose inverse has a two-pass recursion
    (Rybicki and Hummer 1991, appendix B).

    Args:
        own: `(M, D, D)` blocks of the moments.
        near: `(M - 1, D / 3, 3, 3)` between the same three unknowns of moments m + 1 (rows) and m.
        far: `(M - 2, D / 3, 3, 3)` between those of moments m + 2 (rows) and m.

    Returns:
        `(M, D, D)`.
    """
    moments, size = own.shape[:2]
    pairs = (moments + 1) // 2
    # Blocks of moments that there are not are zero; one that an odd number lacks stands alone.
    blocks = np.zeros((2, 2 * pairs, size // 3, 3, 3))
    blocks[0, : len(near)], blocks[1, : len(far)] = near, far
    diagonal = np.zeros((pairs, 2 * size, 2 * size))
    diagonal[:, size:, size:] = np.eye(size)
    diagonal[:, :size, :size] = own[::2]
    diagonal[: moments // 2, size:, size:] = own[1::2]
    _invert(diagonal, blocks[0], blocks[1])
    found = np.stack([diagonal[:, :size, :size], diagonal[:, size:, size:]], axis=1)
    return found.reshape(-1, size, size)[:moments]


@numba.njit(cache=True, nogil=True)
def _invert(diagonal: F64, near: F64, far: F64) -> None:
    """Replace `diagonal (P, 2 D, 2 D)` of pairs of moments, each without what joins the two, by that of the inverse."""
    pairs, width, _ = diagonal.shape
    size = width // 2
    through = np.zeros((pairs, width, width))
    joint = np.zeros((width, width))
    for k in range(pairs):
        for b in range(size // 3):
            for i in range(3):
                for j in range(3):
                    diagonal[k, size + 3 * b + i, 3 * b + j] += near[2 * k, b, i, j]
                    diagonal[k, 3 * b + j, size + 3 * b + i] += near[2 * k, b, i, j]
        if k > 0:
            diagonal[k] -= joint
        diagonal[k] = np.linalg.inv(diagonal[k])
        if k + 1 < pairs:
            # `through = B diagonal` and `joint = B diagonal B'`, where B joins this pair with the next one.
            _times_joining(diagonal[k], near[2 * k + 1], far[2 * k], far[2 * k + 1], through[k])
            _times_joining(through[k].T, near[2 * k + 1], far[2 * k], far[2 * k + 1], joint)
    for k in range(pairs - 2, -1, -1):
        diagonal[k] += np.dot(through[k].T, np.dot(diagonal[k + 1], through[k]))


@numba.njit(cache=True, nogil=True)
def _times_joining(x: F64, near: F64, far: F64, far_after: F64, out: F64) -> None:
    """Fill `out (2 D, 2 D)` with `[[far, near], [0, far_after]] x`, whose blocks are diagonals of 3 x 3 blocks."""
    size = len(x) // 2
    for b in range(len(near)):
        for i in range(3):
            row, later = 3 * b + i, size + 3 * b + i
            out[row] = 0.0
            out[later] = 0.0
            for j in range(3):
                at, after = 3 * b + j, size + 3 * b + j
                for c in range(x.shape[1]):
                    out[row, c] += far[b, i, j] * x[at, c] + near[b, i, j] * x[after, c]
                    out[later, c] += far_after[b, i, j] * x[after, c]
