"""Figures of the labels of our own recordings: accuracy, agreement and cost, of sequences and of the dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hoi_core import html

_MEANS = ("joint_error_mm", "vertex_error_mm", "coverage90", "object_add_mm", "object_adds_mm", "object_rotation_deg")


def figures(root: Path, names: Sequence[str]) -> tuple[list[dict[str, object]], dict[str, str]]:
    """One row for each sequence that can be read, and the reason for each that cannot."""
    from annotate.trust.statistics import sequence_statistics
    from hoi_core import log
    from hoi_core.errors import SequenceError

    rows: list[dict[str, object]] = []
    failed: dict[str, str] = {}
    with log.progress() as bar:
        for name in bar.track(names, description="looking at labels"):
            try:
                rows.append(sequence_statistics(root, name).row())
            except SequenceError as error:
                failed[name] = str(error)
    return rows, failed


def totals(rows: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Figures of the whole dataset: sums, and means over sequences weighted by what each counts.

    Args:
        rows: of `SequenceStatistics.row`.
    """
    frames = _sum(rows, "frames")
    reviewed = [_number(row, "frames_accepted") + _number(row, "frames_edited") for row in rows]
    out = {
        "sequences": float(len(rows)),
        "frames": frames,
        "human_seconds": _sum(rows, "human_seconds"),
        "human_seconds_per_frame": _sum(rows, "human_seconds") / max(frames, 1.0),
        "clicks_per_frame": _sum(rows, "clicks") / max(frames, 1.0),
        "frames_reviewed": sum(reviewed),
        "accepted_without_edit_share": _mean(rows, "accepted_without_edit_share", reviewed),
        "agreement_frames": _sum(rows, "agreement_frames"),
        "agreement_mm": _mean(rows, "agreement_mm", [_number(row, "agreement_frames") for row in rows]),
        "fingertip_clicked_mm": _mean(rows, "fingertip_clicked_mm", [_number(r, "fingertip_clicked") for r in rows]),
        "fingertip_nearest_mm": _mean(rows, "fingertip_nearest_mm", [_number(r, "fingertip_nearest") for r in rows]),
        "sensor_offset_ms": _mean(rows, "sensor_offset_ms", [1.0] * len(rows)),
        "expected_error_mm": _mean(rows, "expected_error_mm", [_number(row, "frames") for row in rows]),
    }
    return out | {name: _mean(rows, name, [_number(row, "frames") for row in rows]) for name in _MEANS}


def section(rows: Sequence[Mapping[str, object]]) -> str:
    """Accuracy, agreement and cost as a part of a page."""
    told = [line.partition(": ") for line in summary(totals(rows))]
    columns = ("frames", "expected_error_mm", "joint_error_mm", "agreement_mm", "human_seconds_per_frame")
    table = html.table(
        ("sequence", "author", *(name.replace("_", " ") for name in columns)),
        [(str(row["sequence"]), str(row["author"]), *(_text(row.get(name)) for name in columns)) for row in rows],
    )
    known = html.table(("of the labels", ""), [(what, figure) for what, _, figure in told])
    return html.section("How far the labels can be trusted", known, table)


def _missing(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _number(row: Mapping[str, object], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) and not _missing(value) else 0.0


def _sum(rows: Sequence[Mapping[str, object]], name: str) -> float:
    return sum(_number(row, name) for row in rows)


def _mean(rows: Sequence[Mapping[str, object]], name: str, weights: Sequence[float]) -> float:
    """Weighted mean over the rows that know the figure; NaN where none does."""
    known = [
        (_number(row, name), weight)
        for row, weight in zip(rows, weights, strict=True)
        if row.get(name) is not None and not _missing(row[name]) and weight > 0
    ]
    return sum(v * w for v, w in known) / sum(w for _, w in known) if known else float("nan")


def line(row: Mapping[str, object]) -> str:
    """One sequence in a line."""
    labelled = ", ".join(
        f"{name.removeprefix('labelled_share_')} {share:.0%}"
        for name, share in row.items()
        if name.startswith("labelled_share_") and isinstance(share, float)
    )
    accuracy = f", {_text(row['joint_error_mm'])} mm from the truth" if "joint_error_mm" in row else ""
    return (
        f"{row['sequence']} {row['revision']} by {row['author']}: {_number(row, 'frames'):.0f} frames, "
        f"{labelled or 'no label'}, {_text(row['expected_error_mm'])} mm expected{accuracy}"
    )


def summary(total: Mapping[str, float]) -> list[str]:
    """The dataset in a few lines."""
    return [
        f"accuracy: {_text(total['joint_error_mm'])} mm from the truth, {_text(total['expected_error_mm'])} mm "
        f"expected; the 90 % ellipsoid holds {_text(100 * total['coverage90'])} %",
        f"fingertips on the point cloud: {_text(total['fingertip_clicked_mm'])} mm clicked, "
        f"{_text(total['fingertip_nearest_mm'])} mm nearest",
        f"agreement of people: {_text(total['agreement_mm'])} mm over {total['agreement_frames']:.0f} frames",
        f"cost: {_text(total['human_seconds_per_frame'])} s and {_text(total['clicks_per_frame'])} clicks a frame; "
        f"{_text(100 * total['accepted_without_edit_share'])} % of {total['frames_reviewed']:.0f} reviewed frames "
        "accepted without an edit",
        f"sensor: {_text(total['sensor_offset_ms'])} ms behind the labels",
    ]


def _text(value: object) -> str:
    return "unknown" if not isinstance(value, (int, float)) or _missing(value) else f"{value:.3g}"
