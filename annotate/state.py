"""The unknowns of a fit, and what a view observes of a point of the hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from annotate import _kernels, _skin
from annotate.equations import VIEW_UNKNOWNS, NormalEquations
from annotate.hand import HandState
from annotate.parts import in_parts, moment_parts
from hoi_core.conventions import N_BETAS
from hoi_core.types import F64, I64, Camera


@dataclass(frozen=True)
class FitState:
    """The hand over M moments and the corrections of V views."""

    hands: HandState
    """The hand."""
    views: F64
    """(V, 8) s, rad, m, m: time offset, small rotation about the camera's centre, shift, depth bias."""

    def moved(self, step: F64, shared: F64) -> FitState:
        """The state after a step of the equations. `(M, 51), (S,)`."""
        return replace(
            self,
            hands=self.hands.moved(step, shared[:N_BETAS]),
            views=self.views + shared[N_BETAS:].reshape(-1, VIEW_UNKNOWNS),
        )


class Points(NamedTuple):
    """Points of the hand that one view observes, K of them, sorted by moment."""

    view: int
    """Index of the view."""
    eye_m: F64
    """(3,) m centre of the camera, about which its correction turns."""
    moment: I64
    """(K,)."""
    point: I64
    """(K,) index into the hand's table of points."""
    velocity: F64
    """(K, 3) m/s of the point, held constant while the equations are solved."""
    lag_s: F64
    """(K,) s from the moment to the observation."""

    def twice(self) -> Points:
        """Every point two times in a row."""
        return self._replace(
            moment=np.repeat(self.moment, 2),
            point=np.repeat(self.point, 2),
            velocity=np.repeat(self.velocity, 2, axis=0),
            lag_s=np.repeat(self.lag_s, 2),
        )


def observed(state: FitState, points: Points) -> F64:
    """Where the view's corrected camera meets the points, at its own time. `(K, 3)` m, world."""
    which = (points.moment, points.point, points.velocity, points.lag_s)
    return np.asarray(_kernels.observed(which, state.hands.points_m, state.views[points.view], points.eye_m))


def add_rows(
    equations: NormalEquations,
    state: FitState,
    points: Points,
    direction: F64,
    residual: F64,
    weight: F64,
    by_bias: F64 | None = None,
) -> None:
    """Add rows `residual(observed point)` to the equations.

    Args:
        equations: added to.
        state: where the rows were evaluated.
        points: the K points.
        direction: `(K, 3)` derivative of each residual by the observed point.
        residual: `(K,)`.
        weight: `(K,)` of the squared residual, robust weight included.
        by_bias: `(K,)` derivative of each residual by the view's depth bias; None for none.
    """
    bias = np.zeros(len(residual)) if by_bias is None else by_bias
    where = (points.moment, points.point, points.velocity, points.lag_s)
    rows = tuple(map(np.ascontiguousarray, (*where, direction, residual, weight, bias)))
    constants, frame, camera = _compiled(state, points)
    column = N_BETAS + VIEW_UNKNOWNS * points.view
    taken = np.r_[:N_BETAS, column : column + VIEW_UNKNOWNS]

    def part(span: tuple[int, int]) -> tuple[F64, F64]:
        own = np.zeros((len(taken), len(taken))), np.zeros(len(taken))
        _kernels.add_rows(
            rows, constants, frame, camera, (equations.H, equations.g, equations.C, *own), (*span, column)
        )
        return own

    for Hs, gs in in_parts(part, points.moment):
        equations.Hs[np.ix_(taken, taken)] += Hs
        equations.gs[taken] += gs


def add_slopes(
    sums: tuple[F64, F64], state: FitState, points: Points, direction: F64, weight: F64, by_bias: F64, classes: I64
) -> None:
    """Add up weighted slopes of rows, those of each class apart.

    Args:
        sums: `(M, E, 51)` by the moments' unknowns and `(E, S)` by the shared ones; added to.
        state: where the rows were evaluated.
        points: the K points.
        direction: `(K, 3)` derivative of each residual by the observed point.
        weight: `(K,)`.
        by_bias: `(K,)` derivative of each residual by the view's depth bias.
        classes: `(K,)` of each row.
    """
    by_moment, by_shared = sums
    column = N_BETAS + VIEW_UNKNOWNS * points.view
    taken = np.r_[:N_BETAS, column : column + VIEW_UNKNOWNS]
    where = (points.moment, points.point, points.velocity, points.lag_s)
    rows = tuple(map(np.ascontiguousarray, (*where, direction, np.zeros(len(weight)), weight, by_bias)))
    compiled = _compiled(state, points)

    def part(span: tuple[int, int]) -> F64:
        own = np.zeros((len(by_shared), len(taken)))
        _kernels.add_slopes(rows, *compiled, classes, (by_moment, own), span)
        return own

    for own in in_parts(part, points.moment):
        by_shared[:, taken] += own


def _compiled(state: FitState, points: Points) -> tuple[tuple[Any, ...], tuple[F64, ...], tuple[F64, ...]]:
    """Constants, the moments' frames and the camera, as the compiled loops take them."""
    hands, hand = state.hands, state.hands.hand
    return (
        (hand.support, hand.weights, hand.chain, hand.shape_m),
        (hands.rest_m, hands.joints_rest_m, hands.positions_m, hands.world_rotations, hands.origins_by_shape),
        # Of a pose it is every fourth number: compiled anew for these, the loops would take seconds more.
        (hands.points_m, state.views[points.view], np.ascontiguousarray(points.eye_m)),
    )


def velocities(hands: HandState, t_s: F64, moment: I64, point: I64) -> F64:
    """(K, 3) m/s of points at moments, by central differences. `(K,), (K,)`."""
    out = np.zeros((len(moment), 3))
    if len(t_s) > 1:
        _skin.velocities(hands.points_m, t_s, moment, point, out)
    return out


def vertices_at(hands: HandState, t_s: F64, lag_s: F64) -> F64:
    """(M, 778, 3) m vertices so long after each moment, at the speed there. `(M,) s`, NaN for none."""
    if len(t_s) < 2:
        return hands.vertices_m
    points, lag_s = hands.points_m, np.nan_to_num(lag_s)
    out = np.empty_like(hands.vertices_m)
    for _ in moment_parts(lambda span: _skin.later(points, t_s, lag_s, span, out), len(t_s)):
        pass
    return out


def eye(camera: Camera) -> F64:
    """(3,) m centre of a camera in the world."""
    return camera.T_world_cam[:3, 3]


def geman_mcclure(squared: F64, scale: float) -> tuple[F64, F64]:
    """Robust cost and weight of squared residuals in sigmas (Geman and McClure 1987). `(K,) -> (K,), (K,)`.

    The cost is `s / (1 + s / scale^2)`: quadratic at first, `scale^2` at most.
    """
    part = 1.0 / (1.0 + squared / (scale * scale))
    return squared * part, part * part
