"""What a training run is told. Imports no torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro

from hoi_core import config, plugins
from hoi_core.edges import EdgeParams
from hoi_core.errors import ConfigError
from learning.augment import Augment
from learning.scheme import Heads, Scheme, WeightBits

M = TypeVar("M")

Engine = Literal["masked", "minkowski"]
"""What computes a sparse encoder: the same numbers from the same weights. What is exported is always `masked`."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses; SPLite's paper gives none.

    Of networks of lixels `depth`, `vertex`, `normal` and `edge` count as well, in lixels.
    """

    reproj: float = 5.0
    """Projected joints, squared."""
    pose: float = 5.0
    """Joints relative to the wrist, squared."""
    depth: float = 1.0
    """Depth of the joints, squared."""
    heatmap: float = 1.0
    """Divergence of the maps of joints from Gaussians, of networks that have such maps; 0 trains without, as the paper
    does."""
    smooth: float = 0.1
    """Difference of neighbouring vertices, squared (alone it would shrink the mesh to a point)."""
    vertex: float = 1.0
    """Vertices relative to the wrist, absolute."""
    normal: float = 0.1
    """Edges along the true normals."""
    edge: float = 1.0
    """Lengths of edges, absolute."""
    laplacian: float = 0.0
    """Distance of a vertex from the mean of its neighbours, squared: smoothness that shrinks the mesh less."""
    lixel_pose: float = 1.0
    """Of networks of lixels: joints of each stage, absolute, in lixels."""
    hand_places: float = 100.0
    """Of networks of hand and object: joints in the hand's box, squared."""
    hand_joints: float = 1e4
    """Of the same: joints relative to the wrist, m, squared."""
    hand_vertices: float = 1e4
    """Of the same: vertices relative to the wrist, m, squared."""
    hand_rotations: float = 10.0
    """Of the same: rotation matrices of the hand's joints, squared."""
    hand_shape: float = 0.1
    """Of the same: the hand's shape, squared."""
    object_places: float = 500.0
    """Of the same: control points in the object's box, absolute."""
    object_trust: float = 100.0
    """Of the same: how near each cell thinks its control points are, absolute."""
    ik_angle: float = 1.0
    """Of IK networks: angles, absolute, in rad (Eq. 6 of Fan and Wang 2023)."""
    ik_shape: float = 1.0
    """The same: shape, absolute (Eq. 7)."""
    ik_joint: float = 1.0
    """The same: joints that both give, absolute, in cm (Eq. 8)."""
    pair: float = 1.0
    """With --pairs: joints of the two views' hands, turned into one frame, squared."""
    pair_depth: float = 1.0
    """With --pairs: what one view says of the other's depths, squared."""


@dataclass(frozen=True)
class TrainConfig(Generic[M]):
    """One training run."""

    net: M
    """Options of the chosen model."""
    model: str = "splite"
    """Name of the model, a file of learning/models."""
    dataset: str = "ours"
    """Datasets joined by `+`, with weights: ours+freihand:0.5."""
    data: Path | None = None
    """Root of the datasets; else $HOI_DATA, else ./data."""
    out: Path | None = None
    """Folder of the run; an existing one is never overwritten."""
    steps: int = 300
    """Optimiser steps in all."""
    epochs: float | None = None
    """Passes over the data, instead of --steps."""
    batch_size: int = 16
    """Samples per step, over all processes."""
    pairs: bool = False
    """Fill the batch with two views of each instant, and ask that they agree (weights: --pair, --pair-depth)."""
    lr: float | None = None
    """Largest learning rate; 1e-3, with --qat 1e-4."""
    schedule: Literal["cosine", "step", "stairs"] = "cosine"
    """`cosine` falls to 1 %; `step` falls tenfold once, or twice; `stairs` falls again and again."""
    drop_at: float = 30 / 38
    """Share of the run at which `--schedule step` falls; SPLite's paper has 30 of 38 epochs."""
    drop_again_at: float = 1.0
    """Share of the run at which it falls once more; 1 for never. Fan and Wang 2023 have 30 and 35 of 40 epochs."""
    drop_every: float = 0.1
    """Share of the run between two falls of `--schedule stairs`."""
    drop_by: float = 0.5
    """What is left of the rate at each of them."""
    drop_until: float = 0.5
    """Share of the run behind which it falls no more."""
    clip: float = 1.0
    """Largest gradient norm."""
    weight_decay: float = 0.0
    """Share of each weight that is added to its gradient (L2)."""
    size: int = 128
    """Side of the crop, px; a multiple of 32."""
    qat: bool = False
    """Train with simulated int8 arithmetic, from the run that --from names."""
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Run whose weights to start from."""
    weight_bits: WeightBits = 8
    """Bits of weights with --qat; 7 for processors without VNNI that are to be fast (docs/quantisation.md)."""
    heads: Heads = "int8"
    """Arithmetic, with --qat, of the layers that give the outputs."""
    freeze: float = 0.7
    """Share of a --qat run after which the ranges stay fixed."""
    resume: bool = False
    """Go on with the run in --out."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    workers: int = 0
    """Loading processes; 0 loads in the training process, best on few cores."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    processes: int = 1
    """Processes of this machine; batch norm counts the sites of all of them."""
    engine: Engine = "masked"
    """What computes sparse encoders: `masked`, on any device; `minkowski`, MinkowskiEngine where it is installed."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic; `auto` is bf16-mixed for float training on a GPU that has it, else 32-true."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between checkpoints."""
    keep: int = 2
    """Newest checkpoints that stay, besides the best one."""
    validate_every: int = 500
    """Steps between validations, one more at the end; 0 for none."""
    validate_split: str | None = None
    """Split to validate on; by default `val`, where the datasets have it. One that you report on is no good choice."""
    validate_samples: int = 1000
    """Samples of that split, drawn once."""
    watch: str = "loss"
    """Figure of the validation that decides which checkpoint is best; small is good."""
    patience: int = 0
    """Validations without a better one after which the run ends; 0 goes on to the last step."""
    ema: float = 0.0
    """Keep a running average of the weights, of which each step leaves this share (0.999); 0 for the weights alone."""
    check: bool = True
    """Begin a run of 100 steps or more with one batch through all that it will come to: export, space on the disk."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Weights of the losses."""
    augment: Augment = field(default_factory=Augment)
    """Random changes of the images."""
    edges: EdgeParams = field(default_factory=EdgeParams)
    """How edges are made."""
    config: Path | None = None
    """Settings to start from, flags win over them: a preset (`splite_paper`; an unknown name lists all), an earlier
    run, or a YAML file."""
    json: Path | None = None
    """File for the final figures."""
    dry_run: bool = False
    """Check everything and stop before training."""
    mano: Path | None = None
    """Folder of your MANO_RIGHT.pkl and MANO_LEFT.pkl; else $HOI_MANO, else the stand-in hand."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Log more."""

    def __post_init__(self) -> None:
        """Check what single flags cannot."""
        if self.steps < 1 or self.batch_size < 1 or self.size < 32 or self.size % 32:
            raise ConfigError(
                f"expected --steps >= 1, --batch-size >= 1 and --size a multiple of 32, got {self.steps}, "
                f"{self.batch_size} and {self.size}.",
                "Correct the flag.",
            )
        positive = ("processes", "log_every", "save_every", "keep", "validate_samples")
        for name, least in (
            *((name, 1) for name in positive),
            *((n, 0) for n in ("workers", "validate_every", "patience")),
        ):
            if getattr(self, name) < least:
                flag = name.replace("_", "-")
                raise ConfigError(f"expected --{flag} >= {least}, got {getattr(self, name)}.", "Correct the flag.")
        # Written so that NaN fails too.
        if not 0 < self.drop_at <= 1 or not 0 < self.drop_again_at <= 1:
            raise ConfigError(
                f"expected --drop-at and --drop-again-at above 0 and up to 1, got {self.drop_at} and "
                f"{self.drop_again_at}.",
                "Correct the flag.",
            )
        if not (0 < self.drop_every <= 1 and 0 < self.drop_by <= 1 and 0 <= self.drop_until <= 1):
            raise ConfigError(
                "expected --drop-every and --drop-by above 0 and up to 1, --drop-until from 0 to 1, got "
                f"{self.drop_every}, {self.drop_by} and {self.drop_until}.",
                "Correct the flag.",
            )
        if not 0 <= self.weight_decay < 1:
            raise ConfigError(
                f"expected --weight-decay from 0 to below 1, got {self.weight_decay}.", "Correct the flag."
            )
        if not (self.peak_lr > 0 and self.clip > 0 and 0 <= self.freeze <= 1 and self.seed >= 0 and 0 <= self.ema < 1):
            raise ConfigError(
                f"expected --lr and --clip above 0, --freeze from 0 to 1, --seed >= 0 and --ema from 0 to below 1, got "
                f"{self.peak_lr}, {self.clip}, {self.freeze}, {self.seed} and {self.ema}.",
                "Correct the flag.",
            )
        if self.pairs and self.batch_size % (2 * self.processes):
            raise ConfigError(
                f"--pairs needs an even batch in each process, got --batch-size {self.batch_size} over "
                f"{self.processes}.",
                "Change --batch-size.",
            )
        if self.batch_size % self.processes:
            raise ConfigError(
                f"--batch-size {self.batch_size} does not divide by --processes {self.processes}.", "Change one."
            )
        if self.epochs is not None and not self.epochs > 0:
            raise ConfigError(f"expected --epochs above 0, got {self.epochs}.", "Correct the flag.")
        if self.qat and self.from_run is None:
            raise ConfigError("--qat needs the float run to start from.", "Add --from RUN.")
        if self.qat and self.engine != "masked":
            raise ConfigError(f"--qat simulates the arithmetic of masked, not of {self.engine}.", "Leave --engine out.")
        if self.resume and self.out is None:
            raise ConfigError("--resume needs the run to go on with.", "Add --out RUN.")

    @property
    def peak_lr(self) -> float:
        """The largest learning rate."""
        if self.lr is not None:
            return self.lr
        return 1e-4 if self.qat else 1e-3

    @property
    def freeze_step(self) -> int:
        """Steps of a --qat run after which the ranges stay fixed; ranges of which nothing was seen round nothing."""
        return max(1, int(self.freeze * self.steps))

    @property
    def scheme(self) -> Scheme:
        """What --qat rounds how."""
        return Scheme(self.weight_bits, self.heads)


def settings_from(values: dict[str, Any], where: str) -> TrainConfig[Any]:
    """Build the configuration of a run from plain values, the model's options by the model's own class."""
    plain = dict(values)
    module = plugins.load("learning.models", str(plain.get("model", "splite")))
    plain["net"] = config.from_dict(module.Config, plain.get("net") or {}, f"{where}: net")
    if plain.get("qat") and "heads" not in plain:
        plain["heads"] = "float"  # a run of before there was a choice
    for name in ("data", "out", "from_run", "config", "json"):
        plain[name] = Path(str(plain[name])) if plain.get(name) else None
    return config.from_dict(TrainConfig, plain, where)
