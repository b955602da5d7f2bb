"""Figures of labels for a datasheet: how accurate, how well people agree, what a frame cost, where joints come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from annotate.auto import AUTHOR, hand_model
from annotate.compare import compare
from annotate.hand import from_mano, state_from_axis_angle
from annotate.trust.agreement import Agreement, agreement_of
from annotate.trust.fingertips import FingertipCheck, check_fingertips
from annotate.trust.sensor_sync import NOTHING, SensorSync, check_sensor
from hoi_core.sequence import Annotation, Capture, annotation_path, find_sequence, open_annotation, open_capture
from hoi_core.sequence.layout import TRUTH
from hoi_core.types import F64, JOINT_SOURCES, MARKS, STATUSES, HandTrack, ObjectTrack, Revision

_ACCEPTED = STATUSES.index("accepted")
_EDITED = STATUSES.index("edited")


@dataclass(frozen=True)
class Cost:
    """What people put in."""

    human_s: float
    """Seconds of human work on the labels, all revisions together."""
    clicks: int
    """Keypoints and object points that a person placed."""
    reviewed: int
    """Moments of a hand that were accepted or edited."""
    untouched: int
    """Of those, accepted as the automatic fit had made them, bit for bit."""


@dataclass(frozen=True)
class SequenceStatistics:
    """The figures of one sequence."""

    sequence: str
    """Its name."""
    revision: str
    """The labels that were looked at."""
    author: str
    """Who made them."""
    software: str
    """With which version."""
    frames: int
    """Moments."""
    labelled: Mapping[str, float]
    """Share of the moments with a label, by hand and object."""
    status: Mapping[str, int]
    """Status -> moments of a hand."""
    sources: Mapping[str, int]
    """Source -> joints."""
    cost: Cost
    """What people put in."""
    expected_mm: float
    """Mean length of the joints' errors that their covariance expects, mm."""
    reprojection_px: float
    """Median distance of projected joints from keypoints, px."""
    agreement: Agreement
    """Of people."""
    fingertips: FingertipCheck
    """Against the point cloud."""
    sensor: SensorSync
    """Time of the third sensor against the labels."""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Against truth, where there is any: the keys of `hoi-data compare`."""

    def row(self) -> dict[str, object]:
        """One flat row for a table; missing is NaN."""
        reviewed = self.cost.reviewed
        joints = max(sum(self.sources.values()), 1)
        return {
            "sequence": self.sequence,
            "revision": self.revision,
            "author": self.author,
            "software": self.software,
            "frames": self.frames,
            **{f"labelled_share_{name}": share for name, share in self.labelled.items()},
            **{f"frames_{name}": self.status.get(name, 0) for name in STATUSES},
            **{f"joint_share_{name}": self.sources.get(name, 0) / joints for name in JOINT_SOURCES},
            "human_seconds": self.cost.human_s,
            "human_seconds_per_frame": self.cost.human_s / max(self.frames, 1),
            "clicks": self.cost.clicks,
            "clicks_per_frame": self.cost.clicks / max(self.frames, 1),
            "accepted_without_edit_share": self.cost.untouched / reviewed if reviewed else float("nan"),
            "expected_error_mm": self.expected_mm,
            "median_reprojection_px": self.reprojection_px,
            "agreement_frames": self.agreement.moments,
            "agreement_mm": self.agreement.joint_mm,
            "agreement_p95_mm": self.agreement.joint_p95_mm,
            "agreement_click_px": self.agreement.click_px,
            **{f"fingertip_{key}": value for key, value in asdict(self.fingertips).items()},
            **{f"sensor_{key}": value for key, value in asdict(self.sensor).items()},
            **self.accuracy,
        }


def sequence_statistics(root: Path, sequence: str) -> SequenceStatistics:
    """The figures of a sequence's current labels.

    Args:
        root: the dataset.
        sequence: its sequence.

    Raises:
        SequenceError: unknown sequence, no labels, or a damaged file.
    """
    folder = find_sequence(root, sequence)
    with open_annotation(annotation_path(root, sequence)) as annotation, open_capture(folder) as capture:
        annotation.check_capture(capture)
        revision = annotation.load()
        about = annotation.about(annotation.current)
        tracks: dict[str, HandTrack | ObjectTrack] = {str(side): hand for side, hand in revision.hands.items()}
        tracks |= revision.objects
        hands = any(track.valid.any() for track in revision.hands.values())
        return SequenceStatistics(
            sequence=sequence,
            revision=annotation.current,
            author=about["author"],
            software=about["software"],
            frames=len(revision.t_ns),
            labelled={name: float(track.valid.mean()) for name, track in tracks.items()},
            status=_counts([track.status for track in revision.hands.values()], STATUSES),
            sources=_counts([track.joint_source for track in revision.hands.values()], JOINT_SOURCES),
            cost=cost_of(annotation),
            expected_mm=_expected_mm(revision),
            reprojection_px=_median(revision.residuals.get("reprojection_px")),
            agreement=agreement_of(annotation),
            fingertips=check_fingertips(capture, revision),
            sensor=_sensor(folder, capture, revision),
            accuracy=compare(root, sequence) if hands and (folder / TRUTH).exists() else {},
        )


def cost_of(annotation: Annotation) -> Cost:
    """What people put into the labels of a sequence.

    Args:
        annotation: the open labels.
    """
    revisions = [annotation.load(name) for name in annotation.revisions]
    current = annotation.load()
    clicks = sum(
        int(((codes & MARKS["clicked"]) > 0).sum())
        for points in current.keypoints.values()
        for codes in points.marks.values()
    )
    clicks += sum(len(points.moment) for points in current.object_points.values())
    automatic = [revision for revision in revisions if revision.author == AUTHOR]
    reviewed = untouched = 0
    for side, track in current.hands.items():
        checked = np.isin(track.status, (_ACCEPTED, _EDITED)) & track.valid
        reviewed += int(checked.sum())
        same = np.zeros(len(checked), dtype=bool)
        for revision in automatic:
            if side in revision.hands:
                same |= _same(track, revision.hands[side])
        untouched += int((checked & (track.status == _ACCEPTED) & same).sum())
    return Cost(sum(revision.human_seconds for revision in revisions), clicks, reviewed, untouched)


def _same(one: HandTrack, other: HandTrack) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(M,) moments at which two labels are the same, bit for bit."""
    return np.asarray((one.pose == other.pose).all(1) & (one.trans_m == other.trans_m).all(1), dtype=np.bool_)


def _counts(codes: list[np.ndarray], names: tuple[str, ...]) -> dict[str, int]:
    if not codes:
        return {}
    counted = np.bincount(np.concatenate([values.ravel() for values in codes]), minlength=len(names))
    return {name: int(count) for name, count in zip(names, counted, strict=True) if count}


def _median(values: F64 | None) -> float:
    known = values[np.isfinite(values)] if values is not None else np.zeros(0)
    return float(np.median(known)) if len(known) else float("nan")


def _expected_mm(revision: Revision) -> float:
    """Root mean square length of the joints' errors by their covariance, mm."""
    found = [np.trace(track.joint_cov_m2, axis1=-2, axis2=-1).ravel() for track in revision.hands.values()]
    variance = np.concatenate([np.zeros(0), *found])
    known = variance[np.isfinite(variance)]
    return 1e3 * float(np.sqrt(known.mean())) if len(known) else float("nan")


def _sensor(folder: Path, capture: Capture, revision: Revision) -> SensorSync:
    """The first sensor against the hand that has most labels."""
    if not capture.sensors or not any(track.valid.any() for track in revision.hands.values()):
        return NOTHING
    side = max(revision.hands, key=lambda name: int(revision.hands[name].valid.sum()))
    track, layer = revision.hands[side], hand_model(folder, side)
    state = state_from_axis_angle(
        from_mano(layer.model), np.nan_to_num(track.orient), np.nan_to_num(track.pose), track.betas, track.trans_m
    )
    vertices_m = np.where(track.valid[:, None, None], state.vertices_m, np.nan)
    return check_sensor(capture, next(iter(capture.sensors)), vertices_m, layer.faces)
