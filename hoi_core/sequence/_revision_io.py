"""One revision in an HDF5 group: shared by annotation.h5 and truth.h5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import h5py
import numpy as np

from hoi_core.errors import SequenceError
from hoi_core.sequence.codec import CODEC
from hoi_core.types import JOINT_SOURCES, STATUSES, HandTrack, ObjectTrack, Revision

_TEXT = ("author", "parent", "comment", "keypoint_source")
# Trailing shape and type of every array; M moments come first, unless it is `betas`.
_HAND: dict[str, tuple[tuple[int, ...], str]] = {
    "orient": ((3,), "f8"),
    "pose": ((45,), "f8"),
    "betas": ((10,), "f8"),
    "trans_m": ((3,), "f8"),
    "joints_m": ((21, 3), "f8"),
    "joint_cov_m2": ((21, 3, 3), "f8"),
    "valid": ((), "?"),
    "status": ((), "u1"),
    "joint_source": ((21,), "u1"),
}
_OBJECT: dict[str, tuple[tuple[int, ...], str]] = {
    "T_world_obj": ((4, 4), "f8"),
    "valid": ((), "?"),
    "status": ((), "u1"),
}


def _arrays(revision: Revision) -> Iterator[tuple[str, np.ndarray, tuple[int, ...], str]]:
    """Path, value, expected shape and type of every array of a revision."""
    moments = len(revision.t_ns)
    yield "t_ns", revision.t_ns, (moments,), "i8"
    for side, hand in revision.hands.items():
        for name, (tail, kind) in _HAND.items():
            yield f"hands/{side}/{name}", getattr(hand, name), tail if name == "betas" else (moments, *tail), kind
    for thing, track in revision.objects.items():
        for name, (tail, kind) in _OBJECT.items():
            yield f"objects/{thing}/{name}", getattr(track, name), (moments, *tail), kind
    for view, points in revision.keypoints.items():
        yield f"keypoints/{view}", points, (moments, 21, 3), "f8"
    for view, index in revision.frame_index.items():
        yield f"frame_index/{view}", index, (moments,), "i8"
    for name, values in revision.residuals.items():
        yield f"residuals/{name}", values, (moments,), "f8"


def check_revision(revision: Revision) -> None:
    """Check shapes and codes before anything is written.

    Raises:
        SequenceError: an array has another shape than the moments ask for, or an unknown code.
    """
    for path, value, shape, _ in _arrays(revision):
        if np.shape(value) != shape:
            raise SequenceError(f"{path} must have shape {shape}, got {np.shape(value)}.", "Correct the revision.")
    codes: list[tuple[str, np.ndarray, tuple[str, ...]]]
    codes = [(f"hands/{side}/joint_source", hand.joint_source, JOINT_SOURCES) for side, hand in revision.hands.items()]
    codes += [(f"hands/{side}/status", hand.status, STATUSES) for side, hand in revision.hands.items()]
    codes += [(f"objects/{name}/status", track.status, STATUSES) for name, track in revision.objects.items()]
    for path, value, names in codes:
        if (np.asarray(value) >= len(names)).any():
            raise SequenceError(f"{path} must hold 0 to {len(names) - 1}, got {np.max(value)}.", f"Use {names}.")


def write_revision_group(group: h5py.Group, revision: Revision) -> None:
    """Write a checked revision into a group that holds none yet."""
    for path, value, shape, kind in _arrays(revision):
        array = np.asarray(value).astype(kind)
        # A compressed dataset needs chunks, and chunks need at least one element.
        group.create_dataset(path, data=array, **(CODEC if 0 not in shape and shape else {}))
    for kind in ("hands", "objects", "keypoints", "frame_index", "residuals"):
        group.require_group(kind)
    for name in _TEXT:
        group.attrs[name] = getattr(revision, name)
    group.attrs["human_seconds"] = float(revision.human_seconds)
    group.attrs["statuses"] = list(STATUSES)
    group.attrs["joint_sources"] = list(JOINT_SOURCES)


def _track(group: h5py.Group, kind: type[HandTrack] | type[ObjectTrack]) -> dict[str, np.ndarray]:
    return {field.name: group[field.name][()] for field in fields(kind)}


def read_revision_group(group: h5py.Group) -> Revision:
    """Inverse of `write_revision_group`."""
    text = {name: str(group.attrs[name]) for name in _TEXT}
    return Revision(
        t_ns=group["t_ns"][()],
        hands={side: HandTrack(**_track(hand, HandTrack)) for side, hand in group["hands"].items()},
        objects={name: ObjectTrack(**_track(track, ObjectTrack)) for name, track in group["objects"].items()},
        keypoints={view: dataset[()] for view, dataset in group["keypoints"].items()},
        frame_index={view: dataset[()] for view, dataset in group["frame_index"].items()},
        residuals={name: dataset[()] for name, dataset in group["residuals"].items()},
        human_seconds=float(group.attrs["human_seconds"]),
        **text,  # type: ignore[arg-type]
    )
