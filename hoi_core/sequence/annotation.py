"""`annotation.h5`: revisions that are only ever added, and a pointer to the current one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import h5py

import hoi_core
from hoi_core.conventions import DEFAULT_TIPS, Side
from hoi_core.errors import SequenceError
from hoi_core.plugins import unknown_name
from hoi_core.sequence._files import OpenFile, alone, damage, stamp, storage_errors
from hoi_core.sequence._revision_io import (
    HandPlaces,
    check_revision,
    digest_revision,
    read_places,
    read_revision_group,
    write_revision_group,
)
from hoi_core.sequence.layout import ANNOTATION, CAPTURE
from hoi_core.sequence.reader import Capture
from hoi_core.types import I64, Revision

_REVISIONS = "revisions"
_ABOUT = ("author", "parent", "comment", "software", "created")
_REMEDY = "Restore a backup, or move it aside and annotate afresh."


@dataclass(frozen=True)
class Binding:
    """What the labels of a file hold for; it never changes within a file."""

    capture_hash: str
    """`Capture.content_hash()` of the recording."""
    mano_source: str = "stand-in"
    """`stand-in`, or the SHA-256 of the MANO file."""
    tips: str = DEFAULT_TIPS
    """Fingertip set, a key of `conventions.FINGERTIP_VERTICES`."""
    joint_order: str = "openpose21"
    """A key of `conventions.JOINT_ORDERS`."""
    flat_hand_mean: bool = True
    """Poses are absolute: zero is the flat hand."""
    shapedirs_fixed: bool = False
    """Whether the left-hand shape fix was applied."""


def read_binding(attrs: h5py.AttributeManager) -> Binding:
    """The binding kept in a file's root attributes."""
    return Binding(
        capture_hash=str(attrs["capture_hash"]),
        mano_source=str(attrs["mano_source"]),
        tips=str(attrs["tips"]),
        joint_order=str(attrs["joint_order"]),
        flat_hand_mean=bool(attrs["flat_hand_mean"]),
        shapedirs_fixed=bool(attrs["shapedirs_fixed"]),
    )


def write_binding(attrs: h5py.AttributeManager, binding: Binding) -> None:
    """Inverse of `read_binding`."""
    for name, value in asdict(binding).items():
        attrs[name] = value


class Annotation(OpenFile):
    """An open annotation file; a context manager."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "hoi-annotation", _REMEDY)

    def _read(self) -> None:
        self.binding = read_binding(self._file.attrs)
        self.current = str(self._file.attrs["current"])
        self.revisions = sorted(self._file[_REVISIONS])

    def load(self, name: str | None = None) -> Revision:
        """A revision, by default the current one.

        Raises:
            ConfigError: no such revision.
            SequenceError: the revision is damaged.
        """
        if name is None:
            name = self._current()
        elif name not in self.revisions:
            raise unknown_name("revision", name, self.revisions)
        with damage(f"revision {name} of {self.path}", _REMEDY):
            revision = read_revision_group(self._file[f"{_REVISIONS}/{name}"])
            check_revision(revision)
        return revision

    def places(self) -> tuple[dict[Side, HandPlaces], dict[str, I64]]:
        """Where the hands of the current revision are, by side, and `(M,)` frames of its views; reads nothing else.

        Raises:
            SequenceError: the revision is damaged.
        """
        name = self._current()
        with damage(f"revision {name} of {self.path}", _REMEDY):
            return read_places(self._file[f"{_REVISIONS}/{name}"])

    def _current(self) -> str:
        if self.current not in self.revisions:
            raise SequenceError(f"{self.path} is damaged: its current revision {self.current} does not exist.", _REMEDY)
        return self.current

    def about(self, name: str) -> dict[str, str]:
        """Author, parent, comment, tool version, time and purpose of a revision, as text."""
        with damage(f"revision {name} of {self.path}", _REMEDY):
            attrs = self._file[f"{_REVISIONS}/{name}"].attrs
            return {key: str(attrs[key]) for key in _ABOUT} | {"purpose": str(attrs.get("purpose", "labels"))}

    def content_hash(self, name: str | None = None) -> str:
        """SHA-256 of a revision and of what it holds for: the same however the file is compressed or migrated.

        Raises:
            ConfigError: no such revision.
            SequenceError: the revision is damaged.
        """
        binding = json.dumps(asdict(self.binding), sort_keys=True).encode()
        return hashlib.sha256(binding + digest_revision(self.load(name))).hexdigest()

    def check_capture(self, capture: Capture) -> None:
        """Make sure that the labels are of a recording and not of another one.

        Raises:
            SequenceError: the file is bound to another recording.
        """
        self.check_hash(capture.content_hash())

    def check_hash(self, content_hash: str) -> None:
        """As `check_capture`, of a recording whose hash is known."""
        if self.binding.capture_hash != content_hash:
            raise SequenceError(
                f"{self.path} holds labels of another recording than {CAPTURE} beside it.",
                f"Put the right one in its place, or move {self.path.name} aside and annotate afresh.",
            )


def open_annotation(path: Path | str) -> Annotation:
    """Open an annotation file for reading.

    Args:
        path: an `annotation.h5`, or the folder of a sequence.

    Raises:
        SequenceError: missing, not HDF5, truncated, foreign, or of a version that this program cannot read.
    """
    path = Path(path)
    return Annotation(path / ANNOTATION if path.is_dir() else path)


def write_revision(path: Path | str, revision: Revision, *, binding: Binding | None = None) -> str:
    """Add a revision and make it the current one; makes the file if there is none.

    A blind revision is added beside the labels: the current one stays current.

    The new file takes the place of the old one in one step, so a crash at any point leaves the old one whole.

    Args:
        path: an `annotation.h5`, or the folder of a sequence.
        revision: the labels.
        binding: what they hold for; needed for the first revision, later ones must agree with it.

    Returns:
        The name of the revision, such as `r001`.

    Raises:
        SequenceError: the revision is malformed, the labels hold for something else than the file's, or the first
            revision is a blind one.
        StorageError: the disk is full; the file is as before.
    """
    path = Path(path)
    path = path / ANNOTATION if path.is_dir() else path
    check_revision(revision)
    if revision.purpose == "blind" and not path.exists():
        raise SequenceError(
            f"a blind revision needs labels to compare with, {path.parent.name} has none.", "Annotate it first."
        )
    with storage_errors(path), alone(path.parent):
        draft = path.with_suffix(".h5.part")
        try:
            name = _write_draft(path, draft, revision, binding)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return name


def _write_draft(path: Path, draft: Path, revision: Revision, binding: Binding | None) -> str:
    if path.exists():
        with open_annotation(path) as old:
            _check_binding(path, old.binding, binding)
        shutil.copyfile(path, draft)
    elif binding is None:
        raise SequenceError(f"{path} does not exist yet.", "Give the binding with the first revision.")
    with h5py.File(draft, "a", libver="v110") as file:
        if binding is not None and "format" not in file.attrs:
            stamp(file, "hoi-annotation")
            write_binding(file.attrs, binding)
        revisions = file.require_group(_REVISIONS)
        numbers = [int(match[1]) for r in revisions if (match := re.fullmatch(r"r(\d+)", r))]
        name = f"r{max(numbers, default=-1) + 1:03d}"
        write_revision_group(revisions.create_group(name), revision)
        attrs = revisions[name].attrs
        attrs["software"] = f"hoi-toolkit {hoi_core.__version__}"
        attrs["created"] = datetime.now(UTC).isoformat(timespec="seconds")
        if revision.purpose != "blind":
            file.attrs["current"] = name
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    return name


def _check_binding(path: Path, held: Binding, given: Binding | None) -> None:
    if given is None or given == held:
        return
    differs = [f.name for f in fields(Binding) if getattr(held, f.name) != getattr(given, f.name)]
    raise SequenceError(
        f"{path} holds labels for another {' and '.join(differs)}.",
        f"Annotate with the same one, or move {path.name} aside to start afresh.",
    )
