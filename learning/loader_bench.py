"""What each step from a file to a batch costs, and how many samples a second the loader gives."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from hoi_core import crop as crops
from hoi_core.edges import edge_maps
from hoi_core.errors import ConfigError
from hoi_core.types import U8
from learning import augment as changes
from learning.augment import Augment
from learning.data import HandDataset, collate, loader
from learning.items import DataConfig, around_hand, covered_by, framed
from learning.order import StepSampler

T = TypeVar("T")
_PASSES = 3
_LONGER = 4  # the whole loader is run for so many times as many samples
_MADE = 256


@dataclass(frozen=True)
class Step:
    """One step of loading."""

    name: str
    """What is done."""
    ms: float
    """CPU time of a sample that takes it, ms: the median of some passes."""
    share: float = 1.0
    """Share of the samples that take it."""

    def __str__(self) -> str:
        return f"{self.name:20s} {self.ms:6.3f} ms, {100 * self.share:3.0f} % of the samples"


@dataclass(frozen=True)
class Rate:
    """Samples from the loader."""

    name: str
    """Where they came from."""
    per_second: float
    """On this machine as it was, once the processes run."""
    cpu_ms: float
    """CPU time of all processes for one sample, ms."""
    workers: int
    """Loading processes."""

    def __str__(self) -> str:
        idle = 1e3 * max(self.workers, 1) / self.cpu_ms
        return (
            f"{self.name:20s} {self.per_second:6.0f} samples/s; {self.cpu_ms:.2f} ms CPU each, so {idle:.0f} samples/s "
            f"on {max(self.workers, 1)} core(s) where nothing else runs"
        )


@dataclass(frozen=True)
class Case:
    """What is loaded, and how."""

    datasets: str
    """As for `hoi-train --dataset`."""
    root: Path
    """Where the datasets lie."""
    size: int = 128
    """Side of the crop, px."""
    samples: int = 512
    """How many are timed, and four times as many in the whole loader."""
    batch_size: int = 32
    """Samples in a batch."""
    workers: int = 2
    """Loading processes."""
    seed: int = 0
    """Of choice and changes."""

    def __post_init__(self) -> None:
        if min(self.samples, self.batch_size, self.size) < 1 or self.workers < 0 or self.seed < 0:
            raise ConfigError(
                "expected samples, batch size and size of 1 or more, workers and seed of 0 or more; got "
                f"{self.samples}, {self.batch_size}, {self.size}, {self.workers} and {self.seed}.",
                "Correct them.",
            )

    def dataset(self, cache_mb: int) -> HandDataset:
        """The training split with full augmentation."""
        config = DataConfig(self.size, cache_mb=cache_mb)
        return HandDataset(self.datasets, self.root, "train", config, augment=Augment(), seed=self.seed)


@contextmanager
def data_for(datasets: str, data: Path | None, size: int) -> Iterator[Path]:
    """The root of the datasets; where none is given, that of a small synthetic set, for as long as it is needed.

    Raises:
        ConfigError: no root for a dataset that cannot be made.
    """
    if data is not None:
        yield data
        return
    if datasets != "synth":
        raise ConfigError(f"no data are given for {datasets}.", "Add --data DIR, or leave out --dataset.")
    from dataset_tools.synth import Generator, Recipe
    from dataset_tools.synth.run import make_set

    with tempfile.TemporaryDirectory() as folder:
        make_set(Generator(Recipe("mano_render", _MADE, size)), Path(folder) / "synth" / "set", 1)
        yield Path(folder)


def steps(case: Case) -> list[Step]:
    """Time each step alone, in this process.

    Raises:
        HoiError: the datasets cannot be read.
    """
    dataset, augment = case.dataset(0), Augment()
    numbers = np.random.default_rng(case.seed).integers(len(dataset), size=case.samples).tolist()
    dataset[numbers[0], 0]  # compiles

    def rngs() -> Iterable[np.random.Generator]:
        return (np.random.default_rng([case.seed, n]) for n in range(case.samples))

    def each(change: Callable[[U8, np.random.Generator], T], images: list[U8]) -> tuple[float, list[T]]:
        return _timed(lambda: [change(image, rng) for image, rng in zip(images, rngs(), strict=True)], case.samples)

    read_ms, samples = _timed(lambda: [dataset.read(n) for n in numbers], case.samples)
    cut_ms, cuts = _timed(lambda: [around_hand(sample, augment) for sample in samples], case.samples)
    frame_ms, frames = _timed(
        lambda: [framed(cut, case.size, augment, rng) for cut, rng in zip(cuts, rngs(), strict=True)], case.samples
    )
    pairs = list(zip(cuts, frames, strict=True))
    crop_ms, images = _timed(lambda: [crops.warp(c.image, c.camera, f.crop) for c, f in pairs], case.samples)
    meshed = [(frame, cut.side) for cut, frame in pairs if frame.vertices_m is not None]
    mask_ms, masks = _timed(lambda: [covered_by(frame, side) for frame, side in meshed], max(len(meshed), 1))
    masked = list(zip(images, masks, rngs(), strict=False))
    ground_ms, _ = _timed(
        lambda: [changes.invent_background(image, mask, rng) for image, mask, rng in masked], max(len(masked), 1)
    )
    occlude_ms, _ = each(changes.occlude, images)
    blur_ms, _ = each(lambda image, rng: changes.random_blur(image, augment, rng), images)
    colour_ms, coloured = each(lambda image, rng: changes.random_colours(image, augment, rng), images)
    edge_ms, _ = _timed(lambda: [edge_maps(image) for image in coloured], case.samples)
    items = [dataset[n, n] for n in numbers]
    batch = case.batch_size
    collate_ms, _ = _timed(lambda: [collate(items[k : k + batch]) for k in range(0, len(items), batch)], case.samples)
    with_mesh = augment.background * len(meshed) / case.samples
    return [
        Step("read, decode, labels", read_ms),
        Step("cut around the hand", cut_ms),
        Step("place, labels", frame_ms),
        Step("crop", crop_ms),
        Step("silhouette", mask_ms, with_mesh),
        Step("background", ground_ms, with_mesh),
        Step("occluders", occlude_ms, augment.occluders),
        Step("blur", blur_ms, augment.blurred),
        Step("colours, noise", colour_ms),
        Step("edges", edge_ms),
        Step("collate", collate_ms),
    ]


def _timed(work: Callable[[], list[T]], count: int) -> tuple[float, list[T]]:
    """CPU time of one of `count`, ms, and what the work gave."""
    times = []
    for _ in range(_PASSES):
        begun_s = time.process_time()
        made = work()
        times.append(time.process_time() - begun_s)
    return 1e3 * float(np.median(times)) / count, made


def rates(case: Case) -> list[Rate]:
    """Run the whole loader: with every sample read anew, and with the samples kept in memory.

    Raises:
        HoiError: the datasets cannot be read.
    """
    fresh, kept = case.dataset(0), case.dataset(100_000)
    fresh[0, 0]  # compiles
    found = [_rate(case, fresh, "read anew")]
    for number in _first(case, kept):
        kept.sample(number)  # the workers get it with the fork
    return [*found, _rate(case, kept, "kept in memory")]


def _first(case: Case, dataset: HandDataset) -> set[int]:
    return {number for batch in _batches(case, dataset, _LONGER * case.samples) for number, _ in batch}


def _batches(case: Case, dataset: HandDataset, samples: int) -> StepSampler:
    return StepSampler(dataset.sizes, dataset.weights, case.batch_size, case.seed, 0, -(-samples // case.batch_size))


def _rate(case: Case, dataset: HandDataset, name: str) -> Rate:
    """A long run less a short one: to start the processes takes as long as hundreds of samples."""
    runs = [_run(case, _batches(case, dataset, samples), dataset) for samples in (1, _LONGER * case.samples)]
    done, took_s, busy_s = (after - before for before, after in zip(*runs, strict=True))
    return Rate(name, done / max(took_s, 1e-9), 1e3 * max(busy_s, 1e-9) / done, case.workers)


def _run(case: Case, batches: StepSampler, dataset: HandDataset) -> tuple[int, float, float]:
    """Samples, seconds, and seconds of CPU time."""
    busy_s, begun_s = _cpu_s(), time.perf_counter()
    done = sum(len(batch.image) for batch in loader(dataset, batches, case.workers))
    return done, time.perf_counter() - begun_s, _cpu_s() - busy_s


def _cpu_s() -> float:
    """CPU time of this process and of those that it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def rows(case: Case, timed: Iterable[Step | Rate]) -> list[dict[str, object]]:
    """The figures for machines."""
    about = {"case": "loader", "dataset": case.datasets, "input": case.size, "workers": case.workers}
    out: list[dict[str, object]] = []
    for figure in timed:
        values = asdict(figure)
        engine = values.pop("name")
        if isinstance(figure, Step):
            values["median_ms"] = values.pop("ms")
        out.append({**about, "engine": engine, **values})
    return out
