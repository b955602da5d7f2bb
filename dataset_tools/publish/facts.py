"""What a dataset of ours holds, counted from its files: the figures of its card. Nobody is named in them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.publish.permit import Permit
from dataset_tools.split import read_splits
from hoi_core import sequence as sequences
from hoi_core.errors import DatasetError
from hoi_core.types import JOINT_SOURCES, STATUSES, Revision

UNCALIBRATED = ""
AUTOMATIC = ("auto", "simulated")
"""Authors of revisions that are programs."""


@dataclass(frozen=True)
class Take:
    """One recording."""

    name: str
    """Of the sequence."""
    participant: str
    """Pseudonym."""
    objects: tuple[str, ...]
    """Identifiers."""
    scenario: str
    """Name."""
    action: str
    """What was done."""
    rig: str
    """Name."""
    calibration: str
    """Identifier; empty if none was named."""
    year: str
    """In which it was recorded; empty if unknown."""
    software: str
    """That recorded it."""
    seconds: float
    """Length, s."""
    moments: int
    """Moments."""
    frames: Mapping[str, int]
    """Stream -> images."""
    shapes: Mapping[str, str]
    """Stream -> size, type and nominal rate in words."""
    drops: Mapping[str, int]
    """Reason -> missing frames."""
    skew_ms: Sequence[float]
    """Median distance of each stream's frames from their moments, ms."""
    simulated: bool
    """Whether it shows nobody."""
    labels: Labels | None
    """None where nobody labelled it."""


@dataclass(frozen=True)
class Labels:
    """The current labels of a recording."""

    revision: str
    """Its name."""
    hand_model: str
    """`stand-in`, or the hash of the file."""
    tips: str
    """Fingertip set."""
    hands: Mapping[str, int]
    """Side -> labelled moments."""
    objects: Mapping[str, int]
    """Object -> labelled moments."""
    status: Mapping[str, int]
    """Status -> moments of a hand."""
    sources: Mapping[str, int]
    """Source -> joints."""
    by_people: bool
    """Whether a person made the current revision."""
    human_s: float
    """Seconds of human work on the current revision."""


@dataclass(frozen=True)
class Facts:
    """What may be said of a dataset in public."""

    takes: tuple[Take, ...]
    """Recordings that may go."""
    withheld: int
    """Recordings that may not."""
    people: Mapping[str, Mapping[str, int]]
    """Property (`handedness`, `consent form`) -> value -> participants."""
    categories: Mapping[str, int]
    """Category of objects -> objects."""
    calibrations: Mapping[str, Mapping[str, float]]
    """Calibration -> figure with unit -> value."""
    splits: Mapping[str, int]
    """Split -> entries."""
    rules: Mapping[str, str]
    """Set of splits -> what its parts keep apart."""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Figures of the labels, the keys of `hoi-data stats`; what is missing is unknown."""


def facts_of(root: Path, granted: Permit, accuracy: Mapping[str, float] | None = None) -> Facts:
    """Count what a dataset holds.

    Args:
        root: the dataset.
        granted: what of it may go; nothing else is looked at.
        accuracy: figures of the labels, where somebody worked them out.

    Raises:
        DatasetError: dataset.json or a calibration is malformed.
        SequenceError: a recording, its labels or a table cannot be read.
    """
    root = Path(root)
    takes = tuple(_take(root, name) for name in granted.allowed)
    splits, allowed = read_splits(root), set(granted.allowed)
    listed = {name: sum(e.partition("/")[0] in allowed for e in entries) for name, entries in splits.parts.items()}
    return Facts(
        takes=takes,
        withheld=len(granted.withheld),
        people=_people(root, {take.participant for take in takes}),
        categories=_categories(root, {name for take in takes for name in take.objects}),
        calibrations={name: _figures(root, name) for name in sorted({t.calibration for t in takes} - {UNCALIBRATED})},
        splits=listed,
        rules={name: str(rule) for name, rule in splits.rules.items()},
        accuracy={name: value for name, value in (accuracy or {}).items() if math.isfinite(value)},
    )


def summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Counts of several recordings together."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _take(root: Path, name: str) -> Take:
    with sequences.open_capture(sequences.sequence_dir(root, name)) as capture:
        header, sync = capture.header, capture.sync
        streams = capture.streams
        paired = {stream: np.abs(sync.skew_ns[stream])[sync.index[stream] >= 0] for stream in sync.index}
        return Take(
            name=name,
            participant=header.participant,
            objects=tuple(header.objects),
            scenario=header.scenario,
            action=header.action,
            rig=header.rig,
            calibration=header.calibration,
            year=header.created[:4],
            software=header.software,
            seconds=capture.seconds,
            moments=len(sync),
            frames={stream: len(images) for stream, images in streams.items()},
            shapes={stream: _shape(images) for stream, images in streams.items()},
            drops=dict(Counter(drop.reason for drop in capture.drops)),
            skew_ms=[float(np.median(ns)) * 1e-6 for stream, ns in paired.items() if len(ns) and ns.any()],
            simulated=sequences.truth_path(root, name).exists(),
            labels=_labels(root, name),
        )


def _shape(images: sequences.ImageStream) -> str:
    info = images.info
    height, width, *_ = info.shape
    unit = "" if info.depth_scale_m is None else f", {info.depth_scale_m * 1e3:g} mm a unit"
    return f"{width}x{height} {info.dtype}, {info.fps:g} images/s{unit}"


def _labels(root: Path, name: str) -> Labels | None:
    if not sequences.annotation_path(root, name).exists():
        return None
    with sequences.open_annotation(sequences.sequence_dir(root, name)) as annotation:
        revision, binding = annotation.load(), annotation.binding
        return Labels(
            revision=annotation.current,
            hand_model=binding.mano_source,
            tips=binding.tips,
            hands={side: int(track.valid.sum()) for side, track in revision.hands.items()},
            objects={thing: int(track.valid.sum()) for thing, track in revision.objects.items()},
            status=_counted([track.status for track in revision.hands.values()], STATUSES),
            sources=_counted([track.joint_source[track.valid] for track in revision.hands.values()], JOINT_SOURCES),
            by_people=_by_people(revision),
            human_s=revision.human_seconds,
        )


def _by_people(revision: Revision) -> bool:
    return revision.author not in AUTOMATIC


def _counted(codes: Sequence[np.ndarray], names: Sequence[str]) -> dict[str, int]:
    values = np.concatenate([np.zeros(0, np.uint8), *(code.ravel() for code in codes)])
    return {name: n for name, n in zip(names, np.bincount(values, minlength=len(names)).tolist(), strict=True) if n}


def _people(root: Path, shown: set[str]) -> dict[str, dict[str, int]]:
    """Nothing but these columns ever leaves: others may tell who somebody is."""
    table = sequences.read_table(root, "participants").drop_duplicates("participant")
    rows = table[table["participant"].isin(shown - {""})]
    columns = {"handedness": "handedness", "consent_version": "consent form"}
    counted = {says: Counter(value for value in rows[name] if value) for name, says in columns.items()}
    return {says: dict(count) for says, count in counted.items() if count}


def _categories(root: Path, shown: set[str]) -> dict[str, int]:
    table = sequences.read_table(root, "objects").drop_duplicates("object")
    rows = table[table["object"].isin(shown)]
    return dict(sorted(Counter(value for value in rows["category"] if value).items()))


def _figures(root: Path, name: str) -> dict[str, float]:
    """Figures of a calibration; none where its file has none or is missing."""
    path = root / "calibrations" / f"{name}.json"
    if not path.exists():
        return {}
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf8")).get("figures", {})
        found: dict[str, float] = {}
        for key, value in values.items():
            if isinstance(value, dict):
                found |= {f"{key} {view}": float(number) for view, number in value.items() if number is not None}
            elif isinstance(value, (int, float)):
                found[key] = float(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is malformed: {error}.", "Restore it, or calibrate again.") from error
    return found
