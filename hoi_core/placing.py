"""Where a hand of known shape is, from where its joints are seen."""

from __future__ import annotations

from typing import Any

from hoi_core.crop import concatenate

_LEAST_WEIGHT = 1e-3
_STIFFNESS = 1e-9


def placed(points_m: Any, rays: Any, weight: Any) -> Any:
    """Shifts that bring points onto the rays they are seen along, in the sense of least squares. Numpy and torch alike.

    With x = (X + t_x) / (Z + t_z), X + t_x - x (Z + t_z) = 0 is linear in the shift t, and so for y. Its residual is
    that of the image times the depth, which of one hand is nearly the same for all points.

    Args:
        points_m: `(B, N, 3)` m, such as joints relative to the wrist.
        rays: `(B, N, 2)` x and y at depth 1 of where each is seen.
        weight: `(B, N)` how much each counts; not negative.

    Returns:
        `(B, 3)` m.
    """
    w = weight + _LEAST_WEIGHT
    x, y = rays[..., 0], rays[..., 1]
    # Normal equations of the rows (1, 0, -x) and (0, 1, -y), with the shift along x and y put in terms of that along z.
    total = w.sum(-1)
    mean_x, mean_y = (w * x).sum(-1) / total, (w * y).sum(-1) / total
    off_x, off_y = x * points_m[..., 2] - points_m[..., 0], y * points_m[..., 2] - points_m[..., 1]
    mean_off_x, mean_off_y = (w * off_x).sum(-1) / total, (w * off_y).sum(-1) / total
    away_x, away_y = x - mean_x[..., None], y - mean_y[..., None]
    spread = (w * (away_x * away_x + away_y * away_y)).sum(-1)
    meets = (w * (away_x * (off_x - mean_off_x[..., None]) + away_y * (off_y - mean_off_y[..., None]))).sum(-1)
    depth = -meets / (spread + _STIFFNESS)
    shift = (mean_off_x + mean_x * depth, mean_off_y + mean_y * depth, depth)
    return concatenate([each[..., None] for each in shift], -1)
