"""What the cameras of a recording saw at a moment, ready to be shown."""

from __future__ import annotations

import numpy as np

from hoi_core import camera as cameras
from hoi_core.sequence import Capture, Sensor
from hoi_core.types import F32, F64, U8, Camera


class Pictures:
    """Images of an open recording by moment.

    Args:
        capture: the recording; it stays open as long as this is used.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def _index(self, stream: str, frame: int) -> int:
        """Index of the stream's image at a moment; -1 where it has none."""
        index = self._capture.sync.index.get(stream)
        return -1 if index is None else int(index[frame])

    def image(self, view: str, frame: int) -> U8 | None:
        """(H, W, 3) RGB of a view, or None where it has no frame."""
        index = self._index(f"{view}/color", frame)
        return np.asarray(self._capture.views[view].color[index], dtype=np.uint8) if index >= 0 else None

    def depth_m(self, view: str, frame: int) -> F32 | None:
        """(H, W) m aligned to colour, 0 where nothing was measured; None where the view has no depth."""
        index = self._index(f"{view}/depth", frame)
        return self._capture.views[view].depth_in_color_m(index) if index >= 0 else None

    def cloud(self, frame: int, every: int) -> tuple[F64, U8]:
        """(N, 3) m in the world and (N, 3) RGB of the depth points of all views, every so many pixels."""
        parts = [self._cloud_of(view, frame, max(every, 1)) for view in self._capture.views]
        found = [part for part in parts if part is not None]
        if not found:
            return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
        return np.concatenate([points for points, _ in found]), np.concatenate([colors for _, colors in found])

    def _cloud_of(self, name: str, frame: int, every: int) -> tuple[F64, U8] | None:
        view, index = self._capture.views[name], self._index(f"{name}/depth", frame)
        image = self.image(name, frame)
        if index < 0 or image is None:
            return None
        depth = view.depth
        units = depth[index][::every, ::every]
        v, u = np.nonzero(units)
        pixels = np.stack([u, v], axis=-1).astype(np.float64) * every
        z_m = units[v, u].astype(np.float64) * (depth.scale_m or 0.001)
        points = cameras.transform(depth.camera.T_world_cam, cameras.unproject(depth.camera, pixels, z_m))
        seen = cameras.project(view.camera, cameras.transform(view.camera.T_cam_world, points))
        at = np.rint(np.nan_to_num(seen, nan=-1.0)).astype(np.int64)
        inside = ((at >= 0) & (at < [view.camera.width, view.camera.height])).all(-1)
        return points[inside], image[at[inside, 1], at[inside, 0]]

    @property
    def _sensor(self) -> Sensor | None:
        return next(iter(self._capture.sensors.values()), None)

    def sensor_image(self, frame: int) -> U8 | None:
        """(H, W) gray image of the first edge sensor, or None where it has no frame."""
        sensor = self._sensor
        index = -1 if sensor is None else self._index(sensor.gray.name, frame)
        return np.asarray(sensor.gray[index], dtype=np.uint8) if sensor is not None and index >= 0 else None

    @property
    def sensor_camera(self) -> Camera | None:
        """Camera of the first edge sensor; None without one."""
        return None if self._sensor is None else self._sensor.camera
