"""What IK networks learn from: hands with their joint angles, of datasets and drawn at random. No image is read.

`limits` are hands whose angles are anywhere inside their limits, `postures` such as people take (those of the preset
ManoRender). Other names are datasets, whose angles `hoi-data angles` fits; what is missing of them is fitted first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dataset_tools import angles as fitted
from dataset_tools import mix
from dataset_tools.synth.capsules import capsules_of
from dataset_tools.synth.postures import draw_postures
from hoi_core import plugins, rotation
from hoi_core.conventions import BONES, N_BETAS, N_JOINTS, mirror_x
from hoi_core.ik import ALL_ANGLES, BIOMECHANICAL, ik_hand
from hoi_core.ik.bones import bone_lengths, bones
from hoi_core.ik.place import upright_points
from hoi_core.ik.start import rest_joints
from hoi_core.mano import ManoLayer
from hoi_core.types import F32, F64, I64, Bool
from learning.augment import Augment
from learning.items import DataConfig

DRAWN = ("limits", "postures")
"""Names of what is drawn, not read."""
_SPLITS = {"train": 20_000, "val": 1_000, "test": 1_000}
"""Hands of each split of what is drawn."""
_MOST_BETAS = 2.2  # as of rendered hands
_LICENCE = "your own; drawn with your MANO files it falls under MANO's licence"


@dataclass(frozen=True)
class Hands:
    """Right hands (left ones are mirrored), upright: in the axes of the template, the wrist in the origin. N hands."""

    joints_m: F64
    """(N, 21, 3) m as labelled, openpose21."""
    angles: F64
    """(N, 23) rad, `BIOMECHANICAL`, inside the limits."""
    all_angles: F64
    """(N, 45) rad, `ALL_ANGLES`."""
    betas: F64
    """(N, 10)."""
    labelled: Bool
    """(N,) whether the shape is labelled."""
    keys: tuple[str, ...]
    """Of the samples."""


@dataclass(frozen=True)
class AngleItem:
    """One row of a batch."""

    joints_m: F64
    """(21, 3) m as the network sees them, with their noise."""
    number: int
    """Of the hand."""


@dataclass(frozen=True)
class StackedAngles:
    """The items of a batch as a loading process sends them."""

    bones: F32
    """(B, 80)."""
    numbers: I64
    """(B,) of the hands."""


@dataclass(frozen=True)
class AngleBatch:
    """Bones, and what they come from."""

    bones: Tensor
    """(B, 80) of `hoi_core.ik.bones`."""
    joints_m: Tensor
    """(B, 21, 3) m, upright, without noise."""
    joints_valid: Tensor
    """(B, 21) bool: all of them."""
    angles: Tensor
    """(B, 23) rad."""
    all_angles: Tensor
    """(B, 45) rad."""
    betas: Tensor
    """(B, 10)."""
    betas_valid: Tensor
    """(B,) bool: whether the shape is labelled, not solved."""


class AngleDataset(Dataset[AngleItem]):
    """One or more sources of hands; indexed by (number, position in the run)."""

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
        """Draw hands, or read their angles; they stay in memory.

        Args:
            datasets: names joined by `+`, with weights (`limits+freihand:0.5`).
            root: where the datasets lie.
            split: name of the split.
            config: whether the network knows the shape (`shaped_bones`).
            augment: noise of the joints for training, or None.
            seed: of the noise.

        Raises:
            HoiError: an unknown dataset or split, or a root that does not hold it.
        """
        self.parts = mix.parse(datasets, DRAWN)
        self.config, self.augment, self.seed, self.root = config, augment, seed, Path(root)
        self._hands = [_hands(part.name, self.root, split) for part in self.parts]
        self._all = _joined(self._hands)
        hand = ik_hand(ManoLayer.from_env("right"))
        self._mean_rest_m = rest_joints(hand, np.zeros((1, N_BETAS)))[0]
        self._rest_m = rest_joints(hand, self._all.betas) if config.input == "shaped_bones" else None

    @staticmethod
    def licences(datasets: str) -> dict[str, str]:
        """As of `HandDataset`."""
        return {
            part.name: _LICENCE if part.name in DRAWN else plugins.load("dataset_tools.readers", part.name).INFO.licence
            for part in mix.parse(datasets, DRAWN)
        }

    def __len__(self) -> int:
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """Hands of each source."""
        return [len(hands.keys) for hands in self._hands]

    @property
    def weights(self) -> list[float]:
        """Weight of each source."""
        return [part.weight for part in self.parts]

    def place(self, number: int) -> tuple[str, str]:
        """Source and key of one hand."""
        part = int(np.searchsorted(np.cumsum(self.sizes), number, side="right"))
        return self.parts[part].name, self._all.keys[number]

    def group(self, number: int) -> str:
        """Hands of one group are alike; a drawn one is like no other."""
        name, key = self.place(number)
        return f"{name}/{key if name in DRAWN else plugins.load('dataset_tools.readers', name).group(key)}"

    def __getitem__(self, where: tuple[int, int]) -> AngleItem:
        number, position = where
        joints = self._all.joints_m[number]
        if self.augment is not None:
            joints = disturbed(joints, self.augment.joints_mm, np.random.default_rng([self.seed, position]))
        return AngleItem(joints, number)

    def stack(self, items: list[AngleItem]) -> StackedAngles:
        """Items one over the other, as bones."""
        numbers = np.array([item.number for item in items], dtype=np.int64)
        joints = np.stack([item.joints_m for item in items])
        rest, lengths = self._mean_rest_m, None
        if self._rest_m is not None:
            rest = self._rest_m[numbers]
            lengths = bone_lengths(rest)
        return StackedAngles(bones(joints, rest, lengths).astype(np.float32), numbers)

    def as_batch(self, stacked: StackedAngles) -> AngleBatch:
        """The same as tensors, with what they come from."""

        def tensor(values: F64) -> Tensor:
            return torch.from_numpy(values[stacked.numbers].astype(np.float32))

        hands = self._all
        return AngleBatch(
            bones=torch.from_numpy(stacked.bones),
            joints_m=tensor(hands.joints_m),
            joints_valid=torch.ones(len(stacked.numbers), N_JOINTS, dtype=torch.bool),
            angles=tensor(hands.angles),
            all_angles=tensor(hands.all_angles),
            betas=tensor(hands.betas),
            betas_valid=torch.from_numpy(hands.labelled[stacked.numbers]),
        )


def disturbed(joints_m: F64, most_mm: float, rng: np.random.Generator) -> F64:
    """Joints as a network that sees them in an image says them.

    Each joint errs for itself, and along a finger errors add up, as what is far from the palm is seen worst. How much
    all of them err is drawn for each hand.

    Args:
        joints_m: `(21, 3)` m.
        most_mm: largest standard deviation of both kinds, mm.
        rng: decides.
    """
    sigma_m = 1e-3 * most_mm * rng.random()
    own, along = rng.normal(size=(2, N_JOINTS, 3))
    return joints_m + sigma_m * (own + _BELOW @ along)


def _below() -> F64:
    """(21, 21): 1 where the column's joint is the row's or lies between it and the wrist."""
    below = np.eye(N_JOINTS)
    below[0] = 0.0
    for parent, joint in BONES:
        below[joint] += below[parent]
    return below


_BELOW = _below()


def _hands(name: str, root: Path, split: str) -> Hands:
    if name in DRAWN:
        if split not in _SPLITS:
            raise plugins.unknown_name("split", split, list(_SPLITS))
        return _drawn(name, _SPLITS[split], list(_SPLITS).index(split))
    return _of_dataset(fitted.make(root, name, split))


def _drawn(name: str, count: int, seed: int) -> Hands:
    """Hands that nobody labelled; those of other splits have other seeds."""
    rng = np.random.default_rng([DRAWN.index(name), seed])
    layer = ManoLayer.from_env("right")
    limits = BIOMECHANICAL.limits_rad
    angles = (
        rng.uniform(limits[:, 0], limits[:, 1], (count, len(BIOMECHANICAL)))
        if name == "limits"
        else BIOMECHANICAL.pack(draw_postures(count, capsules_of(layer), rng)[0])
    )
    betas = rng.normal(0.0, 1.0, (count, N_BETAS)).clip(-_MOST_BETAS, _MOST_BETAS)
    joints = upright_points(ik_hand(layer), angles, betas)[:, :N_JOINTS]
    return Hands(
        joints - joints[:, :1],
        angles,
        ALL_ANGLES.pack(BIOMECHANICAL.unpack(angles)),
        betas,
        np.ones(count, dtype=np.bool_),
        tuple(f"{n:06d}" for n in range(count)),
    )


def _of_dataset(found: fitted.Angles) -> Hands:
    """Labelled hands, turned as their fit says."""
    relative = found.joints_m - found.joints_m[:, :1]
    upright = np.einsum("bji,bkj->bki", rotation.exp_so3(found.orient), relative)
    return Hands(
        np.where(found.left[:, None, None], mirror_x(upright), upright),
        found.angles,
        found.all_angles,
        found.betas,
        found.labelled,
        tuple(found.keys.tolist()),
    )


def _joined(parts: list[Hands]) -> Hands:
    arrays = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Hands)[:-1]}
    return Hands(**arrays, keys=tuple(key for part in parts for key in part.keys))
