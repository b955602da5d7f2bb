"""Enter or show somebody's consent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import tyro

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Enter the consent that a participant has signed; without --date, show what is on record."""

    makes_root: ClassVar[bool] = True
    participant: tyro.conf.Positional[str]
    """Pseudonym."""
    date: str = ""
    """Day of the signature, such as 2026-03-31."""
    version: str = "1"
    """Version of the form."""
    scope: str = "record"
    """What it covers, with commas: record, share, publish."""
    expiry: str = ""
    """Last day on which it holds; default is no end."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data consent`."""
    from hoi_core import log
    from hoi_core.sequence.consent import Consent, day_of, read_consent, set_consent

    if command.date:
        scope = tuple(word.strip() for word in command.scope.split(",") if word.strip())
        given, expiry = day_of(command.date), day_of(command.expiry)
        set_consent(root, command.participant, Consent(command.version, scope, given, expiry))
    consent = read_consent(root, command.participant)
    facts = {"version": "", "scope": "", "date": "", "expiry": ""}
    if consent is not None:
        facts = {"version": consent.version, "scope": ", ".join(consent.scope)}
        facts |= {"date": str(consent.given or ""), "expiry": str(consent.expiry or "")}
    write_json(command.json, {"participant": command.participant, **facts})
    lines = [f"{name:<8} {value or '-'}" for name, value in facts.items()]
    following = with_data(f"hoi-data protocol --participant {command.participant}", command.data)
    log.panel(f"consent of {command.participant}", lines if consent else ["None is on record."], following)
