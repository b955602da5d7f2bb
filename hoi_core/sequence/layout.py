"""Where the files of a dataset lie, and which sequences there are."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from hoi_core.errors import SequenceError
from hoi_core.sequence._files import storage_errors

CAPTURE = "capture.h5"
ANNOTATION = "annotation.h5"
TRUTH = "truth.h5"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def sequence_dir(root: Path, sequence: str) -> Path:
    """Folder of a sequence, whether it exists or not.

    Raises:
        SequenceError: the name is not a plain folder name.
    """
    if not _NAME.fullmatch(sequence):
        raise SequenceError(
            f"a sequence name has letters, digits, '_', '-' and '.', got {sequence!r}.", "Use a name such as seq_001."
        )
    return Path(root) / "sequences" / sequence


def capture_path(root: Path, sequence: str) -> Path:
    """`<root>/sequences/<sequence>/capture.h5`, whether it exists or not."""
    return sequence_dir(root, sequence) / CAPTURE


def annotation_path(root: Path, sequence: str) -> Path:
    """`<root>/sequences/<sequence>/annotation.h5`, whether it exists or not."""
    return sequence_dir(root, sequence) / ANNOTATION


def truth_path(root: Path, sequence: str) -> Path:
    """`<root>/sequences/<sequence>/truth.h5`, whether it exists or not."""
    return sequence_dir(root, sequence) / TRUTH


def list_sequences(root: Path) -> list[str]:
    """Names of the sequences that hold a capture, sorted."""
    return sorted(path.parent.name for path in (Path(root) / "sequences").glob(f"*/{CAPTURE}"))


def find_sequence(root: Path, sequence: str) -> Path:
    """Folder of an existing sequence.

    Raises:
        SequenceError: there is none of that name; the hint gives the nearest ones.
    """
    folder = sequence_dir(root, sequence)
    if (folder / CAPTURE).exists():
        return folder
    known = list_sequences(root)
    if not known:
        raise SequenceError(
            f"no sequence {sequence!r} in {root}: it holds no recordings.",
            f"Record one with `hoi-capture --headless --sequence {sequence}`, or point --data at your dataset.",
        )
    near = difflib.get_close_matches(sequence, known, 3, cutoff=0.4)
    guess = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known[:10])}."
    raise SequenceError(f"no sequence {sequence!r} in {root}.", f"{guess} `hoi-data list` shows all.")


def next_name(root: Path) -> str:
    """The first free name `seq_NNN` after the highest one in use."""
    numbers = [
        int(m[1]) for folder in (Path(root) / "sequences").glob("seq_*") if (m := re.search(r"(\d+)$", folder.name))
    ]
    return f"seq_{max(numbers, default=0) + 1:03d}"


def new_sequence_dir(root: Path, sequence: str) -> Path:
    """Make the folder of a new sequence.

    Raises:
        SequenceError: the sequence was recorded before.
        StorageError: the folder cannot be made.
    """
    folder = sequence_dir(root, sequence)
    if (folder / CAPTURE).exists():
        raise SequenceError(
            f"sequence {sequence!r} exists already in {root}, and recordings are never overwritten.",
            f"A redo is a new sequence: use --sequence {next_name(root)}.",
        )
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
