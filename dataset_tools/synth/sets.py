"""A set of synthetic images on disk: what decides it, and which shards it has.

`set.json` holds the recipe and everything else that the images depend on: only the same is ever written beside it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import hoi_core
from dataset_tools.synth.generator import Generator
from dataset_tools.synth.recipe import Recipe
from dataset_tools.synth.shard_layout import Head
from dataset_tools.synth.shards import Shard
from hoi_core.errors import ConfigError, DatasetError, StorageError
from hoi_core.user_cache import code_version
from hoi_core.whole_file import write_whole

SET_FILE = "set.json"
FORMAT = "hoi-synth"
VERSION = "1.0"
_FEWEST, _MOST, _SHARDS = 32, 1024, 64
_ELSEWHERE = "Name another folder with --out, or remove this one."


@dataclass(frozen=True)
class SynthSet:
    """What decides a set, and so its every byte."""

    recipe: Recipe
    """What to make."""
    sources: dict[str, str]
    """Content hashes of the files that the images are made from, the hand model among them."""
    code: str
    """Changes with the program that makes the images."""

    @cached_property
    def text(self) -> str:
        """Content of `set.json`."""
        values = {
            "format": FORMAT,
            "format_version": VERSION,
            "recipe": json.loads(self.recipe.to_json()),
            "sources": self.sources,
            "code": self.code,
        }
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @cached_property
    def owner(self) -> str:
        """Identity, stored in each shard."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def views(self) -> int:
        """Views of each image."""
        return 2 if self.recipe.second_view else 1

    @property
    def images_per_shard(self) -> int:
        """A power of two that makes some 64 shards, so that workers share even a small set; from 32 to 1024."""
        wanted = -(-self.recipe.count // _SHARDS)
        return min(max(1 << (wanted - 1).bit_length(), _FEWEST), _MOST)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """What each shard must hold."""
        size, count = self.images_per_shard, self.recipe.count
        return tuple(
            Head(self.owner, first, min(size, count - first), self.views, self.recipe.size_px)
            for first in range(0, count, size)
        )


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard_{number:05d}.h5"


def describe(generator: Generator) -> SynthSet:
    """The set that a generator makes."""
    return SynthSet(generator.recipe, generator.sources(), _code())


def begin(folder: Path, wanted: SynthSet) -> None:
    """Make a folder the place of a set, or make sure that it is the place of this one.

    Raises:
        DatasetError: the folder holds something else.
        StorageError: it cannot be written.
    """
    if (folder / SET_FILE).exists():
        _same(folder, read_set(folder), wanted)
        return
    try:
        strange = sorted(path.name for path in folder.iterdir())
        if strange:
            raise DatasetError(f"{folder} holds {strange[0]}, which is of no synthetic set.", "Name a new folder.")
        write_whole(folder / SET_FILE, wanted.text.encode())
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}.", "Name another folder with --out.") from error


def read_set(folder: Path) -> SynthSet:
    """The set in a folder.

    Raises:
        DatasetError: there is none, it is damaged, or of another version.
    """
    path = folder / SET_FILE
    try:
        values = json.loads(path.read_text(encoding="utf8"))
        version = str(values["format_version"]).split(".", 1)[0]
        if values["format"] != FORMAT or version != VERSION.split(".", 1)[0]:
            raise DatasetError(
                f"{path} is of format {values['format']} {values['format_version']}, not {FORMAT} {VERSION}.",
                f"It was made by another version than {hoi_core.__version__}; make the set again.",
            )
        sources = {str(name): str(value) for name, value in values["sources"].items()}
        return SynthSet(Recipe.from_json(json.dumps(values["recipe"])), sources, str(values["code"]))
    except FileNotFoundError as error:
        raise DatasetError(
            f"expected a synthetic set in {folder}, found no {SET_FILE}.", "`hoi-data synth`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise DatasetError(f"{path} is damaged: {error}.", "Remove the folder and make the set again.") from error


def missing(folder: Path, wanted: SynthSet) -> tuple[list[int], list[int]]:
    """Numbers of the shards that are not there, and of those that are there but damaged."""
    absent, damaged = [], []
    for number, head in enumerate(wanted.heads):
        path = shard_path(folder, number)
        if not path.exists():
            absent.append(number)
            continue
        try:
            with Shard(path) as shard:
                sound = shard.head == head
        except DatasetError:
            sound = False
        if not sound:
            damaged.append(number)
    return absent, damaged


def _same(folder: Path, there: SynthSet, wanted: SynthSet) -> None:
    """Make sure that a folder's set is the wanted one."""
    if there == wanted:
        return
    old, new = asdict(there.recipe), asdict(wanted.recipe)
    changed = [f"{name} {old[name]} instead of {new[name]}" for name in old if old[name] != new[name]]
    changed += [f"another {name}" for name in _differing(there.sources, wanted.sources)]
    if not changed:
        changed = ["another version of this program"]
    raise DatasetError(f"{folder} holds a set made with {', '.join(changed)}.", _ELSEWHERE)


def _differing(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Names whose values differ."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _code() -> str:
    """Changes with every source file that has a say in the images and in how they are packed."""
    core = Path(hoi_core.__file__).parent
    single = ["_raster", "biomechanics", "camera", "conventions", "render", "rotation", "sequence/codec"]
    folders = [Path(__file__).parent, core / "scene", core / "mano"]
    files = [core / f"{name}.py" for name in single] + [file for folder in folders for file in folder.glob("*.py")]
    return code_version(sorted(files, key=str))
