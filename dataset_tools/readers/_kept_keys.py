"""Keys of recordings, kept until their files change: opening thousands of files takes longer than reading one list."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import hoi_core

_FOLDER = ".hoi-index"


class KeptKeys:
    """Keys by sequence, in a file of the dataset; where it cannot be written, they are made anew each time."""

    def __init__(self, root: Path, meaning: str) -> None:
        """Read what is kept.

        Args:
            root: the dataset.
            meaning: what else the keys depend on, such as the hand model; others are not used.
        """
        self._path = root / _FOLDER / "keys.json"
        self._meaning = f"{hoi_core.__version__} {meaning}"
        self._changed = False
        self._kept: dict[str, tuple[list[int], list[str]]] = {}
        with suppress(OSError, ValueError, AttributeError, TypeError):
            values = json.loads(self._path.read_text(encoding="utf8"))
            if values["meaning"] == self._meaning:
                self._kept = {name: (list(stamp), list(keys)) for name, (stamp, keys) in values["sequences"].items()}

    def of(self, name: str, files: Sequence[Path], make: Callable[[], list[str]]) -> list[str]:
        """The keys of a sequence; made again if one of its files changed."""
        stamp = [number for file in files for number in _stamp(file)]
        if name not in self._kept or self._kept[name][0] != stamp:
            self._kept[name] = stamp, make()
            self._changed = True
        return self._kept[name][1]

    def save(self) -> None:
        """Keep them for the next time."""
        if not self._changed:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            draft.write_text(json.dumps({"meaning": self._meaning, "sequences": self._kept}), encoding="utf8")
            draft.replace(self._path)


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none."""
    try:
        facts = file.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns
