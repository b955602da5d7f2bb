"""Withdrawal: find everything of one participant under a dataset's root, delete it, and prove that it is gone.

Recordings, labels, drafts and truth go with their folders; rows of tables, entries of lists and JSON are taken out;
exports that hold their samples are deleted whole, since they can be made again. Afterwards every file that is left is
read through for the pseudonym, the sequences' names and their content hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hoi_core.errors import ConfigError, HoiError, SequenceError
from hoi_core.sequence._erase import Erased, can_edit, erase
from hoi_core.sequence._files import alone, storage_errors
from hoi_core.sequence._in_use import opened
from hoi_core.sequence._mentions import Words, is_structured, mentioned
from hoi_core.sequence._withdraw_journal import JOURNAL, Journal
from hoi_core.sequence._withdraw_tables import cells_for, own_objects, table_sequences, without_objects
from hoi_core.sequence.layout import CAPTURE
from hoi_core.sequence.reader import open_capture

_NOT_DERIVED = ("objects", "rigs", "calibrations", "sequences")
_HISTORIES = (".git", ".hg", ".svn", ".dvc")
_LAST = ("objects.csv", "protocol.csv", "participants.csv")


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


@dataclass(frozen=True)
class Certificate:
    """Proof of a withdrawal."""

    participant: str
    """Pseudonym."""
    date: str
    """ISO 8601, with zone."""
    sequences: tuple[str, ...]
    """Sequences that were deleted."""
    files: int
    """Files that were deleted."""
    bytes: int
    """Bytes that were deleted, in files and entries."""
    rows: int
    """Rows, lines and entries that were taken out of other files."""
    scanned_files: int
    """Files that were read through afterwards."""
    scanned_bytes: int
    """Their size."""
    verified: bool
    """Whether that found nothing of the participant."""
    deleted: tuple[dict[str, object], ...] = field(default=())
    """`path`, `bytes` and `sha256` of each deleted file; `path`, `bytes` and `entries` of each edited one."""
    looked_for: tuple[str, ...] = ()
    """The words that were searched for afterwards."""
    kept: tuple[str, ...] = ()
    """Paths that were left out on request, and so are not covered."""
    substitute: str = ""
    """Who has taken over the cells of the protocol."""

    def write(self, path: Path, root: Path) -> None:
        """Write it as JSON.

        Raises:
            ConfigError: the path lies in the dataset, which must not mention the participant any more.
            StorageError: it cannot be written.
        """
        check_certificate_path(path, root)
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf8")


def check_certificate_path(path: Path, root: Path) -> None:
    """Refuse a certificate within the dataset.

    Raises:
        ConfigError: the path lies in the dataset.
    """
    if path.resolve().is_relative_to(Path(root).resolve()):
        raise ConfigError(
            f"{path} lies in the dataset, which must not mention the participant any more.",
            "Name a file elsewhere with --certificate.",
        )


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
    items = [*conflicts, *(item for path in _files(root, keep) if (item := _holding(root, path, found, words)))]
    items += [
        Holding(_inside(root, path), "unclear", f"a link to {os.readlink(path)}, which is not searched", 0)
        for path in _linked_folders(root, keep)
    ]
    items += [
        Holding(name, "unclear", "a history that keeps older versions of files, packed", 0)
        for name in _HISTORIES
        if (root / name).exists() and not _is_kept(root, root / name, keep)
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
    name, parts = _inside(root, path), path.relative_to(root).parts
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
        left = erase(path, words, may_go=_can_be_made_again(name))
        if left is not None:
            gone = max(size - len(left.text.encode(left.encoding)), 0)
            return Holding(name, "entries", f"mentions {word}", gone, left.removed)
    by_chance = word == found.participant.lower() and not is_structured(path)
    if by_chance or not _can_be_made_again(name):
        return Holding(name, "unclear", f"mentions {word}, and cannot be edited or made again: look at it", 0)
    return Holding(name, "derived", f"mentions {word}; make it again from what is left", size)


def _can_be_made_again(name: str) -> bool:
    """Whether a file, by its path in the dataset, is an export and neither the dataset's own nor somebody's work."""
    return name != "dataset.json" and name.split("/", maxsplit=1)[0] not in _NOT_DERIVED


def _files(root: Path, keep: Sequence[str]) -> Iterator[Path]:
    """Every file under the root, links too, but for what is kept and the journal."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_kept(root, Path(folder) / name, keep))
        for name in sorted(names):
            path = Path(folder) / name
            if not _is_kept(root, path, keep) and _inside(root, path) != JOURNAL:
                yield path


def _linked_folders(root: Path, keep: Sequence[str]) -> list[Path]:
    """Links to folders elsewhere: a walk does not go there."""
    return [
        Path(folder) / name
        for folder, folders, _ in os.walk(root)
        for name in folders
        if (Path(folder) / name).is_symlink() and not _is_kept(root, Path(folder) / name, keep)
    ]


def _is_kept(root: Path, path: Path, keep: Sequence[str]) -> bool:
    return any(path.relative_to(root).is_relative_to(name) for name in keep)


def _inside(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def withdraw(
    root: Path,
    participant: str,
    *,
    substitute: str = "",
    keep: Sequence[str] = (),
    on_progress: Callable[[str], None] | None = None,
) -> Certificate:
    """Delete everything of a participant under the root and verify it. A run that was broken off is taken up again.

    Args:
        root: the dataset.
        participant: pseudonym.
        substitute: pseudonym of somebody who takes over the cells of the protocol; by default they go.
        keep: paths relative to the root that somebody has looked at and that stay; the certificate names them.
        on_progress: called with the path of each file that goes.

    Raises:
        ConfigError: nothing is kept of such a participant, or another withdrawal has not been finished.
        SequenceError: a file is open, or cannot be judged; nothing was deleted. Or something is left afterwards.
        StorageError: a file cannot be deleted or written; run it again.
    """
    root = Path(root)
    with storage_errors(root), alone(root):
        found = holdings(root, participant, keep)
        journal = Journal.read(root)
        if journal is not None and journal.participant != participant:
            raise ConfigError(
                f"the withdrawal of {journal.participant} has not been finished.",
                f"Finish it first: `hoi-data withdraw {journal.participant} --yes`.",
            )
        _check(root, found, resumed=journal is not None)
        if journal is None:
            journal = Journal.start(root, found.participant, substitute, found.sequences, found.hashes)
        for item in found.items:
            if item.kind in ("recording", "derived"):
                if on_progress is not None:
                    on_progress(item.path)
                _delete(root, item, journal)
        for name in found.sequences:
            _remove_empty(root / "sequences" / name)
        _edit_tables(root, found, journal)
        for item in sorted(found.items, key=lambda item: item.path in _LAST and _LAST.index(item.path)):
            if item.kind == "entries":
                _edit(root / item.path, found.words, journal)
        _remove_named_folders(root, found.words)
        certificate = _verify(root, found, journal, keep)
        (root / JOURNAL).unlink()
    return certificate


def _check(root: Path, found: Holdings, *, resumed: bool) -> None:
    if not found.items and not resumed:
        raise ConfigError(f"nothing is kept of a participant {found.participant!r} in {root}.", "Check the pseudonym.")
    if found.unclear:
        lines = "; ".join(f"{item.path}: {item.what}" for item in found.unclear[:5])
        raise SequenceError(
            f"{len(found.unclear)} things need a person before anything is deleted: {lines}.",
            "Correct or delete them by hand, or leave them out with --keep PATH, and run it again.",
        )
    paths = [root / item.path for item in found.items if item.kind in ("recording", "derived")]
    if held := opened([path for path in paths if not path.is_symlink()]):
        path, who = next(iter(held.items()))
        raise SequenceError(
            f"{_inside(root, path)} is open: {who}. Nothing was deleted.",
            "Close the recorder, annotator or viewer, and run it again.",
        )


def _delete(root: Path, item: Holding, journal: Journal) -> None:
    """Note what a file was, then delete it."""
    path = root / item.path
    digest = hashlib.sha256()
    if not path.is_symlink():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    journal.note({"path": item.path, "bytes": item.bytes, "sha256": digest.hexdigest()})
    path.unlink()
    _remove_empty(path.parent, root)


def _remove_empty(folder: Path, root: Path | None = None) -> None:
    """Remove a folder that is empty, and those above it below the root."""
    fixed = {root, root / "sequences"} if root is not None else set()
    while folder not in fixed and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        if root is None:
            return
        folder = folder.parent


def _remove_named_folders(root: Path, words: Words) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        path = Path(folder)
        if path != root and words.in_text(path.name) and not any(path.iterdir()):
            path.rmdir()


def _edit_tables(root: Path, found: Holdings, journal: Journal) -> None:
    """Free the participant's cells for a substitute, or else drop the objects that nobody else handles."""
    if journal.substitute:
        cells_for(root, found.participant, journal.substitute)
    elif orphans := own_objects(root, found.participant):
        size = (root / "objects.csv").stat().st_size
        gone = without_objects(root, orphans)
        journal.note(
            {"path": "objects.csv#own", "bytes": size - (root / "objects.csv").stat().st_size, "entries": gone}
        )


def _edit(path: Path, words: Words, journal: Journal) -> None:
    name = _inside(journal.root, path)
    left: Erased | None = erase(path, words, may_go=_can_be_made_again(name)) if path.exists() else None
    if left is None or not left.removed:
        return
    content = left.text.encode(left.encoding)
    gone = max(path.stat().st_size - len(content), 0)
    journal.note({"path": name, "bytes": gone, "entries": left.removed})
    if not left.text.strip():
        path.unlink()
        return
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(content)
    os.replace(draft, path)


def _verify(root: Path, found: Holdings, journal: Journal, keep: Sequence[str]) -> Certificate:
    """Read through what is left.

    Raises:
        SequenceError: something of the participant is still there.
    """
    words, files, size, left = found.words, 0, 0, []
    for path in _files(root, keep):
        files += 1
        if words.in_text(_inside(root, path)):
            left.append(_inside(root, path))
        elif not path.is_symlink():
            size += path.stat().st_size
            if word := mentioned(path, words):
                left.append(f"{_inside(root, path)} ({word})")
    left += [_inside(root, Path(f)) for f, _, _ in os.walk(root) if words.in_text(Path(f).relative_to(root).as_posix())]
    if left:
        raise SequenceError(
            f"something of {found.participant} is still there: {', '.join(left[:5])}.",
            "Run it again; if it stays, delete it by hand and run it again.",
        )
    gone = journal.gone()
    return Certificate(
        participant=found.participant,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        sequences=found.sequences,
        files=sum("sha256" in entry for entry in gone),
        bytes=sum(int(str(entry["bytes"])) for entry in gone),
        rows=sum(int(str(entry.get("entries", 0))) for entry in gone),
        scanned_files=files,
        scanned_bytes=size,
        verified=True,
        deleted=tuple(gone),
        looked_for=words.words,
        kept=tuple(keep),
        substitute=journal.substitute,
    )
