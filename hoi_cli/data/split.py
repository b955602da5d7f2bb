"""Split a dataset into training, validation and test, and make sure that nothing leaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Split the recordings into training, validation and test, or check that existing splits do not leak."""

    by: Literal["sequence", "participant", "object", "scenario", "view", "all"] | None = None
    """What no two parts share; `all` makes s0 (sequences), s1 (participants), s2 (views), s3 (objects), s4 (scenarios)
    as far as the recordings allow. Without it, the splits of dataset.json are checked."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of training, validation and test; a part with 0 is left out."""
    name: str = ""
    """Of the set of splits: with s1 they are s1_train, s1_val, s1_test; default is train, val, test."""
    seed: int = 0
    """Of the shuffle."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data split`."""
    from dataset_tools.leaks import check_splits
    from dataset_tools.split import STANDARD, split, takes_of, write_splits
    from hoi_core import log
    from hoi_core.errors import ConfigError, DatasetError

    if command.by == "all" and command.name:
        raise ConfigError("--by all names its sets itself.", "Leave --name out.")
    left_out: list[str] = []
    if command.by is not None:
        takes = takes_of(root)
        wanted = STANDARD if command.by == "all" else {command.name: command.by}
        for name, by in wanted.items():
            try:
                parts = split(takes, by, command.shares, command.seed)
            except DatasetError as error:
                if command.by != "all":
                    raise
                left_out.append(f"{name} left out: {error.message}")
                continue
            write_splits(root, name, by, parts, command.seed)
    splits = check_splits(root)
    if not splits.parts:
        raise DatasetError(f"{root} has no splits.", "Make some: `hoi-data split --by participant`.")
    figures = {
        name: {"entries": len(held), "by": splits.rules.get(name.rpartition("_")[0], "")}
        for name, held in splits.parts.items()
    }
    write_json(command.json, {"splits": figures, "left_out": left_out})
    lines = [f"{name:<12} {len(held):>6} entries" for name, held in splits.parts.items()]
    log.panel("splits without a leak", [*lines, *left_out], with_data("hoi-train --dataset ours", command.data))
