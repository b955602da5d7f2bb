"""Curves of a run as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hoi_core.types import F64

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
_SIZE_INCH = (5.6, 3.2)
_FRAME = (0.13, 0.14, 0.85, 0.82)  # left, bottom, width, height; finding them out would draw everything once more
_SMOOTHED_OVER = 20  # neighbouring points of a dense curve
_DENSE = 60


@dataclass(frozen=True)
class Curve:
    """Values over the steps."""

    steps: F64
    """(N,)."""
    values: F64
    """(N,); NaN and infinite ones leave a gap."""

    @classmethod
    def of(cls, lines: Sequence[Mapping[str, float]], key: str) -> Curve:
        """The values of those lines that have them."""
        found = [(line["step"], line[key]) for line in lines if line.get(key) is not None]
        steps, values = np.asarray(found, dtype=np.float64).reshape(-1, 2).T
        return cls(steps, np.where(np.isfinite(values), values, np.nan))


def chart(curves: Mapping[str, Curve], title: str, *, logarithmic: bool = False, marked: float | None = None) -> str:
    """Curves in one frame; the same numbers make the same text.

    Args:
        curves: name -> values; a dense one is drawn thin, with its running mean over it.
        title: of the vertical axis.
        logarithmic: of the vertical axis, where all values are positive.
        marked: a step to draw a line at.

    Returns:
        SVG text.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=_SIZE_INCH)
        axes = figure.add_axes(_FRAME)
        for n, (name, curve) in enumerate(curves.items()):
            colour, dense = _COLOURS[n % len(_COLOURS)], len(curve.steps) > _DENSE
            dots = "" if dense else "."
            axes.plot(curve.steps, curve.values, dots + "-", color=colour, linewidth=0.6 if dense else 1.2,
                      alpha=0.35 if dense else 1.0, label=None if dense else name)  # fmt: skip
            if dense:
                axes.plot(curve.steps, running_mean(curve.values), color=colour, linewidth=1.6, label=name)
        known = [curve.values[np.isfinite(curve.values)] for curve in curves.values()]
        if logarithmic and all((values > 0).all() for values in known):
            axes.set_yscale("log")
            _number_ticks(axes)
        if marked is not None:
            axes.axvline(marked, color="#5b6675", linewidth=1.0, linestyle=":")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(xlabel="step", ylabel=title)
        if len(curves) > 1:
            axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _number_ticks(axes: Axes) -> None:
    """Label a logarithmic axis with plain numbers: powers of ten would be typeset as formulas, in twice the time."""
    from matplotlib.ticker import LogFormatter

    class Numbers(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:.4g}" if super().__call__(x, pos) else ""

    axes.yaxis.set_major_formatter(Numbers())
    axes.yaxis.set_minor_formatter(Numbers(minor_thresholds=(1.0, 0.4)))


def running_mean(values: F64) -> F64:
    """Mean of each value and those shortly before it, unknown ones left out. `(N,) -> (N,)`."""
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(len(values)) - _SMOOTHED_OVER + 1, 0)
    last = np.arange(len(values)) + 1
    n = count[last] - count[first]
    return np.where(n > 0, (total[last] - total[first]) / np.maximum(n, 1), np.nan)
