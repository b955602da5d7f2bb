"""Errors of joints, meshes and object poses: pure functions on numpy arrays or torch tensors.

Inputs are metres; a result in millimetres says so in its name. A point counts where it is finite in both inputs
(and `valid`, where given); a mean over nothing is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hoi_core.types import F64, Bool

if TYPE_CHECKING:
    from torch import Tensor

    Array = NDArray[np.floating] | Tensor
else:
    Array = Any

MM = 1000.0
_TINY = 1e-8  # m; the FreiHAND evaluator's guard, which makes a prediction of zeros well defined


def _numpy(x: Array) -> F64:
    """float64 numpy from numpy or torch, on any device."""
    if not isinstance(x, np.ndarray) and hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    return np.asarray(x, dtype=np.float64)


def _pair(pred: Array, true: Array, valid: NDArray[np.bool_] | None) -> tuple[F64, F64, Bool]:
    a, b = _numpy(pred), _numpy(true)
    if a.shape != b.shape or a.ndim < 2 or a.shape[-1] != 3:
        raise ValueError(f"points must be two arrays (..., N, 3) of one shape, got {a.shape} and {b.shape}")
    good = np.asarray(np.isfinite(a).all(-1) & np.isfinite(b).all(-1), dtype=np.bool_)
    if valid is not None:
        good &= np.asarray(valid, dtype=np.bool_)
    return a, b, good


def _mean(values: F64) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def point_errors_mm(pred_m: Array, true_m: Array, valid: NDArray[np.bool_] | None = None) -> F64:
    """Distance of each pair of points. `(..., N, 3) m, (..., N, 3) m -> (..., N) mm`, NaN where not valid."""
    a, b, good = _pair(pred_m, true_m, valid)
    return np.where(good, np.linalg.norm(a - b, axis=-1) * MM, np.nan)


def mpjpe_mm(pred_m: Array, true_m: Array, valid: NDArray[np.bool_] | None = None, *, root: int | None = None) -> float:
    """Mean distance of joints (or vertices) in millimetres.

    Args:
        pred_m: `(..., N, 3)` m.
        true_m: `(..., N, 3)` m.
        valid: `(..., N)`, or None.
        root: joint that both are moved to the origin of first, or None for absolute positions.
    """
    a, b, good = _pair(pred_m, true_m, valid)
    if root is not None:
        a, b = a - a[..., root : root + 1, :], b - b[..., root : root + 1, :]
        good = good & good[..., root : root + 1]
    return _mean(point_errors_mm(a, b, good))


@dataclass(frozen=True)
class Similarity:
    """Turns, scales and moves points."""

    R: F64
    """(..., 3, 3) rotation, with a reflection where that was allowed and better."""
    factor: F64
    """(..., 1, 1) scale."""
    source_m: F64
    """(..., 1, 3) m, what comes to lie at `target_m`."""
    target_m: F64
    """(..., 1, 3) m."""

    def moved(self, points_m: Array) -> F64:
        """Points after it. `(..., N, 3) m -> (..., N, 3) m`."""
        return (_numpy(points_m) - self.source_m) @ np.swapaxes(self.R, -1, -2) * self.factor + self.target_m


def similarity(
    pred_m: Array,
    true_m: Array,
    valid: NDArray[np.bool_] | None = None,
    *,
    allow_reflection: bool = False,
    scale: bool = True,
) -> Similarity:
    """The similarity of least squares from `pred` to `true` (Procrustes; Umeyama 1991 without reflection).

    Args:
        pred_m: `(..., N, 3)` m.
        true_m: `(..., N, 3)` m.
        valid: `(..., N)` points that decide it, or None.
        allow_reflection: also mirror, as the official FreiHAND evaluator does.
        scale: also scale.
    """
    a, b, good = _pair(pred_m, true_m, valid)
    weight = good[..., None].astype(np.float64)
    n = np.maximum(weight.sum(-2, keepdims=True), 1.0)
    a0, b0 = np.where(good[..., None], a, 0.0), np.where(good[..., None], b, 0.0)
    mean_a, mean_b = a0.sum(-2, keepdims=True) / n, b0.sum(-2, keepdims=True) / n
    ca, cb = (a0 - mean_a) * weight, (b0 - mean_b) * weight
    size_a = np.linalg.norm(ca, axis=(-2, -1), keepdims=True) + _TINY
    size_b = np.linalg.norm(cb, axis=(-2, -1), keepdims=True) + _TINY
    u, s, vt = np.linalg.svd(np.swapaxes(cb / size_b, -1, -2) @ (ca / size_a))
    sign = np.ones_like(s)
    if not allow_reflection:
        sign[..., -1] = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    R = (u * sign[..., None, :]) @ vt
    factor = (s * sign).sum(-1)[..., None, None] * size_b / size_a if scale else np.ones_like(size_a)
    return Similarity(R, factor, mean_a, mean_b)


def align_similarity(
    pred_m: Array,
    true_m: Array,
    valid: NDArray[np.bool_] | None = None,
    *,
    allow_reflection: bool = False,
    scale: bool = True,
) -> F64:
    """`pred` moved onto `true` by `similarity`, whose arguments these are. `-> (..., N, 3) m`, all points moved."""
    return similarity(pred_m, true_m, valid, allow_reflection=allow_reflection, scale=scale).moved(pred_m)


def pa_mpjpe_mm(
    pred_m: Array, true_m: Array, allow_reflection: bool = False, *, valid: NDArray[np.bool_] | None = None
) -> float:
    """Mean distance in millimetres after the best similarity of each sample.

    Args:
        pred_m: `(..., N, 3)` m.
        true_m: `(..., N, 3)` m.
        allow_reflection: as the official FreiHAND evaluator, under which a mirrored hand has no error.
        valid: `(..., N)`, or None.
    """
    aligned = align_similarity(pred_m, true_m, valid, allow_reflection=allow_reflection)
    return mpjpe_mm(aligned, true_m, valid)


def f_score(pred_m: Array, true_m: Array, threshold_mm: float) -> float:
    """Harmonic mean of precision and recall of nearest points within a distance, mean over the samples.

    Args:
        pred_m: `(..., N, 3)` m.
        true_m: `(..., M, 3)` m, the same leading axes.
        threshold_mm: distance, mm.
    """
    return _mean(f_scores(pred_m, true_m, (threshold_mm,))[..., 0])


def f_scores(pred_m: Array, true_m: Array, thresholds_mm: Sequence[float]) -> F64:
    """`f_score` of each sample at each of T distances.

    `(..., N, 3) m, (..., M, 3) m -> (..., T)`; NaN where one of both has no points.
    """
    a, b = _numpy(pred_m), _numpy(true_m)
    if a.shape[:-2] != b.shape[:-2] or a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(f"points must be (..., N, 3) and (..., M, 3), got {a.shape} and {b.shape}")
    pairs = zip(a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), strict=True)
    limits_m = np.asarray(thresholds_mm, dtype=np.float64) / MM
    return np.array([_f_score(p, t, limits_m) for p, t in pairs]).reshape(*a.shape[:-2], len(limits_m))


def _f_score(pred_m: F64, true_m: F64, limits_m: F64) -> F64:
    pred_m, true_m = pred_m[np.isfinite(pred_m).all(-1)], true_m[np.isfinite(true_m).all(-1)]
    if not len(pred_m) or not len(true_m):
        return np.full(len(limits_m), np.nan)
    precision, recall = _shares_near(pred_m, true_m, limits_m), _shares_near(true_m, pred_m, limits_m)
    both = precision + recall
    return np.divide(2.0 * precision * recall, both, out=np.zeros_like(both), where=both > 0)


def _shares_near(points_m: F64, others_m: F64, limits_m: F64) -> F64:
    """Share of points that have one of the others within each distance. `(N, 3), (M, 3), (T,) -> (T,)`."""
    nearest_m, _ = cKDTree(others_m).query(points_m, distance_upper_bound=limits_m.max())
    return np.asarray((nearest_m[:, None] < limits_m).mean(0))


def mean_over_points_mm(errors_mm: F64) -> float:
    """Mean over the points of each point's own mean, as the FreiHAND evaluator takes it. `(B, N) mm`, NaN not counted.

    It differs from the mean of all errors where some points are missing more often than others.
    """
    known = np.isfinite(errors_mm)
    counts = known.sum(0)
    sums = np.where(known, errors_mm, 0.0).sum(0)
    return _mean(sums[counts > 0] / counts[counts > 0])


def pck(errors_mm: F64, thresholds_mm: F64) -> F64:
    """Share of points within each distance, mean over the points' shares.

    Args:
        errors_mm: `(B, N)` mm, or any other unit; NaN does not count.
        thresholds_mm: `(T,)` in the same unit.

    Returns:
        `(T,)` in [0, 1].
    """
    known = np.isfinite(errors_mm)
    hits = np.stack([(np.where(known, errors_mm, np.inf) <= t).sum(0) for t in thresholds_mm])
    counts = known.sum(0)
    return (hits[:, counts > 0] / counts[counts > 0]).mean(1) if counts.any() else np.full(len(thresholds_mm), np.nan)


def areas(errors_mm: F64, max_mm: float = 50.0, steps: int = 100) -> F64:
    """What each error adds to the area under the PCK curve: 1 at 0, 0 beyond `max_mm`. NaN stays. Any shape."""
    thresholds = np.linspace(0.0, max_mm, steps)
    # Trapezoids: the first and the last threshold count half.
    first = np.searchsorted(thresholds, np.nan_to_num(errors_mm, nan=np.inf))
    hits = steps - first - 0.5 * (first < steps) - 0.5 * (first == 0)
    return np.where(np.isfinite(errors_mm), hits / (steps - 1), np.nan)


def auc(errors_mm: F64, max_mm: float = 50.0, steps: int = 100) -> float:
    """Area under the PCK curve from 0 to `max_mm`, in [0, 1]. `(B, N) mm`."""
    return mean_over_points_mm(areas(errors_mm, max_mm, steps))


def keypoint_errors_px(
    pred_px: Array, true_px: Array, valid: NDArray[np.bool_] | None = None, *, root: int | None = None
) -> F64:
    """End point errors: distance of each pair of keypoints in the image, px. `-> (..., N)`, NaN where not valid.

    Args:
        pred_px: `(..., N, 2)` px.
        true_px: `(..., N, 2)` px.
        valid: `(..., N)`, or None.
        root: keypoint that both are moved onto each other by first, as is usual on RHD; or None.
    """
    a, b = _numpy(pred_px), _numpy(true_px)
    if a.shape != b.shape or a.ndim < 2 or a.shape[-1] != 2:
        raise ValueError(f"keypoints must be two arrays (..., N, 2) of one shape, got {a.shape} and {b.shape}")
    if root is not None:
        a, b = a - a[..., root : root + 1, :], b - b[..., root : root + 1, :]
    errors = np.linalg.norm(a - b, axis=-1)
    return errors if valid is None else np.where(valid, errors, np.nan)


def pckh(errors_px: F64, head_px: F64, thresholds: F64) -> F64:
    """Share of keypoints within parts of the size of the person's head, as is usual on the CMU dataset.

    Args:
        errors_px: `(B, N)` px; NaN does not count.
        head_px: `(B,)` size of each person's head, px.
        thresholds: `(T,)` parts of it.

    Returns:
        `(T,)` in [0, 1].
    """
    return pck(errors_px / head_px[:, None], thresholds)


def keypoint_figures(errors_px: F64, max_px: float = 30.0) -> dict[str, float]:
    """The usual figures of 2D keypoints.

    Args:
        errors_px: `(B, N)` px; NaN does not count.
        max_px: end of the PCK curve: 30 on RHD and Dexter+Object, 15 on Tzionas.

    Returns:
        `epe_mean_px`, `epe_median_px`, `pck_auc` from 0 to `max_px`, `n` keypoints.
    """
    known = errors_px[np.isfinite(errors_px)]
    return {
        "epe_mean_px": _mean(known),
        "epe_median_px": float(np.median(known)) if len(known) else float("nan"),
        "pck_auc": auc(errors_px, max_px),
        "n": len(known),
    }


def add(T_pred: Array, T_true: Array, vertices_m: Array) -> F64:
    """Average distance of a model's points under two poses (ADD). `(..., 4, 4) x 2, (N, 3) m -> (...) m`."""
    a, b = _posed(T_pred, vertices_m), _posed(T_true, vertices_m)
    return np.linalg.norm(a - b, axis=-1).mean(-1)


def add_s(T_pred: Array, T_true: Array, vertices_m: Array) -> F64:
    """Average distance to the nearest point (ADD-S), for symmetric objects. `-> (...) m`."""
    a, b = _posed(T_pred, vertices_m), _posed(T_true, vertices_m)
    flat_a, flat_b = a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:])
    values = [cKDTree(p).query(t)[0].mean() if np.isfinite(p).all() and np.isfinite(t).all() else np.nan
              for p, t in zip(flat_a, flat_b, strict=True)]  # fmt: skip
    return np.array(values).reshape(a.shape[:-2])


def mean_corner_error_mm(T_pred: Array, T_true: Array, vertices_m: Array) -> F64:
    """Mean distance of the eight corners of the model's axis-aligned box. `-> (...) mm`."""
    points = _numpy(vertices_m)
    low, high = points.min(0), points.max(0)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    return add(T_pred, T_true, corners) * MM


def _posed(T: Array, vertices_m: Array) -> F64:
    matrix, points = _numpy(T), _numpy(vertices_m)
    return points @ np.swapaxes(matrix[..., :3, :3], -1, -2) + matrix[..., None, :3, 3]


def penetration_depth_mm(hand_m: Array, object_m: Array, faces: NDArray[np.integer]) -> float:
    """How deep the hand's deepest vertex lies inside a watertight object, mm; 0 where they do not meet.

    Args:
        hand_m: `(V, 3)` m.
        object_m: `(N, 3)` m, the same frame.
        faces: `(F, 3)` of the object, outward.
    """
    from hoi_core import _surface

    points, corners = _numpy(hand_m), np.ascontiguousarray(_numpy(object_m)[np.asarray(faces)])
    low, high = corners.min((0, 1)), corners.max((0, 1))
    points = np.ascontiguousarray(points[((points >= low) & (points <= high)).all(1)])
    within = points[_surface.winding_numbers(points, corners) > 0.5]
    nearest_m, _ = cKDTree(corners.reshape(-1, 3)).query(within)
    return float(_surface.surface_distances(within, corners, nearest_m).max(initial=0.0)) * MM
