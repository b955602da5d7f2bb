"""Is a recording sound, and do its labels belong to it?"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from hoi_core.errors import SequenceError
from hoi_core.sequence.annotation import open_annotation
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.sequence.reader import Capture, open_capture
from hoi_core.sequence.streams import ImageStream
from hoi_core.types import Revision

_SENTINELS = (-1.0, 0.0)  # what other formats write where a label is missing


def check_sequence(folder: Path) -> list[str]:
    """Everything that is wrong with a sequence, in words; empty when it is sound.

    Reads every image, so it takes about a second for each six of recording.

    Raises:
        SequenceError: the capture cannot be opened at all.
    """
    problems: list[str] = []
    with open_capture(folder) as capture:
        # One that was stopped early but closed is whole as far as it goes.
        if capture.never_closed:
            problems.append(f"it was never closed; `hoi-data recover {folder.name}` does that")
        for stream in capture.streams.values():
            problems += _check_stream(stream)
        problems += _check_sync(capture)
        digest, moments = capture.content_hash(), capture.sync.t_ns
    if not (folder / ANNOTATION).exists():
        return problems
    try:
        with open_annotation(folder) as annotation:
            if annotation.binding.capture_hash != digest:
                problems.append("the labels belong to another recording")
            if annotation.current not in annotation.revisions:
                problems.append(f"the current revision {annotation.current} does not exist")
            for name in annotation.revisions:
                problems += [f"{name}: {what}" for what in _check_revision(annotation.load(name), moments)]
    except SequenceError as error:
        problems.append(error.message)
    return problems


def _check_stream(stream: ImageStream) -> list[str]:
    problems = []
    if not len(stream):
        return [f"{stream.name}: no frames"]
    for field in ("frame_number", "t_device_ns", "t_host_ns"):
        steps = np.diff(getattr(stream, field))
        if (steps < 0).any() or (field == "frame_number" and (steps == 0).any()):
            problems.append(f"{stream.name}: {field} does not increase at frame {int(np.argmin(steps)) + 1}")
    for i in range(len(stream)):
        try:
            changed = zlib.crc32(np.ascontiguousarray(stream[i]).data) != stream.crc32[i]
        except SequenceError:
            changed = True
        if changed:
            problems.append(f"{stream.name}: image {i} is not what was recorded")
    return problems


def _check_sync(capture: Capture) -> list[str]:
    problems = []
    sync = capture.sync
    if not len(sync):
        problems.append("no moments")
    if (np.diff(sync.t_ns) <= 0).any():
        problems.append("the moments' times do not increase")
    for name, index in sync.index.items():
        used = index[index >= 0]
        if len(np.unique(used)) != len(used):
            problems.append(f"{name}: a frame belongs to two moments")
    listed = {(drop.stream, drop.frame_number) for drop in capture.drops}
    for name, stream in capture.streams.items():
        numbers = stream.frame_number
        if not len(numbers):
            continue
        lost = np.setdiff1d(np.arange(numbers[0], numbers[-1] + 1), numbers)
        silent = [int(n) for n in lost if (name, int(n)) not in listed]
        if silent:
            problems.append(f"{name}: {len(silent)} missing frames are not in the drop table, the first is {silent[0]}")
    return problems


def _check_revision(revision: Revision, moments: np.ndarray) -> list[str]:
    problems = []
    if not np.array_equal(revision.t_ns, moments):
        problems.append("its moments are not the recording's")
    for side, hand in revision.hands.items():
        labelled = hand.joints_m[hand.valid]
        numbers = (labelled, hand.orient[hand.valid], hand.pose[hand.valid], hand.trans_m[hand.valid])
        if not all(np.isfinite(values).all() for values in numbers):
            problems.append(f"{side} hand: valid moments hold NaN")
        if labelled.size and not np.isfinite(hand.betas).all():
            problems.append(f"{side} hand: the shape holds NaN")
        if labelled.size and np.isin(labelled, _SENTINELS).all(axis=(1, 2)).any():
            problems.append(f"{side} hand: joints hold a placeholder such as -1")
    return problems
