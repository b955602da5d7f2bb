"""Measure a dataset, or a sample of it, in worker processes; a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from dataset_tools import readers
from dataset_tools.readers import OURS
from dataset_tools.stats.measure import COLUMNS, Measured, measure
from dataset_tools.stats.sensor import sensor_sparsity
from hoi_core import plugins, workers
from hoi_core.edges import EdgeParams
from hoi_core.errors import DatasetError
from hoi_core.types import F64
from hoi_core.user_cache import cache_folder, code_version
from hoi_core.whole_file import whole_file

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
"""Called with (samples done, of how many)."""

CHUNK = 100
"""Samples measured at a time: what a stop can lose, and a worker's piece of work."""
_ONE = ("side", "person", "hand")  # parts of a key that do not tell one picture from another
_SAME_MOMENT = (*_ONE, "view", "background")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    split: str = "all"
    """Of each dataset."""
    sample: int = 1000
    """Most samples of a dataset to look at, spread evenly at random; 0 for all."""
    seed: int = 0
    """Of that choice."""
    workers: int = 1
    """Processes."""
    edges: EdgeParams = field(default_factory=EdgeParams)
    """How edges are made."""


@dataclass(frozen=True)
class Collected:
    """What was measured of one dataset."""

    name: str
    """Of its reader."""
    key_parts: pd.DataFrame
    """One row for each sample of the split, with a column for each part of its key (`ReaderInfo.key_parts`) and
    `image`, a number that samples of one picture share, and `moment`."""
    rows: pd.DataFrame
    """One row for each measured sample: `key`, `objects`, and `measure.COLUMNS`."""
    failed: dict[str, str]
    """Key and reason of each sample that could not be read."""
    modalities: tuple[str, ...]
    """What the dataset has for a moment: `colour`, `depth`, `infrared`, `edge sensor`."""
    sensor: F64 = field(default_factory=lambda: np.zeros(0))
    """(K,) share of zero pixels of edge images that a sensor recorded; empty where there is none."""


def collect(
    root: Path, name: str, options: Options, keys: Sequence[str] | None = None, on_progress: Progress | None = None
) -> Collected:
    """Measure a dataset.

    What is done is kept in the user's cache until the run ends, so that the same call after a stop goes on.

    Args:
        root: of the datasets (`--data`).
        name: of the reader.
        options: what to measure.
        keys: of the samples, where a part of the split is meant.
        on_progress: told how far it is.

    Raises:
        ConfigError: no such reader or split.
        DatasetError: the dataset is absent, or none of its samples can be read.
    """
    import pandas as pd

    reader = plugins.load("dataset_tools.readers", name)
    home = readers.home(root, name)
    everything = list(reader.index(home, options.split) if keys is None else keys)
    if not everything:
        raise DatasetError(f"{options.split} of {name} holds no sample.", "Name another split.")
    chosen = _chosen(everything, options)
    pieces = [chosen[k : k + CHUNK] for k in range(0, len(chosen), CHUNK)]
    found: dict[int, Measured] = {}
    done = 0
    with _Kept(_tag(home, name, everything, options)) as kept:
        for number, piece in _measured(name, home, pieces, options, kept):
            found[number] = piece
            done += len(pieces[number])
            if on_progress:
                on_progress(done, len(chosen))
    parts = [found[number] for number in range(len(pieces))]
    failed = {key: why for part in parts for key, why in part.failed}
    rows = pd.DataFrame(np.concatenate([part.values for part in parts]), columns=list(COLUMNS))
    if rows.empty:
        raise DatasetError(
            f"none of {len(failed)} samples of {name} can be read: {next(iter(failed.values()))}",
            "Unpack the dataset again; for recordings of your own `hoi-data check` says more.",
        )
    rows.insert(0, "key", [key for part in parts for key in part.keys])
    rows.insert(1, "objects", [shown for part in parts for shown in part.objects])
    parts_of = parts_of_keys(reader, everything)
    sensor = np.zeros(0)
    if name == OURS:
        sensor = sensor_sparsity(home, list(parts_of["sequence"].cat.categories), options.sample)
    return Collected(name, parts_of, rows, failed, _modalities(reader, home, everything), sensor)


def parts_of_keys(reader: ModuleType, keys: Sequence[str]) -> pd.DataFrame:
    """A column for each part that the reader's keys have; `image` and `moment` number what samples share.

    Args:
        reader: of the dataset.
        keys: of samples.
    """
    import pandas as pd

    names = reader.INFO.key_parts or ("sample",)
    # One column at a time, as codes: a dataset may have a million keys.
    table = pd.DataFrame(
        {name: pd.Categorical([_part(key, place) for key in keys]) for place, name in enumerate(names)}
    )
    numbered = {}
    for column, without in (("image", _ONE), ("moment", _SAME_MOMENT)):
        own = [part for part in names if part not in without]
        numbered[column] = table.groupby(own, sort=False, observed=True).ngroup()
    return table.drop(columns="moment", errors="ignore").assign(**numbered)


def _part(key: str, place: int) -> str:
    """A part of a key, empty where it has fewer."""
    parts = key.split("/")
    return parts[place] if place < len(parts) else ""


def _chosen(keys: Sequence[str], options: Options) -> list[str]:
    if not 0 < options.sample < len(keys):
        return list(keys)
    picked = np.random.default_rng(options.seed).choice(len(keys), options.sample, replace=False)
    return [keys[k] for k in np.sort(picked)]  # in order, so that a file is opened once


def _measured(
    name: str, home: Path, pieces: Sequence[list[str]], options: Options, kept: _Kept
) -> Iterator[tuple[int, Measured]]:
    """Pieces as they are done, those of an earlier run first."""
    left = []
    for number in range(len(pieces)):
        if (known := kept.load(number)) is not None:
            yield number, known
        else:
            left.append(number)
    jobs = [partial(_piece, name, home, pieces[number], options.edges) for number in left]
    for job, measured in workers.done(jobs, options.workers):
        kept.save(left[job], measured)
        yield left[job], measured


def _piece(name: str, home: Path, keys: list[str], edges: EdgeParams) -> Measured:
    import cv2

    cv2.setNumThreads(1)  # on small crops its threads cost more than they give
    return measure(plugins.load("dataset_tools.readers", name), home, keys, edges)


def _modalities(reader: ModuleType, home: Path, keys: Sequence[str]) -> tuple[str, ...]:
    """What is there for a moment; of our own recordings, what the streams of the first one hold."""
    if reader.INFO.name != OURS:
        return ("colour", "depth") if hasattr(reader, "depth_m") else ("colour",)
    from hoi_core import sequence as sequences

    with sequences.open_capture(sequences.find_sequence(home, keys[0].split("/")[0])) as capture:
        there = {name.rsplit("/", 1)[-1] for name in capture.streams}
    # The sensor's gray and edge images are one device's.
    kinds = {"color": "colour", "depth": "depth", "infrared": "infrared", "gray": "edge sensor", "edge": "edge sensor"}
    return tuple(dict.fromkeys(word for kind, word in kinds.items() if kind in there))


def _tag(home: Path, name: str, keys: Sequence[str], options: Options) -> str:
    """Changes with whatever the measures depend on."""
    sources = sorted([*Path(__file__).parent.glob("*.py"), *Path(readers.__file__).parent.glob("*.py")])
    state = hashlib.sha256(f"{code_version(sources)} {home.resolve()} {name} {options.edges}".encode())
    state.update(f" {options.sample} {options.seed} {os.environ.get('HOI_MANO', '')} ".encode())
    state.update("\n".join(keys).encode())
    if name == OURS:
        for sequence in dict.fromkeys(key.split("/")[0] for key in keys):
            with suppress(OSError):
                facts = (home / "sequences" / sequence / "annotation.h5").stat()
                state.update(f"{sequence} {facts.st_size} {facts.st_mtime_ns}".encode())
    return state.hexdigest()[:24]


class _Kept:
    """Pieces of a run that has not ended, in the user's cache; where that cannot be written, nothing is kept."""

    def __init__(self, tag: str) -> None:
        self._folder: Path | None = None
        with suppress(OSError, RuntimeError):  # no home, or no room in it
            self._folder = cache_folder() / "stats" / tag
            self._folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, *more: object) -> None:
        if kind is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def load(self, number: int) -> Measured | None:
        """A piece of an earlier run; None where there is none that can be read."""
        if self._folder is None:
            return None
        try:
            with np.load(self._folder / f"{number}.npz", allow_pickle=False) as file:
                failed = tuple((str(key), str(why)) for key, why in file["failed"])
                return Measured(_texts(file["keys"]), file["values"], _texts(file["objects"]), failed)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, number: int, piece: Measured) -> None:
        """Keep a piece; a full disk merely keeps nothing."""
        if self._folder is None:
            return
        path = self._folder / f"{number}.npz"
        with suppress(OSError), whole_file(path, durable=False) as draft, draft.open("wb") as file:
            np.savez(
                file,
                keys=np.array(piece.keys, np.str_),
                values=piece.values,
                objects=np.array(piece.objects, np.str_),
                failed=np.array(piece.failed, np.str_).reshape(-1, 2),
            )


def _texts(array: np.ndarray) -> tuple[str, ...]:
    return tuple(str(value) for value in array.tolist())
