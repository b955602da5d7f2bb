"""Charts of the tables as SVG text; they need matplotlib, which is in the extra `plots`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dataset_tools.stats import sparsity
from dataset_tools.stats.collect import Collected
from dataset_tools.stats.tables import BANDS, SECTORS
from hoi_core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Palette = Mapping[str, str]
"""Colour of each dataset, the same in every chart."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
PAPER_SPARSITY = ((0.86, "86 %"), (0.892, "89.2 %"))
"""Mean sparsities of the input that the SPLite paper names: of its speed test, and of its dataset."""
_MOST_BARS = 30
_BINS = 40


def need_matplotlib() -> None:
    """Make sure that charts can be drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401 -- only to know
    except ImportError as error:
        raise ConfigError("plots need matplotlib.", "pip install 'hoi-toolkit[plots]'") from error


def palette(names: Sequence[str]) -> Palette:
    """Colours of datasets, for colour-blind eyes too (Okabe-Ito)."""
    return {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(names)}


def bars(counts: pd.DataFrame, by: str, colours: Palette) -> str:
    """Samples by one fact; of more than thirty values the most frequent ones."""
    chosen = counts[counts["by"] == by]
    values = chosen.groupby("value")["samples"].sum().sort_values(ascending=False).index[:_MOST_BARS]

    def draw(axes: Axes) -> None:
        start = np.zeros(len(values))
        for name, colour in _coloured(chosen, colours):
            own = chosen[chosen["dataset"] == name].set_index("value")["samples"].reindex(values).fillna(0).to_numpy()
            axes.barh(range(len(values)), own, left=start, color=colour, label=name)
            start += own
        axes.set_yticks(range(len(values)), [str(value)[:40] for value in values])
        axes.invert_yaxis()
        axes.set_xlabel("samples")

    return _svg(draw, (6.0, 0.9 + 0.24 * len(values)), by, legend=chosen["dataset"].nunique() > 1)


def angle_ranges(angles: pd.DataFrame, colours: Palette) -> str:
    """What each joint angle reaches within its limits: 1 to 99 % thin, 25 to 75 % thick."""
    names = list(angles["angle"].unique())
    known = angles.dropna(subset=["p50_deg"])

    def draw(axes: Axes) -> None:
        limits = angles.drop_duplicates("angle")
        axes.barh(range(len(names)), limits["high_deg"] - limits["low_deg"], left=limits["low_deg"], color="#e9ecef")
        datasets = _coloured(angles, colours)
        for k, (name, colour) in enumerate(datasets):
            own = known[known["dataset"] == name]
            y = np.array([names.index(angle) for angle in own["angle"]]) + 0.5 * ((k + 0.5) / len(datasets) - 0.5)
            axes.hlines(y, own["p01_deg"], own["p99_deg"], color=colour, linewidth=1.2)
            axes.hlines(y, own["p25_deg"], own["p75_deg"], color=colour, linewidth=4.0, label=name)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.invert_yaxis()
        axes.set_xlabel("degrees; grey: limits of the joint")

    return _svg(draw, (9.0, 6.6), "angles", legend=angles["dataset"].nunique() > 1)


def view_map(views: pd.DataFrame, name: str) -> str:
    """Where the cameras are, seen from the palm: an equal-area map, white where there is no sample."""
    share = views.loc[views["dataset"] == name, "share"].to_numpy().reshape(BANDS, SECTORS)

    def draw(axes: Axes) -> None:
        from matplotlib.cm import ScalarMappable

        shown = np.ma.masked_equal(100 * share, 0.0)
        edges = np.linspace(-180, 180, SECTORS + 1), np.linspace(-1, 1, BANDS + 1)
        mesh: ScalarMappable = axes.pcolormesh(*edges, shown, cmap="viridis", vmin=0.0)
        axes.figure.colorbar(mesh, ax=axes, label="% of samples")
        heights = (-90, -30, 0, 30, 90)
        axes.set_yticks(np.sin(np.deg2rad(heights)), ["-90 palm", "-30", "0", "30", "90 back"])
        axes.set_xticks((-180, -90, 0, 90, 180), ["wrist", "little", "tips", "thumb", "wrist"])
        axes.set(xlabel="camera on the side of", ylabel="elevation, degrees", title=name)
        axes.grid(visible=False)

    return _svg(draw, (6.0, 3.4), f"views {name}")


def histogram(measured: Sequence[Collected], column: str, meaning: str, colours: Palette) -> str:
    """Distribution of one number in each dataset, as a share of its samples."""
    values = {one.name: one.rows[column].dropna().to_numpy(np.float64) for one in measured}
    known = np.concatenate(list(values.values()))
    low, high = (0.0, 1.0) if meaning.endswith("share") else np.quantile(known, (0.002, 0.998))
    if low == high:
        low, high = low - 0.5, high + 0.5

    def draw(axes: Axes) -> None:
        for name, own in values.items():
            if len(own):
                cells, edges = np.histogram(own.clip(low, high), _BINS, (low, high))
                axes.stairs(100 * cells / len(own), edges, color=colours[name], fill=True, alpha=0.35, label=name)
                axes.stairs(100 * cells / len(own), edges, color=colours[name])
        axes.set(xlabel=meaning, ylabel="% of samples")

    return _svg(draw, (4.4, 2.6), column, legend=len(measured) > 1)


def bone_lengths(bones: pd.DataFrame, colours: Palette) -> str:
    """Median length of each bone, with the range from 5 to 95 %."""
    names = list(bones["bone"].unique())

    def draw(axes: Axes) -> None:
        datasets = _coloured(bones, colours)
        for k, (name, colour) in enumerate(datasets):
            own = bones[bones["dataset"] == name]
            y = np.array([names.index(bone) for bone in own["bone"]]) + 0.5 * ((k + 0.5) / len(datasets) - 0.5)
            axes.hlines(y, own["p05_mm"], own["p95_mm"], color=colour, linewidth=1.5)
            axes.plot(own["p50_mm"], y, "o", color=colour, markersize=4, label=name)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("mm")

    return _svg(draw, (7.0, 5.4), "bones", legend=bones["dataset"].nunique() > 1)


def sparsity_curves(table: pd.DataFrame, colours: Palette) -> str:
    """Mean sparsity of Sobel edges over the threshold with the range from 5 to 95 %, and the paper's figures."""

    def draw(axes: Axes) -> None:
        for name, colour in _coloured(table, colours):
            own = table[(table["dataset"] == name) & (table["edges"] == "sobel")]
            at = own["threshold"].astype(float)
            axes.plot(at, 100 * own["mean"], "o-", color=colour, markersize=3, label=name)
            axes.fill_between(at, 100 * own["p05"], 100 * own["p95"], color=colour, alpha=0.2)
        for (share, text), side in zip(PAPER_SPARSITY, ("top", "bottom"), strict=True):
            axes.axhline(100 * share, color="#868e96", linestyle=":", linewidth=1)
            axes.text(max(sparsity.SOBEL_THRESHOLDS), 100 * share, text, ha="right", va=side, color="#868e96")
        axes.set(xlabel="Sobel strength below which a pixel is no edge", ylabel="zero pixels, %")

    return _svg(draw, (5.2, 3.2), "sobel", legend=table["dataset"].nunique() > 1)


def stride_bars(table: pd.DataFrame, colours: Palette) -> str:
    """How the sites fill up from stage to stage of the network."""
    stages = ("fused", *(str(stride) for stride in sparsity.STRIDES))

    def draw(axes: Axes) -> None:
        datasets = _coloured(table, colours)
        for k, (name, colour) in enumerate(datasets):
            own = table[table["dataset"] == name]
            full = own[own["edges"].isin(("fused", "stride"))]["mean"].to_numpy()
            axes.bar(np.arange(len(full)) + (k - 0.5 * len(datasets) + 0.5) * 0.8 / len(datasets),
                     100 * (1 - full), 0.8 / len(datasets), color=colour, label=name)  # fmt: skip
        axes.set_xticks(range(len(stages)), ["input", *stages[1:]])
        axes.set(xlabel="stride", ylabel="sites, % of the cells")

    return _svg(draw, (5.2, 3.2), "strides", legend=table["dataset"].nunique() > 1)


def _coloured(table: pd.DataFrame, colours: Palette) -> list[tuple[str, str]]:
    """The datasets of a table and their colours."""
    return [(str(name), colours[str(name)]) for name in table["dataset"].unique()]


def _svg(draw: Callable[[Axes], None], size_inch: tuple[float, float], name: str, *, legend: bool = False) -> str:
    """One chart; the same numbers make the same text."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9}):
        figure: Figure = Figure(figsize=size_inch, layout="constrained")
        axes = figure.subplots()
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        if legend:
            axes.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
