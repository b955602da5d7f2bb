"""How much later one depth camera's clock runs than another's, from the surfaces that both measure.

A point that one camera measures lies on a surface. Where the other camera sees that surface too, its depth at the same
time must say the same. While things move, that is so at the right offset only: it is the one at which most points lie
on the surface that the other camera measures, from either side. That the calibration may be a little wrong is solved
for too. The parts of the recording say how sure that is: left out one by one, they must not change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cam
from hoi_core.types import F64, I64, Bool, StreamInfo

_LEAST_MOVED_M, _MOST_MOVED_M = 0.006, 0.05
"""How far a surface moves within two frames for its points to count; what moves farther is another surface."""
_SMOOTH_M = 0.02
_NEAR_M = 0.015
"""Points that miss the surface by more lie on another, or are hidden from the other camera."""
_NOISE_M = 0.002
_ALIKE = 8.0
"""So many neighbouring points have the same error."""
_POSE_SIGMA = np.array([0.003, 0.003, 0.003, 0.01, 0.01, 0.01])
"""How wrong the calibration may be: m, rad."""
_POSE_STEPS = 2
_LONGEST_GAP_S = 0.3
_MOST_POINTS = 20_000
_LEAST_POINTS = 400
_GROUP_S = 0.75
_LEAST_GROUPS = 5
_STEPS_S: F64 = np.linspace(-0.0125, 0.0125, 11)
_DEGREE = 4
_SIGMA_SCALE = 1.6
_FLOOR_S = 0.0002
_DISAGREE = 3.0


@dataclass(frozen=True)
class DepthFilm:
    """Thinned depth images of one camera over some seconds."""

    info: StreamInfo
    """The depth stream: camera, pose and scale."""
    t_s: F64
    """(N,) common time, s."""
    depth: NDArray[np.uint16]
    """(N, h, w) every `step`-th pixel of the images, depth units."""
    step: int
    """Pixels from one to the next."""


@dataclass(frozen=True)
class _Points:
    """Points on moving surfaces."""

    t_s: F64
    """(M,) when they were seen."""
    world_m: F64
    """(M, 3) m."""
    group: I64
    """(M,) part of the recording, whose errors are independent of the others'."""


@dataclass(frozen=True)
class _Misses:
    """By how much points miss the other camera's surface, and how that changes with its pose."""

    miss_m: F64
    """(M,) depth of the point minus depth measured there, m."""
    slopes: F64
    """(M, 6): change of the miss with the point's shift and turn."""
    weight: F64
    """(M,) steep surfaces count less."""
    group: I64
    """(M,)."""


def shift_between(first: Sequence[DepthFilm], second: Sequence[DepthFilm], near_s: float) -> tuple[float, float]:
    """How much later the second camera's clock runs than the first's.

    Args:
        first: films of one camera.
        second: films of another camera at about the same times, as many.
        near_s: the shift as it is known so far, to ten milliseconds.

    Returns:
        Shift and its standard deviation, s; the deviation is infinite where the films do not tell.
    """
    most = max(_MOST_POINTS // max(len(first), 1), 1)
    shifts_s = np.asarray(near_s + _STEPS_S, dtype=np.float64)
    forth = _curves([_moving(film, k, most) for k, film in enumerate(first)], second, shifts_s)
    back = _curves([_moving(film, k, most) for k, film in enumerate(second)], first, -shifts_s)
    groups = sorted({*forth, *back})
    if len(groups) < _LEAST_GROUPS:
        return near_s, float("inf")
    nothing = np.zeros(len(_STEPS_S))
    own = np.array([forth.get(group, nothing) + back.get(group, nothing) for group in groups])
    whole, count = own.sum(0), len(groups)
    peaks = np.array([_peak(whole - part) for part in own])
    one, other, both = _peak(sum(forth.values(), nothing)), _peak(sum(back.values(), nothing)), _peak(whole)
    spread_s = float(np.sqrt((count - 1) / count * ((peaks - peaks.mean()) ** 2).sum()))
    sigma_s = float(np.hypot(_SIGMA_SCALE * spread_s, _FLOOR_S))
    # The two directions see the same motion by different points.
    told = whole.max() >= _LEAST_POINTS and abs(one - other) < 2.0 * _DISAGREE * sigma_s
    return near_s + both, sigma_s if told and np.isfinite(both) else float("inf")


def _moving(film: DepthFilm, index: int, most: int) -> _Points:
    """Points on smooth surfaces that move along the ray, so many at most."""
    depth_m = film.depth.astype(np.float32) * np.float32(film.info.depth_scale_m or 1e-3)
    before, here, after = depth_m[:-2], depth_m[1:-1], depth_m[2:]
    moved = np.abs(after - before)
    good = (moved > _LEAST_MOVED_M) & (moved < _MOST_MOVED_M) & (np.minimum(np.minimum(before, here), after) > 0.0)
    good &= np.abs(here - 0.5 * (before + after)) < _SMOOTH_M
    down, across = (np.abs(np.diff(here, axis=axis)) < _SMOOTH_M for axis in (1, 2))
    good[:, 1:-1] &= down[:, 1:] & down[:, :-1]
    good[:, :, 1:-1] &= across[:, :, 1:] & across[:, :, :-1]
    frame, row, column = np.nonzero(good[:, 1:-1, 1:-1])
    few = slice(None, None, max(-(-len(frame) // most), 1))
    frame, row, column = frame[few], row[few] + 1, column[few] + 1
    pixels = np.stack([column, row], axis=-1).astype(np.float64) * film.step
    points_m = cam.unproject(film.info.camera, pixels, here[frame, row, column].astype(np.float64))
    t_s = film.t_s[frame + 1]
    group = 1000 * index + np.floor((t_s - film.t_s[0]) / _GROUP_S).astype(np.int64)
    return _Points(t_s, cam.transform(film.info.camera.T_world_cam, points_m), group)


def _curves(points: Sequence[_Points], films: Sequence[DepthFilm], shifts_s: F64) -> dict[int, F64]:
    """How many points of each group lie on the surface at each shift, the pose being the best one there. `-> (S,)`."""
    pose = np.zeros(6)
    counts: list[F64] = []
    length = 1000 * len(films)
    for shift_s in shifts_s:
        misses = _joined([_misses(own, film, float(shift_s)) for own, film in zip(points, films, strict=True)])
        for _ in range(_POSE_STEPS):
            pose = _pose(misses, pose)
        left_m = (misses.miss_m - misses.slopes @ pose) * misses.weight
        on = np.exp(-0.5 * (left_m / _NOISE_M) ** 2)
        counts.append(np.asarray(np.bincount(misses.group, on, minlength=length), dtype=np.float64))
    table = np.stack(counts, axis=1)
    return {int(group): table[group] for group in np.flatnonzero(table.any(1))}


def _pose(misses: _Misses, pose: F64) -> F64:
    """A step towards the pose at which most points lie on the surface. `(6,) -> (6,)`."""
    left_m = (misses.miss_m - misses.slopes @ pose) * misses.weight
    weight = misses.weight**2 * np.exp(-0.5 * (left_m / _NOISE_M) ** 2)
    turned = misses.slopes * weight[:, None]
    prior = np.diag(_ALIKE * _NOISE_M**2 / _POSE_SIGMA**2)
    return np.asarray(np.linalg.solve(turned.T @ misses.slopes + prior, turned.T @ misses.miss_m), dtype=np.float64)


def _peak(curve: F64) -> float:
    """Where a curve over `_STEPS_S` is highest; NaN at an end."""
    fine = np.linspace(_STEPS_S[0], _STEPS_S[-1], 501)
    best = int(np.argmax(np.polynomial.Polynomial.fit(_STEPS_S, curve, _DEGREE)(fine)))
    return float("nan") if best in (0, len(fine) - 1) else float(fine[best])


def _joined(found: Sequence[_Misses]) -> _Misses:
    return _Misses(
        np.concatenate([misses.miss_m for misses in found]),
        np.concatenate([misses.slopes for misses in found]),
        np.concatenate([misses.weight for misses in found]),
        np.concatenate([misses.group for misses in found]),
    )


def _misses(points: _Points, film: DepthFilm, shift_s: float) -> _Misses:
    """Points against the depth images of another camera whose clock runs so much later."""
    camera, t_s = film.info.camera, points.t_s + shift_s
    points_m = cam.transform(camera.T_cam_world, points.world_m)
    pixels = np.nan_to_num(cam.project(camera, points_m) / film.step, nan=-1.0)
    height, width = film.depth.shape[1:]
    frame = np.searchsorted(film.t_s, t_s) - 1
    seen = (pixels > 1.0).all(-1) & (pixels[:, 0] < width - 2) & (pixels[:, 1] < height - 2)
    seen &= (frame >= 1) & (frame + 2 < len(film.t_s))
    points_m, pixels, frame, t_s, group = points_m[seen], pixels[seen], frame[seen], t_s[seen], points.group[seen]
    shares, whole = _spline((t_s - film.t_s[frame]) / (film.t_s[frame + 1] - film.t_s[frame]))
    measured_m, gradient = np.zeros(len(t_s)), np.zeros((len(t_s), 2))
    good = (film.t_s[frame + 2] - film.t_s[frame - 1] < _LONGEST_GAP_S) & whole
    for j, share in enumerate(shares):
        depth_m, slope, smooth = _read(film, frame + j - 1, pixels)
        measured_m += share * depth_m
        gradient += share[:, None] * slope / film.step
        good &= smooth & (np.abs(depth_m - points_m[:, 2]) < _MOST_MOVED_M)
    good &= np.abs(points_m[:, 2] - measured_m) < _NEAR_M
    points_m, gradient = points_m[good], gradient[good]
    along = -gradient * [camera.fx, camera.fy] / points_m[:, 2:]
    normal = np.concatenate([along, 1.0 - (along * points_m[:, :2]).sum(-1, keepdims=True) / points_m[:, 2:]], axis=-1)
    turn = np.cross(points_m - (points_m.mean(0) if len(points_m) else 0.0), normal)
    miss_m = points_m[:, 2] - measured_m[good]
    return _Misses(miss_m, np.hstack([normal, turn]), 1.0 / np.sqrt(1.0 + (along**2).sum(-1)), group[good])


def _spline(a: F64) -> tuple[tuple[F64, F64, F64, F64], Bool]:
    """Weights of four images for a time between the middle two, and where these are in order. `(M,)`.

    A B-spline is about as noisy everywhere between two images; a straight line would be least so half-way, where more
    points would lie on the surface whatever the offset.
    """
    b = 1.0 - a
    weights = (b**3 / 6, (3 * a**3 - 6 * a**2 + 4) / 6, (3 * b**3 - 6 * b**2 + 4) / 6, a**3 / 6)
    return weights, (a >= 0.0) & (a <= 1.0)


def _read(film: DepthFilm, frame: I64, pixels: F64) -> tuple[F64, F64, Bool]:
    """Depth m, its gradient in m per pixel of the film, and whether the surface is smooth. `(M,), (M, 2), (M,)`."""
    scale_m = film.info.depth_scale_m or 1e-3
    first = np.floor(pixels).astype(np.int64)
    (u, v), (column, row) = (pixels - first).T, first.T
    a, b, c, d = (film.depth[frame, row + dv, column + du] * scale_m for dv in (0, 1) for du in (0, 1))
    low, high = np.minimum(np.minimum(a, b), np.minimum(c, d)), np.maximum(np.maximum(a, b), np.maximum(c, d))
    depth_m = (1.0 - v) * ((1.0 - u) * a + u * b) + v * ((1.0 - u) * c + u * d)
    gradient = np.stack([(1.0 - v) * (b - a) + v * (d - c), (1.0 - u) * (c - a) + u * (d - b)], axis=-1)
    return depth_m, gradient, (low > 0.0) & (high - low < _SMOOTH_M)
