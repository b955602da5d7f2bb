"""What the owner says of a dataset in `dataset.json`: name, licence, citation, and answers no data can give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoi_core.errors import DatasetError

QUESTIONS: Mapping[str, str] = {
    "motivation": "For what purpose was the dataset made?",
    "funding": "Who made it, and who paid for it?",
    "recruitment": "How were the participants found, and were they paid?",
    "ethics": "Did an ethics board review the study?",
    "uses": "What has it been used for, and what should it not be used for?",
    "distribution": "How is it handed out, and are there export controls or other restrictions?",
    "maintenance": "Who looks after it, and how are errors reported and corrected?",
}
"""Keys of `datasheet` in dataset.json, and what each answers."""
_TEXTS = ("name", "title", "licence", "licence_url", "citation", "description", "homepage", "contact")


@dataclass(frozen=True)
class About:
    """The owner's words; empty where nothing is said."""

    name: str = ""
    """Short name."""
    title: str = ""
    """Name for people."""
    licence: str = ""
    """Identifier as SPDX has it, such as `CC-BY-NC-4.0`, or a sentence."""
    licence_url: str = ""
    """Where its text is."""
    citation: str = ""
    """How to cite it."""
    description: str = ""
    """A paragraph."""
    homepage: str = ""
    """Where it is published."""
    contact: str = ""
    """Whom to write to."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Key of `QUESTIONS` -> answer."""


def read_about(root: Path) -> About:
    """What `dataset.json` says; empty where there is none. `license` is understood as well.

    Raises:
        DatasetError: it is malformed, or a value is no text.
    """
    path = Path(root) / "dataset.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
        values.setdefault("licence", values.get("license", ""))
        texts = {name: _text(name, values.get(name, "")) for name in _TEXTS}
        said = values.get("datasheet", {})
        answers = {name: text for name in said if (text := _text(name, said[name]))}
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is malformed: {error}.", "Correct it.") from error
    if unknown := sorted(set(answers) - set(QUESTIONS)):
        raise DatasetError(
            f"{path} answers {', '.join(unknown)} in its datasheet, which nobody asks.",
            f"It may answer {', '.join(QUESTIONS)}.",
        )
    return About(**texts, answers=answers)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value.strip()
