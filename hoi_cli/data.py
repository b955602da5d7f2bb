"""Look after a dataset: list, check, recover, and compare labels with the truth of simulated recordings.

Example: hoi-data list
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hoi_cli._run import Common, run, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class List(Common):
    """Show every sequence: who, what, how long, how it is labelled."""


@dataclass(frozen=True, kw_only=True)
class Check(Common):
    """Check every image, time and label of one sequence or all."""

    sequence: tyro.conf.Positional[str] = ""
    """Sequence; default is all."""


@dataclass(frozen=True, kw_only=True)
class Recover(Common):
    """Bring a recording whose recorder was killed back to a clean file."""

    sequence: tyro.conf.Positional[str]
    """Sequence."""


@dataclass(frozen=True, kw_only=True)
class Compare(Common):
    """Compare the current labels of a simulated sequence with its truth."""

    sequence: tyro.conf.Positional[str]
    """Sequence."""


Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Recover, tyro.conf.subcommand("recover")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-data`."""
    return run(Command, job, argv, prog="hoi-data", doc=__doc__)  # type: ignore[arg-type]


def job(command: List | Check | Recover | Compare) -> None:
    """Run the sub-command."""
    from hoi_core.config import data_root
    from hoi_core.errors import DatasetError

    root = data_root(command.data)
    if not root.is_dir():
        raise DatasetError(
            f"expected a dataset folder {root}, found {'a file' if root.exists() else 'none'}.",
            "Record something with `hoi-capture --headless`, or point --data at your dataset.",
        )
    if isinstance(command, List):
        _list(command, root)
    elif isinstance(command, Check):
        _check(command, root)
    elif isinstance(command, Recover):
        _recover(command, root)
    else:
        _compare(command, root)


def _list(command: List, root: Path) -> None:
    from hoi_core import log
    from hoi_core.errors import HoiError
    from hoi_core.sequence import list_sequences, read_table, sequence_dir

    protocol = read_table(root, "protocol").set_index("sequence")
    rows: list[dict[str, object]] = []
    lines = [f"{'sequence':<10} {'who':<6} {'objects':<7} {'s':>5} {'moments':>7} {'drops':>5}  {'state':<10} labels"]
    for name in list_sequences(root):
        try:
            row = _facts(sequence_dir(root, name))
        except HoiError as error:
            lines.append(f"{name:<10} {error.message}")
            rows.append({"sequence": name, "error": error.message})
            continue
        listed = protocol["status"].get(name, "") if "status" in protocol else ""
        row["status"] = str(listed) or str(row["status"])
        rows.append(row)
        lines.append(
            f"{name:<10} {row['participant']:<6} {row['objects']:<7} {row['seconds']:>5.1f} {row['moments']:>7} "
            f"{row['drops']:>5}  {row['status']:<10} {row['labels']}"
        )
    write_json(command.json, rows)  # type: ignore[arg-type]
    title = f"{len(rows)} sequence{'' if len(rows) == 1 else 's'} in {root}"
    following = f"hoi-annotate {rows[-1]['sequence']}" if rows else "hoi-capture --headless --rig simulated"
    if any("error" in row for row in rows):
        following = "hoi-data check"
    log.panel(title, lines if rows else ["No recordings yet."], with_data(following, command.data))


def _facts(folder: Path) -> dict[str, object]:
    from hoi_core.sequence import open_annotation, open_capture

    with open_capture(folder) as capture:
        row: dict[str, object] = {
            "sequence": folder.name,
            "participant": capture.header.participant,
            "objects": " ".join(capture.header.objects),
            "seconds": capture.seconds,
            "moments": len(capture.sync),
            "drops": len(capture.drops),
            "status": "recorded" if capture.complete else "incomplete",
        }
    row["labels"] = ""
    if (folder / "annotation.h5").exists():
        with open_annotation(folder) as annotation:
            row["labels"] = f"{annotation.current} {annotation.about(annotation.current)['author']}"
    return row


def _check(command: Check, root: Path) -> None:
    from hoi_core import log
    from hoi_core.errors import SequenceError
    from hoi_core.sequence import check_sequence, find_sequence, list_sequences

    names = [command.sequence] if command.sequence else list_sequences(root)
    found: dict[str, list[str]] = {}
    with log.progress() as bar:
        for name in bar.track(names, description="checking"):
            folder = find_sequence(root, name)
            try:
                found[name] = check_sequence(folder)
            except SequenceError as error:
                found[name] = [str(error)]
    write_json(command.json, found)
    lines = [f"{name}: {text}" for name, problems in found.items() for text in problems[:10] or ["sound"]]
    log.panel(f"checked {len(names)}", lines or ["No recordings yet."], with_data("hoi-data list", command.data))
    bad = [name for name, problems in found.items() if problems]
    if bad:
        raise SequenceError(
            f"{len(bad)} of {len(names)} sequences are not sound: {', '.join(bad)}.",
            "Recover those that were not completed; take others out of use, or record them again.",
        )


def _recover(command: Recover, root: Path) -> None:
    from capture.sync import realign
    from hoi_core import log
    from hoi_core.sequence import annotation_path, find_sequence, open_capture, read_table, recover, register_recording

    folder = find_sequence(root, command.sequence)
    # Labels are bound to the moments they were made for: do not add any then.
    result = recover(folder, None if annotation_path(root, command.sequence).exists() else realign)
    if command.sequence not in set(read_table(root, "protocol")["sequence"]):
        # Its recorder did not live to enter it.
        with open_capture(folder) as capture:
            header, seconds, drops = capture.header, capture.seconds, len(capture.drops)
            status = "recorded" if capture.complete else "incomplete"
        register_recording(root, header, seconds=seconds, drops=drops, status=status)
    write_json(
        command.json,
        {"needed": result.needed, "frames": result.frames, "cut": result.cut, "moments": result.moments},
    )
    lines = [f"{name:<16} {count} frames kept, {result.cut[name]} cut off" for name, count in result.frames.items()]
    lines.append(f"{result.moments} moments")
    title = f"recovered {command.sequence}" if result.needed else f"{command.sequence} needed no recovery"
    log.panel(title, lines, with_data(f"hoi-data check {command.sequence}", command.data))


def _compare(command: Compare, root: Path) -> None:
    from annotate.compare import compare
    from hoi_core import log

    figures = compare(root, command.sequence)
    write_json(command.json, figures)
    width = max(map(len, figures))
    lines = [
        f"{name:<{width}}  {'not labelled' if math.isnan(value) else format(value, '.3g')}"
        for name, value in figures.items()
    ]
    following = with_data("hoi-train --dataset ours --model splite", command.data)
    log.panel(f"{command.sequence}: labels against the truth", lines, following)
