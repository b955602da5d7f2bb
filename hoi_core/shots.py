"""Images to run a model on, one after the other: of a camera, a video file, or a view of a recording."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hoi_core import boxes
from hoi_core import camera as cameras
from hoi_core.errors import ConfigError, DeviceError
from hoi_core.held import SeenObject
from hoi_core.plugins import unknown_name
from hoi_core.sequence import Capture
from hoi_core.types import F32, F64, U8, Camera, Revision


@dataclass(frozen=True)
class Shot:
    """One image."""

    index: int
    """Its number, from 0; missing frames have numbers too."""
    t_s: float
    """Time since the first, s."""
    rgb: U8
    """(H, W, 3)."""
    camera: Camera
    """Of the image; a guess where nobody measured it."""
    objects: tuple[SeenObject, ...] = ()
    """Objects whose pose is known."""
    depth: Callable[[], F32 | None] | None = None
    """Reads the depth as this camera sees it, `(H, W)` m, 0 where nothing was measured; None where there is none."""


@dataclass(frozen=True)
class Film:
    """Where shots come from."""

    name: str
    """What people call it."""
    fps: float
    """Images a second, nominally."""
    count: int
    """How many; 0 where nobody knows."""
    shots: Iterator[Shot]
    """The images."""


@contextmanager
def open_video(source: int | Path, fov_deg: float = 60.0) -> Iterator[Film]:
    """A camera or a video file.

    Args:
        source: number of a camera, or a file.
        fov_deg: how much the camera sees across the image's width, degrees; distances depend on it.

    Raises:
        DeviceError: it cannot be opened.
        ConfigError: no angle of view.
    """
    _check_view(fov_deg)
    live = isinstance(source, int)
    video = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not video.isOpened():
            what = f"camera {source}" if live else f"the video {source}"
            raise DeviceError(f"{what} cannot be opened.", "Check the number, the file and its permissions.")
        fps = float(video.get(cv2.CAP_PROP_FPS)) or 30.0
        count = 0 if live else max(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        yield Film(f"camera {source}" if live else str(source), fps, count, _of_video(video, fps, fov_deg))
    finally:
        video.release()


def open_image(path: Path, fov_deg: float = 60.0) -> Film:
    """One picture in a file.

    Args:
        path: of the picture.
        fov_deg: as for `open_video`.

    Raises:
        DeviceError: it cannot be read.
        ConfigError: no angle of view.
    """
    _check_view(fov_deg)
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise DeviceError(f"the image {path} cannot be read.", "Check the file; PNG and JPEG are usual.")
    rgb = np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)
    shot = Shot(0, 0.0, rgb, cameras.guessed(rgb.shape[1], rgb.shape[0], fov_deg))
    return Film(str(path), 1.0, 1, iter([shot]))


def _check_view(fov_deg: float) -> None:
    if not 1.0 < fov_deg < 170.0:
        raise ConfigError(f"expected --fov from 1 to 170 degrees, got {fov_deg}.", "60 is usual.")


def _of_video(video: cv2.VideoCapture, fps: float, fov_deg: float) -> Iterator[Shot]:
    index = 0
    while True:
        ok, bgr = video.read()
        if not ok:
            return
        rgb = np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)
        yield Shot(index, index / fps, rgb, cameras.guessed(rgb.shape[1], rgb.shape[0], fov_deg))
        index += 1


def of_recording(
    capture: Capture, view: str = "", labels: Revision | None = None, meshes: Mapping[str, F64] | None = None
) -> Film:
    """A view of a recording, at its moments.

    Args:
        capture: open.
        view: such as `left`; empty for the first.
        labels: of the recording; its objects come with the shots.
        meshes: object -> vertices `(N, 3)` m; objects without are left out.

    Raises:
        ConfigError: it has no such view.
    """
    names = list(capture.views)
    chosen = view or (names[0] if names else "")
    if chosen not in capture.views:
        raise unknown_name("view", chosen, names)
    fps = (len(capture.sync) - 1) / capture.seconds if capture.seconds > 0 else 30.0
    return Film(
        f"{capture.header.sequence} {chosen}", fps, len(capture.sync), _of_view(capture, chosen, labels, meshes or {})
    )


def _of_view(capture: Capture, name: str, labels: Revision | None, meshes: Mapping[str, F64]) -> Iterator[Shot]:
    view = capture.views[name]
    t_ns = capture.sync.t_ns
    # Labels are matched by frame: their moments may have been set otherwise.
    rows = {} if labels is None else {int(frame): row for row, frame in enumerate(labels.frame_index.get(name, ()))}
    for moment, frame in enumerate(capture.sync.index[f"{name}/color"]):
        if frame >= 0:
            rgb = np.asarray(view.color[int(frame)], dtype=np.uint8)
            row = rows.get(int(frame))
            objects = () if labels is None or row is None else objects_at(view.camera, labels, row, meshes)
            t_s = float(t_ns[moment] - t_ns[0]) * 1e-9
            yield Shot(moment, t_s, rgb, view.camera, objects, partial(_depth_of, capture, name, moment))


def _depth_of(capture: Capture, name: str, moment: int) -> F32 | None:
    """The depth of a moment as the colour camera of a view sees it, `(H, W)` m; None where there is none."""
    frame = int(capture.sync.index[f"{name}/depth"][moment]) if f"{name}/depth" in capture.streams else -1
    return capture.views[name].depth_in_color_m(frame) if frame >= 0 else None


def objects_at(camera: Camera, labels: Revision, row: int, meshes: Mapping[str, F64]) -> tuple[SeenObject, ...]:
    """Objects of a moment of labels that an image shows.

    Args:
        camera: of the image.
        labels: poses of the objects.
        row: of the moment.
        meshes: object -> vertices `(N, 3)` m.
    """
    found = []
    for name, track in labels.objects.items():
        if name in meshes and track.valid[row]:
            box = boxes.of_pose(camera, camera.T_cam_world @ track.T_world_obj[row], meshes[name])
            found += [SeenObject(name, box)] if box is not None else []
    return tuple(found)


def until(stop: threading.Event, shots: Iterator[Shot], limit: int = 0) -> Iterator[Shot]:
    """Shots until somebody says stop, or so many; 0 for all."""
    for taken, shot in enumerate(shots):
        if stop.is_set() or (limit and taken >= limit):
            return
        yield shot
