"""The statistics of datasets as one HTML page with plots."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dataset_tools.stats import charts
from dataset_tools.stats.collect import Collected
from dataset_tools.stats.tables import table5
from hoi_core import html

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 40
_OF = {"all": "all", "measured": "those looked at"}
_HANDS_SCALE = ("distance_m", "crop_px")
_SEEN = ("outside", "self_hidden", "hidden", "segmented_object", "object_visible", "depth_valid", "depth_offset_mm")


def page(measured: Sequence[Collected], tables: Mapping[str, pd.DataFrame], labels: Sequence[str] = ()) -> str:
    """The page.

    Args:
        measured: datasets.
        tables: of `tables.tables`, made from the same.
        labels: further sections, such as how accurate the labels are.
    """
    names = ", ".join(one.name for one in measured)
    colours = charts.palette([one.name for one in measured])
    sections = [
        _contents(tables["datasets"]),
        _counts(tables["counts"], colours),
        _poses(tables, colours),
        _views(measured, tables, colours),
        _scale(measured, tables, colours),
        _visibility(measured, tables["quantities"], colours),
        _edges(tables["sparsity"], colours),
        *labels,
        _unread(measured),
    ]
    lead = "What the samples show: hands, poses, views, occlusion and edges. Angles and directions are those of right "
    return html.page(f"Statistics of {names}", f"{lead}hands; left ones are mirrored first.", sections)


def _contents(datasets: pd.DataFrame) -> str:
    tiles = []
    for row in datasets.to_dict("records"):
        looked = "all" if row["measured"] + row["unreadable"] == row["samples"] else f"{row['measured']:,} looked at"
        tiles.append((f"{row['samples']:,}", f"samples of {row['dataset']}", looked))
        tiles.append((f"{row['moments']:,}", "moments", f"at most {row['views']} views of each"))
    rows = table5(datasets)
    told = f"As in Table 5 of the SPLite paper: size in pictures; modalities {'; '.join(datasets['modalities'])}."
    printed = html.table(list(rows.columns), rows.astype(str).to_numpy().tolist(), told)
    return html.section("What is in it", html.tiles(tiles), _table(datasets), printed)


def _counts(counts: pd.DataFrame, colours: charts.Palette) -> str:
    parts = []
    for by in counts["by"].unique():
        chosen = counts[counts["by"] == by]
        parts.append(html.chart(charts.bars(counts, by, colours), f"Samples by {by} ({_OF[chosen['of'].iloc[0]]})"))
    return html.section("Who, what and where", html.row(*parts), _table(counts)) if parts else ""


def _poses(tables: Mapping[str, pd.DataFrame], colours: charts.Palette) -> str:
    angles = tables["angles"]
    if angles["samples"].sum() == 0:
        return ""
    return html.section(
        "Poses",
        html.text(
            "How much of each joint's range the hands reach. Where a dataset has no absolute hand parameters, angles "
            "come from the directions of the bones: they tell no twist, and of the thumb's outer joints the bend alone."
        ),
        html.chart(charts.angle_ranges(angles, colours), "Joint angles, 1 to 99 % of the samples, thick 25 to 75 %"),
        html.table(
            ("dataset", "range reached", "beyond the limits", "dimensions", "axes for 90 %", "finger states of 32",
             "their entropy, bits"),
            [_pose_row(row, angles) for row in tables["poses"].to_dict("records")],
            "Range reached: mean over the angles, of twenty cells of each range those with one sample in a thousand. "
            "Dimensions: exponential of the entropy of the principal variances. Finger states: which of the five are "
            "bent by more than 60 degrees in all.",
        ),
    )  # fmt: skip


def _pose_row(row: Mapping[Hashable, object], angles: pd.DataFrame) -> list[str]:
    own = angles[angles["dataset"] == row["dataset"]]
    names = ("dimensions", "components_90", "finger_states", "finger_entropy_bits")
    shares = [_percent(own[name].mean()) for name in ("reached", "beyond")]
    return [str(row["dataset"]), *shares, *(_text(row.get(name, float("nan"))) for name in names)]


def _views(measured: Sequence[Collected], tables: Mapping[str, pd.DataFrame], colours: charts.Palette) -> str:
    seen = tables["views"].groupby("dataset", sort=False)["samples"].sum()
    maps = [
        html.chart(charts.view_map(tables["views"], name), f"{name}: where the cameras are, seen from the palm")
        for name in seen[seen > 0].index
    ]
    if not maps:
        return ""
    elevation = _histograms(measured, tables["quantities"], ("view_elevation_deg", "off_axis_deg"), colours)
    return html.section("Views", html.row(*maps), html.row(*elevation))


def _scale(measured: Sequence[Collected], tables: Mapping[str, pd.DataFrame], colours: charts.Palette) -> str:
    parts = _histograms(measured, tables["quantities"], _HANDS_SCALE, colours)
    if len(tables["bones"]):
        parts.append(html.chart(charts.bone_lengths(tables["bones"], colours), "Bones: median, and 5 to 95 %"))
    return html.section("Size and distance", html.row(*parts)) if parts else ""


def _visibility(measured: Sequence[Collected], quantities: pd.DataFrame, colours: charts.Palette) -> str:
    return html.section(
        "What is seen",
        html.text(
            "A joint is behind the hand itself where the drawn mesh shows another part of the hand at its pixel. The "
            "hand is behind something else where depth was measured nearer than the hand's surface by 15 mm (27 mm "
            "where there is no mesh and the surface is guessed from the bones)."
        ),
        html.row(*_histograms(measured, quantities, _SEEN, colours)),
        _table(quantities.drop(columns="quantity")) if len(quantities) else "",
    )


def _edges(table: pd.DataFrame, colours: charts.Palette) -> str:
    if table.empty:
        return ""
    return html.section(
        "Edge sparsity",
        html.text(
            "Share of zero pixels of the 128x128 crop that the network sees. `fused` is its input with the default "
            "thresholds; `stride` rows are its sites after each stage, by the rule of the sparse convolution; `sensor` "
            "are whole edge images as the sensor recorded them. Dotted: the mean sparsities that the SPLite paper "
            "gives, of edges that it does not describe."
        ),
        html.row(
            html.chart(charts.sparsity_curves(table, colours), "Sobel edges: mean, and 5 to 95 %"),
            html.chart(charts.stride_bars(table, colours), "Sites from stage to stage"),
        ),
        _table(table),
    )


def _unread(measured: Sequence[Collected]) -> str:
    rows = [(one.name, key, why) for one in measured for key, why in one.failed.items()]
    if not rows:
        return ""
    more = f"{len(rows)} samples could not be read" + (f"; the first {_MOST_ROWS}" if len(rows) > _MOST_ROWS else "")
    return html.section(
        "Unreadable", html.note(f"{more}:"), html.table(("dataset", "sample", "why"), rows[:_MOST_ROWS])
    )


def _histograms(
    measured: Sequence[Collected], quantities: pd.DataFrame, columns: Sequence[str], colours: charts.Palette
) -> list[str]:
    """Charts of what at least one dataset tells."""
    known = dict(zip(quantities["quantity"], quantities["meaning"], strict=True)) if len(quantities) else {}
    return [
        html.chart(
            charts.histogram(measured, column, known[column], colours), known[column][0].upper() + known[column][1:]
        )
        for column in columns
        if column in known
    ]


def _table(frame: pd.DataFrame) -> str:
    cut = f"The first {_MOST_ROWS} of {len(frame)} rows." if len(frame) > _MOST_ROWS else ""
    head = [str(name).replace("_", " ") for name in frame.columns]
    return html.table(head, ([_text(cell) for cell in row] for row in frame.head(_MOST_ROWS).to_numpy(object)), cut)


def _text(value: object) -> str:
    """A cell: three figures; a dash where nothing is known."""
    if isinstance(value, str):
        return value
    number = float(np.asarray(value, dtype=np.float64))
    if not np.isfinite(number):
        return "–"
    return f"{number:,.0f}" if number == round(number) else f"{number:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "–"
