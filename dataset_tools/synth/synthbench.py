"""The synthetic benchmark: fixed recipes for training, validation and testing, and what they are known to make.

Every part has a seed of its own, on which hands' shapes, postures, grasps, skins, lights, backgrounds and cameras
depend: what a test image shows was never seen in training. Every moment is seen by two cameras.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from dataset_tools.synth.generator import Generator
from dataset_tools.synth.recipe import Preset, Recipe
from dataset_tools.synth.run import Made, make_set
from dataset_tools.synth.sets import SET_FILE, SynthSet, missing, read_set, shard_path
from dataset_tools.synth.shards import Shard
from hoi_core.errors import ConfigError, DatasetError
from hoi_core.types import F64

NAME = "synthbench"
VERSION = 1
"""Raised when the images change: figures of two versions are not comparable."""
Split = Literal["train", "val", "test"]
State = Literal["exact", "rounding", "not recorded", "other hand", "trial", "different", "missing"]
"""Every label and pixel as recorded; the last digits of another processor; made by the recipe, of which no record is
kept yet; made with a hand file of the user's; another number of images; anything else; not there or not finished."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SIZE_PX = 160
_STAND_IN = "stand-in"
_LOOKED_AT = 64
_JOINTS_M, _GREYS = 1e-5, 0.05
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """One set of the benchmark, and what is known of it when it is made of the stand-in hand."""

    split: Split
    """Which split it belongs to."""
    recipe: Recipe
    """What to make."""
    sha256: str
    """Of all its labels, which hold checksums of its images and meshes; empty until they are recorded."""
    joints_m: tuple[float, float, float]
    """Mean place of all joints in their cameras, m."""
    color: tuple[float, float, float]
    """Mean RGB of some of its images, 0..255."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.split}_{'grasps' if self.recipe.preset == 'grasps' else 'fingers'}"


@dataclass(frozen=True)
class Content:
    """What a folder was found to hold; as in `Part`."""

    sha256: str
    """Of all labels."""
    joints_m: F64
    """(3,) m."""
    color: F64
    """(3,) RGB."""


@dataclass(frozen=True)
class Found:
    """What lies in the place of a part."""

    state: State
    """How it compares with what is known."""
    content: Content | None = None
    """Of a set that is as large as the part."""


def _recipe(preset: Preset, count: int, seed: int) -> Recipe:
    return Recipe(preset=preset, count=count, size_px=SIZE_PX, seed=seed, second_view=True)


PARTS: tuple[Part, ...] = (
    Part(
        "test",
        _recipe("mano_render", 600, 30_001),
        "27e9997c0ee79866719e3d4fd64dde0d500caca0d6605ae24b5c8a64111314d9",
        (0.0024138, -0.0077173, 0.5911574),
        (130.359, 118.154, 110.481),
    ),
    Part(
        "test",
        _recipe("grasps", 400, 30_002),
        "cca74a24c3a59f8777a4c0e05bcf0515dfd0c8a324161e5544820d18035d2440",
        (0.0021716, -0.0009483, 0.6058209),
        (128.283, 120.812, 114.147),
    ),
    Part(
        "val",
        _recipe("mano_render", 300, 20_001),
        "deff4c2c9c7999f88672d5f79570c24a91403e50171542eda7a79ed9266b19f2",
        (0.0004765, -0.0075437, 0.5955777),
        (141.39, 132.027, 124.898),
    ),
    Part(
        "val",
        _recipe("grasps", 200, 20_002),
        "a77ced547d0f26f4c11bcfa9117edca3dbab454b12655ad5f92e741fbaa0f522",
        (-0.0035484, 0.0055583, 0.5967896),
        (129.56, 122.498, 117.806),
    ),
    Part(
        "train",
        _recipe("mano_render", 6000, 10_001),
        "1f537e79a485256262ab11241fd668b070143f404765d16ae5797da23bd3670e",
        (0.0000875, -0.0098364, 0.5946437),
        (125.986, 113.916, 107.731),
    ),
    Part(
        "train",
        _recipe("grasps", 4000, 10_002),
        "b5c68c1a01e2000cb24c89745c823da167c254c818d141668ccc90c0277efbc3",
        (-0.0007712, 0.0010057, 0.5925454),
        (130.936, 127.949, 117.668),
    ),
)
"""Small ones first: a model can be tested while the images for training are made."""


def recipe_of(part: Part, share: float) -> Recipe:
    """The recipe of a part, or of a smaller one to try things out.

    Raises:
        ConfigError: the share is not above 0 and at most 1.
    """
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"the share must be above 0 and at most 1, got {share}.", "Leave --share out for all of it.")
    return replace(part.recipe, count=max(1, round(share * part.recipe.count)))


def make(root: Path, workers: int, *, share: float = 1.0, on_progress: Progress | None = None) -> list[Made]:
    """Make what the benchmark in a folder lacks.

    Args:
        root: folder of the benchmark, new or with a part of it.
        workers: processes.
        share: below 1 for a smaller one to try things out.
        on_progress: told how many of how many moments are there.

    Raises:
        DatasetError: the folder holds something else, or a worker was killed.
        StorageError: the disk is full or not writable. What is finished is kept.
    """
    recipes = [recipe_of(part, share) for part in PARTS]
    total = sum(recipe.count for recipe in recipes)
    before, made = 0, []
    for part, recipe in zip(PARTS, recipes, strict=True):
        tell = _counted_from(before, total, on_progress) if on_progress else None
        made.append(make_set(Generator(recipe), root / part.name, workers, tell))
        before += recipe.count
    return made


def _counted_from(before: int, total: int, tell: Progress) -> Progress:
    """Progress of one part as progress of all."""
    return lambda done, _: tell(before + done, total)


def verify(root: Path) -> dict[str, Found]:
    """What each part of a benchmark's folder is, by name.

    Raises:
        DatasetError: a file is damaged.
    """
    return {part.name: _found(part, root / part.name) for part in PARTS}


def verdict(parts: dict[str, Found]) -> str:
    """What `verify` found, in one line."""
    states = {part.state for part in parts.values()}
    if states == {"exact"}:
        return f"{NAME} {VERSION}, exactly as recorded"
    if states <= {"exact", "rounding"}:
        return f"{NAME} {VERSION}, as recorded but for rounding"
    odd = ", ".join(f"{name}: {part.state}" for name, part in parts.items() if part.state not in ("exact", "rounding"))
    return f"not {NAME} {VERSION} as recorded ({odd})"


def _found(part: Part, folder: Path) -> Found:
    if not (folder / SET_FILE).exists():
        return Found("missing")
    there = read_set(folder)
    absent, damaged = missing(folder, there)
    if absent or damaged:
        return Found("missing")
    if replace(there.recipe, count=part.recipe.count) != part.recipe:
        return Found("different")
    if {source for name, source in there.sources.items() if name.startswith("hand_")} != {_STAND_IN}:
        return Found("other hand")
    if there.recipe.count != part.recipe.count:
        return Found("trial")
    found = content(folder, there)
    return Found(compare(part, found), found)


def compare(part: Part, found: Content) -> State:
    """`exact`, `rounding`, `not recorded` or `different`, as `verify` says."""
    if not part.sha256:
        return "not recorded"
    if found.sha256 == part.sha256:
        return "exact"
    near = np.abs(found.joints_m - part.joints_m).max() < _JOINTS_M and np.abs(found.color - part.color).max() < _GREYS
    return "rounding" if near else "different"


def content(folder: Path, there: SynthSet) -> Content:
    """What a finished set holds.

    Raises:
        DatasetError: a file is damaged.
    """
    state = hashlib.sha256()
    joints, colors = [], []
    step = max(1, there.recipe.count * there.views // _LOOKED_AT)
    for first, shard in _shards(folder, there):
        state.update(shard.labels.tobytes())
        joints.append(shard.labels["joints_m"].astype(np.float64).reshape(-1, 3))
        colors += [shard.color(row).mean((0, 1)) for row in range(-first % step, shard.head.rows, step)]
    return Content(state.hexdigest(), np.concatenate(joints).mean(0), np.stack(colors).mean(0))


def _shards(folder: Path, there: SynthSet) -> Iterator[tuple[int, Shard]]:
    """Each shard with the number of its first view."""
    for number, head in enumerate(there.heads):
        with Shard(shard_path(folder, number)) as shard:
            if shard.head != head:
                raise DatasetError(f"{shard.path} belongs to another set.", "Remove it and make the set again.")
            yield head.first * head.views, shard
