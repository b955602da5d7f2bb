"""What a recording of ours shows around the hand: objects, depth, and which pixel shows what."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from hoi_core import camera as cameras
from hoi_core import mesh_file
from hoi_core import sequence as sequences
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.types import F32, F64, STATUSES, U8, Camera, ObjectPose, ObjectTrack, Revision

HAND, OBJECT = 1, 2
"""Values of a segmentation; 0 is the background."""
_REJECTED = STATUSES.index("rejected")


def mesh_of(root: Path, name: str) -> Path | None:
    """The file of an object's mesh, in metres; None where it has none."""
    files = (Path(root) / "objects" / name / f"mesh{suffix}" for suffix in mesh_file.SUFFIXES)
    return next((path for path in files if path.is_file()), None)


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects that have a mesh, and these."""
    found = {path.name: mesh_of(root, path.name) for path in sorted((root / "objects").glob("*"))}
    return {name: path for name, path in found.items() if path is not None}


def objects_of(root: Path, revision: Revision, m: int, T_cam_world: F64) -> tuple[ObjectPose, ...]:
    """Objects that are labelled at a moment, in the camera's frame.

    Args:
        root: of the dataset.
        revision: the labels.
        m: the moment.
        T_cam_world: (4, 4) m.
    """
    return tuple(
        ObjectPose(name, T_cam_world @ track.T_world_obj[m], mesh_of(root, name))
        for name, track in sorted(revision.objects.items())
        if _labelled(track, m)
    )


def depth_of(capture: sequences.Capture, view: str, m: int) -> F32:
    """Depth at a moment as the view's colour camera sees it. `(H, W)` m; NaN where nothing was measured."""
    camera = capture.views[view].camera
    index = capture.sync.index.get(f"{view}/depth", np.empty(0, np.int64))
    if m >= len(index) or index[m] < 0:
        return np.full((camera.height, camera.width), np.nan, np.float32)
    measured = capture.views[view].depth_in_color_m(int(index[m]))
    return np.where(measured > 0, measured, np.float32(np.nan))


def segmentation_of(root: Path, revision: Revision, m: int, camera: Camera) -> U8:
    """What each pixel shows, drawn from the labels: an object without a mesh does not appear. `(H, W)`."""
    meshes = []
    for side, hand in revision.hands.items():
        if hand.valid[m] and hand.status[m] != _REJECTED and np.isfinite(hand.pose[m]).all():
            layer, some = ManoLayer.from_env(side), slice(m, m + 1)
            posed = layer(hand.orient[some], hand.pose[some], hand.betas, hand.trans_m[some])
            meshes.append(_mesh(posed.vertices_m[0], layer.closed_faces.astype(np.int32), HAND))
    for name, track in revision.objects.items():
        path = mesh_of(root, name) if _labelled(track, m) else None
        if path is not None:
            surface = _read(path, path.stat().st_mtime_ns)
            meshes.append(_mesh(cameras.transform(track.T_world_obj[m], surface.vertices), surface.faces, OBJECT))
    if not meshes:
        return np.zeros((camera.height, camera.width), np.uint8)
    return render_depth(meshes, camera)[1]


def _labelled(track: ObjectTrack, m: int) -> bool:
    return bool(track.valid[m]) and track.status[m] != _REJECTED


def _mesh(vertices_m: F64, faces: np.ndarray, label: int) -> Mesh:
    return Mesh(vertices_m, faces, np.zeros(vertices_m.shape, np.uint8), label)


@lru_cache(maxsize=16)
def _read(path: Path, time_ns: int) -> mesh_file.Triangles:
    """`time_ns` tells a mesh from one written later."""
    return mesh_file.read_mesh(path)
