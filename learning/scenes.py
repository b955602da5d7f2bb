"""Scenes for the detector: drawn when they are first asked for, kept in memory, changed anew each time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dataset_tools.scenes import Scene, SceneMaker
from hoi_core.conventions import SIDES
from hoi_core.detect import GRAY
from hoi_core.errors import ConfigError
from hoi_core.network_input import network_input
from hoi_core.plugins import unknown_name
from hoi_core.types import F32, F64, I64, U8, Bool
from learning.augment import Augment, occlude, random_blur, random_colours
from learning.items import DataConfig

NAME = "scenes"
_SPLITS = {"train": (0, 6_000), "test": (1, 500)}
"""Seed and number of images."""

MOST_HANDS = 2
_SHAPES = (1.0, 4 / 3, 4 / 3, 16 / 9, 3 / 4)
"""Widths over heights of the cameras that there are."""


@dataclass(frozen=True)
class SceneItem:
    """One row of a batch."""

    pixels: U8
    """(3, S, S) RGB."""
    boxes_px: F64
    """(2, 4) px, 0 where there is no hand."""
    sides: I64
    """(2,) 0 right, 1 left, -1 no hand."""
    clear: Bool
    """(2,) whether the hand must be found."""


def scene_item(scene: Scene, augment: Augment | None, rng: np.random.Generator) -> SceneItem:
    """A scene as the network is shown it; a mirrored image shows right hands as left ones, and says so."""
    image = scene.color
    boxes = np.zeros((MOST_HANDS, 4))
    sides, clear = np.full(MOST_HANDS, -1), np.zeros(MOST_HANDS, np.bool_)
    for k, hand in enumerate(scene.hands):
        boxes[k], sides[k], clear[k] = hand.box, SIDES.index(hand.side), hand.clear
    if augment is not None:
        if rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
            boxes[:, [0, 2]] = len(image) - 1 - boxes[:, [2, 0]]
            sides = np.where(sides >= 0, 1 - sides, -1)
        if rng.random() < augment.occluders:
            image = occlude(image, rng)
        if rng.random() < augment.blurred:
            image = random_blur(image, augment, rng)
        image = random_colours(image, augment, rng)
        image, boxes, seen = _letterboxed(image, boxes, _SHAPES[int(rng.integers(len(_SHAPES)))])
        clear &= seen
        sides = np.where(np.prod(boxes[:, 2:] - boxes[:, :2], -1) > 0, sides, -1)
    return SceneItem(np.ascontiguousarray(image.transpose(2, 0, 1)), boxes, sides, clear)


def _letterboxed(image: U8, boxes: F64, shape: float) -> tuple[U8, F64, Bool]:
    """Gray bars as beside an image that is not square, boxes cut there, and whether half of each box is left."""
    size = len(image)
    bar = round(size * (1.0 - min(shape, 1.0 / shape)) / 2)
    if bar == 0:
        return image, boxes, np.ones(len(boxes), np.bool_)
    axis = 1 if shape > 1 else 0
    out = image.copy()
    for part in (slice(0, bar), slice(size - bar, size)):
        out[(part, slice(None)) if axis == 1 else (slice(None), part)] = GRAY
    cut = boxes.copy()
    cut[:, [axis, axis + 2]] = boxes[:, [axis, axis + 2]].clip(bar - 0.5, size - bar - 0.5)
    before, after = (np.prod(b[:, 2:] - b[:, :2], -1) for b in (boxes, cut))
    return out, cut, after > 0.5 * before


@dataclass(frozen=True)
class StackedScenes:
    """The items of a batch as a loading process sends them."""

    pixels: U8
    """(B, 3, S, S) RGB."""
    boxes_px: F32
    """(B, 2, 4) px."""
    sides: I64
    """(B, 2)."""
    clear: Bool
    """(B, 2)."""


@dataclass(frozen=True)
class SceneBatch:
    """Whole images and the hands in them."""

    image: Tensor
    """(B, 3, S, S) colours in [-1, 1]."""
    boxes_px: Tensor
    """(B, 2, 4) px x0, y0, x1, y1 around the joints, cut at the border; 0 where there is no hand."""
    sides: Tensor
    """(B, 2) 0 right, 1 left, -1 no hand."""
    clear: Tensor
    """(B, 2) bool: whether the hand must be found."""


class SceneDataset(Dataset[SceneItem]):
    """Scenes, made when they are first asked for, and kept while they fit into memory."""

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
        """Nothing is read: scenes are drawn.

        Args:
            datasets: `scenes`.
            root: not used.
            split: `train` or `test`; hands, postures, grasps and rooms of the one are not those of the other.
            config: side of the images.
            augment: random changes for training, or None.
            seed: of the random changes.

        Raises:
            ConfigError: another dataset or split.
        """
        if datasets != NAME:
            raise ConfigError(f"a detector learns from whole images, got --dataset {datasets}.", f"Give {NAME}.")
        if split not in _SPLITS:
            raise unknown_name("split", split, list(_SPLITS))
        self.config, self.augment, self.seed = config, augment, seed
        self._drawn_by, self._count = _SPLITS[split]
        self._maker: SceneMaker | None = None
        self._kept: dict[int, Scene] = {}
        self._left = config.cache_mb * 1_000_000

    @staticmethod
    def licences(datasets: str) -> dict[str, str]:
        """As of `HandDataset`."""
        return {datasets: "your own; drawn with your MANO files they fall under MANO's licence"}

    def __len__(self) -> int:
        return self._count

    @property
    def sizes(self) -> list[int]:
        """Scenes of the split."""
        return [self._count]

    @property
    def weights(self) -> list[float]:
        """One dataset of full weight."""
        return [1.0]

    def scene(self, number: int) -> Scene:
        """A scene as it is drawn."""
        if number in self._kept:
            return self._kept[number]
        if self._maker is None:
            self._maker = SceneMaker(self.config.size, self._drawn_by)
        scene = self._maker.make(number)
        if scene.color.nbytes <= self._left:
            self._kept[number] = scene
            self._left -= scene.color.nbytes
        return scene

    def __getitem__(self, where: tuple[int, int]) -> SceneItem:
        number, position = where
        return scene_item(self.scene(number), self.augment, np.random.default_rng([self.seed, position]))

    def stack(self, items: list[SceneItem]) -> StackedScenes:
        """Items one over the other."""
        return StackedScenes(
            np.stack([i.pixels for i in items]),
            np.stack([i.boxes_px for i in items]).astype(np.float32),
            np.stack([i.sides for i in items]),
            np.stack([i.clear for i in items]),
        )

    def as_batch(self, stacked: StackedScenes) -> SceneBatch:
        """The same as tensors."""
        return SceneBatch(
            torch.from_numpy(network_input(stacked.pixels, self.config.input)),
            torch.from_numpy(stacked.boxes_px),
            torch.from_numpy(stacked.sides),
            torch.from_numpy(stacked.clear),
        )
