"""Figures as plain values, as JSON knows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path


def plain(value: object) -> object:
    """A value without numpy's types, paths and tuples; what is not finite becomes None, since JSON has no NaN.

    Example:
        >>> plain({"error_mm": (1.5, float("nan"))})
        {'error_mm': [1.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # a number or an array of numpy, which need not be loaded for this
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
