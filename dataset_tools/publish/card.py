"""The card of a dataset (a README as the Hugging Face Hub reads it) and its datasheet after Gebru et al. (2021)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from dataset_tools.publish import sections
from dataset_tools.publish.about import QUESTIONS, About
from dataset_tools.publish.facts import Facts
from dataset_tools.publish.permit import Permit
from dataset_tools.readers import ReaderInfo

_HUB_LICENCES = re.compile(r"(cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.[05]|mit|apache-2\.0|odbl|pddl|cdla-.*|odc-by)")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TAGS = ["hand-pose-estimation", "hand-object-interaction", "3d", "rgb-d"]


@dataclass(frozen=True)
class Copy:
    """Files of another format that a card lies beside."""

    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Split -> patterns of its files, where the Hub is to find them."""
    samples: int = 0
    """Samples that the files hold; 0 where none were written."""
    keeps: str = ""
    """What of the dataset they hold, and what is lost in them."""


NO_COPY = Copy()
"""The card of the dataset itself."""


@dataclass(frozen=True)
class Release:
    """What a card is of."""

    about: About
    """The owner's words."""
    facts: Facts
    """The data's."""
    granted: Permit
    """Under which terms."""
    version: str = ""
    """Of the dataset; empty for none."""
    copy: Copy = NO_COPY
    """The files beside it."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.about.title or self.about.name or "a dataset without a name"


def card(release: Release) -> str:
    """The README with its header for the Hub."""
    about, facts, copy = release.about, release.facts, release.copy
    count = copy.samples or sum(take.moments for take in facts.takes)
    lines = _header(release.name, release.granted, about.licence_url, count, copy)
    lines += [f"# {release.name}" + (f" {release.version}" if release.version else ""), ""]
    lines += [about.description or _not_said("description"), "", *_kept(copy)]
    lines += ["## What it holds", "", *sections.composition(facts)]
    lines += ["## How it was recorded", "", *sections.collection(facts)]
    lines += ["## Labels", "", *sections.labelling(facts), *_conventions()]
    lines += ["## Known limits", "", *sections.limits(facts)]
    lines += ["## Consent", "", *sections.consent(facts, release.granted.audience)]
    lines += ["## Licence", "", *_licence(release.granted, about.licence_url)]
    lines += ["## Citation", "", about.citation or _not_said("citation"), ""]
    lines += [f"Contact: {about.contact or sections.UNKNOWN}. Written by hoi-toolkit from the data."]
    return "\n".join(lines) + "\n"


def card_of_another(info: ReaderInfo, granted: Permit, copy: Copy) -> str:
    """The README of files that were made of a dataset without recordings of ours."""
    lines = _header(info.name, granted, info.url, copy.samples, copy)
    lines += [f"# {info.name}", "", *_kept(copy), *_conventions(), "## Licence", "", *_licence(granted, info.url)]
    lines += ["## Citation", "", info.citation or sections.UNKNOWN, ""]
    if info.unchecked:
        lines += [
            "## Known limits",
            "",
            "Never compared with the real files:",
            "",
            *(f"- {w}" for w in info.unchecked),
            "",
        ]
    return "\n".join(lines)


def datasheet(release: Release) -> str:
    """The datasheet: what the data say is counted, what the owner says is quoted, the rest is said to be unanswered."""
    about, facts = release.about, release.facts
    lines = [f"# Datasheet of {release.name}" + (f" {release.version}" if release.version else ""), ""]
    lines += ["The headings are those of Gebru et al., Datasheets for Datasets (2021).", ""]
    lines += ["## Motivation", "", *_answers(about, "motivation", "funding")]
    lines += ["## Composition", "", *sections.composition(facts), *sections.limits(facts)]
    lines += ["## Collection process", "", *sections.collection(facts)]
    lines += [*sections.consent(facts, release.granted.audience), *_answers(about, "recruitment", "ethics")]
    lines += ["## Preprocessing, cleaning, labelling", "", *sections.labelling(facts)]
    lines += ["The recordings themselves are stored without loss, as the cameras delivered them.", ""]
    lines += ["## Uses", "", *_answers(about, "uses")]
    lines += [
        "## Distribution",
        "",
        *_licence(release.granted, about.licence_url),
        *_answers(about, "distribution"),
    ]
    lines += ["## Maintenance", "", f"Contact: {about.contact or sections.UNKNOWN}.", ""]
    lines += _answers(about, "maintenance")
    return "\n".join(lines).rstrip() + "\n"


def _header(name: str, granted: Permit, url: str, count: int, copy: Copy) -> list[str]:
    """What the Hub reads."""
    licence = granted.licence.lower().replace(" ", "-")
    header: dict[str, object] = {"license": licence if _HUB_LICENCES.fullmatch(licence) else "other"}
    if header["license"] == "other":
        header |= {"license_name": granted.licence or "none", "license_link": url or "LICENCE.txt"}
    header |= {"pretty_name": name, "task_categories": ["keypoint-detection"], "tags": _TAGS}
    header["size_categories"] = [next((says for most, says in _SIZES if count < most), "n>1M")]
    if copy.files:
        parts = [{"split": split, "path": list(patterns)} for split, patterns in copy.files.items()]
        header["configs"] = [{"config_name": "default", "data_files": parts}]
    return ["---", yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip(), "---", ""]


def _kept(copy: Copy) -> list[str]:
    if not copy.samples:
        return []
    return [f"These files hold {copy.samples:,} samples, one hand in one picture each.", "", f"Kept: {copy.keeps}", ""]


def _licence(granted: Permit, url: str) -> list[str]:
    where = f" ({url})" if url else ""
    lines = [f"{granted.licence or 'None: all rights reserved'}{where}.", ""]
    if granted.audience != "publish":
        lines += [f"Not for publication: made for the audience `{granted.audience}`.", ""]
    return lines + [line for name, text in granted.notices.items() if name != "LICENCE.txt" for line in (text, "")]


def _conventions() -> list[str]:
    return [
        "Metres, radians, nanoseconds. Camera axes: x right, y down, z forward; pixel centres at integers. 21 joints: "
        "wrist, thumb, index, middle, ring, little, base to tip. Missing is NaN or null, never 0.",
        "",
    ]


def _answers(about: About, *keys: str) -> list[str]:
    return [line for key in keys for line in (f"**{QUESTIONS[key]}** {about.answers.get(key) or _no_answer(key)}", "")]


def _no_answer(key: str) -> str:
    return f"Not answered (`datasheet.{key}` in dataset.json)."


def _not_said(key: str) -> str:
    return f"Not said (`{key}` in dataset.json)."
