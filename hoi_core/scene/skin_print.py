"""Details of the skin that are finer than the mesh, drawn once for a hand: creases, nails, veins, spots and pores.

The print has two sides, palm and back, on which the flat hand is seen from straight above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from hoi_core.conventions import FINGERS, finger_joints
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import hand_frame
from hoi_core.types import F32, F64, U8

DETAILS = ("crease", "nail", "rim", "vein", "spot", "pore")
"""Channels of the print."""
_TEXELS_PER_M = 1600.0
_BORDER_M = 0.012
_PALM, _BACK = 0, 1
# Half of a finger's width, m: thumb to little.
_HALF_WIDTH_M = (0.0095, 0.0082, 0.0084, 0.0080, 0.0068)
# The thumb lies turned: seen from above its nail is narrow and lies to the side.
_THUMB_NAIL_SHIFT, _THUMB_NAIL_SHARE = 0.45, 0.8


@dataclass(frozen=True)
class SkinPrint:
    """Details over the template."""

    atlas: U8
    """(2, H, W, 6) palm and back, channels as in `DETAILS`, 0..255."""
    frame: F64
    """(2, 4): place on the template m, 1 -> column and row."""


def skin_print(layer: ManoLayer) -> SkinPrint:
    """Draw the details of a hand; always the same."""
    hand = hand_frame(layer)
    across, along = hand.axes[:, 0], -hand.axes[:, 1]
    flat = layer.model.v_template @ np.stack([across, along], axis=-1)
    low, high = flat.min(0) - _BORDER_M, flat.max(0) + _BORDER_M
    width, height = (int(n) for n in np.ceil((high - low) * _TEXELS_PER_M))
    frame = np.concatenate([np.stack([across, along]), -low[:, None]], axis=1) * _TEXELS_PER_M
    joints = hand.joints_m @ frame[:, :3].T + frame[:, 3]
    sheets = {(side, name): np.zeros((height, width), np.float32) for side in (_PALM, _BACK) for name in DETAILS}
    _creases(sheets[_PALM, "crease"], joints)
    _knuckle_folds(sheets[_BACK, "crease"], joints)
    for i, finger in enumerate(FINGERS):
        _nail(sheets[_BACK, "nail"], sheets[_BACK, "rim"], joints[list(finger_joints(finger))], i)
    _veins(sheets[_BACK, "vein"], joints)
    rng = np.random.default_rng(5)
    for side in (_PALM, _BACK):
        sheets[side, "pore"][:] = _pores((height, width), rng)
    _spots(sheets[_BACK, "spot"], rng)
    atlas = np.stack([np.stack([sheets[side, name] for name in DETAILS], -1) for side in (_PALM, _BACK)])
    return SkinPrint(np.ascontiguousarray(np.rint(255.0 * np.clip(atlas, 0.0, 1.0)).astype(np.uint8)), frame)


def random_ink(rng: np.random.Generator) -> F64:
    """How a person shows these details: change of the logarithm of the albedo at full detail. `-> (6, 3)`."""
    strength = rng.uniform([0.5, 0.6, 0.5, 0.0, 0.0, 0.5], [1.2, 1.3, 1.2, 1.0, 1.0, 1.2])
    full = np.array(
        [
            [-0.38, -0.55, -0.55],
            [0.10, 0.04, 0.10],
            [-0.25, -0.35, -0.33],
            [-0.20, -0.08, -0.06],
            [-0.22, -0.38, -0.48],
            [-0.16, -0.20, -0.21],
        ]
    )
    ink = strength[:, None] * full
    if rng.random() < 0.08:  # painted nails
        ink[1] = np.log(rng.uniform(0.08, 1.9, 3))
    return ink


def _stroke(sheet: F32, points_px: F64, width_px: float, value: float, blur_px: float) -> None:
    """Add a soft line through points `(N, 2)`."""
    reach = math.ceil(width_px + 4.0 * blur_px)
    x0, y0 = (max(int(v) - reach, 0) for v in points_px.min(0))
    x1, y1 = (int(v) + reach + 2 for v in points_px.max(0))
    part = sheet[y0:y1, x0:x1]
    layer = np.zeros_like(part)
    line = np.rint((points_px - [x0, y0]) * 16.0).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(layer, [line], False, value, max(round(width_px), 1), cv2.LINE_AA, shift=4)
    np.maximum(part, cv2.GaussianBlur(layer, (0, 0), blur_px), out=part)


def _curve(points_px: F64, n: int = 24) -> F64:
    """A smooth curve through three or four points (Bezier control points). `(K, 2) -> (n, 2)`."""
    t = np.linspace(0.0, 1.0, n)[:, None]
    points = [np.repeat(p[None], n, 0) for p in points_px]
    while len(points) > 1:
        points = [(1 - t) * a + t * b for a, b in pairwise(points)]
    return points[0]


def _mm(value: float) -> float:
    return value * 1e-3 * _TEXELS_PER_M


def _creases(sheet: F32, joints: F64) -> None:
    """Flexion creases of the fingers and the three great lines of the palm."""
    for i, finger in enumerate(FINGERS):
        base, middle, end, _ = joints[list(finger_joints(finger))]
        half = _HALF_WIDTH_M[i] * _TEXELS_PER_M
        ahead = (middle - base) / np.linalg.norm(middle - base)
        side = np.array([-ahead[1], ahead[0]])
        places = [(middle, 0.0), (middle, _mm(2.2)), (end, 0.0)]
        if finger != "thumb":
            places += [(base + 0.48 * (middle - base), 0.0), (base + 0.48 * (middle - base), _mm(2.0))]
        for centre, offset in places:
            middle_px = centre + ahead * offset
            line = np.stack([middle_px - side * half, middle_px + ahead * _mm(0.8), middle_px + side * half])
            _stroke(sheet, _curve(line), _mm(0.7), 0.85, _mm(0.45))
    wrist, thumb, index, ring, little = joints[0], joints[1], joints[5], joints[13], joints[17]
    outward = (index - little) / np.linalg.norm(index - little)
    heart = np.stack([little - 0.08 * (little - wrist) - outward * _mm(9), ring + 0.22 * (wrist - ring), index])
    head = np.stack(
        [index + 0.2 * (wrist - index) + outward * _mm(11), 0.5 * (ring + wrist), little + 0.55 * (wrist - little)]
    )
    life = np.stack([head[0], 0.5 * (ring + thumb) * 0.5 + 0.25 * (index + wrist), wrist + 0.12 * (ring - wrist)])
    for line in (heart, head, life):
        _stroke(sheet, _curve(line), _mm(0.9), 0.8, _mm(0.6))


def _knuckle_folds(sheet: F32, joints: F64) -> None:
    """Short folds across the backs of the middle and end joints."""
    for i, finger in enumerate(FINGERS):
        _, middle, end, _ = joints[list(finger_joints(finger))]
        ahead = (end - middle) / np.linalg.norm(end - middle)
        side = np.array([-ahead[1], ahead[0]])
        for centre, n, reach in ((middle, 4, 0.62), (end, 3, 0.5)):
            for k in range(n):
                at = centre + ahead * _mm(1.5) * (k - 0.5 * (n - 1))
                half = reach * _HALF_WIDTH_M[i] * _TEXELS_PER_M * (1.0 - 0.12 * abs(k - 0.5 * (n - 1)))
                line = np.stack([at - side * half, at + ahead * _mm(0.5) * (k - 1), at + side * half])
                _stroke(sheet, _curve(line), _mm(0.5), 0.6, _mm(0.45))


def _nail(nail: F32, rim: F32, finger: F64, i: int) -> None:
    """A plate near the tip and the darker fold of skin around it. `finger (4, 2)` base to tip, px."""
    end, tip = finger[2], finger[3]
    ahead = (tip - end) / np.linalg.norm(tip - end)
    side = np.array([-ahead[1], ahead[0]])
    half = 0.64 * _HALF_WIDTH_M[i] * _TEXELS_PER_M
    length = 1.28 * _HALF_WIDTH_M[i] * _TEXELS_PER_M
    centre = tip - ahead * (0.5 * length + _mm(1.0))
    if i == 0:
        # Towards the thumb's own back, which faces outward: the first column axis points to the thumb's side.
        half *= _THUMB_NAIL_SHARE
        centre = centre + np.array([1.0, 0.0]) * _THUMB_NAIL_SHIFT * _HALF_WIDTH_M[0] * _TEXELS_PER_M
    angle = np.linspace(0.0, 2.0 * np.pi, 40)
    # A superellipse: nails are rounded rectangles.
    c, s = np.cos(angle), np.sin(angle)
    shape = np.stack([np.sign(c) * np.abs(c) ** 0.6 * half, np.sign(s) * np.abs(s) ** 0.7 * 0.5 * length], -1)
    outline = centre + shape[:, :1] * side + shape[:, 1:] * ahead
    layer = np.zeros_like(nail)
    cv2.fillPoly(layer, [np.rint(outline * 16.0).astype(np.int32).reshape(-1, 1, 2)], 1.0, cv2.LINE_AA, shift=4)
    np.maximum(nail, cv2.GaussianBlur(layer, (0, 0), _mm(0.35)), out=nail)
    behind = outline[(shape[:, 1] < 0.35 * length) | (np.abs(shape[:, 0]) > 0.5 * half)]
    _stroke(rim, np.concatenate([behind, behind[:1]]), _mm(0.6), 0.8, _mm(0.4))


def _veins(sheet: F32, joints: F64) -> None:
    wrist = joints[0]
    knuckles = joints[[5, 9, 13, 17]]
    for k in range(3):
        gap = 0.5 * (knuckles[k] + knuckles[k + 1])
        bend = wrist + 0.5 * (gap - wrist) + np.array([_mm(5.0 if k % 2 else -5.0), 0.0])
        _stroke(sheet, _curve(np.stack([gap, bend, wrist + 0.1 * (gap - wrist)])), _mm(1.6), 0.9, _mm(1.3))


def _spots(sheet: F32, rng: np.random.Generator) -> None:
    for _ in range(70):
        at = (int(rng.integers(sheet.shape[1])), int(rng.integers(sheet.shape[0])))
        cv2.circle(sheet, at, int(rng.integers(1, 3)), float(rng.uniform(0.4, 1.0)), -1, cv2.LINE_AA)
    sheet[:] = cv2.GaussianBlur(sheet, (0, 0), 0.8)


def _pores(shape: tuple[int, int], rng: np.random.Generator) -> F32:
    """Fine mottling: two sizes of noise, 0..1."""
    fine = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 0.9)
    coarse = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 3.0)
    both = fine / fine.std() + 0.8 * coarse / coarse.std()
    return np.asarray(np.clip(0.5 + 0.2 * both, 0.0, 1.0), np.float32)
