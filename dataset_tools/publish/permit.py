"""Who agreed to what, and under which licence: what may leave the laboratory, and what goes with it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from dataset_tools.publish.about import About, read_about
from dataset_tools.readers import OURS, ReaderInfo
from hoi_core import sequence as sequences
from hoi_core.errors import ConsentError, DatasetError
from hoi_core.sequence.consent import require_consent

Audience = Literal["publish", "share", "laboratory"]
"""Everybody; named others; oneself."""
STAND_IN = "stand-in"

_SCOPE: Mapping[Audience, str] = {"publish": "publish", "share": "share", "laboratory": "record"}
_MANO = """Poses, shapes, joints and meshes in this dataset were fitted with the MANO hand model (Romero, Tzionas and
Black, "Embodied Hands: Modeling and Capturing Hands and Bodies Together", SIGGRAPH Asia 2017), which is licensed by the
Max Planck Society for non-commercial scientific research: https://mano.is.tue.mpg.de/license.html. The model itself is
not part of this dataset and must be obtained there. Whoever uses these labels has to heed that licence besides the
dataset's own.
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Permit:
    """What may be handed over."""

    audience: Audience
    """To whom."""
    licence: str
    """Under which licence; empty within the laboratory where none is set."""
    allowed: tuple[str, ...] = ()
    """Recordings of ours that may go, by name."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """Recording of ours that stays here -> why."""
    notices: Mapping[str, str] = field(default_factory=dict)
    """File name -> text that must lie beside the data."""


def permit(
    root: Path,
    info: ReaderInfo,
    names: Iterable[str],
    audience: Audience = "publish",
    today: date | None = None,
    models: Iterable[str] = (),
) -> Permit:
    """Decide what of a dataset may be handed over, and what must go with it.

    A recording of ours goes only if everybody in it has agreed to that in a consent in force. Recordings of the
    simulated rig (they have a truth) show nobody.

    Args:
        root: of the datasets.
        info: of the dataset's reader.
        names: recordings of ours that are asked for; ignored for other datasets.
        audience: to whom.
        today: the day on which consent must hold; default is today's.
        models: hand models behind the labels of your own datasets other than recordings.

    Raises:
        ConsentError: nothing is left that may go.
        DatasetError: no licence is set, or the dataset is not yours to give away.
        SequenceError: a recording or a table cannot be read.
    """
    if info.name == OURS:
        return _ours(Path(root), tuple(dict.fromkeys(names)), audience, today)
    if info.url and audience != "laboratory":
        raise DatasetError(
            f"{info.name} is not yours to hand on: {info.licence}.",
            f"Point others to {info.url}. For your own use, add --audience laboratory.",
        )
    about = read_about(root)
    licence = info.licence if info.url else about.licence
    if not licence and audience != "laboratory":
        raise _no_licence(Path(root))
    if info.url:
        notices = {"LICENCE.txt": f"{licence}\n\n{info.citation}".strip() + f"\n{info.url}\n"}
    else:
        notices = {"LICENCE.txt": _licence_text(about, audience)}
    return Permit(audience, licence, notices=notices | _mano_notice(models))


def _ours(root: Path, names: tuple[str, ...], audience: Audience, today: date | None) -> Permit:
    about = read_about(root)
    if not about.licence and audience != "laboratory":
        raise _no_licence(root)
    withheld = {name: why for name, why in _withheld(root, names, audience, today).items() if why}
    allowed = tuple(name for name in names if name not in withheld)
    if names and not allowed:
        (why, _), *_ = Counter(withheld.values()).most_common(1)
        raise ConsentError(
            f"none of {len(names)} recordings may go: {why}",
            "Ask the participants, then `hoi-data consent PARTICIPANT --date DAY --scope record,share,publish`. "
            "For use within your laboratory, add --audience laboratory.",
        )
    notices = {"LICENCE.txt": _licence_text(about, audience)} | _mano_notice(_source(root, name) for name in allowed)
    return Permit(audience, about.licence, allowed, withheld, notices)


def _withheld(root: Path, names: tuple[str, ...], audience: Audience, today: date | None) -> dict[str, str]:
    """Recording -> why it stays; empty where it may go."""
    table = sequences.read_table(root, "protocol").drop_duplicates("sequence")
    listed = {str(row["sequence"]): str(row["participant"]) for row in table.to_dict("records")}
    verdicts: dict[str, str] = {}
    out = {}
    for name in names:
        if sequences.truth_path(root, name).exists():
            out[name] = ""
            continue
        with sequences.open_capture(sequences.sequence_dir(root, name)) as capture:
            people = {capture.header.participant, listed.get(name, "")} - {""}
        # Neither file may be the wrong one: whoever either of them names must have agreed.
        for person in people or {""}:
            if person not in verdicts:
                verdicts[person] = _refusal(root, person, audience, today)
        out[name] = " ".join(filter(None, (verdicts[person] for person in sorted(people or {""}))))
    return out


def _refusal(root: Path, person: str, audience: Audience, today: date | None) -> str:
    try:
        if warning := require_consent(root, person, today, scope=(_SCOPE[audience],)):
            logger.warning("%s", warning)
    except ConsentError as error:
        return error.message
    return ""


def _source(root: Path, name: str) -> str:
    """The hand model of a recording's labels; empty where it has none."""
    if not sequences.annotation_path(root, name).exists():
        return ""
    with sequences.open_annotation(sequences.sequence_dir(root, name)) as annotation:
        return annotation.binding.mano_source


def _mano_notice(models: Iterable[str]) -> dict[str, str]:
    """The notice that labels made with MANO's files carry; an empty name is no model."""
    return {"NOTICE_MANO.txt": _MANO} if set(models) - {"", STAND_IN} else {}


def _licence_text(about: About, audience: Audience) -> str:
    lines = [f"Licence: {about.licence or 'none; all rights reserved'}"]
    lines += [about.licence_url] if about.licence_url else []
    if audience == "laboratory":
        lines.append(
            "Made for use within the laboratory that recorded it. Do not hand it on: participants may not have agreed."
        )
    if audience == "share":
        lines.append("Participants agreed to share it with named others, not to publish it. Do not hand it on.")
    if about.citation:
        lines += ["", "Please cite:", about.citation]
    return "\n".join(lines) + "\n"


def _no_licence(root: Path) -> DatasetError:
    return DatasetError(
        f"{root / 'dataset.json'} names no licence, so nobody else may use the data.",
        'Add one, such as "licence": "CC-BY-NC-4.0". For use within your laboratory, add --audience laboratory.',
    )
