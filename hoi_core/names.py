"""Names with numbers in them, in the order in which people count."""

from __future__ import annotations

import re


def natural_key(name: str) -> list[tuple[int, str]]:
    """A key to sort by that puts `p2` before `p10`.

    Example:
        >>> sorted(["p10", "p2"], key=natural_key)
        ['p2', 'p10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
