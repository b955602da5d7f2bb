"""HO-3D version 3: 78,297 images of right hands with objects, 20,137 to evaluate on."""

from __future__ import annotations

from pathlib import Path

from dataset_tools.readers import _ho3d
from hoi_core import crop as crops
from hoi_core.types import F32, Sample

INFO = _ho3d.info(3, 78297, 20137, "jpg", "https://www.tugraz.at/index.php?id=40231")


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `train/ABF10/0012`.

    Raises:
        DatasetError: files are missing, or a list is damaged.
        ConfigError: an unknown split.
    """
    return _ho3d.index(INFO, Path(root), split)


def read(root: Path, key: str) -> Sample:
    """One image with its hand and its object; of the evaluation set the wrist alone, unless its labels are there.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    return _ho3d.read(INFO, Path(root), key)


def group(key: str) -> str:
    """The recording that the key belongs to, whichever camera saw it."""
    return _ho3d.group(key)


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects and their meshes, as far as these are there."""
    return _ho3d.objects(Path(root))


def depth_m(root: Path, key: str) -> F32:
    """Depth registered to the image. `(H, W)` m; NaN where the camera saw none.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    return _ho3d.depth_m(Path(root), key)


def box_px(root: Path, key: str) -> crops.Box | None:
    """The box around the hand that the evaluation set gives: x0, y0, x1, y1 px; None where there is none.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    return _ho3d.box_px(Path(root), key)


def tiny(folder: Path) -> Path:
    """Write three training images and two to evaluate on; return the root."""
    from dataset_tools.readers._tiny_ho3d import write

    return write(folder, ".jpg", published=True)
