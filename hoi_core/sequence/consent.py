"""Whether somebody may be recorded or published: pseudonyms, and consent with its version, scope, date and expiry."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from hoi_core.errors import ConfigError, ConsentError
from hoi_core.sequence.tables import make_dataset, read_table, set_row

SCOPES = ("record", "share", "publish")
"""What consent can be given for: to record and use within the laboratory, to share with others, to publish."""
PATTERN = r"p\d{2,4}"
"""Identifiers of participants, unless dataset.json has another `participant_pattern`."""

_FIELDS = ("consent_version", "consent_scope", "consent_date", "consent_expiry")


@dataclass(frozen=True)
class Consent:
    """What a participant has agreed to."""

    version: str
    """Version of the form that was signed."""
    scope: tuple[str, ...]
    """Words such as those in `SCOPES`; empty where none are listed."""
    given: date | None
    """When."""
    expiry: date | None
    """Last day on which it holds; None for no end."""


def participant_pattern(root: Path) -> str:
    """Regular expression that identifiers of participants must match.

    Raises:
        ConfigError: dataset.json is malformed.
    """
    path = Path(root) / "dataset.json"
    if not path.exists():
        return PATTERN
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        pattern = str(values.get("participant_pattern", PATTERN))
        re.compile(pattern)
    except (ValueError, AttributeError, re.error) as error:
        raise ConfigError(f"{path} is malformed: {error}.", "Correct it, or move it aside.") from error
    return pattern


def check_pseudonym(root: Path, participant: str) -> None:
    """Refuse an identifier that may tell who somebody is.

    Raises:
        ConsentError: it does not match the dataset's pattern, such as a name or a mail address.
    """
    pattern = participant_pattern(root)
    if re.fullmatch(pattern, participant):
        return
    looks = (
        "a mail address"
        if "@" in participant
        else "a name"
        if re.search(r"[^\W\d_]{3}", participant)
        else "something else"
    )
    raise ConsentError(
        f"participants are called by a pseudonym that matches {pattern}, such as p07; got {looks}.",
        "Choose the next free one, and keep the list of who it is away from the data "
        "(another pattern: `participant_pattern` in dataset.json).",
    )


def read_consent(root: Path, participant: str) -> Consent | None:
    """What participants.csv says of somebody's consent; None where it says nothing.

    Raises:
        ConsentError: a date that cannot be read with certainty.
    """
    return _consent(read_table(root, "participants"), participant)


def set_consent(root: Path, participant: str, consent: Consent) -> None:
    """Enter somebody's consent into participants.csv.

    Raises:
        ConsentError: the identifier is no pseudonym, the scope is unknown, or it ends before it begins.
    """
    check_pseudonym(root, participant)
    if unknown := set(consent.scope) - set(SCOPES):
        raise ConsentError(
            f"consent is given for {', '.join(SCOPES)}; got {', '.join(sorted(unknown))}.", "Correct it."
        )
    if consent.given is None or (consent.expiry is not None and consent.expiry < consent.given):
        raise ConsentError("consent has a date, and ends after it.", "Correct the date or the expiry.")
    make_dataset(root)
    row = {"participant": participant, "consent_version": consent.version, "consent_scope": " ".join(consent.scope)}
    row |= {"consent_date": consent.given.isoformat()}
    row |= {"consent_expiry": consent.expiry.isoformat() if consent.expiry else ""}
    set_row(root, "participants", row)


def require_consent(
    root: Path, participant: str, today: date | None = None, *, scope: Sequence[str] = ("record",)
) -> str:
    """Refuse to record somebody, or to give recordings away, without consent in force.

    Args:
        root: the dataset.
        participant: pseudonym; empty for a recording of nobody.
        today: the day of the recording; default is today's.
        scope: what consent must have been given for; a row without a scope covers all.

    Returns:
        A warning where this dataset has never had any consent data, and it is asked to record only; else nothing.

    Raises:
        ConsentError: the identifier is no pseudonym, or consent is missing, expired, not yet given or too narrow.
    """
    if participant:
        check_pseudonym(root, participant)
    people = read_table(root, "participants")
    if set(scope) <= {"record"} and not (people[list(_FIELDS)] != "").any(axis=None):
        return "no consent is on record in this dataset: enter it in participants.csv before you record people"
    enter = f"Have the form signed, then `hoi-data consent {participant or 'p01'} --version V --date DAY`."
    if not participant:
        raise ConsentError("a recording needs a participant whose consent can be looked up, got none.", enter)
    consent, day = _consent(people, participant), today or datetime.now(UTC).astimezone().date()
    if consent is None or consent.given is None:
        raise ConsentError(f"no consent of {participant} is on record.", enter)
    if consent.given > day:
        raise ConsentError(f"the consent of {participant} begins on {consent.given}, today is {day}.", enter)
    if consent.expiry is not None and consent.expiry < day:
        raise ConsentError(f"the consent of {participant} ended on {consent.expiry}, today is {day}.", enter)
    if consent.scope and (lacking := [what for what in scope if what not in consent.scope]):
        given = ", ".join(consent.scope)
        raise ConsentError(f"{participant} has agreed to {given}, not to {', '.join(lacking)}.", enter)
    return ""


def _consent(people: pd.DataFrame, participant: str) -> Consent | None:
    rows = people[people["participant"] == participant]
    if not len(rows) or not any(rows.iloc[0][name] for name in _FIELDS):
        return None
    row = rows.iloc[0]
    return Consent(
        version=str(row["consent_version"]),
        scope=tuple(word.casefold() for word in re.split(r"[\s,;|+]+", str(row["consent_scope"])) if word),
        given=day_of(str(row["consent_date"]), participant),
        expiry=day_of(str(row["consent_expiry"]), participant),
    )


def day_of(text: str, participant: str = "a participant") -> date | None:
    """A day as `2026-03-31`, or as spreadsheets rewrite it where that cannot be misread; None of an empty text.

    Raises:
        ConsentError: it is no day, or could be two.
    """
    if not text:
        return None
    text = re.split(r"[T ]", text, maxsplit=1)[0]
    for pattern in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y%m%d"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise ConsentError(
        f"the consent of {participant} has the date {text!r}, which could be read in two ways.",
        "Write it as year-month-day, such as 2026-03-31.",
    )
