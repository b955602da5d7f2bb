"""Versions of a dataset: what each held, by content, and what has changed since.

A version is a folder `<root>/releases/<version>` with `manifest.json` and the card. Recordings and revisions are never
rewritten, so a version needs no copy of them: their hashes tell whether they are still what was released.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dataset_tools.publish.permit import Permit
from dataset_tools.split import read_splits
from hoi_core import sequence as sequences
from hoi_core.errors import ConfigError, DatasetError, SequenceError

_FORMAT = "hoi-release"
_FOLDER, _MANIFEST = "releases", "manifest.json"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@dataclass(frozen=True)
class Entry:
    """One recording of a version."""

    capture: str
    """Content hash of the recording."""
    revision: str = ""
    """Its labels; empty where it had none."""
    labels: str = ""
    """Content hash of that revision."""


@dataclass(frozen=True)
class Manifest:
    """What a version holds."""

    version: str
    """Such as `1.0.0`."""
    created: str
    """Day, ISO 8601."""
    audience: str
    """For whom it is."""
    licence: str
    """Of the dataset."""
    sequences: Mapping[str, Entry]
    """Recordings."""
    files: Mapping[str, str]
    """Meshes, rigs and calibrations by path, with the SHA-256 of their bytes."""
    splits: Mapping[str, tuple[str, ...]]
    """Split -> recordings or views."""
    hash: str = ""
    """SHA-256 of all of the above but the day; empty before it is stored."""

    def content_hash(self) -> str:
        """What `hash` should be."""
        values = {name: value for name, value in asdict(self).items() if name not in ("hash", "created")}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Changes:
    """What is different from a version."""

    broken: list[str] = field(default_factory=list)
    """What that version held and nobody can get any more, in words."""
    since: list[str] = field(default_factory=list)
    """What was added or replaced since, in words."""


def versions(root: Path) -> list[str]:
    """Versions of a dataset, oldest first."""
    found = [path.parent.name for path in (Path(root) / _FOLDER).glob(f"*/{_MANIFEST}")]
    return sorted((name for name in found if _VERSION.fullmatch(name)), key=_order)


def describe(root: Path, version: str, granted: Permit, created: str) -> Manifest:
    """The manifest of a dataset as it is now.

    Args:
        root: the dataset.
        version: such as `1.0.0`; higher than those before.
        granted: what of it may go.
        created: day, ISO 8601.

    Raises:
        ConfigError: the version exists, is none, or is lower than an earlier one.
        SequenceError: a recording or its labels cannot be read.
    """
    _check_version(Path(root), version)
    splits, allowed = read_splits(root), set(granted.allowed)
    parts = {name: tuple(e for e in held if e.partition("/")[0] in allowed) for name, held in splits.parts.items()}
    entries = {name: entry_of(root, name) for name in sorted(granted.allowed)}
    licence = granted.licence
    made = Manifest(version, created, granted.audience, licence, entries, _files(root, granted.allowed), parts)
    return Manifest(**{**vars(made), "hash": made.content_hash()})


def entry_of(root: Path, name: str) -> Entry:
    """A recording and its current labels as they are now."""
    folder = sequences.sequence_dir(root, name)
    with sequences.open_capture(folder) as capture:
        recorded = capture.content_hash()
    if not sequences.annotation_path(root, name).exists():
        return Entry(recorded)
    with sequences.open_annotation(folder) as annotation:
        return Entry(recorded, annotation.current, annotation.content_hash())


def write(root: Path, manifest: Manifest, texts: Mapping[str, str]) -> Path:
    """Store a version with the texts beside it; it appears whole or not at all.

    Returns:
        Its folder.

    Raises:
        ConfigError: it exists.
        StorageError: the disk is full or not writable.
    """
    folder = Path(root) / _FOLDER / manifest.version
    draft = folder.with_name(f"{folder.name}.part")
    with sequences.storage_errors(folder):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        values = {"format": _FORMAT, "format_version": "1.0", **asdict(manifest)}
        for name, text in {_MANIFEST: json.dumps(values, indent=2) + "\n", **texts}.items():
            (draft / name).write_text(text, encoding="utf8")
        _check_version(Path(root), manifest.version)
        draft.rename(folder)
    return folder


def read(root: Path, version: str) -> Manifest:
    """A stored version.

    Raises:
        DatasetError: there is none of that name, or its manifest is malformed or of a newer version of this format.
    """
    path = Path(root) / _FOLDER / version / _MANIFEST
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
        if values.pop("format") != _FORMAT or str(values.pop("format_version")).split(".")[0] != "1":
            raise ValueError("another format")
        values["sequences"] = {name: Entry(**entry) for name, entry in values["sequences"].items()}
        values["splits"] = {name: tuple(listed) for name, listed in values["splits"].items()}
        return Manifest(**values)
    except FileNotFoundError as error:
        known = ", ".join(versions(root)) or "none"
        raise DatasetError(f"no version {version} in {root}; there are: {known}.", "Name one of them.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path} is malformed: {error}.", "Restore it from a backup.") from error


def changes(root: Path, manifest: Manifest, on_sequence: Callable[[str], None] | None = None) -> Changes:
    """Whether a version can still be had, and what is new.

    Args:
        root: the dataset.
        manifest: of the version.
        on_sequence: told which recording is looked at.
    """
    root = Path(root)
    found = Changes()
    if manifest.hash != manifest.content_hash():
        found.broken.append("its manifest was changed, as a withdrawal does")
    for name, entry in manifest.sequences.items():
        if on_sequence:
            on_sequence(name)
        _compare(root, name, entry, found)
    found.since.extend(f"{name} was added" for name in sequences.list_sequences(root) if name not in manifest.sequences)
    for path, held in manifest.files.items():
        now = _file_hash(root / path)
        if now != held:
            found.broken.append(f"{path} {'was changed' if now else 'is gone'}")
    now_parts = read_splits(root).parts
    for name in sorted(set(now_parts) | set(manifest.splits)):
        kept = [entry for entry in now_parts.get(name, ()) if entry.partition("/")[0] in manifest.sequences]
        if kept != list(manifest.splits.get(name, ())):
            found.since.append(f"the split {name} was changed")
    return found


def _compare(root: Path, name: str, entry: Entry, found: Changes) -> None:
    """Note what is different in one recording."""
    folder = sequences.sequence_dir(root, name)
    if not sequences.capture_path(root, name).exists():
        found.broken.append(f"{name} is gone")
        return
    try:
        with sequences.open_capture(folder) as capture:
            if capture.content_hash() != entry.capture:
                found.broken.append(f"the recording {name} was changed")
        if not sequences.annotation_path(root, name).exists():
            if entry.revision:
                found.broken.append(f"the labels {entry.revision} of {name} are gone")
            return
        with sequences.open_annotation(folder) as annotation:
            if entry.revision and entry.revision not in annotation.revisions:
                found.broken.append(f"the labels {entry.revision} of {name} are gone")
            elif entry.revision and annotation.content_hash(entry.revision) != entry.labels:
                found.broken.append(f"the labels {entry.revision} of {name} were changed")
            if annotation.current != entry.revision:
                before = entry.revision or "none"
                found.since.append(f"{name} has the labels {annotation.current}, had {before}")
    except SequenceError as error:
        found.broken.append(f"{name} cannot be read: {error.message}")


def _files(root: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Hashes of the meshes, rigs and calibrations that the recordings name."""
    wanted: set[Path] = set()
    for name in names:
        with sequences.open_capture(sequences.sequence_dir(root, name)) as capture:
            header = capture.header
        wanted |= {path for thing in header.objects for path in (root / "objects" / thing).glob("mesh.*")}
        wanted |= {root / "rigs" / f"{header.rig}.yaml", root / "calibrations" / f"{header.calibration}.json"}
    hashes = {path.relative_to(root).as_posix(): _file_hash(path) for path in sorted(wanted)}
    return {path: held for path, held in hashes.items() if held}


def _file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_version(root: Path, version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise ConfigError(f"a version is three numbers such as 1.0.0, got {version!r}.", "Correct --release.")
    known = versions(root)
    if known and _order(version) <= _order(known[-1]):
        raise ConfigError(
            f"version {known[-1]} was released, and released versions are never changed or overtaken.",
            "Choose a higher number: the last for corrected labels, the middle for more data, the first for another "
            "meaning.",
        )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
