"""Cut a dataset into shards for training at scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Write shuffled WebDataset shards of pictures cut out around the hand, with all labels; stopped, it goes on."""

    out: Path
    """Folder, new or with shards of the same plan."""
    dataset: str = "ours"
    """Dataset to read."""
    split: str = "train"
    """Its split."""
    size: int = 256
    """Side of the pictures, px; 0 keeps whole pictures."""
    per_shard: int = 1000
    """Samples in a shard."""
    seed: int = 0
    """Of the order of the samples."""
    workers: int = 2
    """Processes."""
    audience: Literal["laboratory", "share", "publish"] = "laboratory"
    """Who will have them: your laboratory, named others, everybody."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data shard`."""
    from dataclasses import asdict

    from dataset_tools.convert import Terms
    from dataset_tools.shards import INDEX, Plan, make_shards
    from hoi_core import log
    from hoi_core.errors import ConfigError

    if command.size < 0 or command.per_shard < 1 or command.workers < 1:
        raise ConfigError("expected --size of 0 or more, --per-shard and --workers of 1 or more.", "Correct the flag.")
    plan = Plan(command.dataset, command.split, command.size, command.per_shard, command.seed)
    with log.progress() as bar:
        task = bar.add_task("sharding", total=None)
        made = make_shards(
            root,
            plan,
            command.out,
            workers=command.workers,
            terms=Terms(command.audience),
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    write_json(command.json, asdict(made) | asdict(plan) | {"out": command.out})
    lines = [f"{made.shards} shards in {command.out}, listed in {INDEX}"]
    lines += [f"{made.kept} of them were there already"] if made.kept else []
    log.panel(f"{made.samples} samples", lines, with_data("hoi-data list", command.data))
