"""Datasets to batches: what is read, kept in memory, stacked and sent between processes."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dataset_tools import mix, readers
from hoi_core import plugins
from hoi_core.errors import ConfigError
from hoi_core.network_input import Input, network_input
from hoi_core.types import F32, F64, U8, Batch, Bool, Sample
from learning.augment import Augment
from learning.items import DataConfig, Framed, Item, around_hand, framed, make_item
from learning.order import Sampler

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

B = TypeVar("B", bound="DataclassInstance")

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


@dataclass(frozen=True)
class Stacked:
    """The items of a batch as a loading process sends them; tensors in shared memory cost four times as much."""

    pixels: U8
    """(B, C, S, S) of `hoi_core.network_input.pixels_of`."""
    K: F32
    """(B, 3, 3) px."""
    joints_m: F32
    """(B, 21, 3) m."""
    joints_valid: Bool
    """(B, 21)."""
    vertices_m: F32
    """(B, 778, 3) m; NaN where unknown."""
    joints_px: F32
    """(B, 21, 2) px."""
    pixels_valid: Bool
    """(B, 21)."""
    R_world_crop: F32
    """(B, 3, 3)."""
    mirrored: Bool
    """(B,)."""


def collate(items: list[Item], kind: Input = "edges") -> Batch:
    """Stack items into a batch of float32 tensors, their images of one kind."""
    return as_batch(stack(items), kind)


def stack(items: list[Item]) -> Stacked:
    """Items one over the other."""

    def numbers(arrays: list[F64]) -> F32:
        return np.stack(arrays, dtype=np.float32, casting="same_kind")

    return Stacked(
        pixels=np.stack([i.pixels for i in items]),
        K=numbers([i.K for i in items]),
        joints_m=numbers([i.joints_m for i in items]),
        joints_valid=np.stack([i.joints_valid for i in items]),
        vertices_m=numbers([i.vertices_m for i in items]),
        joints_px=numbers([i.joints_px for i in items]),
        pixels_valid=np.stack([i.pixels_valid for i in items]),
        R_world_crop=numbers([i.R_world_crop for i in items]),
        mirrored=np.array([i.mirrored for i in items]),
    )


def as_batch(stacked: Stacked, kind: Input) -> Batch:
    """The same as tensors, the pixels as the network's input."""
    vertices = torch.from_numpy(stacked.vertices_m)
    return Batch(
        image=torch.from_numpy(network_input(stacked.pixels, kind)),
        K=torch.from_numpy(stacked.K),
        joints_m=torch.from_numpy(stacked.joints_m),
        joints_valid=torch.from_numpy(stacked.joints_valid),
        vertices_m=vertices,
        vertices_valid=vertices.isfinite().flatten(1).all(1),
        joints_px=torch.from_numpy(stacked.joints_px),
        pixels_valid=torch.from_numpy(stacked.pixels_valid),
        R_world_crop=torch.from_numpy(stacked.R_world_crop),
        mirrored=torch.from_numpy(stacked.mirrored),
    )


def to_device(batch: B, device: torch.device) -> B:
    """The batch on another device."""

    def moved(value: Any) -> Any:
        return value.to(device) if isinstance(value, torch.Tensor) else value

    return type(batch)(**{f.name: moved(getattr(batch, f.name)) for f in fields(batch)})


class HandDataset(Dataset[Item]):
    """One or more datasets, cropped; indexed by (sample number, position in the run)."""

    def __init__(
        self,
        datasets: str,
        root: Path,
        split: str,
        config: DataConfig,
        *,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        """Index the datasets; no file stays open.

        Args:
            datasets: names joined by `+`, with weights (`ours+freihand:0.5`).
            root: where the datasets lie.
            split: name of the split.
            config: crop and edges.
            augment: random changes for training, or None.
            seed: of the random changes.

        Raises:
            HoiError: an unknown dataset or split, a root that does not hold it, or a dataset without joints in space.
        """
        self.parts = mix.parse(datasets)
        for part in self.parts:
            if config.space and not self._reader(part.name).INFO.camera_known:
                raise ConfigError(
                    f"{part.name} labels pixels only; the network learns joints in space.",
                    "Leave it out of --dataset, or train a network of joints in the image.",
                )
        self.config, self.augment, self.seed, self.root = config, augment, seed, Path(root)
        self._keys = [self._reader(p.name).index(readers.home(self.root, p.name), split) for p in self.parts]
        self._cache: dict[int, Sample] = {}
        self._cached_bytes = 0
        self._numbers: dict[int, dict[str, int]] = {}

    @staticmethod
    def _reader(name: str) -> ModuleType:
        return plugins.load("dataset_tools.readers", name)

    @classmethod
    def licences(cls, datasets: str) -> dict[str, str]:
        """Licence of each dataset; a model that learned from them is bound to all."""
        return {part.name: cls._reader(part.name).INFO.licence for part in mix.parse(datasets)}

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._keys)

    @property
    def sizes(self) -> list[int]:
        """Samples of each dataset."""
        return [len(keys) for keys in self._keys]

    @property
    def weights(self) -> list[float]:
        """Weight of each dataset."""
        return [p.weight for p in self.parts]

    def read(self, number: int) -> Sample:
        """Read one sample as its dataset has it."""
        name, key = self.place(number)
        sample: Sample = self._reader(name).read(readers.home(self.root, name), key)
        return sample

    def place(self, number: int) -> tuple[str, str]:
        """Dataset and key of one sample."""
        part, at = self._place(number)
        return self.parts[part].name, self._keys[part][at]

    def second_view(self, number: int) -> int | None:
        """The sample that shows the same instant from elsewhere; None where the split has none."""
        part, at = self._place(number)
        name = self.parts[part].name
        other_view = getattr(self._reader(name), "other_view", None)
        if other_view is None:
            return None
        found = other_view(readers.home(self.root, name), self._keys[part][at])
        if part not in self._numbers:
            self._numbers[part] = {key: n for n, key in enumerate(self._keys[part], sum(self.sizes[:part]))}
        return self._numbers[part].get(found)

    def _place(self, number: int) -> tuple[int, int]:
        """Number of a sample's dataset, and its place in there."""
        at = number
        for part, size in enumerate(self.sizes):
            if at < size:
                return part, at
            at -= size
        raise IndexError(f"sample {number} of {len(self)}")

    def sample(self, number: int) -> Sample:
        """Read one sample, cut to the part of the image that any crop can reach."""
        return self._kept(number, lambda n: around_hand(self.read(n), self.augment, in_space=self.config.space))

    def _kept(self, number: int, make: Callable[[int], Sample]) -> Sample:
        """What `make` gives, kept in memory while there is room."""
        if number in self._cache:
            return self._cache[number]
        found = make(number)
        if self._cached_bytes + found.image.nbytes <= self.config.cache_mb * 1_000_000:
            self._cache[number] = found
            self._cached_bytes += found.image.nbytes
        return found

    def __getitem__(self, where: tuple[int, int]) -> Item:
        number, position = where
        rng = np.random.default_rng([self.seed, position])
        return make_item(self.sample(number), self.config, self.augment, rng)

    def framed(self, number: int) -> Framed:
        """The crop of evaluation of a sample, and the labels of the hand in it."""
        return framed(self.sample(number), self.config.size, None, np.random.default_rng(0))

    def stack(self, items: list[Item]) -> Stacked:
        """Items one over the other."""
        return stack(items)

    def as_batch(self, stacked: Stacked) -> Batch:
        """The same as tensors, the pixels as the network's input."""
        return as_batch(stacked, self.config.input)


def loader(dataset: Any, batches: Sampler, workers: int) -> Iterable[Any]:
    """A loader of batches; each worker opens the files it reads by itself.

    Args:
        dataset: a `HandDataset`, or what a task has in its place: with `stack` and `as_batch`.
        batches: which samples come when.
        workers: loading processes.
    """
    _one_thread()
    stacked = DataLoader(
        dataset, batch_sampler=batches, num_workers=workers, collate_fn=dataset.stack, worker_init_fn=_start_worker
    )
    return _Batches(stacked, dataset.as_batch)


@dataclass(frozen=True)
class _Batches:
    """Batches of what loading processes send."""

    stacked: Iterable[Any]
    as_batch: Callable[[Any], Any]

    def __iter__(self) -> Iterator[Any]:
        return map(self.as_batch, self.stacked)


def _one_thread() -> None:
    """On small crops OpenCV's threads cost more than they give, and their number changes the last bit of a pixel."""
    import cv2

    cv2.setNumThreads(1)


def _start_worker(worker: int) -> None:
    """Make a loading process end with the training that started it, even a killed one.

    It shares the lock on the folder of the run: while it lived, the run could not be resumed.
    """
    _one_thread()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
