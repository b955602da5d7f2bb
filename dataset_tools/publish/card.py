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

_HUB_LICENCES = re.compile(r"(cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.[05]|mit|apache-2\.0|odbl|pddl|cdla-.*|odc-by)")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TAGS = ["hand-pose-estimation", "hand-object-interaction", "3d", "rgb-d"]


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
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Split -> patterns of its files, where the Hub is to find them."""
    samples: int = 0
    """Samples that the files hold; 0 where none were written."""
    keeps: str = ""
    """What of the dataset these files hold, and what is lost in them."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.about.title or self.about.name or "a dataset without a name"


def card(release: Release) -> str:
    """The README with its header for the Hub."""
    about, facts = release.about, release.facts
    lines = ["---", yaml.safe_dump(_header(release), sort_keys=False, allow_unicode=True).strip(), "---", ""]
    lines += [f"# {release.name}" + (f" {release.version}" if release.version else ""), ""]
    lines += [about.description or _not_said("description"), ""]
    if release.samples:
        lines += [
            f"These files hold {release.samples:,} samples: one hand in one picture each. Kept: {release.keeps}",
            "",
        ]
    lines += ["## What it holds", "", *sections.composition(facts)]
    lines += ["## How it was recorded", "", *sections.collection(facts)]
    lines += ["## Labels", "", *sections.labelling(facts), *_conventions()]
    lines += ["## Known limits", "", *sections.limits(facts)]
    lines += ["## Consent", "", *sections.consent(facts, release.granted.audience)]
    lines += ["## Licence", "", *_licence(release)]
    lines += ["## Citation", "", about.citation or _not_said("citation"), ""]
    lines += [f"Contact: {about.contact or sections.UNKNOWN}. Written by hoi-toolkit from the data."]
    return "\n".join(lines) + "\n"


def datasheet(release: Release) -> str:
    """The datasheet: what the data say is counted, what the owner says is quoted, the rest is said to be unanswered."""
    facts = release.facts
    lines = [f"# Datasheet of {release.name}" + (f" {release.version}" if release.version else ""), ""]
    lines += ["The headings are those of Gebru et al., Datasheets for Datasets (2021).", ""]
    lines += ["## Motivation", "", *_answers(release.about, "motivation", "funding")]
    lines += ["## Composition", "", *sections.composition(facts), *sections.limits(facts)]
    lines += ["## Collection process", "", *sections.collection(facts)]
    lines += [*sections.consent(facts, release.granted.audience), *_answers(release.about, "recruitment", "ethics")]
    lines += ["## Preprocessing, cleaning, labelling", "", *sections.labelling(facts)]
    lines += ["The recordings themselves are stored without loss, as the cameras delivered them.", ""]
    lines += ["## Uses", "", *_answers(release.about, "uses")]
    lines += ["## Distribution", "", *_licence(release), *_answers(release.about, "distribution")]
    lines += ["## Maintenance", "", f"Contact: {release.about.contact or sections.UNKNOWN}.", ""]
    lines += _answers(release.about, "maintenance")
    return "\n".join(lines).rstrip() + "\n"


def _header(release: Release) -> dict[str, object]:
    licence = release.granted.licence.lower().replace(" ", "-")
    header: dict[str, object] = {"license": licence if _HUB_LICENCES.fullmatch(licence) else "other"}
    if header["license"] == "other":
        header["license_name"] = release.granted.licence or "none"
        header["license_link"] = release.about.licence_url or "LICENCE.txt"
    header |= {"pretty_name": release.name, "task_categories": ["keypoint-detection"], "tags": _TAGS}
    count = release.samples or sum(take.moments for take in release.facts.takes)
    header["size_categories"] = [next((says for most, says in _SIZES if count < most), "n>1M")]
    if release.files:
        parts = [{"split": split, "path": list(patterns)} for split, patterns in release.files.items()]
        header["configs"] = [{"config_name": "default", "data_files": parts}]
    return header


def _licence(release: Release) -> list[str]:
    granted = release.granted
    url = f" ({release.about.licence_url})" if release.about.licence_url else ""
    lines = [f"{granted.licence or 'None: all rights reserved'}{url}.", ""]
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
