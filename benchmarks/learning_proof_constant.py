"""What an answer that looks at no image gets: the mean hand of the training images. Whoever beats it has learnt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hoi_core.plain import plain
from hoi_core.types import F64, Batch
from learning.data import HandDataset, loader
from learning.eval_report import write_samples
from learning.evaluate import measure
from learning.hand_errors import Errors, hand_errors
from learning.items import DataConfig
from learning.order import InOrder

_LOOKED_AT = 2000
_BATCH = 32


class MeanHand:
    """In place of a network's task: errors of one hand, the same for every image."""

    def __init__(self, joints_m: F64, vertices_m: F64) -> None:
        self.joints_m = joints_m
        """(21, 3) m, crop frame."""
        self.vertices_m = vertices_m
        """(778, 3) m, crop frame."""

    def errors(self, _: tuple[F64, ...], batch: Batch, *, allow_reflection: bool) -> Errors:
        """As those of `learning.tasks.hand`."""
        true = np.where(batch.joints_valid.numpy()[..., None], batch.joints_m.double().numpy(), np.nan)
        joints, vertices = (np.repeat(x[None], len(true), 0) for x in (self.joints_m, self.vertices_m))
        return hand_errors(joints, true, vertices, batch.vertices_m.double().numpy(), allow_reflection=allow_reflection)

    def pixels(self, _: tuple[F64, ...], batch: Batch) -> F64:
        """`(B, 21, 2)` px."""
        projected = self.joints_m @ batch.K.double().numpy().transpose(0, 2, 1)
        found: F64 = projected[..., :2] / projected[..., 2:]
        return found


def mean_hand(datasets: str, root: Path, config: DataConfig) -> MeanHand:
    """The mean of training hands in their crops, left ones mirrored: of all, or of 2000 at even distances."""
    samples = HandDataset(datasets, root, "train", config)
    step = max(1, len(samples) // _LOOKED_AT)
    items = [samples[number, 0] for number in range(0, len(samples), step)]
    known = [item for item in items if item.joints_valid.all() and np.isfinite(item.vertices_m).all()]
    return MeanHand(np.mean([i.joints_m for i in known], axis=0), np.mean([i.vertices_m for i in known], axis=0))


def measure_mean_hand(folder: Path, datasets: str, root: Path, size: int) -> None:
    """Write `rgb.json` and `rgb.csv`, as hoi-eval does of a model.

    Args:
        folder: of them.
        datasets: names of readers joined by `+`.
        root: where they lie.
        size: side of the crop, px.
    """
    config = DataConfig(size, cache_mb=0)
    answer = mean_hand(datasets, root, config)
    samples = HandDataset(datasets, root, "test", config)
    batches = loader(samples, InOrder(len(samples), _BATCH), 0)
    found = measure(lambda _: (), answer, samples, batches)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    write_samples(folder / "rgb.csv", found)
    (folder / "rgb.json").write_text(json.dumps(plain(found.figures()), indent=2) + "\n", encoding="utf8")
