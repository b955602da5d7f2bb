"""All objects of a sequence, one after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from annotate.hand import HandState
from annotate.objects.mesh import load_mesh
from annotate.objects.track import ObjectFit, Scene, Start, first_poses, settled, track_object
from hoi_core.conventions import Side
from hoi_core.errors import AssetError, FitError
from hoi_core.sequence import Capture
from hoi_core.types import F64, ObjectPoints, ObjectTrack

log = logging.getLogger(__name__)
Placed = Mapping[str, Start | FitError | AssetError]
"""Object -> what its track begins with, or why it cannot."""


def fit_objects(
    root: Path,
    capture: Capture,
    object_points: Mapping[str, ObjectPoints],
    hands: Mapping[Side, HandState],
    corrections: Mapping[str, F64] | None = None,
    before: Mapping[str, ObjectTrack] | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> dict[str, ObjectFit]:
    """Track every object that was clicked or placed.

    Args:
        root: the dataset, which holds the meshes.
        capture: the open recording.
        object_points: clicks of each object.
        hands: the hands over the moments; may be empty.
        corrections: of the views, as the hands' fit found them.
        before: tracks so far; poses that a person edited or accepted stay bit for bit.
        on_progress: told (share done, what is being done).

    Returns:
        name -> fit; objects that could not start are left out, with a warning.

    Raises:
        FitError: none of the objects could start.
        AssetError: none could start, and a mesh is missing or broken.
    """
    placed = place_objects(root, capture, object_points, before)
    return fit_placed(Scene(capture, hands, corrections or {}), placed, before, on_progress)


def place_objects(
    root: Path,
    capture: Capture,
    object_points: Mapping[str, ObjectPoints],
    before: Mapping[str, ObjectTrack] | None = None,
) -> Placed:
    """Where each object starts, or why it cannot, as `fit_objects`; needs no hands."""
    earlier = before or {}
    out: dict[str, Start | FitError | AssetError] = {}
    for name in sorted({*object_points, *earlier}):
        if not _known(name, object_points, earlier):
            continue
        points = object_points.get(name, _no_points())
        try:
            mesh = load_mesh(root, name)
            out[name] = Start(mesh, points, first_poses(capture, mesh, points, earlier.get(name)))
        except (FitError, AssetError) as error:
            out[name] = error
    return out


def fit_placed(
    scene: Scene,
    placed: Placed,
    before: Mapping[str, ObjectTrack] | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> dict[str, ObjectFit]:
    """Track every object from where `place_objects` found it; as `fit_objects`."""
    tell = on_progress or _quiet
    earlier = before or {}
    out: dict[str, ObjectFit] = {}
    failure: FitError | AssetError | None = None
    for k, (name, start) in enumerate(placed.items()):
        try:
            if not isinstance(start, Start):
                raise start
            out[name] = track_object(scene, start, earlier.get(name), on_progress=_part(tell, k, len(placed)))
        except (FitError, AssetError) as error:
            failure = error
            log.warning("%s", error)
    if failure is not None and not out:
        raise failure
    return out


def _known(name: str, points: Mapping[str, ObjectPoints], before: Mapping[str, ObjectTrack]) -> bool:
    """Whether a person said anything of where the object is."""
    return (name in points and len(points[name].moment) > 0) or (name in before and bool(settled(before[name]).any()))


def _no_points() -> ObjectPoints:
    return ObjectPoints(np.zeros(0, np.int64), (), np.zeros((0, 2)), np.zeros((0, 3)))


def _part(tell: Callable[[float, str], None], k: int, count: int) -> Callable[[float, str], None]:
    """Progress of one object among all."""
    return lambda share, what: tell((k + share) / count, what)


def _quiet(share: float, what: str) -> None:
    """Progress that nobody asked for."""
