"""How sparse the edge images are that the sensor itself recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hoi_core import sequence as sequences
from hoi_core.errors import SequenceError
from hoi_core.types import F64


def sensor_sparsity(root: Path, names: Sequence[str], most: int) -> F64:
    """Share of zero pixels of the sensors' edge images, whole ones; a damaged recording is left out.

    Args:
        root: dataset of our own recordings.
        names: of its sequences.
        most: images to look at, spread evenly over sequences and time; 0 for all.

    Returns:
        `(K,)`; empty where there is no sensor.
    """
    found: list[float] = []
    each = max(most // max(len(names), 1), 1)
    for name in names:
        try:
            with sequences.open_capture(sequences.find_sequence(root, name)) as capture:
                for sensor in capture.sensors.values():
                    count = len(sensor.edge)
                    for i in np.linspace(0, count - 1, min(each, count) if most else count).astype(int):
                        found.append(float((sensor.edge[int(i)] == 0).mean()))
        except SequenceError:
            continue  # the labels' part of the statistics names it
    return np.array(found)
