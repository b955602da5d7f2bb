"""Dataset readers: one file each, found by file name.

A reader defines

- `INFO`, a `ReaderInfo`;
- `index(root, split) -> list[str]`, the keys of a split;
- `read(root, key) -> Sample`, one of them, converted to this toolkit's conventions;
- `group(key) -> str`: samples of one group show the same instant or the same recording, so that a split must not part
  them;
- `tiny(folder) -> Path`, which writes a small fake in the exact native layout and returns its root.

and, where the dataset has them,

- `depth_m(root, key) -> (H, W)` float32 m, registered to the image; NaN where unknown;
- `segmentation(root, key) -> (H, W)` uint8: 0 background, 1 hand, 2 object;
- `hand_models(root) -> set[str]`: the hand models behind the labels, where your own tools made them;
- `box_px(root, key) -> Box | None`, where its evaluation says where the hand is;
- `visible(root, key) -> (21,)` bool: joints that nothing hides;
- `objects(root) -> dict[str, Path | None]`: names of the objects that samples may show, with the files of their meshes;
  None for the toolkit's own (`hoi_core.scene.objects`); objects without a mesh are left out;
- `grasped(root, key) -> str`: which of the objects the hand holds or is to hold;
- `other_view(root, key) -> str | None`, the key of the same instant seen by a second camera;
- `about(root) -> str`: which version of the dataset lies there, to be named beside figures.

`root` is the folder of that dataset alone; `home` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_core.errors import DatasetError
from hoi_core.plugins import unknown_name

OURS = "ours"
"""Name of the reader of recordings made with this toolkit."""


@dataclass(frozen=True)
class ReaderInfo:
    """What a user should know of a dataset before using it."""

    name: str
    """Name of the reader."""
    url: str
    """Where it comes from; empty for one's own."""
    licence: str
    """Licence of the images and labels."""
    citation: str
    """How to cite it."""
    splits: tuple[str, ...]
    """Names of the splits."""
    joint_order: str
    """Native joint order, a key of `hoi_core.conventions.JOINT_ORDERS`."""
    unit: str
    """Native unit of the labels."""
    axes: str = "OpenCV"
    """Native camera axes: OpenCV's (x right, y down, z forward) or OpenGL's (y up, z backward)."""
    tree: str = ""
    """What its folder holds, as a reader expects it."""
    sources: tuple[str, ...] = ()
    """Public documents behind our reading of its fields."""
    unchecked: tuple[str, ...] = ()
    """What was never compared with the real files."""
    camera_known: bool = True
    """False where only pixels are labelled: `joints_m` is then NaN throughout, and the camera is a guess of 60 degrees
    across the width."""
    key_parts: tuple[str, ...] = ()
    """What the parts of a key between its slashes are: `participant`, `sequence`, `view`, `moment`, `side` and
    `person` mean the same everywhere; other words are the dataset's own. The last one may be
    missing from a key."""


def home(root: Path, name: str) -> Path:
    """The folder of a dataset: recordings of our own are the root itself, others lie in a folder of their name."""
    return Path(root) if name == OURS else Path(root) / name


def check_split(info: ReaderInfo, split: str) -> None:
    """Make sure that a dataset has a split.

    Raises:
        ConfigError: it has none of that name; the hint lists those it has.
    """
    if split not in info.splits:
        raise unknown_name("split", split, list(info.splits))


def need(info: ReaderInfo, root: Path, *paths: str) -> None:
    """Make sure that files or folders of a dataset exist.

    Args:
        info: of the dataset.
        root: its folder.
        paths: what must be there, relative to the root.

    Raises:
        DatasetError: one of them is missing; the hint shows the tree that is expected.
    """
    missing = [path for path in paths if not (root / path).exists()]
    if missing:
        raise DatasetError(
            f"expected {info.name} in {root}, found no {missing[0]}.",
            f"Get it from {info.url} and lay it out like this (a link will do):\n{root}/\n{info.tree}",
        )
