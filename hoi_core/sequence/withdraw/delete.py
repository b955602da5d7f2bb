"""Deletes what was found of a participant, and reads through what is left to prove that it is gone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hoi_core.errors import ConfigError, SequenceError
from hoi_core.sequence._files import alone, storage_errors
from hoi_core.sequence.withdraw.erase import Erased, erase
from hoi_core.sequence.withdraw.find import Holding, Holdings, can_be_made_again, files_in, holdings, inside
from hoi_core.sequence.withdraw.in_use import opened
from hoi_core.sequence.withdraw.journal import JOURNAL, Journal
from hoi_core.sequence.withdraw.mentions import Words, mentioned
from hoi_core.sequence.withdraw.tables import cells_for, own_objects, without_objects
from hoi_core.whole_file import write_whole

_LAST = ("objects.csv", "protocol.csv", "participants.csv")


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
            f"{inside(root, path)} is open: {who}. Nothing was deleted.",
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
    name = inside(journal.root, path)
    left: Erased | None = erase(path, words, may_go=can_be_made_again(name)) if path.exists() else None
    if left is None or not left.removed:
        return
    content = left.text.encode(left.encoding)
    gone = max(path.stat().st_size - len(content), 0)
    journal.note({"path": name, "bytes": gone, "entries": left.removed})
    if not left.text.strip():
        path.unlink()
        return
    write_whole(path, content)


def _verify(root: Path, found: Holdings, journal: Journal, keep: Sequence[str]) -> Certificate:
    """Read through what is left.

    Raises:
        SequenceError: something of the participant is still there.
    """
    words, files, size, left = found.words, 0, 0, []
    for path in files_in(root, keep):
        files += 1
        if words.in_text(inside(root, path)):
            left.append(inside(root, path))
        elif not path.is_symlink():
            size += path.stat().st_size
            if word := mentioned(path, words):
                left.append(f"{inside(root, path)} ({word})")
    left += [inside(root, Path(f)) for f, _, _ in os.walk(root) if words.in_text(Path(f).relative_to(root).as_posix())]
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
