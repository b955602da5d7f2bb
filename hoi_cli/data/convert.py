"""Write a dataset in another format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Write splits of a dataset in another format, such as coco, dexycb, freihand, ho3d or huggingface."""

    to: str
    """Format, the name of a file in dataset_tools/writers."""
    out: Path
    """New folder."""
    dataset: str = "ours"
    """Dataset to read."""
    splits: tuple[str, ...] = ("train", "test")
    """Its splits."""
    audience: Literal["publish", "share", "laboratory"] = "publish"
    """Who will have it: everybody, named others, your laboratory. Recordings whose participants did not agree to that
    are left out."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data convert`."""
    from dataclasses import asdict
    from functools import partial

    from dataset_tools.convert import Terms, convert
    from hoi_cli.data.card import accuracy_of
    from hoi_core import log, plugins

    keeps = plugins.load("dataset_tools.writers", command.to).INFO.keeps
    with log.progress() as bar:
        task = bar.add_task("converting", total=None)
        done = convert(
            root,
            command.dataset,
            command.splits,
            command.to,
            command.out,
            lambda n, total: bar.update(task, completed=n, total=total),
            Terms(command.audience, accuracy=partial(accuracy_of, root)),
        )
    write_json(command.json, asdict(done) | {"out": command.out, "audience": command.audience})
    lines = [f"keeps {keeps}"]
    if done.left_out:
        lines.append(f"{done.left_out} samples left out: the format has no place for them")
    lines += [f"{name} stays here: {why}" for name, why in done.withheld.items()]
    log.panel(f"{done.written} samples in {command.out}", lines, with_data("hoi-data list", command.data))
