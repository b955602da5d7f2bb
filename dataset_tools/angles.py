"""Joint angles of a dataset's hands: 23 inside their limits by iterative fitting, made once, part by part.

The ground truth that the IK network of Fan and Wang 2023 learns from (section 3.3): of each labelled hand the pose of
23 angles that is nearest to its joints and vertices, and the 45 angles of its label. No image is kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from dataset_tools import readers
from hoi_core import plugins
from hoi_core.conventions import N_BETAS, N_VERTICES, SIDES, Side
from hoi_core.errors import DatasetError, StorageError
from hoi_core.ik import ALL_ANGLES, BIOMECHANICAL, FitConfig, Targets, fit, ik_hand, spread_vertices
from hoi_core.mano import ManoLayer
from hoi_core.mano.topology import is_mesh_of
from hoi_core.types import F64, I64, Bool, HandParams, Sample
from hoi_core.whole_file import write_whole

PART = 500
"""Hands of one file."""
_OTHER_MODEL_M = 5e-3
"""Mean distance of a labelled hand from what its parameters give here, above which they belong to another model."""
_NO_ROWS = np.zeros(0, dtype=bool)
_SOLVED = FitConfig(shape="solved")


@dataclass(frozen=True)
class Angles:
    """Hands of a split and their angles. N hands."""

    keys: NDArray[np.str_]
    """(N,) of the samples."""
    left: Bool
    """(N,) whether it is a left hand."""
    joints_m: F64
    """(N, 21, 3) m as labelled, camera frame."""
    angles: F64
    """(N, 23) rad, `BIOMECHANICAL`, inside the limits."""
    all_angles: F64
    """(N, 45) rad, `ALL_ANGLES`; of hands whose label has no parameters, the 23 and zeros."""
    orient: F64
    """(N, 3) rad of the 23 angles' hand."""
    trans_m: F64
    """(N, 3) m of the same."""
    betas: F64
    """(N, 10) labelled where `labelled`, else solved."""
    labelled: Bool
    """(N,) whether the label has parameters of the hand model in use."""
    off_m: F64
    """(N,) m, mean distance of the 23 angles' joints from the labelled ones."""

    def taken(self, rows: I64) -> Angles:
        """Some of the hands."""
        return Angles(*(getattr(self, f.name)[rows] for f in fields(self)))


_NONE = Angles(
    keys=np.zeros(0, "U1"),
    left=_NO_ROWS,
    joints_m=np.zeros((0, 21, 3)),
    angles=np.zeros((0, len(BIOMECHANICAL))),
    all_angles=np.zeros((0, len(ALL_ANGLES))),
    orient=np.zeros((0, 3)),
    trans_m=np.zeros((0, 3)),
    betas=np.zeros((0, N_BETAS)),
    labelled=_NO_ROWS,
    off_m=np.zeros(0),
)


def folder_of(root: Path, dataset: str, split: str) -> Path:
    """Where the angles of a split lie."""
    return readers.home(root, dataset) / "angles" / split


def make(
    root: Path, dataset: str, split: str, tell: Callable[[int, int], None] = lambda done, of: None, part: int = PART
) -> Angles:
    """Fit the hands of a split; what an earlier call has finished is read instead.

    Args:
        root: where datasets lie.
        dataset: name of its reader.
        split: name of the split.
        tell: told how many hands are done, of how many samples.
        part: samples of one file; another number than before begins anew.

    Raises:
        HoiError: an unknown dataset or split, no hand whose 21 joints are known, or a disk that is full.
    """
    reader = plugins.load("dataset_tools.readers", dataset)
    home, folder = readers.home(root, dataset), folder_of(root, dataset, split)
    keys: list[str] = reader.index(home, split)
    made: list[Angles] = []
    for number, start in enumerate(range(0, len(keys), part)):
        some = keys[start : start + part]
        path = folder / f"part_{number:04d}.npz"
        found = _read(path, some)
        if found is None:
            found = _fitted([reader.read(home, key) for key in some])
            _write(path, found, some)
        made.append(found)
        tell(min(start + part, len(keys)), len(keys))
    joined = _joined(made)
    if not len(joined.keys):
        raise DatasetError(f"{dataset} {split} has no hand whose 21 joints are known in space.", "Take another split.")
    return joined


def _joined(parts: Sequence[Angles]) -> Angles:
    whole = parts or [_NONE]
    return Angles(*(np.concatenate([getattr(p, f.name) for p in whole]) for f in fields(Angles)))


def _fitted(samples: Sequence[Sample]) -> Angles:
    """The hands of samples, each side at once; samples with an unknown joint are left out."""
    whole = [s for s in samples if s.joints_valid.all() and np.isfinite(s.joints_m).all()]
    done: list[Angles] = []
    for side in SIDES:
        own = [sample for sample in whole if sample.side == side]
        layer = ManoLayer.from_env(side)
        params = [_own_params(layer, sample) for sample in own]
        for known in (True, False):
            rows = [i for i, found in enumerate(params) if (found is not None) == known]
            if rows:
                done.append(_fit(layer, [own[i] for i in rows], [params[i] for i in rows]))
    if not done:
        return _NONE
    joined = _joined(done)
    place = {key: i for i, key in enumerate(joined.keys.tolist())}
    return joined.taken(np.array([place[sample.key] for sample in whole], dtype=np.int64))


def _fit(layer: ManoLayer, samples: Sequence[Sample], params: Sequence[HandParams | None]) -> Angles:
    """Hands of one side, with parameters or without."""
    hand = ik_hand(layer, BIOMECHANICAL, spread_vertices(layer))
    joints = np.stack([sample.joints_m for sample in samples])
    vertices = np.stack([_own_vertices(layer, sample) for sample in samples])
    known = [found for found in params if found is not None]
    betas = np.stack([found.betas for found in known]) if known else None
    found = fit(hand, Targets(joints, vertices), betas, None if known else _SOLVED)
    poses = np.stack([_absolute(layer, each) for each in known]) if known else found.pose(layer)
    return Angles(
        keys=np.array([sample.key for sample in samples]),
        left=np.full(len(samples), layer.side == "left"),
        joints_m=joints,
        angles=found.angles,
        all_angles=ALL_ANGLES.clip(ALL_ANGLES.of_pose(poses, layer.joint_frames)),
        orient=found.orient,
        trans_m=found.trans_m,
        betas=found.betas,
        labelled=np.full(len(samples), bool(known)),
        off_m=np.linalg.norm(found.posed(layer).joints_m - joints, axis=-1).mean(1),
    )


def _absolute(layer: ManoLayer, params: HandParams) -> F64:
    return params.pose if params.flat_hand_mean else params.pose + layer.model.hands_mean


def _own_params(layer: ManoLayer, sample: Sample) -> HandParams | None:
    """The label's parameters, if the hand model in use gives the labelled joints for them."""
    found = sample.params
    if found is None:
        return None
    posed = layer(found.orient[None], _absolute(layer, found)[None], found.betas).joints_m[0]
    off = (posed - posed[0]) - (sample.joints_m - sample.joints_m[0])
    return found if np.linalg.norm(off, axis=-1).mean() < _OTHER_MODEL_M else None


def _own_vertices(layer: ManoLayer, sample: Sample) -> F64:
    """The label's vertices; NaN where it has none, or those of another hand model, whose triangles differ."""
    found = sample.vertices_m
    own = found is not None and bool(is_mesh_of(found[None], layer.faces)[0])
    return found if found is not None and own else np.full((N_VERTICES, 3), np.nan)


def _source(side: Side) -> str:
    return ManoLayer.from_env(side).model.source


def _about(keys: Sequence[str]) -> NDArray[np.str_]:
    """What a part was made of: the hand models, then its samples' keys."""
    return np.array([*(_source(side) for side in SIDES), *keys])


def _write(path: Path, angles: Angles, keys: Sequence[str]) -> None:
    content = io.BytesIO()
    arrays = {f.name: getattr(angles, f.name) for f in fields(angles)}
    np.savez_compressed(content, about=_about(keys), **arrays)
    try:
        write_whole(path, content.getvalue(), durable=False)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}.", "Free some space; finished parts stay."
        ) from error


def _read(path: Path, keys: Sequence[str]) -> Angles | None:
    """A finished part; None where there is none, or it is damaged or made of other samples or hand models."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return _checked(file, keys)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _checked(file: NpzFile, keys: Sequence[str]) -> Angles | None:
    if file["about"].tolist() != _about(keys).tolist():
        return None
    return Angles(*(file[f.name] for f in fields(Angles)))
