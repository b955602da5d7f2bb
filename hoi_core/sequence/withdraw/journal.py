"""What a withdrawal looks for and what has gone, on the disk, so that it can be taken up again after a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

JOURNAL = ".withdrawal.jsonl"
"""Its name, in the root of the dataset while a withdrawal runs."""


class Journal:
    """What a withdrawal looks for and what has gone, one JSON object a line; the first says whose it is."""

    def __init__(self, root: Path, lines: list[dict[str, object]]) -> None:
        self.root = root
        self._lines = lines
        head = lines[0]
        self.participant, self.substitute = str(head["participant"]), str(head["substitute"])
        self.sequences, self.hashes = _texts(head["sequences"]), _texts(head["hashes"])

    @classmethod
    def read(cls, root: Path) -> Journal | None:
        """That of a withdrawal that was broken off; None without one."""
        path = root / JOURNAL
        if not path.exists():
            return None
        lines = []
        for line in path.read_text(encoding="utf8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break  # the last line of a run that was killed
        return cls(root, lines) if lines else None

    @classmethod
    def start(
        cls, root: Path, participant: str, substitute: str, sequences: Sequence[str], hashes: Sequence[str]
    ) -> Journal:
        """A new one, on the disk before anything is deleted."""
        head: dict[str, object] = {"participant": participant, "substitute": substitute}
        head |= {"sequences": list(sequences), "hashes": list(hashes)}
        (root / JOURNAL).write_text("", encoding="utf8")
        journal = cls(root, [head])
        journal._append(head)
        return journal

    def note(self, entry: dict[str, object]) -> None:
        """Write down what goes now."""
        self._lines.append(entry)
        self._append(entry)

    def gone(self) -> list[dict[str, object]]:
        """Everything that has gone, each path once."""
        return list({str(entry["path"]): entry for entry in self._lines[1:]}.values())

    def _append(self, entry: dict[str, object]) -> None:
        with (self.root / JOURNAL).open("a", encoding="utf8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, list) else ()
