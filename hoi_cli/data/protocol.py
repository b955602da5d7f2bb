"""Plan and follow the recording protocol."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hoi_cli._run import Common, with_data, write_json

if TYPE_CHECKING:
    from capture.protocol import Cell, Coverage

_SIGNS = {"recorded": "x", "planned": ".", "incomplete": "!", "rejected": "r", "skipped": "-"}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Show what of the protocol is recorded and what comes next; --init plans it, --reject opens a cell again."""

    makes_root: ClassVar[bool] = True
    init: bool = False
    """Write a protocol into the tables; by default 20 participants with 5 of 100 objects each."""
    catalogue: str = "household"
    """What to plan from: `household`, `simulated`, or a YAML file like them."""
    seed: int = 0
    """Decides who gets which objects, and in which order."""
    replace: bool = False
    """With --init: forget the planned cells that have no take yet."""
    participant: str = ""
    """Show the session of one participant, take by take."""
    reject: str = ""
    """Mark this take as rejected, so that its cell is recorded again as a new sequence."""
    reason: str = ""
    """Why it is rejected; goes into its notes."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data protocol`."""
    from capture.protocol import coverage, next_take, plan, reject_take
    from hoi_core import log
    from hoi_core.errors import DatasetError

    if not root.is_dir() and not command.init:
        raise DatasetError(
            f"expected a dataset folder {root}, found none.", "Plan one with `hoi-data protocol --init`."
        )
    if command.init:
        plan(root, command.seed, command.catalogue, replace=command.replace)
    if command.reject:
        reject_take(root, command.reject, command.reason)
    found = coverage(root)
    cell = next_take(root, command.participant or None)
    write_json(command.json, _figures(found, cell))
    lines = _session(found, command.participant) if command.participant else _matrix(found)
    if not found.cells:
        log.panel(f"no protocol in {root}", ["Nothing is planned or recorded."], "hoi-data protocol --init")
        return
    lines += ["", _next_line(cell)]
    title = f"{found.done} of {len(found.cells)} cells recorded"
    following = with_data("hoi-data list", command.data)
    if cell is not None:
        following = with_data(_record(cell), command.data)
    log.panel(title, lines, following)


def _record(cell: Cell) -> str:
    """The command that records a cell."""
    flags = {"participant": cell.participant, "object": ",".join(cell.objects)}
    flags |= {"scenario": cell.scenario, "action": cell.action}
    return "hoi-capture --rig RIG " + " ".join(f"--{name} {shlex.quote(value)}" for name, value in flags.items())


def _matrix(found: Coverage) -> list[str]:
    """One line for each participant, one column for each scenario, one sign for each cell."""
    cells = {
        (who, where): "".join(_SIGNS[c.status] for c in found.of(who) if c.scenario == where)
        for who in found.participants
        for where in found.scenarios
    }
    # Names of scenarios are too long for columns; they get letters.
    letters = dict(zip(found.scenarios, (chr(ord("A") + k) for k in range(len(found.scenarios))), strict=True))
    width = max([3, *map(len, cells.values())])
    first = max([len("participant"), *(len(who) for who in found.participants)])
    lines = ["  ".join(["participant".ljust(first), *(letter.ljust(width) for letter in letters.values())]).rstrip()]
    for who in found.participants:
        row = [cells[who, where].ljust(width) for where in found.scenarios]
        lines.append("  ".join([who.ljust(first), *row]).rstrip())
    legend = [f"{letter}  {where or 'no scenario'}" for where, letter in letters.items()]
    signs = "   ".join(f"{sign} {name}" for name, sign in _SIGNS.items())
    return [*lines, "", *legend, "", signs]


def _session(found: Coverage, participant: str) -> list[str]:
    return [
        f"{cell.order or '-':>3}  {cell.status:<10}  {cell.sequence or '-':<9}  {' '.join(cell.objects):<8}  "
        f"{cell.scenario}: {cell.action}"
        for cell in found.of(participant)
    ] or [f"nothing is planned for {participant}"]


def _next_line(cell: Cell | None) -> str:
    if cell is None:
        return "All is recorded."
    return f"next: {cell.participant}, {' '.join(cell.objects)}, {cell.scenario}: {cell.action}"


def _figures(found: Coverage, cell: Cell | None) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "cells": len(found.cells),
        "done": found.done,
        "participants": len(found.participants),
        "scenarios": list(found.scenarios),
        "next": asdict(cell) if cell is not None else None,
        "coverage": [asdict(one) for one in found.cells],
    }
