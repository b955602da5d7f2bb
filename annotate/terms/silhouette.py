"""The hand is not where a depth camera sees what lies behind it: vertices there are drawn back to its silhouette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, eye, geman_mcclure, observed, velocities, vertices_at
from annotate.terms._projection import project_with_slope
from hoi_core.types import F32, F64, I64, Camera

if TYPE_CHECKING:
    from annotate.masks import Silhouettes


@dataclass(frozen=True)
class Config:
    """Silhouettes."""

    weight: float = 0.0
    """Weight of the term. Off: on recordings with depth and keypoints it does not lower the joints' error."""
    sigma_px: float = 4.0
    """Expected distance of a vertex outside, px of the depth image; a cell of the silhouette is that large."""


@dataclass(frozen=True)
class _View:
    camera: Camera
    points: Points
    left_top: I64
    """(K, 2) cells."""
    field: tuple[F32, ...]
    """The moments' fields, indexed by `points.moment`."""


@dataclass(frozen=True)
class _Prepared:
    weight: float
    sigma_px: float
    scale: float
    views: tuple[_View, ...]


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Find the vertices that lie outside."""
    if config.weight <= 0 or not evidence.silhouettes:
        return None
    views = []
    for v, seen in evidence.silhouettes.items():
        lag_s = np.nan_to_num(seen.lag_s)
        moment, point = _outside(seen, vertices_at(state.hands, evidence.t_s, lag_s))
        velocity = velocities(state.hands, evidence.t_s, moment, point)
        points = Points(v, eye(seen.camera), moment, point, velocity, lag_s[moment])
        views.append(_View(seen.camera, points, seen.left_top[moment], seen.away_px))
    return _Prepared(config.weight, config.sigma_px, stage.robust_scale, tuple(views))


def _outside(seen: Silhouettes, vertices_m: F64) -> tuple[I64, I64]:
    """Moment and vertex of those that lie where the view sees behind the hand."""
    moments, vertices = [], []
    for m, away in enumerate(seen.away_px):
        if not away.any():
            continue
        pixels, _ = project_with_slope(seen.camera, vertices_m[m])
        value, _ = sampled(away, pixels - seen.left_top[m])
        found = np.flatnonzero(value > 0)
        moments.append(np.full(len(found), m))
        vertices.append(found)
    nothing = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(moments or nothing).astype(np.int64), np.concatenate(vertices or nothing).astype(np.int64)


def sampled(field: F32, at: F64) -> tuple[F64, F64]:
    """A field between its cells, and its slope; 0 outside. `(h, w), (K, 2) column, row -> (K,), (K, 2)` a cell."""
    height, width = field.shape
    inside = (at >= 0).all(-1) & (at[:, 0] < width - 1) & (at[:, 1] < height - 1)
    u, v = np.where(inside[:, None], at, 0.0).T
    column, row = u.astype(np.int64), v.astype(np.int64)
    right, down = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
    a, b = u - column, v - row
    upper = field[row, column] * (1 - a) + field[row, right] * a
    lower = field[down, column] * (1 - a) + field[down, right] * a
    by_u = (field[row, right] - field[row, column]) * (1 - b) + (field[down, right] - field[down, column]) * b
    value = np.where(inside, upper * (1 - b) + lower * b, 0.0)
    return value, np.where(inside[:, None], np.stack([by_u, lower - upper], axis=-1), 0.0)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the vertices outside; adds to `equations` where given."""
    total = 0.0
    for view in prepared.views:
        points = view.points
        if not len(points.moment):
            continue
        cells, slope = project_with_slope(view.camera, observed(state, points))
        value, by_cell = _along_moments(view, cells)
        residual = value / prepared.sigma_px
        cost, robust = geman_mcclure(residual**2, prepared.scale)
        total += 0.5 * prepared.weight * float(cost.sum())
        if equations is not None:
            direction = np.einsum("kc,kcd->kd", by_cell, slope) / prepared.sigma_px
            add_rows(equations, state, points, direction, residual, prepared.weight * robust)
    return total


def _along_moments(view: _View, cells: F64) -> tuple[F64, F64]:
    value, by_cell = np.zeros(len(cells)), np.zeros((len(cells), 2))
    moment = view.points.moment
    for m in np.unique(moment):
        rows = slice(*np.searchsorted(moment, [m, m + 1]))
        value[rows], by_cell[rows] = sampled(view.field[m], cells[rows] - view.left_top[rows])
    return value, by_cell
