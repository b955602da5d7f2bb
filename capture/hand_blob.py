"""Where the hand is, by depth alone: what stands out of the table, reaches in from outside, and moves.

Skin colour is not used: gloves, dark skin and wooden tables are all common. A learned 2D detector can take this
module's place through `capture.annotatable.HandDetector`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from hoi_core.types import F32, F64, U8, Bool, Camera, StreamInfo

STEP = 4
"""Every fourth pixel of every fourth row: a finger at 0.7 m is still 2 wide."""
NEAREST_M, FARTHEST_M = 0.15, 1.3
"""The working volume: a D435 measures from about 0.15 m on; a hand beyond 1.3 m is too small to be labelled."""
_CLEAR_M = 0.025
"""Along the ray, this much nearer than the table is not the table: three times a D435's noise at 0.8 m."""
_CLEAR_SHARE = 0.012
"""The noise of stereo depth grows with distance."""
_SMALLEST_SHARE = 0.003
"""Smaller blobs are flying pixels; a fist at 1 m has 0.6 % of the depth image."""
_ARM_M = 0.28
"""Longer than a hand with its wrist, or than what is handled on a table: an arm."""
_REACHING_M = 0.13
"""A blob that is cut by the border of the image need only be as long as a hand."""
_PERSON_M = 1.0
"""Longer than an arm in view: a wall."""
_JUMP_M = 0.05
"""Two things, one behind the other."""
_JOIN_M = 0.12
"""A hand that an object or its own sleeve hides in part falls into pieces this far apart."""
_FLAT_SHARE = 0.75
_HAND_M = 0.2
"""From wrist to finger tip (95th percentile of men: 0.205 m outstretched, which a hand at work never is)."""
_HOLE = 9
"""Holes up to this many reduced pixels wide count to the hand; wider ones cut it in pieces."""
_TRIES, _SAMPLES = 48, 400
_NEW_PLANE_EVERY = 30
_SCENERY_AFTER = 90
"""Three seconds at 30 fps: a blob that has never moved in that time is part of the room."""
_LENS_SHARE = 0.6  # focal length over width of a D435's depth imager, where the lens is not known


@dataclass(frozen=True)
class HandRegion:
    """Where a hand is in a view."""

    box: tuple[int, int, int, int]
    """x, y, width, height, px of the colour image; it may reach beyond it."""
    confidence: float = 1.0
    """In [0, 1]."""
    inside: float = 1.0
    """Share of the hand that lies within the colour image."""
    depth_mask: Bool | None = field(default=None, compare=False)
    """(h, w) the hand with its holes, in every fourth pixel of the depth image; None where depth was not used."""
    color_points: F32 | None = field(default=None, compare=False)
    """(N, 2) px, some of the hand's pixels in the colour image; None where they are not known."""


class BlobDetector:
    """Finds the hand of one view; remembers the table, and what has never moved.

    Args:
        depth: the depth stream, for its lens; None guesses that of a D435.
        color: the colour stream; None takes the depth image to be aligned with it.
    """

    def __init__(self, depth: StreamInfo | None = None, color: StreamInfo | None = None) -> None:
        self._lens = depth.camera if depth is not None else None
        self._color = color.camera if color is not None and depth is not None else None
        self._T_depth_color = depth.T_depth_color if depth is not None else None
        self._plane: F64 | None = None
        self._looks = 0
        self._far_m: F32 | None = None
        self._moved: F32 | None = None
        self._random = np.random.default_rng(0)

    def find(self, color: U8, depth: np.ndarray | None, depth_scale_m: float) -> HandRegion | None:
        """The hand, or None. `(H, W, 3) RGB, (H, W) uint16 units`; about 1.5 ms at 640x480."""
        if depth is None:
            return None
        z = depth[::STEP, ::STEP].astype(np.float32) * np.float32(depth_scale_m)
        near = self._in_front(z)
        self._remember(z)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(near.view(np.uint8), connectivity=8)
        big = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= _SMALLEST_SHARE * z.size]
        lens, span = self._scaled_lens(depth.shape), _columns_with_depth(z)
        blobs = [_Blob.of(labels == k, z, lens, span) for k in big]
        ratings = [self._rate(blob) for blob in blobs]
        if not any(ratings):
            return None
        arm = blobs[int(np.argmax(ratings))]
        tip = arm.tip()
        for blob in [blob for blob in blobs if blob is not arm]:
            if blob.reaches(tip):
                arm = arm.joined(blob)
        return self._region(arm, tip, z, (color.shape, depth.shape), max(ratings))

    def _scaled_lens(self, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy of the reduced image, px."""
        lens = self._lens or Camera(
            shape[1], shape[0], _LENS_SHARE * shape[1], _LENS_SHARE * shape[1], shape[1] / 2, shape[0] / 2
        )
        return lens.fx / STEP, lens.fy / STEP, lens.cx / STEP, lens.cy / STEP

    def _in_front(self, z: F32) -> Bool:
        """What is in the working volume and stands out of the table."""
        valid = (z > NEAREST_M) & (z < FARTHEST_M)
        if self._plane is None or self._looks % _NEW_PLANE_EVERY == 0:
            self._plane = _table(z, valid, self._random, self._plane)
        self._looks += 1
        if self._plane is None:
            return _opened(valid & ~_beside_nearer(z))
        v, u = np.ogrid[: z.shape[0], : z.shape[1]]
        a, b, c = self._plane.astype(np.float32)
        table = 1.0 / np.maximum(a * u + b * v + c, np.float32(1.0 / (FARTHEST_M + 0.2)))
        return _opened(valid & ~_beside_nearer(z) & (table - z > _CLEAR_M + _CLEAR_SHARE * table))

    def _remember(self, z: F32) -> None:
        """The farthest that each pixel has been, and whether it was ever clearly nearer than that."""
        if self._far_m is None or self._moved is None or self._far_m.shape != z.shape:
            self._far_m, self._moved = z.copy(), np.zeros(z.shape, np.float32)
            return
        # What covered a pixel in the past counts for half a minute or so: cameras and tables get moved.
        self._moved *= np.float32(0.999)
        nearer = (z > 0) & (self._far_m - z > 2 * _CLEAR_M + _CLEAR_SHARE * self._far_m)
        self._moved[nearer] = 1.0
        np.maximum(self._far_m, z, out=self._far_m)

    def _rate(self, blob: _Blob) -> float:
        """How much a blob is an arm that moves; 0 for none."""
        long_enough = blob.length_m > _ARM_M or (blob.cut and blob.length_m > _REACHING_M)
        if not long_enough or blob.length_m > _PERSON_M or blob.flat:
            return 0.0
        moved = float(self._moved[blob.mask].mean()) if self._moved is not None else 0.0
        if self._looks > _SCENERY_AFTER and moved < 0.05:
            return 0.0
        return 0.5 + 0.25 * min(blob.length_m, 0.6) / 0.6 + 0.25 * moved

    def _region(
        self, arm: _Blob, tip: F64, z: F32, shapes: tuple[tuple[int, ...], tuple[int, ...]], confidence: float
    ) -> HandRegion:
        color_shape, depth_shape = shapes
        near = np.linalg.norm(arm.points_m - tip, axis=1) < _HAND_M
        at, points = (arm.at[0][near], arm.at[1][near]), arm.points_m[near]
        mask = np.zeros(z.shape, np.uint8)
        mask[at] = 1
        # With the holes, but without the table that shows between the fingers.
        filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((_HOLE, _HOLE), np.uint8))
        filled[(z > 0) & (mask == 0)] = 0
        pixels = self._to_color(at, points, color_shape, depth_shape)
        height, width = color_shape[:2]
        inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        low, high = _quantile(pixels, 0.01), _quantile(pixels, 0.99)
        margin = 0.06 * float((high - low).max())
        x, y = np.floor(low - margin).astype(int)
        right, bottom = np.ceil(high + margin).astype(int)
        box = (int(x), int(y), int(right - x), int(bottom - y))
        # The border cuts off a part of the hand that grows with the length of the cut.
        cut = min(float(arm.border[near].sum()) / max(np.sqrt(near.sum()), 1.0), 1.0)
        share = float(inside.mean() * (1.0 - cut))
        return HandRegion(box, confidence, share, filled > 0, pixels[inside].astype(np.float32))

    def _to_color(
        self, at: tuple[np.ndarray, np.ndarray], points: F64, color_shape: tuple[int, ...], depth_shape: tuple[int, ...]
    ) -> F64:
        """(N, 2) px where points of the depth image, `(N, 3)` m, lie in the colour image."""
        lens = self._color
        if lens is None or self._T_depth_color is None:
            scale = np.array([color_shape[1] / depth_shape[1], color_shape[0] / depth_shape[0]]) * STEP
            return np.stack(at[::-1], axis=1) * scale
        R, t = self._T_depth_color[:3, :3], self._T_depth_color[:3, 3]
        x = (points - t) @ R
        return np.stack([lens.fx * x[:, 0] / x[:, 2] + lens.cx, lens.fy * x[:, 1] / x[:, 2] + lens.cy], axis=1)


@dataclass(frozen=True)
class _Blob:
    """A connected part of the reduced depth image."""

    mask: Bool
    at: tuple[np.ndarray, np.ndarray]
    points_m: F64
    cut: bool
    border: Bool

    @classmethod
    def of(cls, mask: Bool, z: F32, lens: tuple[float, float, float, float], span: tuple[int, int]) -> _Blob:
        rows, columns = np.nonzero(mask)
        at = (rows, columns)
        fx, fy, cx, cy = lens
        depth = z[at].astype(np.float64)
        points = np.stack([(at[1] - cx) / fx * depth, (at[0] - cy) / fy * depth, depth], axis=1)
        first, last = span
        border = (at[0] <= 1) | (at[0] >= z.shape[0] - 2) | (at[1] <= first + 1) | (at[1] >= last - 1)
        return cls(mask, at, points, bool(border.sum() >= 3), border)

    def reaches(self, tip: F64) -> bool:
        """Whether a blob is, or holds, the rest of an arm that ends at `tip` behind a finger or an object."""
        near = float(np.linalg.norm(self.points_m - tip, axis=1).min()) < _JOIN_M
        return near and self.length_m <= _PERSON_M and not self.flat

    def joined(self, other: _Blob) -> _Blob:
        """Both as one."""
        at = (np.concatenate([self.at[0], other.at[0]]), np.concatenate([self.at[1], other.at[1]]))
        points = np.concatenate([self.points_m, other.points_m])
        border = np.concatenate([self.border, other.border])
        return _Blob(self.mask | other.mask, at, points, self.cut or other.cut, border)

    @cached_property
    def flat(self) -> bool:
        """Whether most of it lies in a plane."""
        return _is_flat(self.points_m)

    @cached_property
    def length_m(self) -> float:
        """Its length, m."""
        some = self.points_m[:: max(len(self.points_m) // 400, 1)]
        return float(np.linalg.norm(_quantile(some, 0.98) - _quantile(some, 0.02)))

    def tip(self) -> F64:
        """(3,) m, its end within the image."""
        points = self.points_m
        if self.cut:
            rim = points[self.border]
            # Where the hand, too, is near the border: people reach in from the far side or from above.
            shoulder = rim[:, 2] - rim[:, 1]
            entry = rim[shoulder >= _quantile(shoulder, 0.8)].mean(axis=0)
        else:  # an arm that ends in the air: its sleeve reflects nothing, or it leaves the working volume
            middle = points.mean(axis=0)
            axis = np.linalg.svd(points[:: max(len(points) // 200, 1)] - middle, full_matrices=False)[2][0]
            along = (points - middle) @ axis
            ends = [points[along <= _quantile(along, 0.05)], points[along >= _quantile(along, 0.95)]]
            # People reach towards the camera's side of the table: the shoulder is the far or the upper end.
            entry = max((end.mean(axis=0) for end in ends), key=lambda p: float(p[2] - p[1]))
        reach = np.linalg.norm(points - entry, axis=1)
        return np.asarray(points[reach >= _quantile(reach, 0.98)].mean(axis=0))


def _columns_with_depth(z: F32) -> tuple[int, int]:
    """First and last column with depth: the left of a stereo depth image is empty, and the image begins after it."""
    seen = np.flatnonzero(np.count_nonzero(z, axis=0) > 0.3 * z.shape[0])
    return (int(seen[0]), int(seen[-1])) if len(seen) else (0, z.shape[1] - 1)


def _quantile(values: F64, share: float) -> F64:
    """The value below which a share of the rows lies, by column; a tenth of np.percentile's time. `(N, ...)`."""
    place = round((len(values) - 1) * share)
    return np.asarray(np.partition(values, place, axis=0)[place])


def _opened(mask: Bool) -> Bool:
    """Without what is thinner than two pixels."""
    square = np.ones((2, 2), np.uint8)
    # An even kernel moves the image by half a pixel, so back with the other corner.
    small = cv2.erode(mask.astype(np.uint8), square, anchor=(0, 0), borderValue=0)
    return np.asarray(cv2.dilate(small, square, anchor=(1, 1)), dtype=np.bool_)


def _beside_nearer(z: F32) -> Bool:
    """Pixels just behind a jump in depth: without them, an arm hangs together with nothing behind it."""
    filled = np.where(z > 0, z, np.float32(100.0))
    return np.asarray(filled - cv2.erode(filled, np.ones((3, 3), np.uint8)) > _JUMP_M)


def _is_flat(points: F64) -> bool:
    """Whether most of the points lie in a plane: a wall, a screen, a book."""
    some = points[:: max(len(points) // 150, 1)]
    design = np.stack([some[:, 0] / some[:, 2], some[:, 1] / some[:, 2], np.ones(len(some))], axis=1)
    inverse = 1.0 / some[:, 2]
    plane = np.linalg.lstsq(design, inverse, rcond=None)[0]
    close = np.abs(design @ plane - inverse) < 0.01 * inverse
    if close.sum() >= 10:  # once more without what stands out of it
        plane = np.linalg.lstsq(design[close], inverse[close], rcond=None)[0]
        close = np.abs(design @ plane - inverse) < 0.01 * inverse
    return bool(close.mean() > _FLAT_SHARE)


def _table(z: F32, valid: Bool, random: np.random.Generator, before: F64 | None) -> F64 | None:
    """The plane that most of the scene lies in: `1 / z = a u + b v + c` in reduced pixels, exact for a pinhole.

    Returns:
        (3,) 1/m, or None where no plane holds a fifth of what is in the working volume.
    """
    rows, columns = np.nonzero(valid)
    if len(rows) < 200:
        return before
    pick = random.integers(0, len(rows), _SAMPLES)
    design = np.stack([columns[pick], rows[pick], np.ones(_SAMPLES)], axis=1).astype(np.float64)
    inverse = 1.0 / z[rows[pick], columns[pick]].astype(np.float64)
    corners = random.integers(0, _SAMPLES, (_TRIES, 3))
    A = design[corners]
    good = np.abs(np.linalg.det(A)) > 50.0
    if not good.any():
        return before
    planes = np.linalg.solve(A[good], inverse[corners[good]][..., None])[..., 0]
    if before is not None:
        planes = np.vstack([planes, before])
    # A hundredth of the inverse depth is a hundredth of the depth: 8 mm at 0.8 m.
    close = np.abs(planes @ design.T - inverse) < 0.01 * inverse
    best = close[int(np.argmax(close.sum(axis=1)))]
    if best.mean() < 0.2:
        return None
    return np.linalg.lstsq(design[best], inverse[best], rcond=None)[0]
