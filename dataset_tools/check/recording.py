"""Whether cameras and images can be what they say: lenses, poses, units of depth, a covered lens."""

from __future__ import annotations

import numpy as np

from hoi_core.sequence import Capture
from hoi_core.sequence.streams import ImageStream
from hoi_core.types import Camera

_LOOKED_AT = 5
_DARK = 3.0
_DEPTH_M = (0.1, 12.0)
_FOCAL = (0.2, 10.0)
"""Focal length over width: 136 to 6 degrees across."""


def check_recording(capture: Capture) -> list[str]:
    """Everything that is wrong with cameras and images, in words."""
    problems = []
    for name, stream in capture.streams.items():
        problems += [f"{name}: {what}" for what in _camera(stream.camera)]
        if len(stream) and name.endswith("color"):
            problems += [f"{name}: {what}" for what in _pictures(stream)]
        if len(stream) and name.endswith("depth"):
            problems += [f"{name}: {what}" for what in _depth(stream)]
    return problems


def _camera(camera: Camera) -> list[str]:
    problems = []
    numbers = [camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion]
    if not np.isfinite(numbers).all() or not _FOCAL[0] < camera.fx / camera.width < _FOCAL[1]:
        problems.append(f"its lens cannot be: fx {camera.fx:g}, fy {camera.fy:g} for {camera.width} px")
    elif not (0 < camera.cx < camera.width and 0 < camera.cy < camera.height):
        problems.append(f"its principal point ({camera.cx:g}, {camera.cy:g}) lies outside the image")
    T = camera.T_world_cam
    R = T[:3, :3]
    if not np.isfinite(T).all() or np.abs(R @ R.T - np.eye(3)).max() > 1e-4 or np.linalg.det(R) < 0:
        problems.append("its pose is no rotation and translation")
    elif np.abs(T[:3, 3]).max() > 100.0:
        problems.append(f"it stands {np.abs(T[:3, 3]).max():.0f} m away; is its pose in millimetres?")
    return problems


def _pictures(stream: ImageStream) -> list[str]:
    at = np.unique(np.linspace(0, len(stream) - 1, _LOOKED_AT).astype(int))
    images = [stream[int(i)].astype(np.float64) for i in at]
    if max(image.mean() for image in images) < _DARK:
        return ["the images are black; was the lens covered?"]
    if max(image.std() for image in images) < 1.0:
        return ["the images show nothing (one colour)"]
    if len(at) > 1 and all(np.array_equal(images[0], image) for image in images):
        return ["all images are the same; did the camera hang?"]
    return []


def _depth(stream: ImageStream) -> list[str]:
    if stream.scale_m is None:
        return ["it does not say how long its unit is"]
    at = np.unique(np.linspace(0, len(stream) - 1, _LOOKED_AT).astype(int))
    values = np.concatenate([stream[int(i)].ravel() for i in at])
    values = values[values > 0]
    if not len(values):
        return ["no depth was measured"]
    median = float(np.median(values)) * stream.scale_m
    if not _DEPTH_M[0] <= median <= _DEPTH_M[1]:
        return [f"it measures {median:.3g} m (median); is its unit, {stream.scale_m:g} m, right?"]
    return []
