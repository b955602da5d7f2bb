"""Lists in JSON files that grow entry by entry: no more than one entry is in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np


class JsonLists:
    """Lists that grow together."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        """Start them.

        Args:
            paths: name -> file of each list.
        """
        self._files = ExitStack()
        self._lists = {
            name: self._files.enter_context(path.open("w", encoding="ascii")) for name, path in paths.items()
        }
        self.count = 0
        for file in self._lists.values():
            file.write("[")

    def add(self, **values: object) -> None:
        """Append a value to each list; arrays keep nine digits behind the point."""
        for name, value in values.items():
            kept = np.round(value, 9).tolist() if isinstance(value, np.ndarray) else value
            self._lists[name].write((", " if self.count else "") + json.dumps(kept))
        self.count += 1

    def close(self) -> None:
        """End the lists."""
        for file in self._lists.values():
            file.write("]")
        self._files.close()
