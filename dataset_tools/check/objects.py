"""Whether objects' poses are poses, and their meshes are there and in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hoi_core.errors import AssetError
from hoi_core.mesh_file import SUFFIXES, read_mesh
from hoi_core.types import ObjectTrack, Revision

_FARTHEST_M = 20.0
_LARGEST_M = 3.0
_SMALLEST_M = 2e-3


def check_objects(root: Path, revision: Revision) -> list[str]:
    """Everything that is wrong with the labels of objects, in words."""
    problems = []
    for name, track in revision.objects.items():
        problems += [f"{name}: {what}" for what in (*_poses(track), *_mesh(root / "objects" / name))]
    return problems


def _poses(track: ObjectTrack) -> list[str]:
    T = track.T_world_obj[track.valid]
    if not np.isfinite(T).all():
        return ["valid poses hold NaN"]
    if not len(T):
        return []
    R = T[:, :3, :3]
    wrong = np.abs(R @ np.swapaxes(R, 1, 2) - np.eye(3)).max((1, 2)) > 1e-3
    if wrong.any() or (np.linalg.det(R) < 0).any():
        return [f"the rotation at moment {np.flatnonzero(track.valid)[np.argmax(wrong)]} is none (scaled or mirrored)"]
    far = np.abs(T[:, :3, 3]).max()
    return [f"it lies {far:.0f} m away; is it in millimetres?"] if far > _FARTHEST_M else []


def _mesh(folder: Path) -> list[str]:
    found = [path for suffix in SUFFIXES if (path := folder / f"mesh{suffix}").exists()]
    if not found:
        return [f"it is labelled, but has no mesh in {folder}"]
    try:
        vertices = read_mesh(found[0]).vertices
    except AssetError as error:
        return [error.message]
    size = float(np.ptp(vertices, axis=0).max())
    if not _SMALLEST_M <= size <= _LARGEST_M:
        return [f"its mesh is {size:.3g} m large; is it in {'millimetres' if size > 1 else 'another unit'}?"]
    return []
