"""What an answer that looks at no image gets: the mean hand of the training images. Whoever beats it has learnt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hoi_core.crop import LENGTH_UNIT_M, network_space
from hoi_core.plain import plain
from hoi_core.types import F64, Batch
from learning.data import HandDataset, loader
from learning.eval_report import write_samples
from learning.evaluate import measure
from learning.items import DataConfig
from learning.order import InOrder
from learning.tasks import hand

_LOOKED_AT = 2000
_BATCH = 32


@dataclass(frozen=True)
class MeanHand:
    """A network that looks at no image: it says one hand, in the raw outputs of `learning.tasks.hand`."""

    joints_m: F64
    """(21, 3) m, crop frame."""
    vertices_m: F64
    """(778, 3) m, crop frame."""

    def __call__(self, batch: Batch) -> tuple[F64, ...]:
        """`uv`, `depth` and `vertices` that `crop.camera_space` reads this hand from, by each crop's own lens."""
        size, focal_px = batch.image.shape[-1], batch.K[:, 0, 0].double().numpy()
        count = len(focal_px)
        vertices = (self.vertices_m - self.joints_m[0]) / LENGTH_UNIT_M
        uv, depth = network_space(np.tile(self.joints_m, (count, 1, 1)), focal_px, size)
        return uv, depth, np.tile(vertices, (count, 1, 1))


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
    found = measure(answer, hand, samples, batches)
    folder.mkdir(parents=True, exist_ok=True)
    write_samples(folder / "rgb.csv", found)
    (folder / "rgb.json").write_text(json.dumps(plain(found.figures()), indent=2) + "\n", encoding="utf8")
