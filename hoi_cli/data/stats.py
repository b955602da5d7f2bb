"""What datasets hold: hands, poses, views, occlusion, edges; of one's own also how far the labels can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from hoi_cli._run import Common, with_data, write_json

if TYPE_CHECKING:
    import pandas as pd
    from rich.progress import Progress, TaskID

    from dataset_tools.stats.collect import Collected
    from hoi_core.errors import HoiError


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Say what datasets hold; of your own also how good the labels are, how well people agree, what a frame cost."""

    sequence: tyro.conf.Positional[tuple[str, ...]] = ()
    """Sequences of your own; default is all that have labels."""
    dataset: str = "ours"
    """Datasets to look at, joined by +, such as ours+freihand."""
    split: str = "all"
    """Their split."""
    sample: int = 1000
    """Most samples of each dataset whose pictures are looked at, chosen at random; 0 looks at all."""
    csv: Path | None = None
    """Also write every table to this folder."""
    html: Path | None = None
    """Also write a page with plots to this file."""
    seed: int = 0
    """Of the choice of samples."""
    workers: int = 1
    """Processes."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data stats`."""
    from dataset_tools import mix
    from dataset_tools.readers import OURS
    from dataset_tools.stats import charts, tables
    from hoi_cli.data import _labels
    from hoi_core import log

    names = [part.name for part in mix.parse(command.dataset)]
    if command.html is not None:
        charts.need_matplotlib()  # before the work, not after it
    own = _labelled(root, command.sequence) if OURS in names else []
    rows, failed = _labels.figures(root, own)
    measured, missing = _measure(root, names, command, [name for name in own if name not in failed])
    made = tables.tables(root, measured) if measured else {}
    if made:
        made["table5"] = tables.table5(made["datasets"])
    total = {"dataset": _labels.totals(rows), "sequences": rows} if OURS in names else {}
    records = {name: table.to_dict("records") for name, table in made.items()}
    write_json(command.json, {**total, "failed": failed, "not_measured": _told(missing), "tables": records})
    _write(command, rows, measured, made)
    lines = [*map(_labels.line, rows), *(f"{name}: {why}" for name, why in failed.items())]
    if rows:
        lines += ["", *_labels.summary(_labels.totals(rows))]
    log.panel(_title(rows, measured), [*lines, *_lines(made)], _next(command))
    _raise_for(failed, len(own), missing)


def _labelled(root: Path, wanted: Sequence[str]) -> list[str]:
    """Sequences to look at."""
    from hoi_core.errors import DatasetError
    from hoi_core.sequence import annotation_path, list_sequences

    names = list(wanted) or [n for n in list_sequences(root) if annotation_path(root, n).exists()]
    if not names:
        raise DatasetError(f"no sequence of {root} has labels.", "Annotate them: `hoi-annotate all --auto`.")
    return names


def _measure(
    root: Path, names: Sequence[str], command: Config, own: Sequence[str]
) -> tuple[list[Collected], dict[str, HoiError]]:
    """What each dataset shows, and why another one could not be measured."""
    from dataset_tools.readers import OURS, home, ours
    from dataset_tools.stats.collect import Options, collect
    from hoi_core import log
    from hoi_core.errors import HoiError

    options = Options(command.split, command.sample, command.seed, command.workers)
    done: list[Collected] = []
    missing: dict[str, HoiError] = {}
    with log.progress() as bar:
        for name in names:
            task = bar.add_task(f"looking at pictures of {name}", total=None)
            try:
                keys = ours.index_of(home(root, OURS), command.split, set(own)) if name == OURS else None
                done.append(collect(root, name, options, keys, partial(_show, bar, task)))
            except HoiError as error:
                missing[name] = error
    return done, missing


def _show(bar: Progress, task: TaskID, done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


def _told(missing: Mapping[str, HoiError]) -> dict[str, str]:
    return {name: str(error) for name, error in missing.items()}


def _write(
    command: Config, rows: list[dict[str, object]], measured: list[Collected], made: Mapping[str, pd.DataFrame]
) -> None:
    """The tables and the page, where they were asked for."""
    import pandas as pd

    from dataset_tools.stats.files import write_page, write_tables
    from dataset_tools.stats.page import page
    from hoi_cli.data import _labels

    if command.csv is not None:
        samples = [one.rows.assign(dataset=one.name) for one in measured]
        write_tables(
            command.csv,
            dict(made)
            | ({"labels": pd.DataFrame(rows)} if rows else {})
            | ({"samples": pd.concat(samples, ignore_index=True)} if samples else {}),
        )
    if command.html is not None and measured:
        write_page(command.html, page(measured, made, [_labels.section(rows)] if rows else []))


def _title(rows: Sequence[object], measured: Sequence[Collected]) -> str:
    parts = [f"labels of {len(rows)} sequences"] if rows else []
    return ", ".join([*parts, *(f"{len(one.rows)} samples of {one.name}" for one in measured)])


def _lines(made: Mapping[str, pd.DataFrame]) -> list[str]:
    """What the pictures show, one paragraph for each dataset."""
    if not made:
        return []
    lines = []
    printed = made["table5"].astype(str)
    for row in printed.to_dict("records"):
        lines += ["", " | ".join(f"{name}: {cell}" for name, cell in row.items())]
        lines += _paragraph(str(row["Dataset"]), made)
    return lines


def _paragraph(name: str, made: Mapping[str, pd.DataFrame]) -> list[str]:
    """A dataset in a few lines; what it does not tell is left out."""

    def of(table: str) -> pd.DataFrame:
        return made[table][made[table]["dataset"] == name]

    about = of("datasets").iloc[0]
    lines = [
        f"  {about['samples']} samples in {about['pictures']} pictures of {about['moments']} moments; "
        f"{about['measured']} looked at" + (f", {about['unreadable']} unreadable" if about["unreadable"] else "")
    ]
    for by, values in of("counts").groupby("by", sort=False):
        shown = ", ".join(f"{v} {n}" for v, n in zip(values["value"][:6], values["samples"][:6], strict=True))
        lines.append(f"  {by}: {shown}" + (f" and {len(values) - 6} more" if len(values) > 6 else ""))
    angles, pose = of("angles"), of("poses").iloc[0]
    if angles["samples"].sum():
        lines.append(
            f"  poses reach {100 * angles['reached'].mean():.0f} % of the joints' ranges, "
            f"{100 * angles['beyond'].mean():.1f} % beyond; {pose.get('dimensions', float('nan')):.1f} dimensions"
        )
    for row in of("quantities").to_dict("records"):
        low, middle, high = (f"{round(row[name], 4):.3g}" for name in ("p05", "p50", "p95"))
        lines.append(f"  {row['meaning']}: {middle} ({low} to {high})")
    for row in of("sparsity").to_dict("records"):
        if row["edges"] == "fused":
            lines.append(
                f"  edge sparsity of the input: {100 * row['mean']:.1f} % (deviation {100 * row['deviation']:.1f})"
            )
    return lines


def _next(command: Config) -> str:
    if command.html is None:
        return with_data(f"hoi-data stats --dataset {command.dataset} --html stats.html", command.data)
    return with_data("hoi-data check", command.data)


def _raise_for(failed: Mapping[str, str], of: int, missing: Mapping[str, HoiError]) -> None:
    """Fail after the report if something could not be read."""
    from hoi_core.errors import SequenceError

    if failed:
        raise SequenceError(
            f"{len(failed)} of {of} sequences could not be read: {', '.join(failed)}.",
            "The reasons are above; `hoi-data check` says more.",
        )
    for error in missing.values():
        raise error
