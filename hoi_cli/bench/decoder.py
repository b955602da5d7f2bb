"""Time mesh decoders side by side: a quarter of the channels, all of them, separable spirals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Verbose, write_json


@dataclass(frozen=True)
class Config:
    """Time the mesh decoders on one thread, layer by layer and whole, in torch and in ONNX Runtime."""

    repeats: int = 40
    """Runs of each, in turns."""
    spiral_length: int = 9
    """Vertices in a spiral."""
    latent: int = 256
    """Channels of the features at the joints."""
    seed: int = 0
    """Seed of weights and input."""
    json: Path | None = None
    """File for the rows."""
    verbose: Verbose = False
    """Log more."""


def job(settings: Config) -> None:
    """Run `hoi-bench decoder`."""
    from hoi_core import log
    from learning.decoder_bench import time_decoders

    rows = time_decoders(
        repeats=settings.repeats, spiral_length=settings.spiral_length, latent=settings.latent, seed=settings.seed
    )
    write_json(settings.json, [row.to_dict() for row in rows])
    lines = [
        f"{row.part:16s} {row.engine:8s} {row.decoder:7s} {row.median_ms:7.3f} ms  {row.speedup:5.2f} times as fast as "
        "spiral"
        for row in rows
    ]
    log.panel("hoi-bench decoder, 1 thread, one hand", lines)
