"""Latency of exported models, run in turns so that a busy moment of the machine hits all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hoi_core import runtime
from hoi_core.errors import ConfigError
from hoi_core.runtime import Engine
from hoi_core.types import F32


@dataclass(frozen=True)
class Timing:
    """One engine on one case."""

    file: Path
    """The exported model."""
    net: str
    """Name of the network."""
    engine: str
    """`ort_fp32`, `ort_int8` or `native_fp32`."""
    input: int
    """Side of the crop, px."""
    sparsity: float
    """Share of pixels off the sites."""
    threads: int
    """Threads used."""
    median_ms: float
    """Median time of one crop, ms."""
    p99_ms: float
    """Time that 99 of 100 runs did not exceed, ms."""
    megabytes: float
    """Size of the file, MB."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def random_edges(size: int, sparsity: float, seed: int) -> F32:
    """A fused input with independent random sites. `(1, 3, size, size)`."""
    rng = np.random.default_rng(seed)
    sites = rng.random((1, 1, size, size)) >= sparsity
    return (sites * rng.integers(1, 256, (1, 3, size, size)) / 255.0).astype(np.float32)


def _feed(session: Any, size: int, sparsity: float, seed: int) -> dict[str, F32]:
    """One sample of everything that a model is shown: such an image, and zeros."""
    return {
        port.name: random_edges(size, sparsity, seed)
        if port.name == "image"
        else np.zeros([side if isinstance(side, int) else 1 for side in port.shape], np.float32)
        for port in session.get_inputs()
    }


def time_models(
    files: Sequence[Path], *, engines: Sequence[Engine] = ("onnxruntime",), threads: int = 1, repeats: int = 60,
    sparsity: float = 0.88, seed: int = 0,
) -> list[Timing]:  # fmt: skip
    """Time models on one fixed image, interleaved.

    Args:
        files: exported models.
        engines: each runs every model.
        threads: per model.
        repeats: runs of each after a short warm-up.
        sparsity: share of the input's pixels off the sites.
        seed: of the input.

    Raises:
        ConfigError: no file, no engine, or a number that makes no sense.
        AssetError: an engine that does not run one of the models.
    """
    if not files or not engines or repeats < 1:
        raise ConfigError(
            "expected at least one exported model, one engine and one repeat.", "Type `hoi-bench model FILE.onnx`."
        )
    if threads < 1 or not 0.0 <= sparsity <= 1.0 or seed < 0:
        raise ConfigError(
            f"expected --threads >= 1, 0 <= --sparsity <= 1 and --seed >= 0, got {threads}, {sparsity} and {seed}.",
            "Correct the flag.",
        )
    cases = [(Path(file), runtime.read_sidecar(Path(file)), engine) for file in files for engine in engines]
    sessions = [runtime.open_session(file, sidecar, threads, engine)[0] for file, sidecar, engine in cases]
    feeds = [
        _feed(session, sidecar.size, sparsity, seed) for session, (_, sidecar, _) in zip(sessions, cases, strict=True)
    ]
    seconds: list[list[float]] = [[] for _ in cases]
    warm_up = min(5, repeats)
    for turn in range(repeats + warm_up):
        for session, feed, times in zip(sessions, feeds, seconds, strict=True):
            start = time.perf_counter()
            session.run(None, feed)
            if turn >= warm_up:
                times.append(time.perf_counter() - start)
    return [
        Timing(
            file=file,
            net=sidecar.model,
            engine=f"{'ort' if engine == 'onnxruntime' else engine}_{sidecar.precision}",
            input=sidecar.size,
            sparsity=sparsity,
            threads=threads,
            median_ms=float(np.median(times) * 1e3),
            p99_ms=float(np.percentile(times, 99) * 1e3),
            megabytes=file.stat().st_size / 1e6,
        )
        for (file, sidecar, engine), times in zip(cases, seconds, strict=True)
    ]
