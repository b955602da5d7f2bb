"""An evaluation as a page: figures with their intervals, where the model errs, and its worst hands drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from hoi_core import crop as crops
from hoi_core import draw, html
from hoi_core.errors import StorageError
from hoi_core.network_input import network_input
from hoi_core.types import U8
from hoi_core.whole_file import write_whole
from learning import grasp_report
from learning.breakdown import Row, breakdown, columns, elevation_deg, hidden_share
from learning.evaluate import Evaluation
from learning.hand_errors import per_sample
from learning.items import shown
from learning.overlays import enlarged, picture_of

_WORST, _MIDDLE = 12, 4


def write_report(path: Path, found: Evaluation, figures: Mapping[str, object], title: str, ranked_by: str) -> None:
    """Write the page, or for a `.png` its pictures of the worst hands alone.

    Args:
        path: of the file.
        found: what was measured.
        figures: of it.
        title: of the page.
        ranked_by: name of the error by which hands are worst.

    Raises:
        StorageError: it cannot be written.
    """
    order = _ranked(found, ranked_by)
    try:
        if path.suffix.lower() == ".png":
            worst = draw.montage([picture(found, number) for number in order[:_WORST]], columns=2)
            write_whole(path, cv2.imencode(".png", worst[..., ::-1])[1].tobytes())
        else:
            write_whole(path, _page(found, figures, title, ranked_by, order))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Name another file with --report.") from error


def write_samples(path: Path, found: Evaluation) -> None:
    """Write the errors of each sample as a table (.csv), which two models' can be compared by.

    Raises:
        StorageError: it cannot be written.
    """
    table = per_sample(found.errors)
    facts = {"hidden_share": hidden_share(found), "elevation_deg": elevation_deg(found)}
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["dataset", "key", "group", *facts, *table])
    rows = zip(*(each.tolist() for each in (*facts.values(), *table.values())), strict=True)
    for place, group, numbers in zip(found.places, found.groups, rows, strict=True):
        lines.writerow([*place, group, *(f"{number:.5g}" for number in numbers)])
    try:
        write_whole(path, text.getvalue())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Name another file with --samples.") from error


def picture(found: Evaluation, number: int) -> U8:
    """A hand as labelled, as predicted, and what the network was shown. `-> (H, W, 3)`."""
    sample, data = found.samples.sample(number), found.samples.config
    frame = found.samples.framed(number)
    image = crops.warp(sample.image, sample.camera, frame.crop)
    true = np.where(frame.pixels_valid[:, None], frame.joints_px, np.nan)
    panels = []
    for pixels, text in ((true, "label"), (found.pixels[number], "model")):
        large, at = enlarged(image, pixels)
        panels.append(draw.label(draw.skeleton(large, at, thickness=1, radius=2), text, scale=0.35))
    eaten = network_input(shown(image, data, edge_alone=data.edge_alone)[None], data.input)
    panels.append(enlarged(picture_of(eaten[0], data.input), true)[0])
    return draw.montage(panels, gap=2)


def _ranked(found: Evaluation, ranked_by: str) -> list[int]:
    """Numbers of the samples, the worst first; those that nothing is known of are left out."""
    error = per_sample(found.errors)[ranked_by]
    known = np.flatnonzero(np.isfinite(error))
    order: list[int] = known[np.argsort(-error[known], kind="stable")].tolist()
    return order


def _page(found: Evaluation, figures: Mapping[str, object], title: str, ranked_by: str, order: Sequence[int]) -> str:
    rows = groupby(breakdown(found), lambda row: row.by)
    middle = len(order) // 2
    about = "; ".join(str(version) for version in _mapping(figures["datasets"]).values())
    lead = f"{figures['n']} samples in {figures['groups']} groups{f'; {about}' if about else ''}."
    return html.page(
        title,
        lead,
        [
            html.section("Figures", html.table(("figure", "mean", "95 % interval"), _figure_rows(figures))),
            *([_objects(found, order[:_WORST])] if found.grasps else []),
            html.section(
                "Where it errs",
                *(_table(by, list(own), columns(found)) for by, own in rows),
            ),
            html.section("The worst hands", *_pictures(found, order[:_WORST], ranked_by)),
            html.section("Hands in the middle", *_pictures(found, order[middle : middle + _MIDDLE], ranked_by)),
        ],
    )


def _objects(found: Evaluation, worst: Sequence[int]) -> str:
    """The table of the objects, and the worst hands with them."""
    head = ("object", "samples", "ADD-0.1D(S), %", "by the box's diagonal", "corners, mm")
    rows = [
        (
            f"{row.name} (S)" if row.symmetric else row.name,
            str(row.n),
            _with_interval(100 * row.add01d, *(100 * np.array(row.add01d_ci95))),
            f"{100 * row.add01d_box:.1f}",
            _with_interval(row.mce_mm, *row.mce_ci95),
        )
        for row in grasp_report.per_object(found)
    ]
    pictures = [html.picture(grasp_report.picture(found, n), "/".join(found.places[n])) for n in worst]
    return html.section("Objects", html.table(head, rows), *pictures)


def _figure_rows(figures: Mapping[str, object]) -> list[tuple[str, str, str]]:
    intervals = _mapping(figures["ci95"])
    return [
        (name, f"{value:.3f}", "" if np.isnan(intervals[name][0]) else "{:.3f} to {:.3f}".format(*intervals[name]))
        for name, value in figures.items()
        if name in intervals and isinstance(value, float)
    ]


def _mapping(value: object) -> Mapping[str, tuple[float, float]]:
    return value if isinstance(value, Mapping) else {}


def _table(by: str, rows: list[Row], names: list[str]) -> str:
    lines = [
        (row.value, str(row.samples), *(_with_interval(row.means[name], *row.intervals[name]) for name in names))
        for row in rows
    ]
    return html.table((by, "hands", *names), lines)


def _with_interval(mean: float, low: float, high: float) -> str:
    return f"{mean:.1f}" if np.isnan(low) else f"{mean:.1f} ({low:.1f} to {high:.1f})"


def _pictures(found: Evaluation, numbers: Sequence[int], ranked_by: str) -> list[str]:
    error, hidden = per_sample(found.errors)[ranked_by], hidden_share(found)
    return [
        html.picture(
            picture(found, n),
            f"{'/'.join(found.places[n])}: {ranked_by} {error[n]:.1f}"
            + ("" if np.isnan(hidden[n]) else f", {100 * hidden[n]:.0f} % of the joints hidden"),
        )
        for n in numbers
    ]
