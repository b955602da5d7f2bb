"""Synthetic images made with `hoi-data synth`: every set in the folder `synth`, side by side.

A set is a folder with `set.json`; it is read when all of it is made. Test samples are those whose group of poses is
held out, by the same rule in every set.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo
from dataset_tools.synth import held_out
from dataset_tools.synth.sets import SET_FILE, SynthSet, missing, read_set, shard_path
from dataset_tools.synth.shards import Shard
from dataset_tools.synth.types import LEFT_HAND, OBJECT, RIGHT_HAND
from hoi_core.conventions import N_JOINTS
from hoi_core.errors import DatasetError
from hoi_core.plugins import unknown_name
from hoi_core.types import F32, U8, Bool, ObjectPose, Sample

INFO = ReaderInfo(
    name="synth",
    url="",
    licence="your own; images made with your MANO files fall under MANO's licence, and set.json names the hand model",
    citation="",
    splits=("train", "test", "all"),
    joint_order="openpose21",
    unit="m",
    tree="""  mano_render_128/set.json  shard_00000.h5 ...    a set, made with `hoi-data synth`
  grasps_224/set.json  ...                        others beside it""",
    key_parts=("set", "poses", "moment", "view"),
)

logger = logging.getLogger(__name__)

_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_KEY = re.compile(rf"({_SET_NAME.pattern})/(\d{{6}})/(\d{{7}})/([ab])")
_OPEN_FILES = 128
_OBJECT = "object_"
_PARTS = ("train", "test", "all")


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, `<set>/<group>/<image>/<view>` such as `grid_128/000017/0001234/a`.

    Splits of one set alone are called `<set>_train` and so on.

    Raises:
        DatasetError: no set, one that is not finished or damaged, or a split that is empty.
        ConfigError: an unknown split.
    """
    root = Path(root)
    names = _sets(root)
    known = {f"{name}_{part}": (name, part) for name in names for part in _PARTS}
    if split not in (*_PARTS, *known):
        raise unknown_name("split", split, [*_PARTS, *known])
    chosen, part = ([known[split][0]], known[split][1]) if split in known else (names, split)
    keys = [key for name in chosen for key in _keys_of(root / name, part)]
    if not keys:
        raise DatasetError(
            f"split {split!r} of {root} is empty: one group of poses in twenty is for testing.", "Make more images."
        )
    return keys


def read(root: Path, key: str) -> Sample:
    """One view of one image.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    shard, row = _find(Path(root), key)
    joints_m = shard.joints_m(row)
    return Sample(
        image=shard.color(row),
        camera=shard.camera(row),
        side=shard.side(row),
        joints_m=joints_m,
        joints_valid=np.ones(N_JOINTS, np.bool_),
        vertices_m=shard.vertices_m(row),
        dataset=INFO.name,
        key=key,
        params=shard.params(row),
        objects=tuple(_with_mesh(shown, shard.path.parent) for shown in shard.objects(row)),
    )


def group(key: str) -> str:
    """The group of poses, the same in every set. Both views of an image are of one group."""
    return _split_key(key)[1]


def other_view(root: Path, key: str) -> str | None:
    """The key of the same instant seen from the other side; None in a set of single views.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    shard, _ = _find(Path(root), key)
    front = key[:-1]
    return f"{front}{'b' if key.endswith('a') else 'a'}" if shard.head.views == 2 else None


def depth_m(root: Path, key: str) -> F32:
    """Rendered depth. `(H, W)` m; NaN where only the background lies.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    shard, row = _find(Path(root), key)
    depth = shard.depth_m(row)
    return np.where(depth > 0, depth, np.float32(np.nan))


def segmentation(root: Path, key: str) -> U8:
    """What each pixel shows. `(H, W)`: 1 a hand, 2 an object that is held, 0 anything else.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    shard, row = _find(Path(root), key)
    meaning = np.zeros(256, np.uint8)
    meaning[[RIGHT_HAND, LEFT_HAND]], meaning[OBJECT:] = 1, 2
    return meaning[shard.segmentation(row)]


def visible(root: Path, key: str) -> Bool:
    """Joints around which the image shows the hand's skin. `(21,)`.

    Raises:
        DatasetError: no such key, or a damaged file.
    """
    shard, row = _find(Path(root), key)
    return shard.joints_visible(row)


def hand_models(root: Path) -> set[str]:
    """The hand models of all sets: `stand-in`, or the SHA-256 of a MANO file."""
    sources = [read_set(Path(root) / name).sources for name in _sets(Path(root))]
    return {source for held in sources for name, source in held.items() if name.startswith("hand_")}


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects in all sets, and the files of the user's meshes, as far as these are there.

    Raises:
        DatasetError: a set is damaged, or two sets mean different objects by one name.
    """
    root = Path(root)
    digests: dict[str, str] = {}
    found: dict[str, Path | None] = {}
    for name in _sets(root):
        there = read_set(root / name)
        own = {key.removeprefix(_OBJECT): d for key, d in there.sources.items() if key.startswith(_OBJECT)}
        if any(digests.get(each, digest) != digest for each, digest in own.items()):
            raise DatasetError(
                f"two sets in {root} show different objects of one name, one of them {name}.",
                "Keep sets with other meshes in another folder.",
            )
        digests |= own
        found |= _meshes_of(root / name, there, own)
    return found


def tiny(folder: Path) -> Path:
    """Write a set of single views and one of pairs; return their root."""
    from dataset_tools.readers._tiny_synth import write

    return write(folder)


def _sets(root: Path) -> list[str]:
    """Names of the sets."""
    if (root / SET_FILE).exists():
        raise DatasetError(
            f"{root} is a set itself; sets lie in folders of {root}.",
            f"mkdir {root}/first && mv {root}/*.* {root}/first/",
        )
    found = sorted(file.parent.name for file in root.glob(f"*/{SET_FILE}"))
    odd = [name for name in found if not _SET_NAME.fullmatch(name)]
    if odd:
        raise DatasetError(
            f"a set's folder may be called by letters, digits, '_', '.' and '-', got {odd[0]!r}.", "Rename it."
        )
    if not found:
        raise DatasetError(
            f"expected synthetic sets in {root}, found no {SET_FILE} in a folder of it.",
            f"Make one with `hoi-data synth`. It looks like this (a link will do):\n{root}/\n{INFO.tree}",
        )
    return found


def _keys_of(folder: Path, part: str) -> list[str]:
    there = read_set(folder)
    absent, damaged = missing(folder, there)
    if absent or damaged:
        raise DatasetError(
            f"{len(absent)} of {len(there.heads)} files of {folder} are not made yet, {len(damaged)} are damaged.",
            "Type the same `hoi-data synth` again: it goes on where it stopped.",
        )
    keys = []
    for number in range(len(there.heads)):
        with Shard(shard_path(folder, number)) as shard:
            labels = np.stack([shard.labels[name].astype(np.int64) for name in ("group", "index", "view")], axis=-1)
        keys += [
            f"{folder.name}/{group:06d}/{image:07d}/{'ab'[view]}"
            for group, image, view in labels.tolist()
            if part == "all" or held_out(group) == (part == "test")
        ]
    return keys


def _meshes_of(folder: Path, there: SynthSet, digests: dict[str, str]) -> dict[str, Path | None]:
    """Files of the objects of a set; None for a built-in one, whose digest is its name."""
    found: dict[str, Path | None] = {name: None for name, digest in digests.items() if name == digest}
    wanted = set(digests) - set(found)
    for number in range(len(there.heads)):
        if not wanted:
            break
        with Shard(shard_path(folder, number)) as shard:
            shown = [_with_mesh(one, folder) for row in range(shard.head.rows) for one in shard.objects(row)]
        wanted -= {one.name for one in shown}
        found |= {one.name: one.mesh for one in shown if one.mesh is not None}
    return found


def _split_key(key: str) -> tuple[str, str, int, int]:
    """Set, group, image and view."""
    found = _KEY.fullmatch(key)
    if not found:
        raise DatasetError(f"expected a key like grid_128/000017/0001234/a, got {key!r}.", "Take it from index().")
    return found[1], found[2], int(found[3]), "ab".index(found[4])


def _find(root: Path, key: str) -> tuple[Shard, int]:
    """The shard of a view, and its row."""
    name, posed, image, view = _split_key(key)
    folder = root / name
    there = _set(folder, _stamp(folder / SET_FILE))
    if image < there.recipe.count and view < there.views:
        number, place = divmod(image, there.images_per_shard)
        path = shard_path(folder, number)
        shard, row = _shard(path, _stamp(path), os.getpid()), place * there.views + view
        if shard.head != there.heads[number]:
            raise DatasetError(f"{path} belongs to another set than {folder / SET_FILE}.", "Make the set again.")
        if int(shard.labels[row]["group"]) == int(posed):
            return shard, row
    raise DatasetError(f"{key!r} names no image of {folder}.", "Take keys from index().")


def _with_mesh(shown: ObjectPose, folder: Path) -> ObjectPose:
    """An object with the file of its mesh, if that is still there."""
    mesh = shown.mesh and folder / shown.mesh
    return replace(shown, mesh=mesh if mesh and mesh.is_file() else None)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


@lru_cache(maxsize=64)
def _set(folder: Path, stamp: tuple[int, int]) -> SynthSet:
    return read_set(folder)


# The process id is part of the key: a forked worker must not share its parent's open HDF5 files.
@lru_cache(maxsize=_OPEN_FILES)
def _shard(path: Path, stamp: tuple[int, int], pid: int) -> Shard:
    return Shard(path)
