"""One revision in an HDF5 group: shared by annotation.h5 and truth.h5."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields

import h5py
import numpy as np

from hoi_core.conventions import SIDES, Side
from hoi_core.errors import SequenceError
from hoi_core.sequence._files import read_whole
from hoi_core.sequence.codec import CODEC
from hoi_core.types import (
    F64,
    I64,
    JOINT_SOURCES,
    PROBLEMS,
    STATUSES,
    U8,
    Bool,
    HandKeypoints,
    HandTrack,
    ObjectPoints,
    ObjectTrack,
    Revision,
)

_TEXT = ("author", "parent", "comment", "keypoint_source")
_ONLY_SIDE = "right"
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
    for k, (side, points) in enumerate(revision.keypoints.items()):
        # The first hand lies where files of version 1.0 had the only one.
        below = f"more_keypoints/{side}/" if k else ""
        for view, values in points.by_view.items():
            yield f"{below}keypoints/{view}", values, (moments, 21, 3), "f8"
        for view, marks in points.marks.items():
            yield f"{below}keypoint_marks/{view}", marks, (moments, 21), "u1"
    for side, joints in revision.locked.items():
        yield f"locked/{side}", joints, (moments, 21), "?"
    for side, codes in revision.problems.items():
        yield f"problems/{side}", codes, (moments,), "u1"
    for thing, clicks in revision.object_points.items():
        count = len(clicks.moment)
        yield f"object_points/{thing}/moment", clicks.moment, (count,), "i8"
        yield f"object_points/{thing}/point_px", clicks.point_px, (count, 2), "f8"
        yield f"object_points/{thing}/point_m", clicks.point_m, (count, 3), "f8"
    for view, correction in revision.corrections.items():
        yield f"corrections/{view}", correction, (8,), "f8"
    if revision.work_s is not None:
        yield "work_s", revision.work_s, (moments,), "f8"
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
    codes += [(f"problems/{side}", values, PROBLEMS) for side, values in revision.problems.items()]
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
    group["keypoints"].attrs["side"] = next(iter(revision.keypoints), "")
    for thing, clicks in revision.object_points.items():
        group[f"object_points/{thing}"].attrs["view"] = list(clicks.view)
    group.attrs["comments"] = json.dumps({str(moment): text for moment, text in revision.comments.items()})
    for name in _TEXT:
        group.attrs[name] = getattr(revision, name)
    group.attrs["purpose"] = revision.purpose
    group.attrs["human_seconds"] = float(revision.human_seconds)
    group.attrs["statuses"] = list(STATUSES)
    group.attrs["joint_sources"] = list(JOINT_SOURCES)
    group.attrs["problems"] = list(PROBLEMS)


@dataclass(frozen=True)
class HandPlaces:
    """Where one hand is at the M moments of a revision."""

    joints_m: F64
    """(M, 21, 3) m, world; NaN where unknown."""
    valid: Bool
    """(M,)."""
    status: U8
    """(M,) index into `types.STATUSES`."""


def read_places(group: h5py.Group) -> tuple[dict[Side, HandPlaces], dict[str, I64]]:
    """Hands and frame indices of a revision, and nothing else of it.

    Raises:
        ValueError: an array has another shape than the moments ask for, or a hand another name.
    """
    moments = h5py.h5d.open(group.id, b"t_ns").shape[0]
    frames = {view: read_whole(group, f"frame_index/{view}") for view in group["frame_index"]}
    shapes = {f"frame_index/{view}": (index.shape, (moments,)) for view, index in frames.items()}
    hands: dict[Side, HandPlaces] = {}
    for side in group["hands"]:
        parts = {field.name: read_whole(group, f"hands/{side}/{field.name}") for field in fields(HandPlaces)}
        shapes |= {f"hands/{side}/{name}": (a.shape, (moments, *_HAND[name][0])) for name, a in parts.items()}
        hands[_side(side)] = HandPlaces(**parts)
    for path, (found, expected) in shapes.items():
        if found != expected:
            raise ValueError(f"{path} must have shape {expected}, got {found}")
    return hands, frames


def digest_revision(revision: Revision) -> bytes:
    """SHA-256 of a revision: the same however it is stored, and in files of any version."""
    total = hashlib.sha256()
    for path, value, _, kind in sorted(_arrays(revision), key=lambda row: row[0]):
        array = np.ascontiguousarray(np.asarray(value).astype(np.dtype(kind).newbyteorder("<")))
        total.update(f"{path} {array.shape} ".encode())
        total.update(array.tobytes())
    said = [getattr(revision, name) for name in (*_TEXT, "purpose", "human_seconds")]
    views = {name: clicks.view for name, clicks in sorted(revision.object_points.items())}
    total.update(json.dumps([said, sorted(revision.comments.items()), views, list(revision.keypoints)]).encode())
    return total.digest()


def _track(group: h5py.Group, kind: type[HandTrack] | type[ObjectTrack]) -> dict[str, np.ndarray]:
    return {field.name: group[field.name][()] for field in fields(kind)}


def read_revision_group(group: h5py.Group) -> Revision:
    """Inverse of `write_revision_group`; what a file of version 1.0 does not hold is empty."""
    text = {name: str(group.attrs[name]) for name in _TEXT}
    return Revision(
        t_ns=group["t_ns"][()],
        hands={side: HandTrack(**_track(hand, HandTrack)) for side, hand in group["hands"].items()},
        objects={name: ObjectTrack(**_track(track, ObjectTrack)) for name, track in group["objects"].items()},
        keypoints=_read_keypoints(group),
        frame_index={view: dataset[()] for view, dataset in group["frame_index"].items()},
        residuals=_read_all(group, "residuals"),
        human_seconds=float(group.attrs["human_seconds"]),
        locked=_read_all(group, "locked"),
        problems=_read_all(group, "problems"),
        object_points={name: _read_clicks(clicks) for name, clicks in group.get("object_points", {}).items()},
        comments={int(moment): text for moment, text in json.loads(group.attrs.get("comments", "{}")).items()},
        work_s=group["work_s"][()] if "work_s" in group else None,
        corrections=_read_all(group, "corrections"),
        purpose=group.attrs.get("purpose", "labels"),
        **text,  # type: ignore[arg-type]
    )


def _read_all(group: h5py.Group, kind: str) -> dict:
    """Every array of a subgroup that may be missing, by name; a name with a slash lies in a group of its own."""
    found = {}
    for name, held in group.get(kind, {}).items():
        if isinstance(held, h5py.Group):
            found.update({f"{name}/{below}": array for below, array in _read_all(group[kind], name).items()})
        else:
            found[name] = held[()]
    return found


def first_side(group: h5py.Group) -> str:
    """The hand whose keypoints lie in `keypoints`; empty where there are none."""
    side = str(group["keypoints"].attrs.get("side", ""))
    if not side and len(group["keypoints"]):
        side = next(iter(group["hands"]), _ONLY_SIDE)  # version 1.0: keypoints of the only hand
    return side


def _read_keypoints(group: h5py.Group) -> dict[Side, HandKeypoints]:
    out: dict[Side, HandKeypoints] = {}
    side = first_side(group)
    for name, where in [(side, group), *group.get("more_keypoints", {}).items()]:
        if name:
            out[_side(name)] = HandKeypoints(_read_all(where, "keypoints"), _read_all(where, "keypoint_marks"))
    return out


def _side(name: str) -> Side:
    if name not in SIDES:
        raise ValueError(f"no hand is called {name!r}")
    return name


def _read_clicks(group: h5py.Group) -> ObjectPoints:
    return ObjectPoints(
        group["moment"][()],
        tuple(str(view) for view in group.attrs["view"]),
        group["point_px"][()],
        group["point_m"][()],
    )
