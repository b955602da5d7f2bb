"""Objects beside the hand: skin does not sink into them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import Stage
from annotate.state import FitState, Points, add_rows, geman_mcclure
from hoi_core.types import F64, I64


@dataclass(frozen=True)
class Config:
    """Contact with objects."""

    weight: float = 0.1
    """Weight of a vertex that sinks in; well below 1, as neighbours sink in together, and as a hand and an object that
    are each off by a millimetre overlap without any contact."""
    sigma_m: float = 0.001
    """Expected depth beyond the slack, m."""
    slack_m: float = 0.003
    """How far skin may sink in at no cost: it is soft, and both surfaces are known to a millimetre or two only, m."""
    largest_sigmas: float = 4.0
    """A vertex that lies deeper loses its pull: the object is elsewhere."""


@dataclass(frozen=True)
class _Prepared:
    moment: I64
    point: I64
    outward: F64
    """(K, 3) unit, world."""
    start_m: F64
    """(K, 3) m where the vertices were."""
    distance_m: F64
    """(K,) m there, beyond the slack."""
    weight: float
    sigma_m: float
    scale: float


def prepare(config: Config, evidence: Evidence, state: FitState, stage: Stage) -> _Prepared | None:
    """Find the vertices that lie in an object."""
    if config.weight <= 0 or not evidence.solids or stage.gate_m <= 0:
        return None
    vertices = state.hands.vertices_m
    rows = []
    for solid in evidence.solids.values():
        moment, point = solid.reached(vertices, 0.0)
        distance, outward = solid.distance_m(vertices[moment, point], moment)
        deep = distance < -config.slack_m
        rows.append((moment[deep], point[deep], outward[deep], distance[deep] + config.slack_m))
    moment, point, outward, beyond = (np.concatenate(column) for column in zip(*rows, strict=True))
    if not len(moment):
        return None
    order = np.argsort(moment, kind="stable")
    moment, point, outward, beyond = moment[order], point[order], outward[order], beyond[order]
    start = vertices[moment, point]
    return _Prepared(moment, point, outward, start, beyond, config.weight, config.sigma_m, config.largest_sigmas)


def accumulate(prepared: _Prepared, state: FitState, equations: NormalEquations | None) -> float:
    """Cost of the depths; adds to `equations` where given. A vertex that came out in the meantime costs nothing."""
    x = state.hands.points_m[prepared.moment, prepared.point]
    now_m = prepared.distance_m + (prepared.outward * (x - prepared.start_m)).sum(-1)
    residual = np.minimum(now_m, 0.0) / prepared.sigma_m
    cost, robust = geman_mcclure(residual**2, prepared.scale)
    if equations is not None:
        active = np.where(residual < 0.0, prepared.weight * robust, 0.0)
        _add(prepared, state, equations, residual, active)
    return 0.5 * prepared.weight * float(cost.sum())


def _add(prepared: _Prepared, state: FitState, equations: NormalEquations, residual: F64, weight: F64) -> None:
    """Add the rows to the moments' own unknowns: a hand that overlaps an object bends, it does not become thinner.

    Neither the shape nor the views' corrections follow from an overlap; let loose, they moved the hand everywhere.
    """
    still = np.zeros((len(residual), 3))
    points = Points(0, np.zeros(3), prepared.moment, prepared.point, still, still[:, 0])
    spare = replace(
        equations, C=np.zeros_like(equations.C), Hs=np.zeros_like(equations.Hs), gs=np.zeros_like(equations.gs)
    )
    as_calibrated = replace(state, views=np.zeros_like(state.views))
    add_rows(spare, as_calibrated, points, prepared.outward / prepared.sigma_m, residual, weight)
