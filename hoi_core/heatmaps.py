"""Where joints are in the maps of a keypoint network: the rule of Gouidis et al. (2019), and finer than a pixel.

A map's softmax over all its pixels says how likely the joint is at each. The joint is at the peak. Where no peak is
likely enough, the paper takes, of the highest peaks, the one nearest to the joints that were found with confidence.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hoi_core.types import F32, F64, I64

Maps = Literal["softmax", "squared"]
"""What maps hold: logarithms of probabilities up to a constant, or Gaussians of height 1."""

SURE = 0.5
"""Confidence from which on a peak is believed by itself."""
_RIVALS = 4
"""Peaks of a map that an unsure joint chooses among."""
_RIVAL = 0.25
"""A peak counts as high from this part of the highest one on."""
_REACH = 2
"""Pixels on each side of a peak that belong to it."""
_LEAST = 1e-6


def probabilities(maps: F64, kind: Maps) -> F64:
    """How likely each joint is at each pixel: spatial softmax. `(J, h, w) -> (J, h, w)`, sum 1 for each joint.

    Args:
        maps: of the joints.
        kind: `softmax` maps are logits. Of `squared` ones the logarithm is: a Gaussian's is what a softmax turns into
            that Gaussian, while the softmax of values from 0 to 1 themselves would be nearly flat.
    """
    logits = maps if kind == "softmax" else np.log(np.maximum(maps, _LEAST))
    shifted = np.exp(logits - logits.max(axis=(1, 2), keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=(1, 2), keepdims=True), dtype=np.float64)


def locate(maps: F64 | F32, kind: Maps = "softmax", *, sure: float = SURE) -> F64:
    """Joints in maps.

    Args:
        maps: `(J, h, w)` of the joints, without the background.
        kind: what they hold.
        sure: confidence from which on the highest peak is taken as it is.

    Returns:
        `(J, 3)` column and row in pixels of the maps, finer than one; confidence: with `softmax` the probability that
        lies around the peak, with `squared` its height.
    """
    values = np.asarray(maps, dtype=np.float64)
    p = probabilities(values, kind)
    at = np.stack(np.unravel_index(p.reshape(len(p), -1).argmax(1), p.shape[1:]), axis=-1)
    trust = _trust(values, p, at, kind)
    believed = trust >= sure
    if believed.any():
        known = at[believed].astype(np.float64)
        for j in np.flatnonzero(~believed):
            at[j] = _nearest_peak(p[j], known)
        trust = np.where(believed, trust, _trust(values, p, at, kind))
    return np.concatenate([_refined(p, at)[:, ::-1], trust[:, None]], axis=-1)


def _trust(values: F64, p: F64, at: I64, kind: Maps) -> F64:
    """(J,) how sure the peaks at `at` are, 0 to 1."""
    which = np.arange(len(p))
    if kind == "squared":
        return np.clip(values[which, at[:, 0], at[:, 1]], 0.0, 1.0)
    height, width = p.shape[1:]
    rows = np.abs(np.arange(height) - at[:, :1]) <= _REACH
    columns = np.abs(np.arange(width) - at[:, 1:]) <= _REACH
    return np.asarray(np.einsum("jhw,jh,jw->j", p, rows, columns), dtype=np.float64)


def _nearest_peak(p: F64, known: F64) -> I64:
    """Of the highest peaks of one map, the one whose mean distance to known joints is smallest: row, column."""
    inner = np.pad(p, 1, constant_values=-1.0)
    shifts = [inner[r : r + p.shape[0], c : c + p.shape[1]] for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    peaks = np.argwhere((p >= np.max(shifts, axis=0)) & (p >= _RIVAL * p.max()))
    peaks = peaks[np.argsort(-p[peaks[:, 0], peaks[:, 1]], kind="stable")[:_RIVALS]]
    distance = np.linalg.norm(peaks[:, None] - known, axis=-1).mean(1)
    return np.asarray(peaks[distance.argmin()], dtype=np.int64)


def _refined(p: F64, at: I64) -> F64:
    """(J, 2) row, column: a parabola through the logarithm along each axis, which is exact for a Gaussian."""
    level = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    which = np.arange(len(p))
    out = at.astype(np.float64)
    for axis in (0, 1):
        size = p.shape[1 + axis]
        before, after = at.copy(), at.copy()
        before[:, axis] = np.maximum(at[:, axis] - 1, 0)
        after[:, axis] = np.minimum(at[:, axis] + 1, size - 1)
        low, middle, high = (level[which, x[:, 0], x[:, 1]] for x in (before, at, after))
        curve = low - 2.0 * middle + high
        inner = (at[:, axis] > 0) & (at[:, axis] < size - 1) & (curve < 0)
        shift = np.where(inner, 0.5 * (low - high) / np.where(inner, curve, 1.0), 0.0)
        out[:, axis] += np.clip(shift, -0.5, 0.5)
    return out


def to_input_px(points: F64, stride: float) -> F64:
    """From pixels of maps to pixels of the input they were made from. `(..., 2 or 3)`, centres at integers."""
    out = points.copy()
    out[..., :2] = stride * (points[..., :2] + 0.5) - 0.5
    return out
