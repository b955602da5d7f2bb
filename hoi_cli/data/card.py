"""Write the card and the datasheet of a dataset, and its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hoi_cli._run import Common, with_data, write_json

if TYPE_CHECKING:
    from dataset_tools.publish.release import Changes

_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Write card and datasheet from the data; compare with the last version, or make a new one."""

    release: str = ""
    """Version to make, such as 1.0.0; default is a card of what there is now, compared with the last version."""
    audience: Literal["publish", "share", "laboratory"] = "publish"
    """Who will have it: everybody, named others, your laboratory."""
    out: Path | None = None
    """Folder of the card; default is card/ in the dataset. A version lies in releases/ in the dataset."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data card`."""
    from dataset_tools.publish import release as releases
    from dataset_tools.publish.about import read_about
    from dataset_tools.publish.card import Release, card, datasheet
    from dataset_tools.publish.facts import facts_of
    from dataset_tools.publish.permit import permit
    from dataset_tools.readers import ours
    from hoi_core import log
    from hoi_core.errors import DatasetError
    from hoi_core.plain import plain

    names = usable(root)
    granted = permit(root, ours.INFO, names, command.audience)
    manifest = releases.describe(root, command.release, granted, today()) if command.release else None
    known = releases.versions(root)
    changed = releases.changes(root, releases.read(root, known[-1])) if known else None
    facts = facts_of(root, granted, accuracy_of(root, granted.allowed))
    release = Release(read_about(root), facts, granted, command.release)
    texts = {"README.md": card(release), "DATASHEET.md": datasheet(release), **granted.notices}
    folder = command.out or root / "card"
    if manifest is not None:
        folder = releases.write(root, manifest, texts)
    else:
        write_texts(folder, texts)
    values = plain({"withheld": granted.withheld, "accuracy": facts.accuracy, "sequences": granted.allowed})
    write_json(command.json, {"out": folder, "version": command.release, **values, **_json(changed)})  # type: ignore[dict-item]
    lines = [f"{len(granted.allowed)} recordings, licence {granted.licence or 'none'}, in README.md and DATASHEET.md"]
    lines += [f"{name} stays here: {why}" for name, why in granted.withheld.items()]
    lines += _told(changed, known[-1] if known else "")
    title = f"version {command.release} in {folder}" if command.release else f"card in {folder}"
    following = "hoi-data convert --to huggingface --out published --splits all"
    log.panel(title, lines, with_data(following, command.data))
    if changed is not None and changed.broken and not command.release:
        raise DatasetError(
            f"version {known[-1]} is no longer what was released: {'; '.join(changed.broken[:_SHOWN])}.",
            "Restore it from a backup; after a withdrawal, release a new version and ask others to delete the old one.",
        )


def usable(root: Path) -> list[str]:
    """Recordings that were not rejected.

    Raises:
        DatasetError: there are none.
    """
    from dataset_tools.split import takes_of

    return [take.sequence for take in takes_of(root)]


def today() -> str:
    """This day, ISO 8601."""
    from datetime import UTC, datetime

    return datetime.now(UTC).astimezone().date().isoformat()


def accuracy_of(root: Path, names: Sequence[str]) -> dict[str, float]:
    """Figures of the labels of recordings; those whose labels cannot be judged are left out, with a warning."""
    import logging

    from annotate.trust.statistics import sequence_statistics
    from hoi_cli.data._labels import totals
    from hoi_core import log
    from hoi_core.errors import HoiError
    from hoi_core.sequence import annotation_path

    rows = []
    labelled = [name for name in names if annotation_path(root, name).exists()]
    with log.progress() as bar:
        for name in bar.track(labelled, description="looking at labels"):
            try:
                rows.append(sequence_statistics(root, name).row())
            except HoiError as error:
                logging.getLogger(__name__).warning("%s is not part of the labels' figures: %s", name, error)
    return totals(rows) if rows else {}


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Write text files, each at once.

    Raises:
        StorageError: the disk is full or not writable.
    """
    from hoi_core.sequence import storage_errors
    from hoi_core.whole_file import write_whole

    with storage_errors(folder):
        for name, text in texts.items():
            write_whole(folder / name, text)


def _json(changed: Changes | None) -> dict[str, object]:
    return {} if changed is None else {"broken": changed.broken, "since": changed.since}


def _told(changed: Changes | None, version: str) -> list[str]:
    if changed is None:
        return []
    told = changed.broken + changed.since
    lines = told[:_SHOWN] + ([f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else [])
    return [f"since version {version}: {line}" for line in lines or ["nothing has changed"]]
