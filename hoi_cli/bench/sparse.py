"""Time sparse encoders beside dense ones as sparsity rises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hoi_cli._run import Verbose, write_json

if TYPE_CHECKING:
    from learning.sparse_bench import Layer, Timing


@dataclass(frozen=True)
class Config:
    """Time the encoders of SPLite: dense in torch and ONNX Runtime, sparse in the native engine; in float and int8.

    MinkowskiEngine (scripts/build_minkowski.sh) and spconv (pip install spconv) take part where they are installed.
    """

    backbones: tuple[Literal["resnet18", "resnet50"], ...] = ("resnet18", "resnet50")
    """Which encoders."""
    sparsities: tuple[float, ...] = (0.8, 0.85, 0.9, 0.95)
    """Shares of the input's pixels off the sites."""
    images: tuple[Literal["edges", "random"], ...] = ("edges", "random")
    """Edge maps of rendered hands before backgrounds, whose thresholds give the sparsity; pixels drawn one by one."""
    width: int = 64
    """Channels of the stem."""
    size: int = 128
    """Side of the input, px."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads; with one its processor time counts, with more the clock."""
    repeats: int = 30
    """Runs of each, in turns."""
    layers: bool = False
    """Show every layer of the native engine: sites, multiply-adds, rate, share of the core's best."""
    weight_bits: Literal[7, 8] = 8
    """Of the weights in int8; 7 are faster on x86 without VNNI."""
    seed: int = 0
    """Seed of weights and images."""
    json: Path | None = None
    """File for the rows."""
    plot: Path | None = None
    """Figure to write (.svg or .png): time over sparsity."""
    verbose: Verbose = False
    """Log more."""


def job(settings: Config) -> None:
    """Run `hoi-bench sparse`."""
    from hoi_core import log, native
    from learning import sparse_plot
    from learning.sparse_bench import Cases, time_encoders

    cases = Cases(
        settings.backbones, settings.sparsities, settings.images, settings.width, settings.size, settings.repeats,
        settings.seed, settings.weight_bits, settings.threads,
    )  # fmt: skip
    timings, layers = time_encoders(cases)
    rows = {"timings": [row.to_dict() for row in timings], "layers": [row.to_dict() for row in layers]}
    write_json(settings.json, {"native": native.description(), **rows})
    if settings.plot is not None:
        sparse_plot.draw(timings, settings.plot)
    log.panel(
        f"hoi-bench sparse, one image of {settings.size} px; native {native.chosen_set()}", _timing_lines(timings)
    )
    if settings.layers:
        log.panel("layers of native_fp32: sites, multiply-adds, time, rate, share of the best", _layer_lines(layers))


def _timing_lines(timings: Sequence[Timing]) -> list[str]:
    lines = []
    for row in timings:
        if row.engine == timings[0].engine:
            stages = " ".join(f"{share:.2f}" for share in row.active[1:])
            where = f"{row.backbone}, {row.images}, {row.sparsity:.1%} off, threads: {row.threads}"
            lines.append(f"{where}; active at strides 2 to 32: {stages}")
        dense = "ort_int8" if row.engine.endswith("int8") else "ort_fp32"
        lines.append(f"    {row.engine:12s} {row.median_ms:8.2f} ms {row.speedup:6.2f} times as fast as {dense}")
    missing = {"minkowski": "scripts/build_minkowski.sh builds it", "spconv": "pip install spconv"}
    took_part = {row.engine for row in timings}
    return lines + [f"{name} is not installed: {how}" for name, how in missing.items() if name not in took_part]


def _layer_lines(layers: Sequence[Layer]) -> list[str]:
    lines, case = [], ""
    for row in layers:
        if case != (case := f"{row.backbone}, {row.images}, {row.sparsity:.1%} off"):
            lines.append(case)
        lines.append(
            f"{row.name:28s} {row.sites:6.0f} {row.multiply_adds / 1e6:7.2f} M {row.milliseconds * 1e3:6.0f} us "
            f"{row.gmacs:6.1f} G/s {row.of_peak:4.0%}"
        )
    return lines
