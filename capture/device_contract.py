"""Checks a device against the contract; for the tests of whoever writes one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from types import ModuleType

import numpy as np

from capture.device import Device
from hoi_core.types import Frame, StreamInfo


def module_problems(module: ModuleType) -> list[str]:
    """What a device type's module lacks.

    Args:
        module: the plug-in.

    Returns:
        One sentence for each problem; empty if it keeps the contract.
    """
    problems = []
    if not (module.__doc__ or "").strip():
        problems.append("the module has no docstring: its first line is what hoi-devices shows.")
    config = getattr(module, "Config", None)
    if not is_dataclass(config):
        problems.append("it has no dataclass `Config`.")
    elif not config.__dataclass_params__.frozen:  # type: ignore[union-attr]
        problems.append("`Config` is not frozen.")
    elif "view" in (names := {field.name for field in fields(config)}) and "camera" not in names:
        problems.append("`Config` has a `view` but no `camera: Camera | None`: it cannot be calibrated.")
    if not callable(getattr(module, "open", None)):
        problems.append("it has no function `open(config)`.")
    return problems


def device_problems(device: Device, frames: list[Frame]) -> list[str]:
    """What an open device, and frames that it delivered, do against the contract.

    Args:
        device: open.
        frames: some of its frames, in the order in which they were read; at least two of each stream.

    Returns:
        One sentence for each problem; empty if it keeps the contract.
    """
    problems = [
        f"it has no `{name}`."
        for name in ("streams", "live", "finished", "duplicates", "settings", "read", "stop", "reopen")
        if not hasattr(device, name)
    ]
    if problems:
        return problems
    try:
        json.dumps(dict(device.settings), allow_nan=True)
    except TypeError as error:
        problems.append(f"`settings` are not plain values: {error}.")
    infos = {info.name: info for info in device.streams}
    problems += [f"frames of {name}, which is not among `streams`." for name in {f.stream for f in frames} - set(infos)]
    for name, info in infos.items():
        problems += _stream_problems(info)
        problems += _frame_problems(info, [frame for frame in frames if frame.stream == name])
    return problems


def _stream_problems(info: StreamInfo) -> Iterator[str]:
    if info.name.count("/") != 1 or not all(info.name.split("/")):
        yield f"stream {info.name!r} is not named `<view>/<what>`."
    if info.fps <= 0:
        yield f"{info.name}: fps must be above 0, got {info.fps}."
    if (info.camera.height, info.camera.width) != info.shape[:2]:
        yield f"{info.name}: camera of {info.camera.width}x{info.camera.height} for images of {info.shape}."
    if info.name.endswith("/depth") and info.depth_scale_m is None:
        yield f"{info.name}: depth_scale_m is missing."


def _frame_problems(info: StreamInfo, frames: list[Frame]) -> Iterator[str]:
    if len(frames) < 2:
        yield f"{info.name}: two frames are needed, got {len(frames)}."
        return
    for frame in frames:
        if frame.image.shape != info.shape or str(frame.image.dtype) != info.dtype:
            yield f"{info.name}: {info.dtype} {info.shape} promised, {frame.image.dtype} {frame.image.shape} delivered."
            return
    if any(_root(frame.image).base is not None for frame in frames):
        yield f"{info.name}: images are views of memory that the driver may use again: copy them."
    for what in ("frame_number", "t_device_ns", "t_host_ns"):
        values = [getattr(frame, what) for frame in frames]
        if not all(isinstance(value, int) for value in values):
            yield f"{info.name}: {what} must be a whole number."
        elif any(b < a if what == "t_host_ns" else b <= a for a, b in pairwise(values)):
            yield f"{info.name}: {what} does not increase."


def _root(image: np.ndarray) -> np.ndarray:
    """The array that an image is a part of."""
    while isinstance(image.base, np.ndarray):
        image = image.base
    return image
