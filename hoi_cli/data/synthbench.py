"""Make or check the synthetic benchmark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Make the synthetic benchmark: fixed images to train on, to choose by and to test on. Stopped, it goes on."""

    share: float = 1.0
    """Below 1, a smaller one to try things out; its figures are comparable with nothing."""
    check: bool = False
    """Make nothing, only say what lies there and whether it is as recorded."""
    workers: int = 0
    """Processes; 0 for one on each core. The images do not depend on it."""
    makes_root: ClassVar[bool] = True


def job(command: Config, root: Path) -> None:
    """Run `hoi-data synthbench`."""
    import os

    from dataset_tools.synth import synthbench
    from hoi_core import log
    from hoi_core.errors import ConfigError

    if command.workers < 0:
        raise ConfigError(f"expected --workers of 0 or more, got {command.workers}.", "Correct the flag.")
    home = root / synthbench.NAME
    if not command.check:
        with log.progress() as bar:
            task = bar.add_task("moments of the benchmark", total=None)
            synthbench.make(
                home,
                command.workers or len(os.sched_getaffinity(0)),
                share=command.share,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    parts = synthbench.verify(home)
    images = {part.name: 2 * synthbench.recipe_of(part, command.share).count for part in synthbench.PARTS}
    found = {name: asdict(part) for name, part in parts.items()}
    write_json(command.json, {"out": home, "version": synthbench.VERSION, "parts": found, "images": images})
    lines = [f"{name:14s} {images[name]:6,} images   {part.state}" for name, part in parts.items()]
    following = "hoi-train --dataset synthbench --model splite" if not command.check else "hoi-data synthbench"
    log.panel(synthbench.verdict(parts), [f"in {home}", *lines], with_data(following, command.data))
