"""Write a dataset in another format: any reader to any writer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import ModuleType

from dataset_tools import readers
from dataset_tools.publish import card as cards
from dataset_tools.publish.about import read_about
from dataset_tools.publish.facts import facts_of
from dataset_tools.publish.permit import Audience, Permit, permit
from dataset_tools.writers import Extras
from hoi_core import plugins
from hoi_core.errors import DatasetError, StorageError

Progress = Callable[[int, int], None]
"""Called with (samples done, of how many)."""


@dataclass(frozen=True)
class Terms:
    """For whom a conversion is."""

    audience: Audience = "publish"
    """Who will have it: recordings whose participants did not agree to that are left out."""
    today: date | None = None
    """The day on which consent must hold; default is today's."""
    accuracy: Callable[[Sequence[str]], Mapping[str, float]] | None = None
    """Works out the figures of the labels of recordings, for formats with a card; None leaves them unknown."""


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote."""

    written: int
    """Samples."""
    left_out: int
    """Samples for which the format has no place."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """Split -> samples."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """Recording that was left out -> why it may not go."""


def convert(
    root: Path,
    dataset: str,
    splits: Sequence[str],
    target: str,
    out: Path,
    on_progress: Progress | None = None,
    terms: Terms = Terms(),
) -> Converted:
    """Write splits of a dataset in another format, as far as its licence and its participants allow.

    Args:
        root: of the datasets (`--data`).
        dataset: name of the reader.
        splits: of the dataset.
        target: name of the writer.
        out: new folder; it appears when all is written.
        on_progress: told how far it is.
        terms: for whom it is.

    Raises:
        ConfigError: no such reader, writer or split.
        ConsentError: no participant has agreed to that.
        DatasetError: the folder exists, the dataset is damaged, names no licence or is not yours to hand on, or nothing
            of it has a place in the format.
        StorageError: the disk is full or not writable.
    """
    reader = plugins.load("dataset_tools.readers", dataset)
    writer = plugins.load("dataset_tools.writers", target)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists already.", "Name a new folder with --out.")
    home = readers.home(root, dataset)
    keys, granted = permitted(reader, root, {split: reader.index(home, split) for split in splits}, terms)
    draft = out.with_name(f"{out.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        done = _write(reader, writer, home, keys, draft, on_progress)
        if done.written:
            for name, text in {**granted.notices, **_card(root, reader, writer, granted, done, terms)}.items():
                (draft / name).write_text(text, encoding="utf8")
            with suppress(FileNotFoundError):
                out.rmdir()
            draft.rename(out)
    except OSError as error:
        raise StorageError(
            f"cannot write {draft}: {error.strerror or error}.", "Free some space, or name another --out."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if not done.written:
        raise DatasetError(
            f"none of the {done.left_out} samples has a place in {target}: it keeps {writer.INFO.keeps}",
            "Choose another format.",
        )
    return replace(done, withheld=granted.withheld)


def permitted(
    reader: ModuleType, root: Path, keys: dict[str, list[str]], terms: Terms
) -> tuple[dict[str, list[str]], Permit]:
    """The keys that may go, by split, and what must go with them; errors as of `publish.permit.permit`."""
    info, group = reader.INFO, reader.group
    ours = info.name == readers.OURS
    names = sorted({group(key) for listed in keys.values() for key in listed}) if ours else []
    models = reader.hand_models(readers.home(root, info.name)) if hasattr(reader, "hand_models") else ()
    granted = permit(root, info, names, terms.audience, terms.today, models)
    if not granted.withheld:
        return keys, granted
    allowed = set(granted.allowed)
    return {split: [key for key in listed if group(key) in allowed] for split, listed in keys.items()}, granted


def _card(
    root: Path, reader: ModuleType, writer: ModuleType, granted: Permit, done: Converted, terms: Terms
) -> dict[str, str]:
    """The README of formats that have one."""
    pattern = writer.INFO.card_files
    if not pattern:
        return {}
    files = {split: [pattern.format(split=split)] for split, count in done.splits.items() if count}
    copy = cards.Copy(files, done.written, writer.INFO.keeps)
    if reader.INFO.name != readers.OURS:
        return {"README.md": cards.card_of_another(reader.INFO, granted, copy)}
    figures = terms.accuracy(granted.allowed) if terms.accuracy else None
    release = cards.Release(read_about(root), facts_of(root, granted, figures), granted, copy=copy)
    return {"README.md": cards.card(release), "DATASHEET.md": cards.datasheet(release)}


def _extras(reader: ModuleType, writer: ModuleType, home: Path, key: str) -> Extras:
    """What the reader knows beyond the sample, as far as the format has a place for it."""
    maps = {
        name: getattr(reader, name)(home, key)
        for name in ("depth_m", "segmentation")
        if writer.INFO.maps and hasattr(reader, name)
    }
    return Extras(reader.group(key), reader.INFO.camera_known, **maps)


def _write(
    reader: ModuleType,
    writer: ModuleType,
    home: Path,
    keys: dict[str, list[str]],
    draft: Path,
    on_progress: Progress | None,
) -> Converted:
    total = sum(len(listed) for listed in keys.values())
    seen = 0
    written: dict[str, int] = {}
    for split, listed in keys.items():
        target = writer.open(draft, split)
        written[split] = 0
        for key in listed:
            written[split] += bool(target.add(reader.read(home, key), _extras(reader, writer, home, key)))
            seen += 1
            if on_progress:
                on_progress(seen, total)
        target.close()
    count = sum(written.values())
    return Converted(count, seen - count, written)
