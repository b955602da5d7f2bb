"""Labels against the truth of a simulated recording. Only checks use it; the fit never does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from annotate import hand as hands
from annotate.auto import check_labels
from annotate.objects.mesh import SolidMesh, load_mesh, mesh_path
from annotate.objects.symmetry import Symmetry
from hoi_core import metrics, rotation
from hoi_core.conventions import Side
from hoi_core.errors import AssetError, SequenceError
from hoi_core.mano import ManoLayer
from hoi_core.sequence import (
    REFERENCE,
    Truth,
    annotation_path,
    find_sequence,
    open_annotation,
    open_capture,
    open_truth,
    truth_path,
)
from hoi_core.types import F64, I64, Bool, HandTrack, ObjectTrack, Revision

_CHI2_90 = 6.251389  # 90 % of a squared Mahalanobis distance in three dimensions
_OBJECT_FIGURES = {
    "object_add_mm": "object_add_held_mm",
    "object_adds_mm": "object_adds_held_mm",
    "object_rotation_deg": "object_rotation_held_deg",
}  # over all labelled moments, and over those in which it is held
_MOVED_M = 0.005
_TURNED_DEG = 3.0


def compare(root: Path, sequence: str) -> dict[str, float]:
    """Errors of the current labels against `truth.h5`.

    Args:
        root: the dataset.
        sequence: its sequence.

    Returns:
        `joint_error_mm`, `joint_error_p95_mm`, `vertex_error_mm`, `object_add_mm`, `object_adds_mm`,
        `object_rotation_deg` (NaN without object labels; also as `object_add_held_mm` and so on, over the moments in
        which the object is away from where it began and ended), `coverage90` (share of joints within their own 90 %
        ellipsoid), `valid_share` (of all moments) and `frames`; with two hands also `<side>_joint_error_mm`.

    Raises:
        SequenceError: unknown sequence, no labels, no truth, or a damaged file.
    """
    folder = find_sequence(root, sequence)
    if not annotation_path(root, sequence).exists():
        raise SequenceError(f"{sequence} has no labels yet.", f"Annotate it: `hoi-annotate {sequence} --auto`.")
    if not truth_path(root, sequence).exists():
        raise SequenceError(
            f"{sequence} has no truth.h5 to compare its labels with.", "Only simulated recordings have one."
        )
    with open_capture(folder) as capture:
        check_labels(folder, capture)
        frames, t_ns = capture.sync.index[REFERENCE], capture.sync.t_ns
        numbers = np.where(frames >= 0, capture.streams[REFERENCE].frame_number[frames], -1)
    with open_annotation(folder) as annotation:
        labels = annotation.load()
        source = annotation.binding.mano_source
    with open_truth(folder) as truth:
        at_ns = true_times(truth, numbers, t_ns)
        true = truth.load()
        surfaces_m: dict[Side, F64] = {side: truth.surface_m(side).astype(np.float64) for side in true.hands}
    if len(labels.t_ns) != len(at_ns):
        raise SequenceError(
            f"the labels of {sequence} must have its {len(at_ns)} moments, they have {len(labels.t_ns)}.",
            f"Annotate it again with `hoi-annotate {sequence} --auto`.",
        )
    figures = _hand_figures(labels, true, surfaces_m, at_ns, source)
    figures |= _object_figures(labels, true, at_ns, root)
    return figures | {"frames": float(len(at_ns))}


def true_times(truth: Truth, frame_number: I64, t_ns: I64) -> I64:
    """(M,) ns true times of the moments.

    Args:
        truth: of the recording.
        frame_number: `(M,)` of the reference stream, -1 at moments where it dropped its frame.
        t_ns: `(M,)` ns times that the recorder gave the moments; between frames, truth follows them.

    Raises:
        SequenceError: the truth knows nothing of a frame.
    """
    numbers, t_true_ns = truth.clocks[REFERENCE]
    order = np.argsort(numbers)
    place = np.clip(np.searchsorted(numbers, frame_number, sorter=order), 0, len(numbers) - 1)
    rows = order[place]
    there = frame_number >= 0
    if not there.any() or not (numbers[rows] == frame_number)[there].all():
        raise SequenceError(
            f"{truth.path} must hold the time of every frame of {REFERENCE}; some are missing.",
            "The truth is of another recording: record the simulated sequence again.",
        )
    # Clock readings in ns are too long for a float: only differences are interpolated.
    since = t_ns - t_ns[0]
    offset_ns = (t_true_ns[rows] - since)[there]
    first = offset_ns[0]
    return since + first + np.rint(np.interp(since, since[there], offset_ns - first)).astype(np.int64)


def _hand_figures(
    labels: Revision, true: Revision, surfaces_m: Mapping[Side, F64], at_ns: I64, source: str
) -> dict[str, float]:
    joint_errors, vertex_errors, covered, valid = [], [np.zeros(0)], [], []
    by_side: dict[str, float] = {}
    for side, label in labels.hands.items():
        if side not in true.hands:
            continue
        known = label.valid & np.isfinite(label.joints_m).all((-1, -2))
        if not known.any():
            continue
        joints_m = at_times(true.t_ns, true.hands[side].joints_m, at_ns)
        joint_errors.append(metrics.point_errors_mm(label.joints_m, joints_m)[known])
        by_side[f"{side}_joint_error_mm"] = _mean(joint_errors[-1])
        covered.append(_inside(label, joints_m)[known])
        valid.append(known)
        surface = at_times(true.t_ns, surfaces_m[side], at_ns)
        layer = ManoLayer.stand_in(side) if source == "stand-in" else ManoLayer.from_env(side)
        if layer.model.source != source:
            raise SequenceError(
                f"the labels were made with the hand model {source}, but {layer.model.source} is in use.",
                "Set $HOI_MANO to the files they were made with.",
            )
        state = hands.state_from_axis_angle(
            hands.from_mano(layer.model), label.orient[known], label.pose[known], label.betas, label.trans_m[known]
        )
        vertex_errors.append(metrics.point_errors_mm(state.vertices_m, surface[known]).ravel())
    if not joint_errors:
        raise SequenceError(
            "no hand is in both the current labels and the truth.",
            "Fit one with `hoi-annotate --auto`; the clicks alone (r000) hold none.",
        )
    errors = np.concatenate([e.ravel() for e in joint_errors])
    return {
        "joint_error_mm": _mean(errors),
        "joint_error_p95_mm": float(np.percentile(errors, 95)) if len(errors) else float("nan"),
        "vertex_error_mm": _mean(np.concatenate(vertex_errors)),
        "coverage90": _mean(np.concatenate([c.ravel() for c in covered])),
        "valid_share": float(np.concatenate(valid).mean()),
        **(by_side if len(by_side) > 1 else {}),
    }


def _mean(values: F64) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def at_times(t_ns: I64, values: F64, at_ns: I64) -> F64:
    """Linear interpolation over time, held at the ends. `(N,) ns, (N, ...), (M,) ns -> (M, ...)`."""
    before, after, share = _around(t_ns, at_ns)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    return values[before] * (1.0 - share) + values[after] * share


def _around(t_ns: I64, at_ns: I64) -> tuple[I64, I64, F64]:
    """Rows before and after each time, and how far it lies from the first to the second, 0 to 1."""
    last = len(t_ns) - 1
    after = np.clip(np.searchsorted(t_ns, at_ns), min(1, last), last)
    before = np.maximum(after - 1, 0)
    share = (at_ns - t_ns[before]) / np.maximum(t_ns[after] - t_ns[before], 1)
    return before, after, np.clip(share, 0.0, 1.0)


def _inside(label: HandTrack, joints_m: F64) -> F64:
    """(M, 21) 1 where the truth is within the 90 % ellipsoid, 0 where not, NaN without a covariance."""
    cov = label.joint_cov_m2
    known: Bool = np.asarray(np.isfinite(cov).all((-1, -2)))
    safe = np.where(known[..., None, None], cov, np.eye(3))
    miss = np.where(known[..., None], label.joints_m - joints_m, 0.0)
    distance = (miss * np.linalg.solve(safe, miss[..., None])[..., 0]).sum(-1)
    return np.where(known, distance <= _CHI2_90, np.nan)


def _object_figures(labels: Revision, true: Revision, at_ns: I64, root: Path) -> dict[str, float]:
    """Errors over all labelled moments, and over those in which the object is held (`_held`)."""
    rows: dict[str, list[F64]] = {name: [] for pair in _OBJECT_FIGURES.items() for name in pair}
    for name, label in labels.objects.items():
        if name not in true.objects or not label.valid.any():
            continue
        T_true = _poses_at(true.t_ns, true.objects[name], at_ns)
        held = _held(T_true)[label.valid]
        T, T_true = label.T_world_obj[label.valid], T_true[label.valid]
        mesh = _mesh(root, name)
        found = {"object_rotation_deg": _rotation_deg(T, T_true, Symmetry() if mesh is None else mesh.symmetry)}
        if mesh is not None:
            found["object_add_mm"] = 1e3 * metrics.add(T, T_true, mesh.vertices_m)
            found["object_adds_mm"] = 1e3 * metrics.add_s(T, T_true, mesh.vertices_m)
        for key, values in found.items():
            rows[key].append(values)
            rows[_OBJECT_FIGURES[key]].append(values[held])
    return {key: _mean(np.concatenate([np.zeros(0), *values])) for key, values in rows.items()}


def _held(T: F64) -> Bool:
    """(M,) moments in which the object is where it neither began nor ended: somebody holds it."""
    away = np.ones(len(T), dtype=bool)
    for still in (T[0], T[-1]):
        moved_m = np.linalg.norm(T[:, :3, 3] - still[:3, 3], axis=-1)
        turned = rotation.geodesic_angle(T[:, :3, :3], np.broadcast_to(still[:3, :3], T[:, :3, :3].shape))
        away &= (moved_m > _MOVED_M) | (np.rad2deg(turned) > _TURNED_DEG)
    return away


def _rotation_deg(T: F64, T_true: F64, symmetry: Symmetry) -> F64:
    """(K,) degrees between rotations, those apart that leave the object's shape as it is."""
    R, R_true = T[:, :3, :3], T_true[:, :3, :3]
    if symmetry.kind == "sphere":
        return np.zeros(len(T))
    if symmetry.kind == "revolution":
        axis = np.asarray(symmetry.axis)
        cross, dot = np.cross(R @ axis, R_true @ axis), ((R @ axis) * (R_true @ axis)).sum(-1)
        return np.rad2deg(np.arctan2(np.linalg.norm(cross, axis=-1), dot))
    same = np.concatenate([np.eye(3)[None], rotation.exp_so3(np.array(symmetry.rotations).reshape(-1, 3))])
    return np.rad2deg(np.min([rotation.geodesic_angle(R, R_true @ turn) for turn in same], axis=0))


def _poses_at(t_ns: I64, track: ObjectTrack, at_ns: I64) -> F64:
    out = at_times(t_ns, track.T_world_obj, at_ns)
    before, after, share = _around(t_ns, at_ns)
    R = track.T_world_obj[:, :3, :3]
    out[:, :3, :3] = rotation.slerp(R[before], R[after], share)
    return out


def _mesh(root: Path, name: str) -> SolidMesh | None:
    """An object's mesh; None where the dataset has none."""
    try:
        mesh_path(root, name)
    except AssetError:
        return None
    return load_mesh(root, name)
