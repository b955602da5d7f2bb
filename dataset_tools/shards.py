"""WebDataset shards for training at scale: cut out, shuffled once, written by many processes, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dataset_tools import readers
from dataset_tools.convert import Terms, permitted
from dataset_tools.cut_out import cut_out
from dataset_tools.writers import Extras
from dataset_tools.writers.webdataset import Shard
from hoi_core import plugins
from hoi_core import sequence as sequences
from hoi_core import workers as workers_of
from hoi_core.errors import DatasetError
from hoi_core.whole_file import whole_file, write_whole

INDEX = "shards.json"
"""Says what the shards are, and lists them as WebDataset's own index does."""
Progress = Callable[[int, int], None]
"""Called with (shards done, of how many)."""


@dataclass(frozen=True)
class Plan:
    """What the shards hold; the same plan over the same data gives the same bytes."""

    dataset: str
    """Name of the reader."""
    split: str
    """Of it."""
    size_px: int = 256
    """Side of the pictures; 0 keeps them whole."""
    per_shard: int = 1000
    """Samples in a shard."""
    seed: int = 0
    """Of the order of the samples."""


@dataclass(frozen=True)
class Sharded:
    """What lies there in the end."""

    samples: int
    """In all shards."""
    shards: int
    """Their number."""
    kept: int
    """Of these, shards that an earlier run had finished."""


def make_shards(
    root: Path,
    plan: Plan,
    out: Path,
    *,
    workers: int = 1,
    terms: Terms = Terms("laboratory"),  # noqa: B008 -- it is frozen
    on_progress: Progress | None = None,
) -> Sharded:
    """Write what is missing of a set of shards.

    A shard appears whole or not at all; a run that was killed goes on when it is given again.

    Args:
        root: of the datasets.
        plan: what to write.
        out: folder, new or with shards of the same plan.
        workers: processes.
        terms: for whom the shards are.
        on_progress: told how far it is.

    Raises:
        ConfigError: no such reader or split.
        ConsentError: no participant has agreed to that.
        DatasetError: the folder holds something else, or the dataset is damaged.
        StorageError: the disk is full or not writable; finished shards stay.
    """
    reader = plugins.load("dataset_tools.readers", plan.dataset)
    home = readers.home(root, plan.dataset)
    allowed, granted = permitted(reader, root, {plan.split: reader.index(home, plan.split)}, terms)
    listed = allowed[plan.split]
    keys = [listed[i] for i in np.random.default_rng(plan.seed).permutation(len(listed))]
    parts = [keys[first : first + plan.per_shard] for first in range(0, len(keys), plan.per_shard)]
    names = [f"{plan.split}-{number:06d}.tar" for number in range(len(parts))]
    listing = [{"url": name, "nsamples": len(part)} for name, part in zip(names, parts, strict=True)]
    about = {"format": "hoi-shards", "format_version": "1.0", "audience": terms.audience, **asdict(plan)}
    index = {**about, "content": _content(root, plan.dataset, keys), "shardlist": listing}
    with sequences.storage_errors(out):
        _begin(out, index, granted.notices)
        for leftover in out.glob("*.tar.*.part"):
            leftover.unlink(missing_ok=True)
    missing = [n for n, name in enumerate(names) if not (out / name).exists()]
    before = len(names) - len(missing)
    jobs = [partial(_write, home, plan, parts[n], out / names[n]) for n in missing]
    for count, _ in enumerate(workers_of.done(jobs, workers), start=before + 1):
        if on_progress:
            on_progress(count, len(names))
    return Sharded(len(keys), len(names), before)


def _content(root: Path, dataset: str, keys: list[str]) -> str:
    """Changes with the samples, their order and, for recordings of ours, their labels."""
    total = hashlib.sha256(json.dumps(keys).encode())
    if dataset == readers.OURS:
        for name in sorted({key.partition("/")[0] for key in keys}):
            with sequences.open_annotation(sequences.sequence_dir(root, name)) as labels:
                total.update(f"{name} {labels.binding.capture_hash} {labels.content_hash()}\n".encode())
    return total.hexdigest()


def _begin(out: Path, index: dict[str, object], notices: Mapping[str, str]) -> None:
    path = out / INDEX
    if path.exists():
        try:
            held = json.loads(path.read_text(encoding="utf8"))
        except ValueError:
            held = None
        if held != index:
            raise DatasetError(
                f"{out} holds shards of other samples, labels or options.", "Name a new folder with --out."
            )
        return
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} exists already and holds no shards.", "Name a new folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in notices.items():
        (out / name).write_text(text, encoding="utf8")
    # Last: a folder with an index is one that can be gone on with.
    write_whole(path, json.dumps(index, indent=1) + "\n")


def _write(home: Path, plan: Plan, keys: list[str], path: Path) -> None:
    """One shard, in a worker."""
    reader = plugins.load("dataset_tools.readers", plan.dataset)
    with sequences.storage_errors(path), whole_file(path) as draft:
        shard = Shard(draft)
        for number, key in enumerate(keys):
            sample = reader.read(home, key)
            shown = cut_out(sample, plan.size_px) if plan.size_px else sample
            shard.add(f"{number:06d}", shown, Extras(reader.group(key), reader.INFO.camera_known))
        shard.close()
