"""The grasps of the synthetic benchmark alone: hands with objects of known meshes, for networks of both.

Made with `hoi-data synthbench`; read from the folder `graspbench`, or where there is none from `synthbench` beside it.
The eight built-in objects are all in it, of which all but the mug look alike from several sides; each split has grasps,
hands' shapes, skins, lights, backgrounds and cameras of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from dataset_tools.readers import synth
from dataset_tools.readers import synthbench as whole
from dataset_tools.synth import synthbench
from hoi_core.types import F32, U8, Bool, Sample

T = TypeVar("T")

_PARTS = tuple(part for part in synthbench.PARTS if part.recipe.preset == "grasps")

INFO = replace(
    whole.INFO,
    name="graspbench",
    tree="  train_grasps/set.json  val_grasps  test_grasps        or all of this in the folder synthbench beside it",
)

group = whole.group


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, such as `test_grasps/000017/0001234/a`.

    Raises:
        DatasetError: it is not made, not finished or damaged.
        ConfigError: an unknown split.
    """
    return whole.keys(_there(root), split, _PARTS, INFO)


def read(root: Path, key: str) -> Sample:
    """One view of one moment.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    return replace(synth.read(_there(root), key), dataset=INFO.name)


def _of_whole(ask: Callable[[Path, str], T]) -> Callable[[Path, str], T]:
    def ask_there(root: Path, key: str) -> T:
        return ask(_there(root), key)

    ask_there.__doc__ = ask.__doc__
    return ask_there


depth_m: Callable[[Path, str], F32] = _of_whole(synth.depth_m)
segmentation: Callable[[Path, str], U8] = _of_whole(synth.segmentation)
visible: Callable[[Path, str], Bool] = _of_whole(synth.visible)
other_view: Callable[[Path, str], str | None] = _of_whole(synth.other_view)


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects; their surfaces are built in."""
    return synth.objects(_there(root))


def hand_models(root: Path) -> set[str]:
    """The hand models of all sets."""
    return synth.hand_models(_there(root))


def about(root: Path) -> str:
    """Which version of the benchmark a folder holds, and how exactly.

    Raises:
        DatasetError: a file is damaged.
    """
    found = synthbench.verify(_there(root))
    return synthbench.verdict({part.name: found[part.name] for part in _PARTS})


def tiny(folder: Path) -> Path:
    """Write three small sets; return their root."""
    from dataset_tools.readers._tiny_synth import write_set

    for part in _PARTS:
        write_set(Path(folder) / part.name, replace(part.recipe, count=1))
    return Path(folder)


def _there(root: Path) -> Path:
    root = Path(root)
    return root if root.is_dir() else root.with_name(synthbench.NAME)
