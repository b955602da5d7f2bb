"""Errors of hands in space, one for each sample and point, as the official evaluators of public datasets take them.

A figure is the mean of one kind of error over the samples, then over the points, as in
`hoi_core.metrics.mean_over_points_mm`; its interval comes from the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dataset_tools.submission import Hands, Protocol
from hoi_core import metrics
from hoi_core.errors import DatasetError
from hoi_core.types import F64

Errors = dict[str, F64]
"""Name of a figure -> `(N,)` or `(N, P)`, NaN where unknown."""
F_THRESHOLDS_MM = (5, 15)
_TINY_M = 1e-8  # as in the official evaluators


def hand_errors(
    joints_m: F64, true_joints_m: F64, vertices_m: F64, true_vertices_m: F64, *, allow_reflection: bool
) -> Errors:
    """Errors of joints and meshes; both are aligned separately, as FreiHAND's evaluator does.

    Args:
        joints_m: `(N, 21, 3)` m.
        true_joints_m: `(N, 21, 3)` m, NaN where unknown.
        vertices_m: `(N, 778, 3)` m.
        true_vertices_m: `(N, 778, 3)` m, NaN where unknown.
        allow_reflection: whether alignment may mirror, as the official evaluators let it.

    Returns:
        `xyz_*` of joints and `mesh_*` of vertices: distance (`_mm`) and area under PCK to 50 mm (`_auc`), absolute and
        after similarity alignment (`_pa`; `_pa_proper` is without mirroring); `mpjpe_mm` and `mpvpe_mm` relative to the
        wrist; `f5`, `f15` and the same aligned; `depth_mm` and `depth_rr_mm`: along the frame's z axis, absolute and
        relative to the wrist's.
    """
    errors: Errors = {}
    for name, pred, true in (("xyz", joints_m, true_joints_m), ("mesh", vertices_m, true_vertices_m)):
        aligned = metrics.align_similarity(pred, true, allow_reflection=allow_reflection)
        proper = metrics.align_similarity(pred, true) if allow_reflection else aligned
        for suffix, points in (("", pred), ("_pa", aligned), ("_pa_proper", proper)):
            distances = metrics.point_errors_mm(points, true)
            # Of a mesh all vertices are known or none: a mean for each sample says as much as all of them.
            kept = distances if name == "xyz" else _mean_of_each(distances)
            errors[f"{name}{suffix}_mm"] = kept
            areas = metrics.areas(distances)
            errors[f"{name}{suffix}_auc"] = areas if name == "xyz" else _mean_of_each(areas)
        if name == "mesh":
            errors |= _f_scores(pred, aligned, true)
    wrist, true_wrist = joints_m[:, :1], true_joints_m[:, :1]
    errors["mpjpe_mm"] = metrics.point_errors_mm(joints_m - wrist, true_joints_m - true_wrist)
    errors["mpvpe_mm"] = _mean_of_each(metrics.point_errors_mm(vertices_m - wrist, true_vertices_m - true_wrist))
    behind = joints_m[..., 2] - true_joints_m[..., 2]
    errors["depth_mm"] = 1e3 * np.abs(behind)
    errors["depth_rr_mm"] = 1e3 * np.abs(behind - behind[:, :1])
    return errors


def figures(errors: Mapping[str, F64]) -> dict[str, float | int]:
    """The mean of each error, and how many samples there are (`n`)."""
    means = {name: metrics.mean_over_points_mm(each.reshape(len(each), -1)) for name, each in errors.items()}
    return {**means, "n": max((len(each) for each in errors.values()), default=0)}


def per_sample(errors: Mapping[str, F64]) -> Errors:
    """The mean of each sample's known points. `(N, P) -> (N,)`."""
    return {name: _mean_of_each(each.reshape(len(each), -1)) for name, each in errors.items()}


def compare(pred: Hands, true: Hands, protocol: Protocol, *, allow_reflection: bool) -> Errors:
    """Errors of predictions of an evaluation set, by the protocol of its dataset.

    HO-3D's adds `xyz_sc_tr`: the wrist and the distance to the base of the middle finger are taken from the labels.
    DexYCB's adds `xyz_rr`: relative to the wrist. A mesh of another topology than the label's has F-scores alone, after
    the alignment of the joints.

    Args:
        pred: predictions.
        true: labels, in the same order.
        protocol: whose evaluation it is.
        allow_reflection: align as the official evaluators do, quirks included; else as geometry asks.

    Raises:
        DatasetError: another number of predictions than of labels.
    """
    if len(pred.joints_m) != len(true.joints_m):
        raise DatasetError(
            f"expected {len(true.joints_m)} predictions, as there are labels; got {len(pred.joints_m)}.",
            "Predict every image of the evaluation set, in its order.",
        )
    mesh, true_mesh = pred.vertices_m, true.vertices_m
    alike = mesh is not None and true_mesh is not None and mesh.shape == true_mesh.shape
    unknown = np.full((len(true.joints_m), 1, 3), np.nan)
    errors = hand_errors(
        pred.joints_m,
        true.joints_m,
        mesh if mesh is not None and alike else unknown,
        true_mesh if true_mesh is not None and alike else unknown,
        allow_reflection=allow_reflection,
    )
    if mesh is not None and true_mesh is not None and not alike:
        moved = _by_joints(mesh, pred.joints_m, true.joints_m, official=allow_reflection)
        errors |= _f_scores(mesh, moved, true_mesh)
    if protocol == "ho3d":
        errors |= _distances("xyz_sc_tr", _scaled(pred.joints_m, true.joints_m), true.joints_m)
    if protocol == "dexycb":
        relative = (hands.joints_m - hands.joints_m[:, :1] for hands in (pred, true))
        errors |= _distances("xyz_rr", *relative)
    return errors


def _distances(name: str, pred_m: F64, true_m: F64) -> Errors:
    distances = metrics.point_errors_mm(pred_m, true_m)
    return {f"{name}_mm": distances, f"{name}_auc": metrics.areas(distances)}


def _scaled(joints_m: F64, true_m: F64) -> F64:
    """Predictions with the true wrist, and the true distance from there to the base of the middle finger."""
    spread, true_spread = joints_m - joints_m[:, :1], true_m - true_m[:, :1]
    length, true_length = (np.linalg.norm(bone[:, 9], axis=-1) for bone in (spread, true_spread))
    # The official code leaves a hand whose bone has no length as it is, but for the label's scale.
    factor = true_length / np.where(length > 0, length, 1.0)
    return spread * factor[:, None, None] + true_m[:, :1]


def _by_joints(mesh_m: F64, joints_m: F64, true_m: F64, *, official: bool) -> F64:
    """Meshes moved by the alignment of the joints.

    Args:
        mesh_m: `(N, V, 3)` m.
        joints_m: `(N, 21, 3)` m.
        true_m: `(N, 21, 3)` m.
        official: as the official code does: about the mesh's own centre, moved as far as the joints' centres are apart,
            and scaled as if it had been brought to unit size first, which it was not.
    """
    found = metrics.similarity(joints_m, true_m, allow_reflection=official)
    if not official:
        return found.moved(mesh_m)
    size = np.linalg.norm(joints_m - found.source_m, axis=(-2, -1), keepdims=True) + _TINY_M
    centre = mesh_m.mean(-2, keepdims=True)
    turned = (mesh_m - centre) @ np.swapaxes(found.R, -1, -2)
    return turned * (found.factor * size) + found.target_m - found.source_m + centre


def _f_scores(mesh_m: F64, aligned_m: F64, true_m: F64) -> Errors:
    found = {
        suffix: metrics.f_scores(points, true_m, F_THRESHOLDS_MM)
        for suffix, points in (("", mesh_m), ("_pa", aligned_m))
    }
    return {
        f"f{threshold}{suffix}": scores[:, at]
        for suffix, scores in found.items()
        for at, threshold in enumerate(F_THRESHOLDS_MM)
    }


def _mean_of_each(values: F64) -> F64:
    """Mean over the points of each sample; NaN where none is known. `(N, P) -> (N,)`."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(1)
    return np.divide(sums, known.sum(1), out=np.full(len(values), np.nan), where=known.any(1))
