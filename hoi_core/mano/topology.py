"""Facts about a hand's triangles: its boundary, and the cap that closes the wrist."""

from __future__ import annotations

import numpy as np

from hoi_core.types import F64, I64, Bool

_LONGEST_EDGE_M = 0.03
"""A hand's edges measure 10 mm; vertices in another order lie 80 mm apart."""


def edges(faces: I64) -> I64:
    """Every edge once, lower vertex first. `(F, 3) -> (E, 2)`."""
    return np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=-1), axis=0)


def is_mesh_of(vertices_m: F64, faces: I64) -> Bool:
    """Whether vertices are known and in the order of these faces, not those of another hand model.

    Args:
        vertices_m: `(B, V, 3)` m, NaN where unknown.
        faces: `(F, 3)`.

    Returns:
        `(B,)`.
    """
    edges_m = np.linalg.norm(np.diff(vertices_m[:, faces], axis=2), axis=-1)
    fits: Bool = edges_m.mean((1, 2)) < _LONGEST_EDGE_M
    return fits


def boundary_loop(faces: I64) -> I64:
    """Vertices round the mesh's only hole, in the order in which its triangles run. `(F, 3) -> (n,)`.

    Raises:
        ValueError: the boundary is not one closed loop.
    """
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    pairs = {(int(a), int(b)) for a, b in directed}
    following = {a: b for a, b in pairs if (b, a) not in pairs}
    if not following:
        raise ValueError("the mesh has no boundary")
    start = min(following)
    loop = [start]
    while (nxt := following.get(loop[-1], -1)) != start:
        if nxt < 0 or len(loop) > len(following):
            raise ValueError("the boundary is not one closed loop")
        loop.append(nxt)
    if len(loop) != len(following):
        raise ValueError(f"expected one boundary loop, found {len(following)} edges of which {len(loop)} are connected")
    return np.array(loop, dtype=np.int64)


def close_wrist(faces: I64) -> I64:
    """The faces with the hole capped by triangles between its own vertices. `(F, 3) -> (F + n - 2, 3)`."""
    loop = boundary_loop(faces)
    lo, hi, cap = 0, len(loop) - 1, []
    # A zigzag makes better triangles than a fan.
    while hi - lo > 1:
        cap.append((loop[hi], loop[lo + 1], loop[lo]))
        lo += 1
        if hi - lo > 1:
            cap.append((loop[hi], loop[hi - 1], loop[lo]))
            hi -= 1
    return np.concatenate([faces, np.array(cap, dtype=np.int64)])
