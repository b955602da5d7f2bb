"""The steps that bring files of older versions to the present one: each changes a copy that is open for writing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import h5py
import numpy as np

from hoi_core.conventions import SIDES
from hoi_core.sequence._revision_io import first_side
from hoi_core.sequence._tables import MARK
from hoi_core.sequence.clocks import EPOCH, PIECE, clock_of, rows_of
from hoi_core.types import PROBLEMS

Version = tuple[int, int]
Step = Callable[[h5py.File], None]


def _capture_1_1(file: h5py.File) -> None:
    """1.1 added segments, marks, epochs and pieces of clocks; images stay packed as they are."""
    file.attrs["segment"], file.attrs["segments"] = np.int64(0), np.int64(1)
    for name, kind in (("epochs", EPOCH), ("marks", MARK)):
        file.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(256,))
    for stream in file["sync"].attrs["streams"]:
        rows = rows_of(clock_of(None, file[f"clocks/{stream}"][()]))
        file.create_dataset(f"clock_pieces/{stream}", data=rows.astype(PIECE), maxshape=(None,), chunks=(64,))


def _annotation_1_1(file: h5py.File) -> None:
    """1.1 added the second hand's keypoints and what a person notes."""
    for revision in file["revisions"].values():
        _revision_1_1(revision)


def _revision_1_1(group: h5py.Group) -> None:
    side = first_side(group)
    group["keypoints"].attrs["side"] = side if side in SIDES else ""
    group.attrs["comments"], group.attrs["purpose"] = json.dumps({}), "labels"
    group.attrs["problems"] = list(PROBLEMS)


STEPS: Mapping[tuple[str, Version], tuple[Version, Step]] = {
    ("hoi-capture", (1, 0)): ((1, 1), _capture_1_1),
    ("hoi-annotation", (1, 0)): ((1, 1), _annotation_1_1),
    ("hoi-truth", (1, 0)): ((1, 1), _revision_1_1),
}
"""(format, version) -> the next version, and what leads there."""
