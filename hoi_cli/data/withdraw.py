"""Delete everything of a participant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from hoi_cli._run import Common, with_data, write_json

if TYPE_CHECKING:
    from hoi_core.sequence.withdraw import Holdings


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """List everything of a participant under the root; with --yes delete it, and prove that it is gone."""

    participant: tyro.conf.Positional[str]
    """Pseudonym."""
    yes: bool = False
    """Delete; without it nothing is changed."""
    certificate: Path | None = None
    """Where the proof is written; default is ./withdrawal_PARTICIPANT.json. Not within the dataset."""
    substitute: str = ""
    """Pseudonym of somebody who takes over the cells of the protocol; by default they go too."""
    keep: tuple[str, ...] = ()
    """Paths within the dataset that you have looked at and that stay."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data withdraw`."""
    from hoi_core.sequence.withdraw import holdings

    if command.yes:
        _delete(command, root)
        return
    _list(command, root, holdings(root, command.participant, command.keep))


def _list(command: Config, root: Path, found: Holdings) -> None:
    from dataclasses import asdict

    from hoi_core import log

    write_json(command.json, {"participant": command.participant, "items": [asdict(item) for item in found.items]})
    lines = [f"{item.kind:<9} {item.bytes / 1e6:>9.2f} MB  {item.path}: {item.what}" for item in found.items]
    total = f"{found.bytes / 1e6:.1f} MB of {command.participant}"
    lines.append(f"{len(found.items)} files hold {total}; nothing was changed")
    following = with_data(f"hoi-data withdraw {command.participant} --yes", command.data)
    log.panel(f"everything of {command.participant} in {root}", lines, following)


def _delete(command: Config, root: Path) -> None:
    from hoi_core import log
    from hoi_core.sequence.consent import check_pseudonym
    from hoi_core.sequence.withdraw import check_certificate_path, withdraw

    if command.substitute:
        check_pseudonym(root, command.substitute)
    path = command.certificate or Path(f"withdrawal_{command.participant}.json")
    check_certificate_path(path, root)
    with log.progress() as bar:
        task = bar.add_task("deleting", total=None)
        certificate = withdraw(
            root,
            command.participant,
            substitute=command.substitute,
            keep=command.keep,
            on_progress=lambda name: bar.update(task, description=f"deleting {name}"),
        )
    certificate.write(path, root)
    write_json(command.json, {"files": certificate.files, "bytes": certificate.bytes, "verified": certificate.verified})
    lines = [
        f"{certificate.files} files and {certificate.rows} entries deleted, {certificate.bytes / 1e6:.1f} MB",
        f"{certificate.scanned_files} files read through afterwards: nothing of {command.participant} is left",
        f"certificate: {path}",
        "Not covered: backups, copies elsewhere, and models trained on these recordings.",
    ]
    log.panel(f"{command.participant} is withdrawn", lines, with_data("hoi-data list", command.data))
