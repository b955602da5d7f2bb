"""Labels as they lie in native files, made sure of: shapes, numbers, and hands that are hands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cameras
from hoi_core.errors import DatasetError
from hoi_core.plain_pickle import MAX_BYTES, read_plain
from hoi_core.types import F64, Bool, Camera

REMEDY = "Unpack the dataset again."
FARTHEST_M = 3.0
OPENGL_M = np.array([1.0, -1.0, -1.0])
"""Times these a point of OpenGL's axes is one of OpenCV's, and back."""
PALM_M = (0.03, 0.16)  # wrist to the base of the middle finger: from a small child to a very large hand
BONE_M = 0.09


def read_mapping(path: Path, max_bytes: int = MAX_BYTES) -> dict[object, object]:
    """The mapping that a pickle holds.

    Raises:
        DatasetError: no plain data, or no mapping.
    """
    content = read_plain(path, max_bytes)
    if not isinstance(content, dict):
        raise DatasetError(f"expected a mapping in {path}, got a {type(content).__name__}.", REMEDY)
    return content


def numbers(labels: Mapping[object, object], name: str, shape: tuple[int, ...], path: Path) -> F64:
    """An entry of a mapping as an array of a shape; the order of its numbers is all that is taken from the file.

    Raises:
        DatasetError: no such entry, another number of values, or one that is not finite.
    """
    value = labels.get(name)
    if value is None:
        raise DatasetError(f"expected {name!r} in {path}, found {sorted(map(str, labels))}.", REMEDY)
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"expected numbers as {name!r} in {path}, got: {error}.", REMEDY) from error
    kept = tuple(n for n in found.shape if n != 1), tuple(n for n in shape if n != 1)
    if kept[0] != kept[1]:
        raise DatasetError(f"expected {name!r} of shape {shape} in {path}, got {found.shape}.", REMEDY)
    if not np.isfinite(found).all():
        raise DatasetError(f"{name!r} of {path} holds a value that is no number.", REMEDY)
    return found.reshape(shape)


def text(labels: Mapping[object, object], name: str, path: Path) -> str:
    """An entry of a mapping as a short text without path separators.

    Raises:
        DatasetError: no such entry, or no such text.
    """
    value = labels.get(name)
    if not isinstance(value, str) or not 0 < len(value) < 200 or {"/", "\\", "\0"} & set(value) or value[0] == ".":
        raise DatasetError(f"expected a name as {name!r} in {path}, got {value!r}.", REMEDY)
    return value


def pinhole(K: F64, width: int, height: int, path: Path) -> Camera:
    """A camera of an intrinsic matrix. `(3, 3)` px.

    Raises:
        DatasetError: the matrix is none of a pinhole without skew, or of another image.
    """
    fx, fy, cx, cy = (float(v) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    plain = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    sane = min(fx, fy) > 0.1 * width and 0 < cx < width and 0 < cy < height
    if not np.allclose(K, plain, atol=1e-3) or not sane:
        raise DatasetError(f"expected intrinsics of {width}x{height} px in {path}, got {K.tolist()}.", REMEDY)
    return Camera(width, height, fx, fy, cx, cy)


def check_hand(joints_m: F64, valid: Bool, path: Path) -> None:
    """Make sure that joints are those of a hand before the camera: in metres, in OpenCV's axes, in our order.

    Args:
        joints_m: `(21, 3)`, openpose21.
        valid: `(21,)`.
        path: the file of the labels.

    Raises:
        DatasetError: behind the camera, far away, or of no human size.
    """
    known = joints_m[valid]
    if not np.isfinite(known).all() or (known[:, 2] <= 0).any() or (np.abs(known) > FARTHEST_M).any():
        raise DatasetError(f"a joint of {path} is no number, behind the camera or beyond {FARTHEST_M} m.", REMEDY)
    palm_m = float(np.linalg.norm(joints_m[9] - joints_m[0]))
    if valid[[0, 9]].all() and not PALM_M[0] < palm_m < PALM_M[1]:
        raise DatasetError(f"the palm in {path} is {1e3 * palm_m:.0f} mm long: no human hand in metres.", REMEDY)
    lengths = np.linalg.norm(np.diff(joints_m[1:].reshape(5, 4, 3), axis=1), axis=-1)
    if (lengths > BONE_M).any():
        raise DatasetError(f"a finger's bone in {path} is {1e3 * np.nanmax(lengths):.0f} mm long.", REMEDY)


def check_pixels(camera: Camera, joints_m: F64, joints_px: F64, path: Path, most_px: float) -> None:
    """Make sure that labels in space and in the image say the same.

    Raises:
        DatasetError: they lie apart by more than `most_px`.
    """
    apart = np.linalg.norm(cameras.project(camera, joints_m) - joints_px, axis=-1)
    if np.nanmax(apart, initial=0.0) > most_px:
        raise DatasetError(f"joints of {path} lie {np.nanmax(apart):.1f} px beside their own pixels.", REMEDY)


def read_raw(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[np.generic]:
    """An image file as it is stored, such as packed depth or labels; three channels are RGB.

    Raises:
        DatasetError: no image, or one of another size or kind.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.shape != shape or image.dtype != kind:
        met = "nothing readable" if image is None else f"{image.shape} of {image.dtype}"
        raise DatasetError(f"expected {shape} of {np.dtype(kind)} in {path}, got {met}.", REMEDY)
    return np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else np.asarray(image)
