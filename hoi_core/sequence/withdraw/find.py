"""Finds everything that is kept of one participant under a dataset's root; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hoi_core.errors import ConfigError, HoiError
from hoi_core.sequence.layout import CAPTURE
from hoi_core.sequence.reader import open_capture
from hoi_core.sequence.withdraw.erase import can_edit, erase
from hoi_core.sequence.withdraw.journal import JOURNAL, Journal
from hoi_core.sequence.withdraw.mentions import Words, is_structured, mentioned
from hoi_core.sequence.withdraw.tables import own_objects, table_sequences

_NOT_DERIVED = ("objects", "rigs", "calibrations", "sequences")
_HISTORIES = (".git", ".hg", ".svn", ".dvc")


@dataclass(frozen=True)
class Holding:
    """One thing that is kept of a participant."""

    path: str
    """Relative to the root."""
    kind: str
    """`recording` and `derived` files go whole, `entries` are taken out of a file, `unclear` ones need a person."""
    what: str
    """Why it belongs to the participant, in words."""
    bytes: int
    """Size of what goes."""
    entries: int = 0
    """Rows, lines or entries that go."""


@dataclass(frozen=True)
class Holdings:
    """Everything that is kept of a participant."""

    participant: str
    """Pseudonym."""
    sequences: tuple[str, ...]
    """Sequences that were recorded of the participant."""
    items: tuple[Holding, ...]
    """Files and entries."""
    hashes: tuple[str, ...] = ()
    """Content hashes of the sequences."""

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return sum(item.bytes for item in self.items)

    @property
    def unclear(self) -> tuple[Holding, ...]:
        """What a person must look at first."""
        return tuple(item for item in self.items if item.kind == "unclear")

    @property
    def words(self) -> Words:
        """What is looked for."""
        return Words((self.participant, *self.sequences, *self.hashes))


def holdings(root: Path, participant: str, keep: Sequence[str] = ()) -> Holdings:
    """List everything of a participant under the root; changes nothing. Reads every file there.

    Args:
        root: the dataset.
        participant: pseudonym.
        keep: paths relative to the root that are left out.

    Raises:
        ConfigError: the pseudonym is empty, or too short to be searched for.
        SequenceError: a table is malformed.
    """
    if len(participant) < 2 or not participant.isascii():
        raise ConfigError(f"expected a pseudonym such as p07, got {participant!r}.", "`hoi-data protocol` lists them.")
    root = Path(root)
    known = Journal.read(root)
    listed = set(table_sequences(root, participant)) | set(known.sequences if known else ())
    sequences, conflicts = _sequences(root, participant, listed)
    hashes = sorted({*(known.hashes if known else ()), *(h for name in sequences if (h := _hash(root, name)))})
    found = Holdings(participant, tuple(sequences), (), tuple(hashes))
    words = found.words
    items = [*conflicts, *(item for path in files_in(root, keep) if (item := _holding(root, path, found, words)))]
    items += [
        Holding(inside(root, path), "unclear", f"a link to {os.readlink(path)}, which is not searched", 0)
        for path in linked_folders(root, keep)
    ]
    items += [
        Holding(name, "unclear", "a history that keeps older versions of files, packed", 0)
        for name in _HISTORIES
        if (root / name).exists() and not is_kept(root, root / name, keep)
    ]
    orphans = own_objects(root, participant)
    if orphans and not any(item.path == "objects.csv" for item in items):
        what = f"objects that only {participant} handles: {', '.join(orphans)}"
        items.append(Holding("objects.csv", "entries", what, 0, len(orphans)))
    return Holdings(participant, found.sequences, tuple(items), found.hashes)


def _sequences(root: Path, participant: str, listed: set[str]) -> tuple[list[str], list[Holding]]:
    """Sequences of a participant, by the tables and by the recordings themselves; and where these disagree."""
    mine, conflicts = set(listed), []
    for folder in sorted(path for path in (root / "sequences").glob("*") if path.is_dir()):
        owner = _owner(folder, participant)
        if owner.casefold() == participant.casefold():
            mine.add(folder.name)
        elif owner and folder.name in listed:
            what = f"protocol.csv says {participant}, the recording says {owner}: correct one of them"
            conflicts.append(Holding(f"sequences/{folder.name}", "unclear", what, 0))
    return sorted(mine), conflicts


def _owner(folder: Path, participant: str) -> str:
    """Who was recorded, by the file itself; of one that cannot be opened, whether it mentions the participant."""
    for path in sorted(folder.glob("capture*.h5*")):
        try:
            with open_capture(path) as capture:
                return capture.header.participant
        except (HoiError, OSError):
            if mentioned(path, Words((participant,))):
                return participant
    return ""


def _hash(root: Path, sequence: str) -> str:
    try:
        with open_capture(root / "sequences" / sequence / CAPTURE) as capture:
            return capture.content_hash()
    except (HoiError, OSError):
        return ""


def _holding(root: Path, path: Path, found: Holdings, words: Words) -> Holding | None:
    """What a file holds of the participant; None for nothing."""
    name, parts = inside(root, path), path.relative_to(root).parts
    if path.is_symlink():
        outside = not path.resolve().is_relative_to(root.resolve())
        if outside and len(parts) > 1 and parts[0] == "sequences" and parts[1] in found.sequences:
            return Holding(name, "unclear", f"a link out of the dataset, to {path.resolve()}: delete both by hand", 0)
        return Holding(name, "derived", "a link that is named after it", 0) if words.in_text(name) else None
    size = path.stat().st_size
    if len(parts) > 2 and parts[0] == "sequences" and parts[1] in found.sequences:
        return Holding(name, "recording", f"part of {parts[1]}", size)
    if words.in_text(name):
        return Holding(name, "derived", "named after it", size)
    word = mentioned(path, words)
    if not word:
        return None
    if can_edit(path):
        left = erase(path, words, may_go=can_be_made_again(name))
        if left is not None:
            gone = max(size - len(left.text.encode(left.encoding)), 0)
            return Holding(name, "entries", f"mentions {word}", gone, left.removed)
    by_chance = word == found.participant.lower() and not is_structured(path)
    if by_chance or not can_be_made_again(name):
        return Holding(name, "unclear", f"mentions {word}, and cannot be edited or made again: look at it", 0)
    return Holding(name, "derived", f"mentions {word}; make it again from what is left", size)


def can_be_made_again(name: str) -> bool:
    """Whether a file, by its path in the dataset, is an export and neither the dataset's own nor somebody's work."""
    return name != "dataset.json" and name.split("/", maxsplit=1)[0] not in _NOT_DERIVED


def files_in(root: Path, keep: Sequence[str]) -> Iterator[Path]:
    """Every file under the root, links too, but for what is kept and the journal."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_kept(root, Path(folder) / name, keep))
        for name in sorted(names):
            path = Path(folder) / name
            if not is_kept(root, path, keep) and inside(root, path) != JOURNAL:
                yield path


def linked_folders(root: Path, keep: Sequence[str]) -> list[Path]:
    """Links to folders elsewhere: a walk does not go there."""
    return [
        Path(folder) / name
        for folder, folders, _ in os.walk(root)
        for name in folders
        if (Path(folder) / name).is_symlink() and not is_kept(root, Path(folder) / name, keep)
    ]


def is_kept(root: Path, path: Path, keep: Sequence[str]) -> bool:
    """Whether a path is, or lies in, one that was left out on request."""
    return any(path.relative_to(root).is_relative_to(name) for name in keep)


def inside(root: Path, path: Path) -> str:
    """A path relative to the root, as it is shown and stored."""
    return path.relative_to(root).as_posix()
