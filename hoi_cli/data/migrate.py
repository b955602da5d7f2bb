"""Bring files of older versions to the present one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Bring recordings, labels and truths of older versions to the present one."""

    dry_run: bool = False
    """Only say what would be done."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data migrate`."""
    from hoi_core import log
    from hoi_core.errors import SequenceError
    from hoi_core.migrate import Outdated, migrate, outdated

    found = list(outdated(root))
    old = [entry for entry in found if isinstance(entry, Outdated)]
    failed = [str(entry) for entry in found if isinstance(entry, SequenceError)]
    rows = []
    with log.progress() as bar:
        for entry in bar.track(old, description="migrating"):
            row: dict[str, object] = {"path": entry.path.relative_to(root).as_posix()}
            row |= {"from": _text(entry.version), "to": _text(entry.newest), "done": not command.dry_run}
            try:
                if not command.dry_run:
                    migrate(entry)
            except SequenceError as error:
                failed.append(str(error))
                continue
            rows.append(row)
    write_json(command.json, {"files": rows, "failed": failed})
    lines = [f"{row['path']}  {row['from']} -> {row['to']}" for row in rows]
    what = "to migrate" if command.dry_run else "migrated"
    following = "hoi-data migrate" if command.dry_run and rows else "hoi-data check"
    log.panel(
        f"{len(rows)} files {what}", lines or ["No file is of an older version."], with_data(following, command.data)
    )
    if failed:
        raise SequenceError(f"{len(failed)} files stay as they are: {' '.join(failed)}", "Others were not held up.")


def _text(version: tuple[int, int]) -> str:
    return ".".join(str(part) for part in version)
