"""Recordings of this toolkit: every labelled moment of every view, split by whole sequences."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo
from hoi_core import camera as cameras
from hoi_core import sequence as sequences
from hoi_core.conventions import Side
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer
from hoi_core.plugins import unknown_name
from hoi_core.types import F32, STATUSES, Camera, HandTrack, Revision, Sample

INFO = ReaderInfo(
    name="ours",
    url="",
    licence="set by whoever recorded it; see dataset.json",
    citation="",
    splits=("train", "test", "all"),
    joint_order="openpose21",
    unit="m",
)

logger = logging.getLogger(__name__)

_LEAST_JOINTS_INSIDE = 11  # fewer of the 21 on the image, and the view does not show the hand
_OPEN_FILES = 32


@dataclass(frozen=True)
class _Labels:
    """The current labels of one sequence."""

    revision: Revision
    vertices_m: dict[Side, F32]
    """(M, 778, 3) m, world frame; NaN where not valid."""


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, `<sequence>/<view>/<moment>`, with the side appended where two hands are labelled.

    Raises:
        DatasetError: no recordings, a sequence without labels, or a split that is empty.
        ConfigError: an unknown split.
    """
    keys = [key for name in _sequences_of(Path(root), split) for key in _keys_of(Path(root), name)]
    if not keys:
        raise DatasetError(f"split {split!r} of {root} holds no valid labelled frame.", "Annotate it: `hoi-annotate`.")
    return keys


def read(root: Path, key: str) -> Sample:
    """One view at one moment, in that view's colour camera frame.

    Raises:
        DatasetError: the key does not name a labelled frame.
    """
    try:
        name, view, moment, *rest = key.split("/")
        m = int(moment)
    except ValueError as error:
        raise DatasetError(f"expected a key like seq_001/left/000012, got {key!r}.", "Take it from index().") from error
    folder = sequences.find_sequence(Path(root), name)
    labels = _labels(folder, _version(folder))
    side = rest[0] if rest else next(iter(labels.revision.hands), "right")
    if side not in labels.revision.hands or view not in labels.revision.frame_index:
        raise DatasetError(f"{key!r} names a hand or a view that is not labelled.", "Take keys from index().")
    capture = _capture(folder, os.getpid())
    camera = capture.views[view].camera
    hand_side: Side = "left" if side == "left" else "right"
    joints = cameras.transform(camera.T_cam_world, labels.revision.hands[hand_side].joints_m[m])
    vertices = cameras.transform(camera.T_cam_world, labels.vertices_m[hand_side][m].astype(np.float64))
    return Sample(
        image=np.asarray(capture.views[view].color[int(labels.revision.frame_index[view][m])], dtype=np.uint8),
        camera=camera,
        side=hand_side,
        joints_m=joints,
        joints_valid=np.asarray(np.isfinite(joints).all(-1), dtype=np.bool_),
        vertices_m=vertices if np.isfinite(vertices).all() else None,
        dataset="ours",
        key=key,
    )


def tiny(folder: Path) -> Path:
    """Write a dataset of two sequences with one sample each, and return its root."""
    from dataset_tools.readers._tiny_ours import write

    return write(folder)


def _sequences_of(root: Path, split: str) -> list[str]:
    """Sequences of a split: as dataset.json lists them, else the last one (sorted) is the test."""
    known = sequences.list_sequences(root)
    if not known:
        raise DatasetError(
            f"expected recordings in {root}/sequences, found none.",
            "Record one with `hoi-capture --headless`, or point --data at your dataset.",
        )
    splits = {"all": known, "train": known[:-1] or known, "test": known[-1:]}
    described = root / "dataset.json"
    if described.exists():
        splits |= _listed_splits(described)
    if split not in splits:
        raise unknown_name("split", split, list(splits))
    if len(known) == 1 and splits.get("train") == splits.get("test"):
        logger.warning("%s holds one sequence: it is both training and test data.", root)
    missing = sorted(set(splits[split]) - set(known))
    if missing:
        raise DatasetError(f"dataset.json lists {', '.join(missing)}, not in {root}.", "Correct dataset.json.")
    return splits[split]


def _listed_splits(described: Path) -> dict[str, list[str]]:
    try:
        splits = json.loads(described.read_text(encoding="utf8")).get("splits", {})
        return {str(name): [str(s) for s in listed] for name, listed in splits.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise DatasetError(
            f'expected {described} with "splits": {{"train": [...]}}, got: {error}.', "Correct the file."
        ) from error


def _keys_of(root: Path, name: str) -> list[str]:
    folder = sequences.find_sequence(root, name)
    revision = _labels(folder, _version(folder)).revision
    views = _capture(folder, os.getpid()).views
    keys = []
    for view, frames in revision.frame_index.items():
        for side, hand in revision.hands.items():
            usable = _usable(hand, views[view].camera) & (frames >= 0)
            suffix = f"/{side}" if len(revision.hands) > 1 else ""
            keys += [f"{name}/{view}/{m:06d}{suffix}" for m in np.flatnonzero(usable)]
    return keys


def _usable(hand: HandTrack, camera: Camera) -> np.ndarray:
    """(M,) moments whose label is valid, not rejected, and on the image."""
    pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, hand.joints_m))
    on_image = cameras.inside(camera, pixels).sum(-1) >= _LEAST_JOINTS_INSIDE
    return hand.valid & (hand.status != STATUSES.index("rejected")) & on_image


# The process id is part of the key: a forked worker must not share its parent's open HDF5 files.
@lru_cache(maxsize=_OPEN_FILES)
def _capture(folder: Path, pid: int) -> sequences.Capture:
    return sequences.open_capture(folder)


def _version(folder: Path) -> int:
    """Changes when the labels do."""
    try:
        return (folder / "annotation.h5").stat().st_mtime_ns
    except FileNotFoundError as error:
        raise DatasetError(
            f"sequence {folder.name} has no labels.", f"Type `hoi-annotate {folder.name} --auto`."
        ) from error


@lru_cache(maxsize=_OPEN_FILES)
def _labels(folder: Path, version: int) -> _Labels:
    with sequences.open_annotation(folder) as annotation:
        revision = annotation.load()
        current, fitted_with = annotation.current, annotation.binding.mano_source
    if not any(hand.valid.any() for hand in revision.hands.values()):
        raise DatasetError(
            f"revision {current} of {folder.name} holds no fitted hand.", f"Type `hoi-annotate {folder.name} --auto`."
        )
    return _Labels(revision, {side: _vertices(side, hand, fitted_with) for side, hand in revision.hands.items()})


def _vertices(side: Side, hand: HandTrack, fitted_with: str) -> F32:
    """(M, 778, 3) m in the world frame from the labelled parameters."""
    layer = ManoLayer.from_env(side)
    if layer.model.source != fitted_with:
        raise DatasetError(
            f"the labels were fitted with the hand model {fitted_with}, but {layer.model.source} is in use.",
            "Set $HOI_MANO to the files they were made with; for the stand-in hand unset it.",
        )
    good = np.flatnonzero(hand.valid & np.isfinite(hand.pose).all(-1))
    out = np.full((len(hand.valid), layer.model.v_template.shape[0], 3), np.nan, dtype=np.float32)
    if len(good):
        posed = layer(hand.orient[good], hand.pose[good], hand.betas, hand.trans_m[good])
        out[good] = posed.vertices_m
    return out
