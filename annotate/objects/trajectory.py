"""A rigid body over moments as positions and rotations, and the banded equations of six unknowns a moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from annotate.rotation_slopes import right_jacobian_inverse
from annotate.selected_inverse import selected_inverse
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.errors import FitError
from hoi_core.types import F64

_DOF = 6
_BAND = 3 * _DOF


@dataclass(frozen=True)
class Trajectory:
    """A rigid body over M moments."""

    R: F64
    """(M, 3, 3) object to world."""
    s_m: F64
    """(M, 3) m of the object's middle, world."""

    def moved(self, step: F64) -> Trajectory:
        """After a step. `(M, 6)`: shift in the world m, turn in the object's frame rad."""
        return Trajectory(self.R @ rotation.exp_so3(step[:, 3:]), self.s_m + step[:, :3])

    def at(self, lag_s: F64, t_s: F64) -> Trajectory:
        """A little later than each moment, at the speed there. `(M,) s, (M,) s`."""
        if len(t_s) < 2 or not np.abs(lag_s).max():
            return self
        velocity = np.gradient(self.s_m, t_s, axis=0)
        turn = rotation.log_so3(np.swapaxes(self.R[:-1], -1, -2) @ self.R[1:]) / np.diff(t_s)[:, None]
        turn = np.concatenate([turn[:1], 0.5 * (turn[1:] + turn[:-1]), turn[-1:]])
        return Trajectory(self.R @ rotation.exp_so3(turn * lag_s[:, None]), self.s_m + velocity * lag_s[:, None])

    def poses(self, centre_m: F64) -> F64:
        """(M, 4, 4) object to world, from the place of the object's middle in its own frame `(3,)` m."""
        return cameras.rigid(self.R, self.s_m - self.R @ centre_m)


def from_poses(T_world_obj: F64, centre_m: F64) -> Trajectory:
    """The inverse of `Trajectory.poses`. `(M, 4, 4), (3,) m`."""
    return Trajectory(T_world_obj[:, :3, :3], T_world_obj[:, :3, :3] @ centre_m + T_world_obj[:, :3, 3])


@dataclass(frozen=True)
class Equations:
    """Normal equations, filled by the terms."""

    H: F64
    """(M, 6, 6); the lower triangle counts."""
    near: F64
    """(M - 1, 2, 3, 3) between shift and shift, turn and turn of moments m + 1 (rows) and m."""
    far: F64
    """(M - 2, 2, 3, 3) between those of moments m + 2 (rows) and m."""
    g: F64
    """(M, 6)."""


def empty(moments: int) -> Equations:
    """Equations without any term."""
    near, far = max(moments - 1, 0), max(moments - 2, 0)
    return Equations(
        np.zeros((moments, _DOF, _DOF)), np.zeros((near, 2, 3, 3)), np.zeros((far, 2, 3, 3)), np.zeros((moments, _DOF))
    )


def solve(equations: Equations, damping: float) -> F64:
    """(M, 6) damped Gauss-Newton step.

    Raises:
        FitError: the equations are not positive definite.
    """
    factor, info = lapack.dpbtrf(_band(equations, damping), lower=1)
    if info != 0 or not np.isfinite(factor).all():
        raise FitError(
            "the equations of the object's track are not positive definite.",
            "Look for broken depth or clicks with `hoi-data check`.",
        )
    step, _ = lapack.dpbtrs(factor, equations.g.reshape(-1, 1), lower=1)
    return -np.asarray(step, dtype=np.float64).reshape(-1, _DOF)


def _band(equations: Equations, damping: float) -> F64:
    moments = len(equations.H)
    out = np.zeros((_BAND, moments, _DOF))
    for offset in range(_DOF):
        out[offset, :, : _DOF - offset] = np.diagonal(equations.H, -offset, axis1=1, axis2=2)
    out[0] = out[0] * (1.0 + damping) + 1e-6
    for apart, blocks in ((1, equations.near), (2, equations.far)):
        for i in range(3):
            for j in range(3):
                out[apart * _DOF + i - j, : len(blocks), j::3] += blocks[:, :, i, j]
    return out.reshape(_BAND, -1)


def covariance(equations: Equations) -> F64:
    """(M, 6, 6) diagonal blocks of the inverse."""
    own = np.tril(equations.H) + np.swapaxes(np.tril(equations.H, -1), 1, 2) + 1e-6 * np.eye(_DOF)
    return selected_inverse(own, equations.near, equations.far)


def add_acceleration(body: Trajectory, t_s: F64, weights: F64, equations: Equations | None) -> float:
    """Cost of second differences per squared nominal frame time; added to `equations` where given.

    Args:
        body: the trajectory.
        t_s: `(M,)` s.
        weights: `(M - 2, 2)` of each shift (1/m^2) and turn (1/rad^2).
        equations: added to, or None.
    """
    gaps = np.diff(t_s)
    if len(gaps) < 2:
        return 0.0
    back, ahead = gaps[:-1], gaps[1:]
    before = (2.0 * np.median(gaps) ** 2 / (back * (back + ahead)))[:, None]
    after = (2.0 * np.median(gaps) ** 2 / (ahead * (back + ahead)))[:, None]
    middle = np.swapaxes(body.R[1:-1], -1, -2)
    to_back, to_ahead = rotation.log_so3(middle @ body.R[:-2]), rotation.log_so3(middle @ body.R[2:])
    shift = before * (body.s_m[:-2] - body.s_m[1:-1]) + after * (body.s_m[2:] - body.s_m[1:-1])
    residual = np.stack([shift, before * to_back + after * to_ahead], axis=1)
    if equations is not None:
        slopes = np.zeros((3, len(back), 2, 3, 3))
        slopes[0, :, 0], slopes[2, :, 0] = np.eye(3) * before[..., None], np.eye(3) * after[..., None]
        slopes[0, :, 1] = before[..., None] * right_jacobian_inverse(to_back)
        slopes[2, :, 1] = after[..., None] * right_jacobian_inverse(to_ahead)
        # The middle turn enters inverted: its step acts from the left, by the transposed Jacobian.
        slopes[1] = -slopes[0] - slopes[2]
        slopes[1, :, 1] = np.swapaxes(slopes[1, :, 1], -1, -2)
        _add(equations, list(slopes), residual, weights)
    return 0.5 * float((weights[..., None] * residual**2).sum())


def add_motion(body: Trajectory, carried: Trajectory, weights: F64, equations: Equations | None) -> tuple[float, F64]:
    """Cost of moving otherwise than carried: `s[m + 1] = C[m] s[m] + c[m]`, `R[m + 1] = C[m] R[m]`.

    Args:
        body: the trajectory.
        carried: M - 1 rigid motions in the world: `R` is C, `s_m` is c; the identity for a body at rest.
        weights: `(M - 1, 2)` of shift (1/m^2) and turn (1/rad^2).
        equations: added to, or None.

    Returns:
        The cost, and `(M - 1, 2, 3)` m and rad, what it moved otherwise.
    """
    moved = (carried.R @ body.s_m[:-1, :, None])[..., 0] + carried.s_m
    turn = rotation.log_so3(np.swapaxes(carried.R @ body.R[:-1], -1, -2) @ body.R[1:])
    residual = np.stack([body.s_m[1:] - moved, turn], axis=1)
    if equations is not None:
        slopes = np.zeros((2, len(turn), 2, 3, 3))
        slopes[0, :, 0], slopes[1, :, 0] = -carried.R, np.eye(3)
        slopes[1, :, 1] = right_jacobian_inverse(turn)
        slopes[0, :, 1] = -np.swapaxes(slopes[1, :, 1], -1, -2)
        _add(equations, list(slopes), residual, weights)
    return 0.5 * float((weights[..., None] * residual**2).sum()), residual


def _add(equations: Equations, slopes: list[F64], residual: F64, weights: F64) -> None:
    """Add rows that join two or three moments in a row."""
    n = len(residual)
    turned = [np.swapaxes(one, -1, -2) * weights[..., None, None] for one in slopes]
    for i, one in enumerate(turned):
        equations.g[i : i + n] += (one @ residual[..., None])[..., 0].reshape(n, _DOF)
        own = one @ slopes[i]
        equations.H[i : i + n, :3, :3] += own[:, 0]
        equations.H[i : i + n, 3:, 3:] += own[:, 1]
        for j in range(i):
            (equations.near if i - j == 1 else equations.far)[j : j + n] += one @ slopes[j]
