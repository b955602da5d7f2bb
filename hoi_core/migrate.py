"""Bring the files of a dataset to the present version of their format: copy, change, compare, replace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from hoi_core.errors import SequenceError, StorageError
from hoi_core.sequence._files import VERSIONS, alone, open_checked, storage_errors, version_of
from hoi_core.sequence._steps import STEPS, Version
from hoi_core.sequence.annotation import open_annotation
from hoi_core.sequence.layout import ANNOTATION, CAPTURE, TRUTH, list_sequences, sequence_dir
from hoi_core.sequence.reader import open_capture
from hoi_core.sequence.truth import open_truth
from hoi_core.sequence.writer import RESERVE_BYTES

FILES = {CAPTURE: "hoi-capture", ANNOTATION: "hoi-annotation", TRUTH: "hoi-truth"}
"""File of a sequence -> its format."""


@dataclass(frozen=True)
class Outdated:
    """A file of an older version."""

    path: Path
    """Where it lies."""
    kind: str
    """Its format."""
    version: Version
    """That it has."""

    @property
    def newest(self) -> Version:
        """That it can have."""
        return VERSIONS[self.kind]


def outdated(root: Path) -> Iterator[Outdated | SequenceError]:
    """Every file of a dataset that can be brought to a newer version; an error in place of one that cannot be read.

    Args:
        root: the dataset.
    """
    for name in list_sequences(root):
        for file, kind in FILES.items():
            path = sequence_dir(root, name) / file
            if not path.exists():
                continue
            try:
                with open_checked(path, kind) as held:
                    version = version_of(held)
            except SequenceError as error:
                yield error
                continue
            if (kind, version) in STEPS:
                yield Outdated(path, kind, version)


def migrate(old: Outdated) -> None:
    """Bring one file to the newest version. What it says is compared before it takes the old one's place.

    Raises:
        SequenceError: a recorder is or was writing it, it is damaged, or the new file would say something else; the
            file is as before.
        StorageError: no space for the copy; the file is as before.
    """
    with open_checked(old.path, old.kind) as file:
        if file.swmr_mode:
            raise SequenceError(
                f"{old.path} was never closed.", f"Run `hoi-data recover {old.path.parent.name}`, then migrate again."
            )
    before = _said(old.path, old.kind)
    draft = old.path.with_suffix(".h5.part")
    with storage_errors(draft), alone(old.path.parent):
        try:
            _check_space(old.path)
            shutil.copyfile(old.path, draft)
            _change(draft, old)
            if _said(draft, old.kind) != before:
                raise SequenceError(
                    f"{old.path} would say something else in version {_text(old.newest)}; it stays as it was.",
                    "Report it, with the file if you can.",
                )
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            shutil.copystat(old.path, draft)
            os.replace(draft, old.path)
        finally:
            draft.unlink(missing_ok=True)


def _change(draft: Path, old: Outdated) -> None:
    version = old.version
    with h5py.File(draft, "r+", libver="v110") as file:
        while (old.kind, version) in STEPS:
            version, step = STEPS[old.kind, version]
            try:
                step(file)
            except (KeyError, ValueError, TypeError) as error:
                raise SequenceError(f"{old.path} is damaged: {error}.", "Restore a backup.") from error
        file.attrs["format_version"] = _text(version)


def _said(path: Path, kind: str) -> object:
    """What a file says, however it is stored."""
    if kind == "hoi-annotation":
        with open_annotation(path) as labels:
            names = labels.revisions
            return labels.current, labels.binding, [(n, labels.content_hash(n), labels.about(n)) for n in names]
    if kind == "hoi-truth":
        with open_truth(path) as truth:
            return truth.content_hash()
    with open_capture(path) as capture:
        tables = repr((capture.header, capture.complete, capture.drops, capture.clocks, capture.marks, capture.epochs))
        crc = {name: stream.crc32.tolist() for name, stream in capture.streams.items()}
        return capture.content_hash(), tables, crc


def _check_space(path: Path) -> None:
    need, free = path.stat().st_size + RESERVE_BYTES, shutil.disk_usage(path.parent).free
    if free < need:
        raise StorageError(
            f"migrating {path} needs {need / 1e6:.0f} MB beside it, {free / 1e6:.0f} MB are free.", "Free some space."
        )


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)
