"""Label a sequence: fit the hand to what both views saw, in a window or with --auto from the terminal.

Example: hoi-annotate seq_001 --auto
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hoi_cli._run import Common, run, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Options of hoi-annotate."""

    sequence: Annotated[str, tyro.conf.Positional]
    """Name of a recorded sequence, such as seq_001."""
    auto: bool = False
    """Fit without a window and add the result as a revision."""
    side: Literal["right", "left"] = "right"
    """Which hand, where the keypoints do not say."""
    keypoints: str = "stored"
    """Where 2D keypoints come from: a provider of annotate/keypoints."""
    dry_run: bool = False
    """With --auto: fit, but write no revision."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-annotate`."""
    return run(Config, job, argv, prog="hoi-annotate", doc=__doc__)


def job(config: Config) -> None:
    """Fit, or open the window."""
    from capture.sync import realign
    from hoi_core.config import data_root
    from hoi_core.sequence import find_sequence, repair

    root = data_root(config.data)
    # Labels are bound to the recording as it is: what its killed recorder left is set right before there are any.
    repair(find_sequence(root, config.sequence), realign)
    if config.auto:
        _fit(config, root)
    else:
        _show_window(config, root)


def _fit(config: Config, root: Path) -> None:
    from annotate import auto
    from hoi_core import log

    with log.progress() as bar:
        task = bar.add_task("starting", total=100)
        report = auto.annotate(
            root,
            config.sequence,
            auto.Config(side=config.side, keypoints=config.keypoints),
            lambda share, what: bar.update(task, completed=round(100 * share), description=what),
            write=not config.dry_run,
        )
    write_json(config.json, {"sequence": config.sequence, **report.figures()})
    written = f"revision {report.revision} by auto" if report.revision else "dry run: nothing written"
    lines = [
        f"{written}: {report.frames} moments, {report.valid_share:.0%} with a label",
        f"median residuals: {report.reprojection_px:.1f} px to keypoints, {report.depth_mm:.1f} mm to depth",
        f"{report.seconds:.1f} s, {1e3 * report.seconds / max(report.frames, 1):.0f} ms a frame",
    ]
    log.panel(f"annotated {config.sequence}", lines, with_data(f"hoi-data compare {config.sequence}", config.data))


def _show_window(config: Config, root: Path) -> None:
    from gui.annotate_window import main as show

    code = show(root, config.sequence)
    if code:
        raise SystemExit(code)
