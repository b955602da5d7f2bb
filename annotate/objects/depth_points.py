"""Depth points near an object: cut out of each view's image, corrected as the hands' fit corrected the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from annotate.hand import HandState
from annotate.objects._match import crop, nearer_hand
from annotate.objects.mesh import SolidMesh
from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.sequence import Capture, ImageStream
from hoi_core.types import F64, I64

_TABLE_M = 0.006
_EDGE_M = 0.012
_REACH_PX = 2
_HAND_GATE_M = 0.02
_AROUND_M = 0.05
_NS = 1e-9


@dataclass(frozen=True)
class PointsConfig:
    """How depth points are chosen."""

    points: int = 150
    """Points of one view and moment at most."""
    candidates: int = 900
    """Pixels looked at around the object."""
    margin_m: float = 0.02
    """How far beyond the expected object points are taken."""


@dataclass(frozen=True)
class ObjectCloud:
    """Depth points of one view near the object, sorted by moment. K points."""

    start: I64
    """(M + 1,) the points of moment m are `start[m]:start[m + 1]`."""
    points_m: F64
    """(K, 3) m, world, with the view's corrections."""
    hand_m: F64
    """(K,) m distance from the nearest hand; infinite where none is near."""
    lag_s: F64
    """(M,) s from the moment to the measurement; 0 where there is none."""
    eye_m: F64
    """(3,) m centre of the depth imager."""


class PointReader:
    """Reads the depth points around an expected pose, one view.

    Args:
        capture: the open recording.
        view: its name.
        correction: `(8,)` of the view, as in `Revision.corrections`.
        config: how points are chosen.
    """

    def __init__(self, capture: Capture, view: str, correction: F64, config: PointsConfig) -> None:
        self._stream: ImageStream = capture.views[view].depth
        self._index = capture.sync.index[self._stream.name]
        skew_s = capture.sync.skew_ns[self._stream.name] * _NS
        self.lag_s = np.where(self._index >= 0, skew_s + correction[0], 0.0)
        """(M,) s from the moment to the measurement."""
        self._correction = np.ascontiguousarray(correction, dtype=np.float64)
        self._config = config
        self._camera = self._stream.camera
        grid = np.stack(np.meshgrid(np.arange(self._camera.width), np.arange(self._camera.height)), axis=-1)
        self._rays = np.ascontiguousarray(cameras.rays(self._camera, grid.astype(np.float64))[..., :2])
        self._T_world_cam = np.ascontiguousarray(self._camera.T_world_cam)
        self._limits = np.array([self._stream.scale_m or 0.001, _TABLE_M, _EDGE_M])
        self.eye_m = self._T_world_cam[:3, 3].copy()

    def read(self, moment: int, centre_m: F64, radius_m: float) -> F64:
        """`(K, 3)` m corrected points within reach of an object expected at `centre_m (3,)`."""
        nothing = np.zeros((0, 3))
        frame = int(self._index[moment])
        if frame < 0:
            return nothing
        window = self._window(centre_m, radius_m + self._config.margin_m)
        if window is None:
            return nothing
        look = window, np.array([*centre_m, radius_m + self._config.margin_m]), self._limits
        image = self._stream[frame]
        return np.asarray(crop(image, self._rays, self._T_world_cam, look, self._config.points, self._correction))

    def _window(self, centre_m: F64, radius_m: float) -> I64 | None:
        """Left, top, right, bottom, step and reach px of the pixels that a ball may cover; None for none."""
        camera = self._camera
        x, y, z = (self._T_world_cam[:3, :3].T @ (centre_m - self.eye_m)).tolist()
        if not z >= radius_m:
            return None
        # A depth imager's lens bends by a few px at most: the margin of the ball covers that.
        u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
        half = camera.fx * radius_m / (z - 0.5 * radius_m)
        left, right = max(u - half, _REACH_PX), min(u + half, camera.width - _REACH_PX)
        top, bottom = max(v - half, _REACH_PX), min(v + half, camera.height - _REACH_PX)
        if right <= left or bottom <= top:
            return None
        step = max(int(sqrt((right - left) * (bottom - top) / self._config.candidates)), 1)
        return np.array([int(left), int(top), int(right), int(bottom), step, _REACH_PX], dtype=np.int64)


def distance_from_hands(
    points_m: F64, hands: Mapping[Side, HandState], moment: int, mesh: SolidMesh, centre_m: F64
) -> F64:
    """(K,) m from the nearest hand, infinite where none is near.

    Args:
        points_m: `(K, 3)` m, world.
        hands: the hands over the moments.
        moment: which.
        mesh: of the object; only hands near it matter.
        centre_m: `(3,)` m where the object is.
    """
    nearest = np.full(len(points_m), np.inf)
    near = np.array([*centre_m, mesh.radius_m + _AROUND_M, _HAND_GATE_M])
    for state in hands.values():
        nearer_hand(points_m, state.vertices_m[moment], state.normals[moment], near, nearest)
    return nearest


def joined(found: Sequence[tuple[F64, F64]], reader: PointReader) -> ObjectCloud:
    """The points of all moments as one cloud. M pairs of `(K, 3)` m and `(K,)` m."""
    return ObjectCloud(
        start=np.concatenate([[0], np.cumsum([len(points) for points, _ in found])]).astype(np.int64),
        points_m=np.concatenate([points for points, _ in found]).reshape(-1, 3),
        hand_m=np.concatenate([hand for _, hand in found]),
        lag_s=reader.lag_s,
        eye_m=reader.eye_m,
    )
