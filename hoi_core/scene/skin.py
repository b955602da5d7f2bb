"""Skin: the colour of every vertex of a hand, with tone, knuckles, creases, fingertips and nails."""

from __future__ import annotations

import numpy as np

from hoi_core._raster import vertex_normals
from hoi_core.conventions import FINGERS, finger_joints
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import finger_of_vertices, hand_frame
from hoi_core.types import F64, U8

# From light to dark, as they look on a display under white light.
_TONES = np.array(
    [[242, 204, 180], [232, 184, 152], [214, 158, 122], [186, 126, 92], [146, 96, 68], [104, 68, 50]], np.float64
)


def skin_colors(layer: ManoLayer, rng: np.random.Generator, tone: float | None = None) -> U8:
    """Colour a hand.

    Args:
        layer: the hand; its template decides where knuckles and nails are.
        rng: decides tone (unless given), blotches and strength of the details.
        tone: 0 (lightest) to 1 (darkest).

    Returns:
        `(778, 3)` RGB.
    """
    frame = hand_frame(layer)
    points = layer.model.v_template
    normals = np.zeros_like(points)
    vertex_normals(points, np.ascontiguousarray(layer.closed_faces, np.int32), normals)
    dorsal = -(normals @ frame.palm)
    level = (rng.random() if tone is None else tone) * (len(_TONES) - 1)
    low = min(int(level), len(_TONES) - 2)
    base = _TONES[low] + (level - low) * (_TONES[low + 1] - _TONES[low]) + rng.normal(0.0, 4.0, 3)
    colors = np.tile(base, (len(points), 1))
    # Palms are lighter and pinker, the more so the darker the skin.
    palmar = np.clip(-dorsal, 0.0, 1.0)[:, None]
    colors += palmar * (0.10 + 0.05 * level) * (np.array([250.0, 190.0, 165.0]) - colors)
    colors *= 1.0 + 0.035 * _blotches(points, rng)[:, None]
    colors = _knuckles_and_tips(colors, points, dorsal, frame.joints_m)
    colors = _nails(colors, layer, points, dorsal, frame.joints_m)
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)


def _blotches(points_m: F64, rng: np.random.Generator) -> F64:
    """Slow variation over the hand, about unit spread. `(N, 3) m -> (N,)`."""
    waves = rng.normal(0.0, 90.0, (12, 3))
    return np.cos(points_m @ waves.T + rng.uniform(0, 2 * np.pi, 12)).sum(-1) / np.sqrt(6.0)


def _knuckles_and_tips(colors: F64, points_m: F64, dorsal: F64, joints_m: F64) -> F64:
    """Redder knuckles on the back, darker creases on the palm side, pink fingertips."""
    for finger in FINGERS:
        base, middle, end, tip = (joints_m[j] for j in finger_joints(finger))
        for centre, size in ((base, 0.010), (middle, 0.007), (end, 0.006)):
            near = np.exp(-((points_m - centre) ** 2).sum(-1) / (2 * (1.4 * size) ** 2))[:, None]
            back = np.clip(dorsal, 0.0, 1.0)[:, None] * near
            front = np.clip(-dorsal, 0.0, 1.0)[:, None] * near
            colors = colors * (1.0 - back * np.array([0.05, 0.20, 0.20]) - front * np.array([0.10, 0.16, 0.15]))
        near = np.exp(-((points_m - tip) ** 2).sum(-1) / (2 * 0.009**2))[:, None]
        colors = colors * (1.0 + near * np.array([0.04, -0.07, -0.05]))
    return colors


def _nails(colors: F64, layer: ManoLayer, points_m: F64, dorsal: F64, joints_m: F64) -> F64:
    """A lighter, pink plate on the back of each fingertip."""
    owner = finger_of_vertices(layer)
    for i, finger in enumerate(FINGERS):
        _, _, end, tip = (joints_m[j] for j in finger_joints(finger))
        along = (points_m - end) @ (tip - end) / ((tip - end) ** 2).sum()
        # The thumb lies turned: its back is where its own vertices face away from the bone on the nail's side.
        facing = dorsal if finger != "thumb" else dorsal + 0.35
        plate = (owner == i) & (along > 0.55) & (along < 1.05) & (facing > 0.72)
        colors[plate] = 0.35 * colors[plate] + 0.65 * np.array([236.0, 186.0, 176.0])
    return colors
