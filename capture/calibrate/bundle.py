"""Bundle adjustment: lenses, camera poses and board poses that explain all corners together.

Poses are six numbers, axis-angle then translation. A corner `p` of the board falls at
`lens(R_cam (R_board p + t_board) + t_cam)`, where `cam` is T_cam_ref and `board` is T_ref_board.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from capture.calibrate import lens as optics
from hoi_core import rotation
from hoi_core.types import F64, I64, Bool

_SOFT_PX = 1.0
# Errors of corners are alike within a shot: beside a prior they count as larger than their spread.
_PRIOR_PX = 1.0
_STEPS = 60
_DONE = 1e-9
_MOST_DAMPING = 1e10
# A corner is left out when it is this many upper quartiles of its view off.
_OUTLIER_QUARTILES = 5.0


@dataclass(frozen=True)
class Corners:
    """Observed corners, N of them."""

    view: I64
    """(N,) index of the view."""
    shot: I64
    """(N,) index of the board pose."""
    point_m: F64
    """(N, 3) m on the board."""
    pixel: F64
    """(N, 2) px."""

    def take(self, which: Bool) -> Corners:
        """The corners of a mask `(N,)`."""
        return Corners(self.view[which], self.shot[which], self.point_m[which], self.pixel[which])


@dataclass(frozen=True)
class Scene:
    """What is solved for. V views, S shots."""

    lenses: F64
    """(V, 9)."""
    cameras: F64
    """(V, 6) T_cam_ref."""
    boards: F64
    """(S, 6) T_ref_board."""


@dataclass(frozen=True)
class Freedom:
    """What may change."""

    lenses: Bool
    """(V, 9)."""
    cameras: Bool
    """(V,) False for the reference."""
    boards: Bool
    """(S,)."""
    prior: F64
    """(V, 9) lenses as known before."""
    sigma: F64
    """(V, 9) how well, one sigma; infinite where nothing is known."""


def pose_matrix(pose: F64) -> F64:
    """`(..., 6) -> (..., 4, 4)`."""
    out = np.zeros((*pose.shape[:-1], 4, 4))
    out[..., :3, :3] = rotation.exp_so3(pose[..., :3])
    out[..., :3, 3] = pose[..., 3:]
    out[..., 3, 3] = 1.0
    return out


def pose_numbers(T: F64) -> F64:
    """`(..., 4, 4) -> (..., 6)`."""
    return np.concatenate([rotation.log_so3(T[..., :3, :3]), T[..., :3, 3]], axis=-1)


def errors_px(scene: Scene, corners: Corners) -> F64:
    """Predicted minus found, `(N, 2)` px."""
    return _predict(scene, corners)[0] - corners.pixel


def rms_px(errors: F64) -> float:
    """Root of the mean squared distance, px; NaN without corners."""
    return float(np.sqrt((errors**2).sum(-1).mean())) if len(errors) else float("nan")


def adjust(
    scene: Scene, corners: Corners, freedom: Freedom, rounds: int = 3, nearest_px: F64 | None = None
) -> tuple[Scene, Bool]:
    """Solve, leave out what is far from its prediction, and solve again.

    Args:
        scene: where to start.
        corners: N corners.
        freedom: what may change.
        rounds: how often corners may be left out; 0 keeps all, without a robust loss.
        nearest_px: `(V,)` no corner nearer than this to its prediction is left out: what is merely less exact counts.

    Returns:
        The scene, and `(N,)` which corners were used.
    """
    kept = np.ones(len(corners.view), dtype=bool)
    for _ in range(rounds):
        scene = _solve(scene, corners.take(kept), freedom, robust=True)
        before, kept = kept, _near(errors_px(scene, corners), corners.view, nearest_px)
        if (before == kept).all():
            break
    return _solve(scene, corners.take(kept), freedom, robust=False), kept


def _near(errors: F64, view: I64, nearest_px: F64 | None) -> Bool:
    """Which corners are as near as those of their view usually are. `(N, 2) px, (N,) -> (N,)`."""
    distance = np.linalg.norm(errors, axis=-1)
    near = np.ones(len(distance), dtype=bool)
    for v in np.unique(view):
        own = view == v
        limit = _OUTLIER_QUARTILES * float(np.quantile(distance[own], 0.75))
        near[own] = distance[own] <= max(limit, 0.0 if nearest_px is None else float(nearest_px[v]))
    return near


class _Layout:
    """Which number of the scene is which entry of the solver's vector; -1 where it may not change."""

    def __init__(self, scene: Scene, freedom: Freedom) -> None:
        self.scene, self.freedom = scene, freedom
        parts = (freedom.lenses, _six(freedom.cameras), _six(freedom.boards))
        free = np.concatenate([part.ravel() for part in parts])
        index = np.where(free, np.cumsum(free) - 1, -1)
        self.count = int(free.sum())
        first, second = parts[0].size, parts[0].size + parts[1].size
        self.lenses = index[:first].reshape(parts[0].shape)
        self.cameras = index[first:second].reshape(parts[1].shape)
        self.boards = index[second:].reshape(parts[2].shape)

    def pack(self, scene: Scene) -> F64:
        """The free numbers, `(P,)`."""
        x = np.zeros(self.count)
        for index, values in self._pairs(scene):
            x[index[index >= 0]] = values[index >= 0]
        return x

    def unpack(self, x: F64) -> Scene:
        """A scene with the free numbers replaced."""
        out = [values.copy() for _, values in self._pairs(self.scene)]
        for (index, _), values in zip(self._pairs(self.scene), out, strict=True):
            values[index >= 0] = x[index[index >= 0]]
        return Scene(*out)

    def _pairs(self, scene: Scene) -> tuple[tuple[I64, F64], ...]:
        return (self.lenses, scene.lenses), (self.cameras, scene.cameras), (self.boards, scene.boards)


def _six(free: Bool) -> Bool:
    return np.repeat(free[:, None], 6, axis=1)


def _solve(scene: Scene, corners: Corners, freedom: Freedom, *, robust: bool) -> Scene:
    layout = _Layout(scene, freedom)
    if layout.count == 0 or len(corners.view) == 0:
        return scene
    views, columns = np.nonzero((layout.lenses >= 0) & np.isfinite(freedom.sigma))
    weight = _PRIOR_PX / freedom.sigma[views, columns]

    def residuals(x: F64) -> F64:
        now = layout.unpack(x)
        prior = weight * (now.lenses[views, columns] - freedom.prior[views, columns])
        return np.concatenate([errors_px(now, corners).ravel(), prior])

    def jacobian(x: F64) -> csr_matrix:
        now = layout.unpack(x)
        blocks = _derivatives(now, corners)
        index = np.concatenate(
            [layout.lenses[corners.view], layout.cameras[corners.view], layout.boards[corners.shot]], axis=1
        )
        n = 2 * len(corners.view)
        row = np.broadcast_to(np.arange(n).reshape(-1, 2, 1), blocks.shape)
        column = np.broadcast_to(index[:, None, :], blocks.shape)
        used = column >= 0
        values = np.concatenate([blocks[used], weight])
        rows = np.concatenate([row[used], n + np.arange(len(weight))])
        cols = np.concatenate([column[used], layout.lenses[views, columns]])
        return csr_matrix((values, (rows, cols)), shape=(n + len(weight), layout.count))

    return layout.unpack(_descend(layout.pack(scene), residuals, jacobian, robust=robust))


def _descend(x: F64, residuals: Callable[[F64], F64], jacobian: Callable[[F64], csr_matrix], *, robust: bool) -> F64:
    """Levenberg and Marquardt on the normal equations: a few hundred numbers, so that these are small and dense.

    scipy's `least_squares` reaches the same minimum (checked to nine digits) in several times the time.
    """
    damping = 1e-4
    r = residuals(x)
    cost = _cost(r, robust=robust)
    for _ in range(_STEPS):
        J = jacobian(x)
        # Weights whose weighted squares have the gradient of the soft L1 loss.
        weight = 1.0 / np.sqrt(1.0 + (r / _SOFT_PX) ** 2) if robust else np.ones_like(r)
        H = (J.T @ J.multiply(weight[:, None]).tocsr()).toarray()
        g = J.T @ (weight * r)
        scale = np.maximum(np.diag(H), 1e-12)
        gain = 0.0
        while damping < _MOST_DAMPING:
            try:
                step = -cho_solve(cho_factor(H + np.diag(damping * scale)), g)
            except np.linalg.LinAlgError:
                damping *= 10.0
                continue
            tried = residuals(x + step)
            new = _cost(tried, robust=robust)
            if new <= cost:
                gain, cost, x, r = cost - new, new, x + step, tried
                damping = max(damping * 0.1, 1e-9)
                break
            damping *= 10.0
        if gain <= _DONE * cost:
            break
    return x


def _cost(r: F64, *, robust: bool) -> float:
    squares = (r / _SOFT_PX) ** 2
    total = float((2.0 * (np.sqrt(1.0 + squares) - 1.0)).sum() if robust else squares.sum())
    return total if np.isfinite(total) else np.inf


def _predict(scene: Scene, corners: Corners) -> tuple[F64, F64, F64, F64, F64]:
    """Pixels, their derivatives by point and lens, and the rotated points that the poses' derivatives need."""
    Rb, Rc = rotation.exp_so3(scene.boards[:, :3]), rotation.exp_so3(scene.cameras[:, :3])
    turned = np.einsum("nij,nj->ni", Rb[corners.shot], corners.point_m)
    in_ref = turned + scene.boards[corners.shot, 3:]
    in_cam = np.einsum("nij,nj->ni", Rc[corners.view], in_ref)
    pixels, by_point, by_lens = optics.project(scene.lenses[corners.view], in_cam + scene.cameras[corners.view, 3:])
    return pixels, by_point, by_lens, turned, in_cam


def _derivatives(scene: Scene, corners: Corners) -> F64:
    """`(N, 2, 21)`: by the lens (9), the camera's pose (6), the board's pose (6)."""
    _, by_point, by_lens, turned, in_cam = _predict(scene, corners)
    Rc = rotation.exp_so3(scene.cameras[:, :3])[corners.view]
    left_camera = _left_jacobian(scene.cameras[:, :3])[corners.view]
    left_board = _left_jacobian(scene.boards[:, :3])[corners.shot]
    by_ref = by_point @ Rc
    camera = -by_point @ rotation.skew(in_cam) @ left_camera
    board = -by_ref @ rotation.skew(turned) @ left_board
    return np.concatenate([by_lens, camera, by_point, board, by_ref], axis=-1)


def _left_jacobian(w: F64) -> F64:
    """`exp(w + d) ~ exp(J d) exp(w)`: `(..., 3) -> (..., 3, 3)`."""
    t2 = (w * w).sum(-1)[..., None, None]
    t = np.sqrt(t2)
    small = t < 1e-3
    safe = np.where(small, 1.0, t)
    a = np.where(small, 0.5 - t2 / 24.0, (1.0 - np.cos(safe)) / safe**2)
    b = np.where(small, 1.0 / 6.0 - t2 / 120.0, (safe - np.sin(safe)) / safe**3)
    k = rotation.skew(w)
    return np.eye(3) + a * k + b * (k @ k)


def without_lenses(freedom: Freedom) -> Freedom:
    """The same freedom with all lenses kept."""
    return replace(freedom, lenses=np.zeros_like(freedom.lenses))
