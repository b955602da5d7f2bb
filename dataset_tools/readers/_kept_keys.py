"""Keys of recordings, kept until their files change: opening thousands of files takes longer than reading one list."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import hoi_core
from dataset_tools.readers._kept_arrays import folders
from hoi_core.whole_file import write_whole

_FILE = "keys.json"
Keys = dict[str, tuple[list[int], list[str]]]
"""By sequence: sizes and times of its files, and the keys made from them."""


class KeptKeys:
    """Keys by sequence, in a file of the dataset, or of the user's cache where the dataset is read-only."""

    def __init__(self, root: Path, meaning: str) -> None:
        """Read what is kept.

        Args:
            root: the dataset.
            meaning: what else the keys depend on, such as the hand model; others are not used.
        """
        self._places = [folder / _FILE for folder in folders(root / "sequences")]
        self._meaning = f"{hoi_core.__version__} {meaning}"
        self._changed = False
        self._kept = [self._read(place) for place in self._places]

    def _read(self, place: Path) -> Keys:
        # What is damaged or of something else is made anew.
        with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
            values = json.loads(place.read_text(encoding="utf8"))
            if values["meaning"] == self._meaning:
                return {name: (list(stamp), list(keys)) for name, (stamp, keys) in values["sequences"].items()}
        return {}

    def of(self, name: str, files: Sequence[Path], make: Callable[[], list[str]]) -> list[str]:
        """The keys of a sequence; made again if one of its files changed."""
        stamp = [number for file in files for number in _stamp(file)]
        for kept in self._kept:
            if name in kept and kept[name][0] == stamp:
                return kept[name][1]
        self._changed = True
        self._kept[0][name] = stamp, make()
        return self._kept[0][name][1]

    def save(self) -> None:
        """Keep them for the next time."""
        if not self._changed:
            return
        newest = {name: entry for kept in reversed(self._kept) for name, entry in kept.items()}
        text = json.dumps({"meaning": self._meaning, "sequences": newest})
        for place in self._places:
            with suppress(OSError):
                write_whole(place, text, durable=False)
                return


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none."""
    try:
        facts = file.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns
