"""Opening our HDF5 files: formats and versions, unclean files, full disks, the codec, camera attributes."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from hoi_core.errors import SequenceError, StorageError
from hoi_core.types import F64, Camera, StreamInfo

log = logging.getLogger(__name__)

VERSIONS = {"hoi-capture": (1, 1), "hoi-annotation": (1, 1), "hoi-truth": (1, 1)}
"""Newest (major, minor) that this program writes, by format."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RECOVER = "Run `hoi-data recover {name}` to close it properly."


def is_disk_full(error: OSError) -> bool:
    """Whether an error of h5py or of the system means that no more bytes can be written."""
    if error.errno in _DISK_FULL:
        return True
    return any(f"errno = {code}" in str(error) for code in _DISK_FULL)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn failing writes into `StorageError`."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(
                f"no space left to write {path}; what was written before is kept.", "Free some space, then go on."
            ) from error
        raise StorageError(
            f"cannot write {path}: {str(error).splitlines()[0]}.", "Check the disk and its permissions."
        ) from error


@contextmanager
def damage(what: Path | str, remedy: str = "Copy it again, or restore a backup.") -> Iterator[None]:
    """Turn what a damaged file makes h5py and its readers raise into `SequenceError`."""
    try:
        yield
    except (KeyError, OSError, ValueError, TypeError, IndexError, RuntimeError) as error:
        reason = str(error.args[0] if error.args else error).split("\n", 1)[0]
        raise SequenceError(f"{what} is damaged: {reason}.", remedy) from error


class OpenFile:
    """One of our files, held open for reading; a context manager. Subclasses take over its content in `_read`."""

    def __init__(self, path: Path, kind: str, remedy: str) -> None:
        self.path = path
        self._file = open_checked(path, kind)
        try:
            with damage(path, remedy):
                self._read()
        except SequenceError:
            self.close()
            raise

    def _read(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close the file; what was not read yet can no longer be read."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, so that two writers cannot lose each other's work."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def stamp(file: h5py.File, kind: str) -> None:
    """Write format and version into a new file."""
    major, minor = VERSIONS[kind]
    file.attrs["format"] = kind
    file.attrs["format_version"] = f"{major}.{minor}"


def open_checked(path: Path, kind: str) -> h5py.File:
    """Open a file for reading and check that it is what the caller expects.

    A file that its writer never closed is opened all the same, with a warning that names the remedy.

    Raises:
        SequenceError: missing, not HDF5, truncated, of another format, or of a version we cannot read.
    """
    if not path.is_file():
        raise SequenceError(
            f"expected a file {path}, found none.", "Check the path; `hoi-data list` shows what there is."
        )
    try:
        file = _open(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _check_version(path, file, kind)
    except SequenceError:
        file.close()
        raise
    return file


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError:
        if not _never_closed(path):
            raise
    file = h5py.File(path, "r", swmr=True)
    hint = _RECOVER.format(name=path.parent.name)
    log.warning("%s was never closed: its recorder was killed, or is still running. %s", path, hint)
    return file


def _never_closed(path: Path) -> bool:
    """Whether the superblock (version 2 or 3) still carries the mark of an open writer."""
    with path.open("rb") as file:
        head = file.read(12)
    return len(head) == 12 and head[:8] == b"\x89HDF\r\n\x1a\n" and head[8] in (2, 3) and head[11] != 0


def read_whole(where: h5py.Group, path: str) -> NDArray[Any]:
    """A whole dataset; h5py's own indexing takes twice as long.

    Args:
        where: file or group.
        path: of the dataset, below it.

    Raises:
        KeyError: there is none.
        OSError: it cannot be read.
    """
    dataset = h5py.h5d.open(where.id, path.encode())
    out = np.empty(dataset.shape, dataset.dtype)
    if out.size:
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, out)
    return out


def readable_rows(dataset: h5py.Dataset) -> int:
    """Leading rows of a dataset that are on the disk; fewer than its length if the disk was full while recording."""
    rows = len(dataset)
    if not dataset.file.swmr_mode:
        return rows
    size = Path(dataset.file.filename).stat().st_size
    step = dataset.chunks[0]
    while rows:
        first = (rows - 1) // step * step
        chunk = dataset.id.get_chunk_info_by_coord((first, *(0 for _ in dataset.shape[1:])))
        if chunk.byte_offset is not None and chunk.byte_offset + chunk.size <= size:
            break
        rows = first
    return rows


def _unreadable(path: Path, error: OSError) -> SequenceError:
    text = str(error)
    if "signature not found" in text:
        return SequenceError(f"{path} is not an HDF5 file.", "Give a file that this program recorded.")
    if "truncated" in text:
        return SequenceError(f"{path} is truncated: its end is missing.", "Copy it again from where it was recorded.")
    return SequenceError(f"{path} cannot be read: {text.splitlines()[0]}.", "Copy it again, or restore a backup.")


def version_of(file: h5py.File) -> tuple[int, int]:
    """Major and minor version of one of our files.

    Raises:
        KeyError: it says none.
        ValueError: it says something else.
    """
    major, minor = (int(part) for part in str(file.attrs["format_version"]).split("."))
    return major, minor


def _check_version(path: Path, file: h5py.File, kind: str) -> None:
    try:
        found, text = str(file.attrs["format"]), str(file.attrs["format_version"])
        major, minor = version_of(file)
    except (KeyError, ValueError, OSError) as error:
        raise SequenceError(
            f"{path} is HDF5, but no {kind} file.", "Give a file that this program recorded."
        ) from error
    if found != kind:
        raise SequenceError(f"expected {path} to be {kind}, it is {found}.", "Give the matching file.")
    ours = VERSIONS[kind]
    if major > ours[0]:
        raise SequenceError(
            f"{path} has format version {text}, this program reads up to {ours[0]}.x.", "Update the program."
        )
    if major < ours[0]:
        raise SequenceError(
            f"{path} has format version {text}, older than the oldest that can be read, {ours[0]}.0.",
            "Open it with the version of the program that wrote it.",
        )
    if minor > ours[1]:
        log.warning("%s has format version %s, newer than %d.%d: what is new in it is ignored.", path, text, *ours)


def write_camera(attrs: h5py.AttributeManager, camera: Camera) -> None:
    """Write intrinsics, distortion and pose as attributes."""
    attrs["width"], attrs["height"] = camera.width, camera.height
    for name in ("fx", "fy", "cx", "cy"):
        attrs[name] = float(getattr(camera, name))
    attrs["distortion"] = np.asarray(camera.distortion, dtype=np.float64)
    attrs["distortion_model"] = camera.distortion_model
    attrs["T_world_cam"] = np.asarray(camera.T_world_cam, dtype=np.float64)


def read_camera(attrs: h5py.AttributeManager) -> Camera:
    """Inverse of `write_camera`."""
    k1, k2, p1, p2, k3 = (float(v) for v in attrs["distortion"])
    camera = Camera(
        width=int(attrs["width"]),
        height=int(attrs["height"]),
        fx=float(attrs["fx"]),
        fy=float(attrs["fy"]),
        cx=float(attrs["cx"]),
        cy=float(attrs["cy"]),
        distortion=(k1, k2, p1, p2, k3),
        distortion_model=attrs["distortion_model"],
        T_world_cam=np.asarray(attrs["T_world_cam"], dtype=np.float64),
    )
    numbers = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion, *camera.T_world_cam.ravel())
    if not np.isfinite(numbers).all():
        raise ValueError("a camera has intrinsics or a pose that are not finite")
    return camera


def write_stream_info(group: h5py.Group, info: StreamInfo) -> None:
    """Write what is known of a stream before its first frame."""
    write_camera(group.attrs, info.camera)
    group.attrs["serial"] = info.serial
    group.attrs["fps"] = float(info.fps)
    group.attrs["readout_us"] = float(info.readout_us)
    if info.depth_scale_m is not None:
        group.attrs["depth_scale_m"] = float(info.depth_scale_m)
    if info.T_depth_color is not None:
        group.attrs["T_depth_color"] = np.asarray(info.T_depth_color, dtype=np.float64)


def read_stream_info(group: h5py.Group, name: str, kind: str) -> StreamInfo:
    """Inverse of `write_stream_info`."""
    frames, attrs = group["frames"], group.attrs
    T_depth_color: F64 | None = np.asarray(attrs["T_depth_color"]) if "T_depth_color" in attrs else None
    return StreamInfo(
        name=name,
        kind="sensor" if kind == "sensors" else "camera",
        shape=tuple(frames.shape[1:]),
        dtype=str(frames.dtype),
        fps=float(attrs["fps"]),
        camera=read_camera(attrs),
        serial=str(attrs["serial"]),
        depth_scale_m=float(attrs["depth_scale_m"]) if "depth_scale_m" in attrs else None,
        T_depth_color=T_depth_color,
        readout_us=float(attrs.get("readout_us", 0.0)),
    )


def read_json(attrs: h5py.AttributeManager, name: str) -> dict[str, object]:
    """A JSON object kept in a text attribute; empty where absent."""
    value = json.loads(attrs.get(name, "{}"))
    return value if isinstance(value, dict) else {}
