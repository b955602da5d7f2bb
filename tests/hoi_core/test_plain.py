"""Figures as JSON knows them."""

import json
from pathlib import Path

import numpy as np
import pytest

from hoi_core.plain import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.int64(3), 3),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        ((1, [np.bool_(True)]), [1, [True]]),
        ({1: Path("a") / "b"}, {"1": "a/b"}),
        ("text", "text"),
        (None, None),
    ],
)
def test_values_become_what_json_can_say(value, expected):
    assert plain(value) == expected
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected
