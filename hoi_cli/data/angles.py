"""Joint angles of a dataset's hands: 23 inside their limits, by iterative fitting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit 23 joint angles inside their limits to every labelled hand. Goes on where it stopped; changes no label."""

    dataset: str = "ours"
    """Name of the dataset."""
    split: str = "train"
    """Its split."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data angles`."""
    import numpy as np

    from dataset_tools import angles
    from hoi_core import log

    with log.progress() as bar:
        task = bar.add_task(f"fitting hands of {command.dataset}", total=None)
        made = angles.make(
            root, command.dataset, command.split, lambda done, of: bar.update(task, completed=done, total=of)
        )
    off_mm = 1e3 * made.off_m
    figures = {
        "n": len(made.keys),
        "labelled_share": float(made.labelled.mean()),
        "off_median_mm": float(np.median(off_mm)),
        "off_p95_mm": float(np.percentile(off_mm, 95)),
        "off_max_mm": float(off_mm.max()),
    }
    folder = angles.folder_of(root, command.dataset, command.split)
    write_json(command.json, figures | {"out": folder})
    lines = [
        f"{figures['n']} hands of {command.split}, parameters of this hand model for {figures['labelled_share']:.0%}",
        f"joints of the 23 angles off by {figures['off_median_mm']:.2f} mm in the median, "
        f"{figures['off_p95_mm']:.2f} at 95 %, {figures['off_max_mm']:.2f} at most",
    ]
    log.panel(f"angles in {folder}", lines, with_data(f"hoi-data stats --dataset {command.dataset}", command.data))
