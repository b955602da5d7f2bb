"""The figures of a run while it trains: one flat line of JSON per event, and the same for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hoi_core.types import U8
from learning import runs


class Track:
    """Open log of a run."""

    def __init__(self, folder: Path, writer: Any | None) -> None:
        self._path, self._writer = folder / runs.METRICS, writer

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add the figures of a step.

        Raises:
            StorageError: the disk is full or not writable.
        """
        with runs.writing(self._path), self._path.open("a", encoding="utf8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name.replace("loss_", "loss/").replace("val_", "val/"), value, step)

    def picture(self, step: int, image: U8) -> None:
        """Show a picture in TensorBoard.

        Args:
            step: steps trained.
            image: `(H, W, 3)` RGB.
        """
        if self._writer is not None:
            self._writer.add_image("validation", image, step, dataformats="HWC")


@contextmanager
def track(folder: Path, step: int) -> Iterator[Track]:
    """Log into a run that goes on after `step`; what a stopped run logged beyond it is taken back.

    Args:
        folder: of the run.
        step: steps trained so far.
    """
    path = folder / runs.METRICS
    if path.exists():
        kept = [line for line in path.read_text(encoding="utf8").splitlines(keepends=True) if _step_of(line) <= step]
        with runs.writing(path):
            path.write_text("".join(kept), encoding="utf8")
    writer = _scalar_writer(folder / "tensorboard", step + 1)
    try:
        yield Track(folder, writer)
    finally:
        if writer is not None:
            writer.close()


def _step_of(line: str) -> float:
    """Step of a line; infinite for one that was cut off."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return float("inf")


def _scalar_writer(folder: Path, first_step: int) -> Any | None:
    """A TensorBoard log that forgets what it held from `first_step` on; None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first_step)
