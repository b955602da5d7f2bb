"""The synthetic benchmark, made with `hoi-data synthbench`: fixed images to train on, to choose by, and to test on.

What the test shows (shapes, postures, grasps, skins, lights, backgrounds, cameras) was never seen in training. Every
moment is seen by two cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset_tools.readers import ReaderInfo, check_split, synth
from dataset_tools.synth import synthbench
from hoi_core.errors import DatasetError
from hoi_core.types import Sample

INFO = ReaderInfo(
    name=synthbench.NAME,
    url="",
    licence="your own; made with your MANO files it falls under MANO's licence, and is another benchmark",
    citation="",
    splits=(*synthbench.SPLITS, "all"),
    joint_order="openpose21",
    unit="m",
    tree="""  train_fingers/set.json  train_grasps  val_fingers  val_grasps  test_fingers  test_grasps""",
    key_parts=("set", "poses", "moment", "view"),
)

depth_m, segmentation, objects = synth.depth_m, synth.segmentation, synth.objects
hand_models, other_view, visible = synth.hand_models, synth.other_view, synth.visible


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `test_grasps/000017/0001234/a`.

    Raises:
        DatasetError: it is not made, not finished or damaged.
        ConfigError: an unknown split.
    """
    return keys(Path(root), split, synthbench.PARTS, INFO)


def keys(root: Path, split: str, parts: Sequence[synthbench.Part], info: ReaderInfo) -> list[str]:
    """Keys of some parts of the benchmark.

    Args:
        root: its folder.
        split: name of the split.
        parts: those of the reader.
        info: of the reader.

    Raises:
        DatasetError: it is not made, not finished or damaged.
        ConfigError: an unknown split.
    """
    check_split(info, split)
    chosen = [part.name for part in parts if split in (part.split, "all")]
    absent = [name for name in chosen if not (root / name / synthbench.SET_FILE).is_file()]
    if absent:
        raise DatasetError(
            f"expected the benchmark in {root}, found no {absent[0]}.",
            f"Make it with `hoi-data synthbench`. It looks like this (a link will do):\n{root}/\n{info.tree}",
        )
    return [key for name in chosen for key in synth.index(root, f"{name}_all")]


def read(root: Path, key: str) -> Sample:
    """One view of one moment.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    return replace(synth.read(root, key), dataset=INFO.name)


def group(key: str) -> str:
    """Moments with related postures, or with one grasp; both views of a moment are of one group."""
    return "/".join(key.split("/")[:2])


def about(root: Path) -> str:
    """Which version of the benchmark a folder holds, and how exactly.

    Raises:
        DatasetError: a file is damaged.
    """
    return synthbench.verdict(synthbench.verify(Path(root)))


def tiny(folder: Path) -> Path:
    """Write six small sets; return their root."""
    from dataset_tools.readers._tiny_synth import write_set

    for part in synthbench.PARTS:
        write_set(Path(folder) / part.name, replace(part.recipe, count=1))
    return Path(folder)
