"""What a person does to the labels of objects, as pure functions from one revision to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from annotate.document.edits import check_frames, check_view
from hoi_core import rotation
from hoi_core.errors import ConfigError
from hoi_core.types import F64, STATUSES, Bool, ObjectPoints, ObjectTrack, Revision

_RIGID = 1e-6


def empty_object(moments: int) -> ObjectTrack:
    """An object without any label."""
    return ObjectTrack(np.full((moments, 4, 4), np.nan), np.zeros(moments, bool), np.zeros(moments, np.uint8))


def set_object_pose(revision: Revision, name: str, frame: int, T_world_obj: F64) -> Revision:
    """Give a frame an edited label.

    Args:
        revision: the labels.
        name: the object.
        frame: index of the frame.
        T_world_obj: (4, 4) m.

    Raises:
        ConfigError: the matrix is no rigid motion.
    """
    check_frames(revision, [frame])
    T = np.asarray(T_world_obj, dtype=np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all() or not _rigid(T):
        raise ConfigError("an object's pose is a (4, 4) rotation and shift.", "Give a rigid motion.")
    track = revision.objects.get(name) or empty_object(len(revision.t_ns))
    arrays = {f.name: getattr(track, f.name).copy() for f in fields(track)}
    arrays["T_world_obj"][frame] = T
    arrays["valid"][frame] = True
    arrays["status"][frame] = STATUSES.index("edited")
    return replace(revision, objects={**revision.objects, name: ObjectTrack(**arrays)})


def _rigid(T: F64) -> bool:
    R = T[:3, :3]
    turned = np.allclose(R @ R.T, np.eye(3), atol=_RIGID) and np.linalg.det(R) > 0
    return bool(turned and np.array_equal(T[3], [0.0, 0.0, 0.0, 1.0]))


def nudged(T_world_obj: F64, shift_m: Sequence[float], turn_rad: Sequence[float], T_world_axes: F64) -> F64:
    """(4, 4) m: an object moved along and turned about given axes through its own origin.

    Args:
        T_world_obj: (4, 4) m before.
        shift_m: (3,) m along the axes.
        turn_rad: (3,) rad axis-angle in the axes.
        T_world_axes: (4, 4) whose rotation gives the axes in the world.
    """
    if not (np.isfinite(shift_m).all() and np.isfinite(turn_rad).all()):
        raise ConfigError("a nudge is 3 metres and 3 radians.", "Give finite numbers.")
    axes = T_world_axes[:3, :3]
    out = T_world_obj.copy()
    out[:3, :3] = rotation.exp_so3(axes @ np.asarray(turn_rad, float)) @ T_world_obj[:3, :3]
    # Thousands of nudges must not make a rotation drift.
    u, _, vt = np.linalg.svd(out[:3, :3])
    out[:3, :3] = u @ vt
    out[:3, 3] += axes @ np.asarray(shift_m, float)
    return out


def pose_of(revision: Revision, name: str, frame: int) -> F64 | None:
    """(4, 4) m, or None where there is no label."""
    track = revision.objects.get(name)
    return track.T_world_obj[frame].copy() if track is not None and track.valid[frame] else None


def add_object_point(
    revision: Revision, name: str, at: tuple[int, str], px: tuple[float, float], point_m: Sequence[float]
) -> Revision:
    """Say that a point of the mesh is seen at a pixel.

    Args:
        revision: the labels.
        name: the object.
        at: frame and view.
        px: where, px of the colour image.
        point_m: (3,) m on the mesh, object frame.

    Raises:
        ConfigError: no such frame or view, or numbers that are not finite.
    """
    frame, view = at
    check_frames(revision, [frame])
    check_view(revision, view)
    pixel, point = np.asarray(px, float).reshape(1, 2), np.asarray(point_m, float).reshape(1, 3)
    if not (np.isfinite(pixel).all() and np.isfinite(point).all()):
        raise ConfigError("a click is a pixel and a point of the mesh.", "Click inside the image and on the mesh.")
    held = revision.object_points.get(name, _NO_POINTS)
    points = ObjectPoints(
        np.append(held.moment, np.int64(frame)),
        (*held.view, view),
        np.concatenate([held.point_px, pixel]),
        np.concatenate([held.point_m, point]),
    )
    return replace(revision, object_points={**revision.object_points, name: points})


_NO_POINTS = ObjectPoints(np.zeros(0, np.int64), (), np.zeros((0, 2)), np.zeros((0, 3)))


def points_of(revision: Revision, name: str, frame: int) -> ObjectPoints:
    """The clicks of one frame."""
    check_frames(revision, [frame])
    held = revision.object_points.get(name, _NO_POINTS)
    return _chosen(held, held.moment == frame)


def _chosen(points: ObjectPoints, kept: Bool) -> ObjectPoints:
    views = tuple(view for view, keep in zip(points.view, kept, strict=True) if keep)
    return ObjectPoints(points.moment[kept], views, points.point_px[kept], points.point_m[kept])


def remove_object_point(revision: Revision, name: str, index: int) -> Revision:
    """Remove a click by its index.

    Raises:
        ConfigError: there is no such click.
    """
    held = revision.object_points.get(name, _NO_POINTS)
    if not 0 <= index < len(held.moment):
        raise ConfigError(f"{name} has {len(held.moment)} clicks, there is no number {index}.", "Choose one of them.")
    points = _chosen(held, np.arange(len(held.moment)) != index)
    return replace(revision, object_points={**revision.object_points, name: points})
