"""Recordings of this toolkit: every labelled moment of every view, split by whole sequences.

Takes that protocol.csv calls rejected are left out, and so are moments whose label a person rejected.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from dataset_tools.readers import ReaderInfo, _ours_scene
from dataset_tools.readers._kept_keys import KeptKeys
from dataset_tools.split import read_splits
from hoi_core import camera as cameras
from hoi_core import sequence as sequences
from hoi_core.conventions import Side
from hoi_core.errors import DatasetError
from hoi_core.mano import ManoLayer
from hoi_core.plugins import unknown_name
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F32, F64, STATUSES, U8, Bool, Camera, HandParams, HandTrack, Revision, Sample

INFO = ReaderInfo(
    name="ours",
    url="",
    licence="set by whoever recorded it; see dataset.json",
    citation="",
    splits=("train", "test", "all"),
    joint_order="openpose21",
    unit="m",
    key_parts=("sequence", "view", "moment", "side"),
)

logger = logging.getLogger(__name__)

_LEAST_JOINTS_INSIDE = 11  # fewer of the 21 on the image, and the view does not show the hand
_OPEN_FILES = 32
_KEPT_LABELS = 256  # half a megabyte each for six seconds


def index(root: Path, split: str) -> list[str]:
    """Keys of a split, `<sequence>/<view>/<moment>`, with the side appended where two hands are labelled.

    Raises:
        DatasetError: no recordings, a sequence without labels, or a split that is empty; labels of another hand model.
        ConfigError: an unknown split.
    """
    return index_of(root, split)


def index_of(root: Path, split: str, only: Collection[str] | None = None) -> list[str]:
    """Keys of those sequences of a split that are meant: a dataset may be labelled in part.

    Args:
        root: the dataset.
        split: its split.
        only: names of sequences; None for all.

    Raises:
        DatasetError: as `index`.
        ConfigError: an unknown split.
    """
    root = Path(root)
    kept = KeptKeys(root, os.environ.get("HOI_MANO", ""))
    keys: list[str] = []
    for name, views in _sequences_of(root, split).items():
        if only is not None and name not in only:
            continue
        folder = sequences.find_sequence(root, name)
        files = sorted(folder.glob("*.h5"))
        found = kept.of(name, files, partial(_keys_of, folder))
        keys += found if "" in views else [key for key in found if key.split("/")[1] in views]
    kept.save()
    if not keys:
        raise DatasetError(f"split {split!r} of {root} holds no valid labelled frame.", "Annotate it: `hoi-annotate`.")
    return keys


def read(root: Path, key: str) -> Sample:
    """One view at one moment, in that view's colour camera frame.

    Raises:
        DatasetError: the key does not name a labelled frame.
    """
    shown = _labelled(Path(root), key)
    hand, m = shown.revision.hands[shown.side], shown.moment
    stream = _capture(shown.folder, os.getpid()).views[shown.view]
    side, camera = shown.side, stream.camera
    joints = cameras.transform(camera.T_cam_world, hand.joints_m[m])
    vertices, params = _model(side, hand, m, camera.T_cam_world)
    return Sample(
        image=np.asarray(stream.color[shown.frame], dtype=np.uint8),
        camera=camera,
        side=side,
        joints_m=joints,
        joints_valid=np.asarray(np.isfinite(joints).all(-1), dtype=np.bool_),
        vertices_m=vertices if np.isfinite(vertices).all() else None,
        dataset="ours",
        key=key,
        params=params if np.isfinite(vertices).all() else None,
        objects=_ours_scene.objects_of(Path(root), shown.revision, m, camera.T_cam_world),
    )


def depth_m(root: Path, key: str) -> F32:
    """Depth as the colour camera sees it. `(H, W)` m; NaN where nothing was measured.

    Raises:
        DatasetError: the key does not name a labelled frame.
    """
    shown = _labelled(Path(root), key)
    return _ours_scene.depth_of(_capture(shown.folder, os.getpid()), shown.view, shown.moment)


def segmentation(root: Path, key: str) -> U8:
    """What each pixel shows, drawn from the labels. `(H, W)`: 0 background, 1 hand, 2 object with a mesh.

    Raises:
        DatasetError: the key does not name a labelled frame.
        AssetError: a mesh is damaged.
    """
    shown = _labelled(Path(root), key)
    camera = _capture(shown.folder, os.getpid()).views[shown.view].camera
    return _ours_scene.segmentation_of(Path(root), shown.revision, shown.moment, camera)


def group(key: str) -> str:
    """The sequence."""
    return key.partition("/")[0]


def objects(root: Path) -> dict[str, Path | None]:
    """Names of the objects that have a mesh, and these."""
    return _ours_scene.objects(Path(root))


def other_view(root: Path, key: str) -> str | None:
    """The key of the same hand at the same moment in the next view that shows it; None where no other does.

    Raises:
        DatasetError: the key does not name a labelled frame.
    """
    shown = _labelled(Path(root), key)
    joints_m = shown.revision.hands[shown.side].joints_m[shown.moment]
    views = _capture(shown.folder, os.getpid()).views
    names = list(views)
    at = names.index(shown.view)
    for name in names[at + 1 :] + names[:at]:
        frames = shown.revision.frame_index.get(name)
        if frames is not None and frames[shown.moment] >= 0 and _on_image(views[name].camera, joints_m):
            return "/".join([shown.folder.name, name, *key.split("/")[2:]])
    return None


def tiny(folder: Path) -> Path:
    """Write a dataset of two sequences with one sample each, and return its root."""
    from dataset_tools.readers._tiny_ours import write

    return write(folder)


@dataclass(frozen=True)
class _Labelled:
    """What a key names."""

    folder: Path
    revision: Revision
    side: Side
    view: str
    moment: int
    frame: int
    """Of the view's colour stream."""


def _labelled(root: Path, key: str) -> _Labelled:
    try:
        name, view, moment, *rest = key.split("/")
        m = int(moment)
    except ValueError as error:
        raise DatasetError(f"expected a key like seq_001/left/000012, got {key!r}.", "Take it from index().") from error
    folder = sequences.find_sequence(root, name)
    revision = _revision(folder, *_version(folder))
    side = next((known for known in revision.hands if rest in ([], [known])), None)
    frames = revision.frame_index.get(view, np.empty(0, np.int64))
    if side is None or not 0 <= m < len(frames) or frames[m] < 0 or not revision.hands[side].valid[m]:
        raise DatasetError(f"{key!r} names a hand, a view or a moment that is not labelled.", "Take keys from index().")
    return _Labelled(folder, revision, side, view, m, int(frames[m]))


def _sequences_of(root: Path, split: str) -> dict[str, set[str]]:
    """Sequences of a split and which views of each, "" for every one; no rejected takes.

    As dataset.json lists them, else the last sequence (sorted) is the test.
    """
    recorded = sequences.list_sequences(root)
    if not recorded:
        raise DatasetError(
            f"expected recordings in {root}/sequences, found none.",
            "Record one with `hoi-capture --headless`, or point --data at your dataset.",
        )
    protocol = sequences.read_table(root, "protocol")
    rejected = set(protocol["sequence"][protocol["status"] == "rejected"]) if "status" in protocol else set()
    known = [name for name in recorded if name not in rejected]
    splits = {"all": known, "train": known[:-1] or known, "test": known[-1:], **read_splits(root).parts}
    if split not in splits:
        raise unknown_name("split", split, list(splits))
    if len(known) == 1 and splits.get("train") == splits.get("test"):
        logger.warning("%s holds one sequence: it is both training and test data.", root)
    chosen: dict[str, set[str]] = {}
    for entry in splits[split]:
        name, _, view = entry.partition("/")
        chosen.setdefault(name, set()).add(view)
    missing = sorted(set(chosen) - set(recorded))
    if missing:
        raise DatasetError(f"dataset.json lists {', '.join(missing)}, not in {root}.", "Correct dataset.json.")
    return {name: views for name, views in chosen.items() if name not in rejected}


def _keys_of(folder: Path) -> list[str]:
    _version(folder)
    seen = sequences.glance(folder)
    _check_hands(folder, seen.revision, seen.hands, seen.binding.mano_source)
    keys = []
    for view, frames in seen.frame_index.items():
        if view not in seen.cameras:
            continue
        for side, hand in seen.hands.items():
            usable = _usable(hand, seen.cameras[view]) & (frames >= 0)
            suffix = f"/{side}" if len(seen.hands) > 1 else ""
            before = f"{folder.name}/{view}"
            keys += [f"{before}/{m:06d}{suffix}" for m in np.flatnonzero(usable).tolist()]
    return keys


def _usable(hand: sequences.HandPlaces, camera: Camera) -> Bool:
    """(M,) moments whose label is valid, not rejected, and on the image."""
    return hand.valid & (hand.status != STATUSES.index("rejected")) & _on_image(camera, hand.joints_m)


def _on_image(camera: Camera, joints_m: F64) -> Bool:
    """Whether a view shows the hand. `(..., 21, 3) m, world -> (...)`."""
    pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, joints_m))
    return np.asarray(cameras.inside(camera, pixels).sum(-1) >= _LEAST_JOINTS_INSIDE)


# The process id is part of the key: a forked worker must not share its parent's open HDF5 files.
@lru_cache(maxsize=_OPEN_FILES)
def _capture(folder: Path, pid: int) -> sequences.Capture:
    return sequences.open_capture(folder)


def _version(folder: Path) -> tuple[int, str]:
    """Changes when the labels or the hand model do."""
    try:
        return (folder / "annotation.h5").stat().st_mtime_ns, os.environ.get("HOI_MANO", "")
    except FileNotFoundError as error:
        raise DatasetError(
            f"sequence {folder.name} has no labels.", f"Type `hoi-annotate {folder.name} --auto`."
        ) from error


@lru_cache(maxsize=_KEPT_LABELS)
def _revision(folder: Path, version: int, model: str) -> Revision:
    """The current labels of a sequence."""
    with sequences.open_annotation(folder) as annotation:
        revision = annotation.load()
        current, fitted_with = annotation.current, annotation.binding.mano_source
    _check_hands(folder, current, revision.hands, fitted_with)
    return revision


def _check_hands(
    folder: Path, revision: str, hands: Mapping[Side, HandTrack | sequences.HandPlaces], fitted_with: str
) -> None:
    """Raise DatasetError for labels without a hand, or of another hand model than the one in use."""
    if not any(hand.valid.any() for hand in hands.values()):
        raise DatasetError(
            f"revision {revision} of {folder.name} holds no fitted hand.", f"Type `hoi-annotate {folder.name} --auto`."
        )
    for side in hands:
        source = ManoLayer.from_env(side).model.source
        if source != fitted_with:
            raise DatasetError(
                f"the labels were fitted with the hand model {fitted_with}, but {source} is in use.",
                "Set $HOI_MANO to the files they were made with; for the stand-in hand unset it.",
            )


def _model(side: Side, hand: HandTrack, m: int, T_cam_world: F64) -> tuple[F64, HandParams]:
    """Mesh `(778, 3)` m and parameters of one moment in the camera's frame; NaN without them."""
    some = slice(m, m + 1)
    posed = ManoLayer.from_env(side)(hand.orient[some], hand.pose[some], hand.betas, hand.trans_m[some])
    # The hand turns about its shaped wrist, which lies where it did in the template plus the translation.
    wrist_m = posed.joints_m[0, 0]
    params = HandParams(
        orient=log_so3(T_cam_world[:3, :3] @ exp_so3(hand.orient[m])),
        pose=hand.pose[m],
        betas=hand.betas,
        trans_m=cameras.transform(T_cam_world, wrist_m[None])[0] - (wrist_m - hand.trans_m[m]),
        flat_hand_mean=True,
    )
    return cameras.transform(T_cam_world, posed.vertices_m[0]), params
