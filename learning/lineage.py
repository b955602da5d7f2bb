"""What a run learned from, through all the runs whose weights it began with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from learning import runs
from learning.config import TrainConfig
from learning.tasks import task_of

STAND_IN = "stand-in"
_UNKNOWN = "unknown: the run is not there any more"

Training = dict[str, Any]
"""One training: `run`, `dataset`, `licences` of its datasets by name, `hand_model`."""


def of(name: str, settings: TrainConfig[Any], hand_model: str) -> list[Training]:
    """A run's own training first, then those before it.

    Args:
        name: of the run.
        settings: of the run.
        hand_model: `stand-in`, or the hash of the MANO file in use.
    """
    licences = task_of(settings.model).DATA.licences(settings.dataset)
    own = {"run": name, "dataset": settings.dataset, "licences": licences, "hand_model": hand_model}
    return [own, *(before(settings.from_run) if settings.from_run else [])]


def before(run: Path) -> list[Training]:
    """The trainings behind a run that another began with, as it noted them; of an older run, as its settings tell."""
    if not (run / "config.yaml").exists():
        return [{"run": run.name, "dataset": _UNKNOWN, "licences": {}, "hand_model": _UNKNOWN}]
    about = runs.read_about(run)
    noted = about.get("lineage")
    if noted:
        return list(noted)
    return of(run.name, runs.read_settings(run), str(about.get("hand_model", STAND_IN)))


def licences(trainings: list[Training]) -> dict[str, str]:
    """Licence of every dataset of all trainings; a model is bound to all."""
    found: dict[str, str] = {}
    for training in reversed(trainings):
        if training["dataset"] == _UNKNOWN:
            found[training["run"]] = _UNKNOWN
        found |= training["licences"]
    return found


def is_free_of_mano(trainings: list[Training]) -> bool:
    """Whether no training is known to have used MANO, or may have."""
    return all(training["hand_model"] == STAND_IN for training in trainings)
