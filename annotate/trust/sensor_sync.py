"""A check of the 128x128 sensor's clock: at which shift do outlines of the labelled hand meet its edges best?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core import camera as cameras
from hoi_core.sequence import Capture
from hoi_core.types import F32, F64, I64, Bool, Camera

WIDEST_S = 0.1
"""Shifts looked at, to both sides, s."""
_STEP_S = 0.008
_FARTHEST_PX = 3.0
_FEWEST_FRAMES = 20
_FEWEST_POINTS = 12
_MOST_FRAMES = 120
_MOVED_PX = 1.0
_DISPLACED_PX = np.array([(u, v) for u in (-1.0, 0.0, 1.0) for v in (-1.0, 0.0, 1.0)])
"""A calibration that is off by as much must not pass for time."""
_PARTS = 8
_ROUNDS = 200


@dataclass(frozen=True)
class SensorSync:
    """The sensor's time against the labels'."""

    offset_ms: float
    """How much later than its time stamps say the sensor looked; NaN where motion does not tell."""
    sigma_ms: float
    """Standard deviation of that, from parts of the recording drawn anew; NaN likewise."""
    frames: int
    """Sensor images that took part."""
    distance_px: float
    """Mean distance of the labels' outlines from the sensor's edges there, px of the sensor."""


NOTHING = SensorSync(float("nan"), float("nan"), 0, float("nan"))


def check_sensor(capture: Capture, sensor: str, vertices_m: F64, faces: I64) -> SensorSync:
    """Find the shift in time at which outlines of the labelled hand meet the sensor's edges best.

    Args:
        capture: the open recording.
        sensor: its name, a key of `capture.sensors`.
        vertices_m: `(M, 778, 3)` m labels of the hand in the world; NaN where there are none.
        faces: `(F, 3)` vertex indices.
    """
    t_s, looked_s, there = _times(capture, sensor)
    known = np.isfinite(vertices_m).all((-1, -2))
    chosen = _chosen(there & known, vertices_m, capture.sensors[sensor].camera)
    if len(chosen) < _FEWEST_FRAMES:
        return NOTHING
    shifts_s = np.arange(-WIDEST_S, WIDEST_S + 0.5 * _STEP_S, _STEP_S)
    edges = _edge_pairs(faces)
    stream = capture.sensors[sensor].edge
    index = capture.sync.index[stream.name]
    rows = []
    for m in chosen:
        far = _distance_px(np.asarray(stream[int(index[m])]))
        shifted_m = _at(vertices_m, t_s, looked_s[m] + shifts_s)
        rows.append(_scores(far, shifted_m, capture.sensors[sensor].camera, edges))
    scores = np.stack(rows)
    whole = np.isfinite(scores).all((1, 2))
    return _told(scores[whole], shifts_s) if whole.sum() >= _FEWEST_FRAMES else NOTHING


def _times(capture: Capture, sensor: str) -> tuple[F64, F64, Bool]:
    """(M,) s of the moments and of the sensor's images there, and whether there is one."""
    stream = capture.sensors[sensor].edge.name
    sync = capture.sync
    t_s = (sync.t_ns - sync.t_ns[0]) * 1e-9
    return t_s, t_s + sync.skew_ns[stream] * 1e-9, sync.index[stream] >= 0


def _at(values: F64, t_s: F64, at_s: F64) -> F64:
    """Linear interpolation over time, NaN beyond the ends and beside what is missing. `(M, ...), (M,), (N,)`."""
    after = np.clip(np.searchsorted(t_s, at_s), 1, len(t_s) - 1)
    share = ((at_s - t_s[after - 1]) / (t_s[after] - t_s[after - 1])).reshape(-1, *(1,) * (values.ndim - 1))
    out = values[after - 1] * (1.0 - share) + values[after] * share
    beyond = (share < -0.5) | (share > 1.5)
    return np.where(beyond, np.nan, out)


def _chosen(usable: Bool, vertices_m: F64, camera: Camera) -> I64:
    """Moments in which the hand moves over the sensor's image: the others say nothing of time."""
    pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, vertices_m))
    moved = np.zeros(len(usable))
    moved[1:-1] = np.median(np.linalg.norm(pixels[2:] - pixels[:-2], axis=-1), axis=-1)
    rows = np.flatnonzero(usable & (np.nan_to_num(moved) > _MOVED_PX))
    if len(rows) <= _MOST_FRAMES:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_FRAMES).astype(int)]


def _edge_pairs(faces: I64) -> tuple[I64, I64, I64]:
    """Faces, `(E, 2)` vertices of every edge that two faces share, and `(E, 2)` those faces."""
    ends = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    ends, owner = ends[order], owner[order]
    same = np.flatnonzero((ends[1:] == ends[:-1]).all(1))
    return faces, ends[same], np.stack([owner[same], owner[same + 1]], axis=1)


def _distance_px(edge: np.ndarray) -> F32:
    """(H, W) px to the nearest edge, cut off: what is far away is not the hand's."""
    import cv2

    return np.minimum(cv2.distanceTransform((edge == 0).astype(np.uint8), cv2.DIST_L2, 5), _FARTHEST_PX)


def _scores(far: F32, vertices_m: F64, camera: Camera, edges: tuple[I64, I64, I64]) -> F64:
    """(N, D) px mean distance of the outline from the sensor's edges, for each shift in time and each displacement."""
    pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, vertices_m))
    faces, ends, owners = edges
    out = np.full((len(pixels), len(_DISPLACED_PX)), np.nan)
    for k, at in enumerate(pixels):
        if not np.isfinite(at).all():
            continue
        a, b, c = (at[faces[:, i]] for i in range(3))
        towards = np.cross(b - a, c - a) > 0
        outline = at[ends[towards[owners[:, 0]] != towards[owners[:, 1]]]].mean(1)
        inside = ((outline >= 0) & (outline <= [camera.width - 1, camera.height - 1])).all(1)
        if inside.sum() >= _FEWEST_POINTS:
            moved = outline[inside] + _DISPLACED_PX[:, None]
            moved = np.clip(moved, 0.0, [camera.width - 1.0, camera.height - 1.0])
            out[k] = _bilinear(far, moved.reshape(-1, 2)).reshape(len(moved), -1).mean(1)
    return out


def _bilinear(image: F32, pixels: F64) -> F64:
    """(K,) values between pixels."""
    low = np.minimum(pixels.astype(int), [image.shape[1] - 2, image.shape[0] - 2])
    u, v = (pixels - low).T
    x, y = low.T
    top = image[y, x] * (1 - u) + image[y, x + 1] * u
    return np.asarray(top * (1 - v) + (image[y + 1, x] * (1 - u) + image[y + 1, x + 1] * u) * v, dtype=np.float64)


def _told(scores: F64, shifts_s: F64) -> SensorSync:
    """The best shift of all frames, and its spread over parts of the recording drawn anew with replacement."""
    best, distance_px = _lowest(scores.mean(0), shifts_s)
    parts = np.stack([part.mean(0) for part in np.array_split(scores, min(_PARTS, len(scores) // 2))])
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(parts), (_ROUNDS, len(parts)))
    found = np.array([_lowest(parts[row].mean(0), shifts_s)[0] for row in drawn])
    if not np.isfinite(best) or np.isnan(found).mean() > 0.1:
        return SensorSync(float("nan"), float("nan"), len(scores), distance_px)
    return SensorSync(1e3 * best, 1e3 * float(np.nanstd(found)), len(scores), distance_px)


def _lowest(scores: F64, shifts_s: F64) -> tuple[float, float]:
    """Shift in s of the lowest score and that score, between the shifts by a parabola; NaN where it lies at an end."""
    k, displaced = (int(i) for i in np.unravel_index(np.argmin(scores), scores.shape))
    score = scores[:, displaced]
    if k in (0, len(score) - 1):
        return float("nan"), float(score[k])
    # A wide parabola: the score is a sum of many kinks, and three neighbouring values follow their noise.
    near = slice(max(k - 3, 0), k + 4)
    a, b, _ = np.polyfit(shifts_s[near] - shifts_s[k], score[near], 2)
    best = shifts_s[k] - np.clip(b / (2 * a), -2 * _STEP_S, 2 * _STEP_S) if a > 0 else float("nan")
    return float(best), float(score[k])
