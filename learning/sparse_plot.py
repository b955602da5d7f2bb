"""The figure of `hoi-bench sparse`: time over sparsity, a panel for each encoder, kind and threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hoi_core.errors import AssetError, ConfigError

if TYPE_CHECKING:
    from learning.sparse_bench import Timing

# Okabe and Ito's colours, which colour-blind people tell apart.
_COLOURS = ("#999999", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")


def draw(timings: Sequence[Timing], out: Path) -> None:
    """Write the figure.

    Args:
        timings: of `time_encoders`.
        out: file that ends in `.svg` or `.png`.

    Raises:
        ConfigError: another ending.
        AssetError: matplotlib is not installed.
    """
    if out.suffix not in (".svg", ".png"):
        raise ConfigError(f"expected a figure that ends in .svg or .png, got {out}.", "Correct --plot.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise AssetError("the figure needs matplotlib.", "pip install 'hoi-toolkit[plots]'") from error
    panels = sorted({(row.backbone, row.images, row.threads) for row in timings})
    engines = list(dict.fromkeys(row.engine for row in timings))
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for n, engine in enumerate(engines):
            rows = sorted(
                (row.sparsity, row.median_ms)
                for row in timings
                if (row.backbone, row.images, row.threads, row.engine) == (*panel, engine)
            )
            sparsities, milliseconds = zip(*rows, strict=True)
            axes.plot(
                [100 * s for s in sparsities], milliseconds, "o-", color=_COLOURS[n % len(_COLOURS)], label=engine
            )
        axes.set(title=_title(*panel), xlabel="pixels off the sites, %", ylabel="one image, ms", ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    figure.savefig(out, dpi=150)


def _title(backbone: str, images: str, threads: int) -> str:
    return f"{backbone}, {images}, {threads} thread{'s' if threads > 1 else ''}"
