"""Where a model errs: by joint, by what hides the hand, by the side it is seen from, by set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataset_tools.stats.hands import view_angles
from hoi_core import bootstrap
from hoi_core.conventions import JOINT_NAMES, N_JOINTS
from hoi_core.metrics import mean_over_points_mm
from hoi_core.types import F64, Bool
from learning.evaluate import Evaluation

UNITS = ("_mm", "_px")
HIDDEN = ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.0))
"""Bands of the share of a hand's joints that the image does not show."""
VIEWS = ((-90.0, -45.0, "palm"), (-45.0, 0.0, "side, palm"), (0.0, 45.0, "side, back"), (45.0, 90.0, "back"))
"""Bands of the camera's elevation over the palm's plane, degrees, and what it sees."""
_RESAMPLES = 400


@dataclass(frozen=True)
class Row:
    """The errors of some of the points."""

    by: str
    """What the rows are told apart by."""
    value: str
    """Which of them this is."""
    samples: int
    """Hands with at least one such point."""
    means: dict[str, float]
    """Name of an error -> its mean."""
    intervals: dict[str, bootstrap.Interval]
    """Its interval."""


def columns(found: Evaluation) -> list[str]:
    """The errors that are known joint by joint."""
    return [name for name, each in found.errors.items() if name.endswith(UNITS) and each.shape[1:] == (N_JOINTS,)]


def breakdown(found: Evaluation) -> list[Row]:
    """One row for each joint, and each band of occlusion and of view that occurs."""
    shape = (len(found.joints_m), N_JOINTS)
    rows = []
    for by, value, chosen in _chosen(found):
        mask: Bool = np.broadcast_to(chosen, shape)
        if not mask.any():
            continue
        own = {name: np.where(mask, found.errors[name], np.nan) for name in columns(found)}
        there: Bool = np.asarray(mask.any(axis=1), np.bool_)
        groups = [found.groups[n] for n in np.flatnonzero(there)]
        intervals = bootstrap.intervals({name: each[there] for name, each in own.items()}, groups, resamples=_RESAMPLES)
        means = {name: mean_over_points_mm(each) for name, each in own.items()}
        rows.append(Row(by, value, int(there.sum()), means, intervals))
    return rows


def hidden_share(found: Evaluation) -> F64:
    """(N,) share of each hand's joints that the image does not show; NaN where the dataset does not say."""
    return 1.0 - found.visible.mean(1)


def elevation_deg(found: Evaluation) -> F64:
    """(N,) where the camera is: 90 sees the back of the hand, -90 the palm; NaN where the palm is unknown."""
    with np.errstate(invalid="ignore"):
        return np.rad2deg(view_angles(found.joints_m)[:, 0])


def _chosen(found: Evaluation) -> Iterator[tuple[str, str, Bool]]:
    """What rows are told apart by, which one it is, and its points. `(1, 21)`, `(N, 1)` or `(N, 21)`."""
    for joint, name in enumerate(JOINT_NAMES):
        yield "joint", name, np.arange(N_JOINTS)[None] == joint
    yield "joint in the image", "seen", found.visible == 1.0
    yield "joint in the image", "hidden", found.visible == 0.0
    hidden = hidden_share(found)[:, None]
    for low, high in HIDDEN:
        within = (hidden >= low) & ((hidden < high) | (high == HIDDEN[-1][1]))
        yield "joints hidden", f"{100 * low:.0f} to {100 * high:.0f} %", within
    elevation = elevation_deg(found)[:, None]
    for low, high, name in VIEWS:
        yield "seen from", name, (elevation >= low) & ((elevation < high) | (high == VIEWS[-1][1]))
    sets = np.array(["/".join((name, key.split("/")[0])) for name, key in found.places])
    for name in sorted(set(sets)) if 1 < len(set(sets)) <= N_JOINTS else ():
        yield "set", name, (sets == name)[:, None]
