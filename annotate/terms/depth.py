"""Depth points against the visible side of the hand's surface, point to the plane of a triangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate._kernels import plane_rows
from annotate.equations import NormalEquations
from annotate.evidence import Cloud, Evidence
from annotate.nearest import nearest_vertices
from annotate.parts import in_parts
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, velocities, vertices_at
from annotate.terms._faces import face_normals
from hoi_core.types import F64


@dataclass(frozen=True)
class Config:
    """Depth."""

    weight: float = 0.1
    """Weight of the term; well below 1, as errors of neighbouring points are alike."""
    sigma_m: float = 0.002
    """Expected distance of a point from the surface, m."""
    largest_sigmas: float = 3.0
    """Points farther out lose their pull: they are the object's, or noise."""


class _Seen(NamedTuple):
    """Depth points of one view and the triangles under them. K points."""

    points: Points
    """Vertex of each."""
    normals: F64
    """(K, 3) of its triangle."""
    target_m: F64
    """(K, 3) m where it was measured."""
    rays: F64
    """(K, 3) unit, from the camera."""
    by_bias: F64
    """(K,) m along the normal by m of the depth's bias."""


@dataclass(frozen=True)
class _Prepared:
    weight: float
    sigma_m: float
    scale: float
    views: tuple[_Seen, ...]


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Find the vertex of each depth point."""
    if config.weight <= 0 or stage.gate_m <= 0 or not evidence.clouds:
        return None
    hands = state.hands
    views = []
    for v, whole in evidence.clouds.items():
        cloud = whole.every(stage.every)
        # At its own time the hand is elsewhere: a point is matched where the hand was when it was measured.
        then_m = vertices_at(hands, evidence.t_s, cloud.lag_s)
        vertex = match(cloud, state, stage.gate_m, then_m)
        found = np.flatnonzero((vertex >= 0) & ~_on_the_arm(state, cloud, vertex, then_m))
        moment, point = cloud.moment[found], vertex[found].astype(np.int64)
        velocity = velocities(hands, evidence.t_s, moment, point)
        target_m, rays = cloud.points_m[found], cloud.rays[found]
        normals = face_normals(hands.hand, then_m, moment, point, target_m)
        points = Points(v, cloud.eye_m, moment, point, velocity, cloud.lag_s[moment])
        views.append(_Seen(points, normals, target_m, rays, np.einsum("kc,kc->k", normals, rays)))
    scale = max(stage.robust_scale * config.largest_sigmas / _LAST_SCALE, config.largest_sigmas)
    return _Prepared(stage.every * config.weight, config.sigma_m, scale, tuple(views))


def _on_the_arm(state: FitState, cloud: Cloud, vertex: NDArray[np.int32], vertices_m: F64) -> NDArray[np.bool_]:
    """(K,) depth points beyond the mesh's own end, where the arm or its sleeve goes on."""
    hands = state.hands
    out = (vertex >= 0) & hands.hand.rim[vertex]
    rows = np.flatnonzero(out)
    moment = cloud.moment[rows]
    backwards = hands.positions_m[:, 0] - hands.joints_m[:, _MIDDLE]
    away = cloud.points_m[rows] - vertices_m[moment, vertex[rows]]
    out[rows] = (away * backwards[moment]).sum(-1) > 0.0
    return np.asarray(out)


_MIDDLE = 9  # base of the middle finger in openpose21
_LAST_SCALE = 4.0  # robust scale of the last stages, where `largest_sigmas` holds


def match(
    cloud: Cloud, state: FitState, gate_m: float, vertices_m: F64 | None = None
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """(K,) nearest visible vertex of each depth point within the gate, or -1.

    Args:
        cloud: of one view.
        state: the hand.
        gate_m: largest distance, m.
        vertices_m: `(M, 778, 3)` m where the hand was when the points were measured; None for the moments' own times.
    """
    where_m = state.hands.vertices_m if vertices_m is None else vertices_m
    return nearest_vertices(cloud, where_m, state.hands.normals, gate_m)


class Distances(NamedTuple):
    """Depth points of one view that the hand explains, K of them."""

    points: Points
    """The vertex of each."""
    normals: F64
    """(K, 3) of its triangle."""
    rays: F64
    """(K, 3) unit, from the camera."""
    distance_m: F64
    """(K,) m of the skin beyond the point, along the normal."""
    weight: F64
    """(K,) of the squared distance in sigmas, robust weight included."""


def distances(prepared: _Prepared | None, state: FitState) -> list[Distances]:
    """The depth points that the hand explains, view by view."""
    if prepared is None:
        return []
    out = []
    for seen in prepared.views:
        distance_m, weight, _ = _rows(prepared, seen, state)
        out.append(Distances(seen.points, seen.normals, seen.rays, distance_m, weight * prepared.sigma_m**2))
    return out


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the distances to the tangent planes; adds to `equations` where given."""
    total = 0.0
    for seen in prepared.views:
        distance_m, weight, cost = _rows(prepared, seen, state)
        total += cost
        if equations is not None:
            add_rows(equations, state, seen.points, seen.normals, distance_m, weight, seen.by_bias)
    return total


def _rows(prepared: _Prepared, seen: _Seen, state: FitState) -> tuple[F64, F64, float]:
    """(K,) m distances from the planes, (K,) 1/m^2 weights of their squares, robust ones included, and the cost."""
    points, scales = seen.points, (prepared.weight, prepared.sigma_m, prepared.scale)
    distance_m, weight = np.empty(len(points.moment)), np.empty(len(points.moment))
    table, view = state.hands.points_m, state.views[points.view]

    def part(span: tuple[int, int]) -> float:
        at = slice(*span)
        which = (points.moment[at], points.point[at], points.velocity[at], points.lag_s[at])
        planes = (seen.normals[at], seen.target_m[at], seen.by_bias[at])
        return plane_rows(which, table, (view, points.eye_m), planes, scales, (distance_m[at], weight[at]))

    return distance_m, weight, sum(in_parts(part, points.moment))
