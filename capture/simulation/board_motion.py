"""How a person shows a calibration board to the cameras: many places and tilts, still for a moment in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from capture.calibrate.board import Board
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.types import F64, Bool, Camera

STILL_S = 0.45
"""How long the board is held still in each place."""
# Twice the shots that a calibration needs: not every place is seen, still, by two cameras.
_PLACES = 44
_CANDIDATES = 6000
_CHOICES = 80
_MIDDLE_M = np.array([0.0, 0.0, 0.16])
# An unhurried person.
_SPEED_M_S = 0.40
_TURN_RAD_S = 1.3
_SHORTEST_S = 0.55
# Close to the coarse sensor, whose pixels resolve the markers only there.
_NEAR_SHARE = 0.35
_NEAR_M = (0.17, 0.27)
# Steeper, or smaller, markers are not found.
_STEEPEST_RAD = np.deg2rad(58.0)
_SMALLEST_MARKER_PX = 9.5
# Regions of an image that are to be filled, across and down.
_CELLS = (5, 4)
# Of a stretched arm's hand.
_TREMOR_M = 0.00015
_TREMOR_RAD = 0.0003
# Above the table.
_LOWEST_M = 0.02


@dataclass(frozen=True)
class BoardMotion:
    """Where the board is at any time; it returns to its first place in the end and begins anew."""

    T_world_board: F64
    """(K, 4, 4) the places in which it is held."""
    start_s: F64
    """(K,) when it arrives in each."""
    period_s: float
    """When it is back in the first."""
    tremor: F64
    """(4, 2, 3) frequencies Hz and phases rad of two waves of shift and of turn."""
    centre_m: F64
    """(3,) the board's middle in its own frame, about which it turns."""

    def at(self, t_s: ArrayLike) -> F64:
        """Pose of the board at times `(M,)`. `-> (M, 4, 4)`."""
        t = np.mod(np.asarray(t_s, np.float64), self.period_s)
        k = np.searchsorted(self.start_s, t, side="right") - 1
        following = (k + 1) % len(self.start_s)
        ends = np.append(self.start_s[1:], self.period_s)[k]
        leaves = self.start_s[k] + STILL_S
        s = np.clip((t - leaves) / (ends - leaves), 0.0, 1.0)
        share = (s**3 * (10.0 - 15.0 * s + 6.0 * s * s))[:, None]
        a, b = self.T_world_board[k], self.T_world_board[following]
        turn = rotation.log_so3(np.swapaxes(a[:, :3, :3], -1, -2) @ b[:, :3, :3])
        centre_a, centre_b = (cam.transform(T, self.centre_m[None])[:, 0] for T in (a, b))
        # The hand's tremor, in phase with the loop so that it has no jump either.
        cycles = np.maximum(np.rint(self.tremor[:, 0] * self.period_s), 1.0) / self.period_s
        waves = np.sin(2.0 * np.pi * cycles[:, None] * t[None, :, None] + self.tremor[:, 1][:, None])
        shift, wobble = _TREMOR_M * (waves[0] + waves[1]), _TREMOR_RAD * (waves[2] + waves[3])
        R = a[:, :3, :3] @ rotation.exp_so3(share * turn) @ rotation.exp_so3(wobble)
        centre = centre_a + share * (centre_b - centre_a) + shift
        return cam.rigid(R, centre - (R @ self.centre_m[:, None])[..., 0])

    def still(self, t_s: F64) -> Bool:
        """Whether the board is held still at times `(M,)`."""
        t = np.mod(np.asarray(t_s, np.float64), self.period_s)
        k = np.searchsorted(self.start_s, t, side="right") - 1
        return np.asarray(t < self.start_s[k] + STILL_S)


def random_motion(board: Board, views: Sequence[Camera], rng: np.random.Generator) -> BoardMotion:
    """Choose places that fill all images and tilts, and a short way through them.

    Args:
        board: what is shown.
        views: the true cameras, each of which is to see it everywhere in its image.
        rng: decides everything.
    """
    centre = np.array([*(0.5 * np.array(board.size_m)), 0.0])
    places = _random_places(_CANDIDATES, views, centre, rng)
    seen = np.stack([_seen_corners(board, view, places) for view in views], axis=1)
    # Someone has to see it well: two cameras at least, with most of its corners.
    good = ((seen >= 0).mean(-1) > 0.6).sum(1) >= 2
    good &= cam.transform(places, board.outline_m)[..., 2].min(-1) > _LOWEST_M
    places, seen = places[good], seen[good]
    chosen = _spread(seen, rng)
    places = places[chosen]
    order, legs_s = _short_way(places, centre)
    start_s = np.concatenate([[0.0], np.cumsum(STILL_S + legs_s)])
    tremor = np.stack([rng.uniform(0.7, 3.0, (4, 3)), rng.uniform(0.0, 2.0 * np.pi, (4, 3))], axis=1)
    return BoardMotion(places[order], start_s[:-1], float(start_s[-1]), tremor, centre)


def _random_places(count: int, views: Sequence[Camera], centre: F64, rng: np.random.Generator) -> F64:
    """Poses somewhere in front of the cameras, turned towards one of them or between. `-> (count, 4, 4)`."""
    eyes = np.stack([view.T_world_cam[:3, 3] for view in views])
    middle = _MIDDLE_M + rng.uniform([-0.24, -0.20, -0.10], [0.24, 0.20, 0.16], (count, 3))
    weights = rng.dirichlet(np.full(len(views), 0.8), count)
    # Close to the camera with the fewest pixels, or it would never see the markers.
    coarse = min(range(len(views)), key=lambda k: views[k].width * views[k].height)
    near = rng.random(count) < _NEAR_SHARE
    slant = np.concatenate([rng.uniform(-0.35, 0.35, (count, 2)), np.ones((count, 1))], axis=1)
    close = slant * rng.uniform(*_NEAR_M, (count, 1)) @ views[coarse].T_world_cam[:3, :3].T + eyes[coarse]
    middle[near] = close[near]
    weights[near] = 0.25 * weights[near] + 0.75 * np.eye(len(views))[coarse]
    towards = weights @ eyes - middle
    normal = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    # Upright as the cameras see it: they look down, away from -y.
    across = np.cross(np.array([0.0, 0.6, 0.8]), normal)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    upright = np.stack([across, np.cross(-normal, across), -normal], axis=-1)
    roll = np.stack([np.zeros(count), np.zeros(count), rng.uniform(-1.1, 1.1, count)], axis=-1)
    axis = rng.normal(size=(count, 2))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    tilt = np.concatenate([axis * rng.uniform(0.0, np.deg2rad(45.0), (count, 1)), np.zeros((count, 1))], axis=1)
    R = upright @ rotation.exp_so3(tilt) @ rotation.exp_so3(roll)
    return cam.rigid(R, middle - (R @ centre[:, None])[..., 0])


def _seen_corners(board: Board, view: Camera, places: F64) -> F64:
    """Cell of the image in which each corner falls, -1 for one that is not seen. `-> (N, corners)`."""
    local = cam.transform(view.T_cam_world @ places, board.corners_m)
    pixels = cam.project(view, local)
    towards = -np.mean(local, axis=1)
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    normal = -(view.T_cam_world @ places)[:, :3, 2]
    facing = (normal * towards).sum(-1) > np.cos(_STEEPEST_RAD)
    marker_px = view.fx * board.marker_m / np.mean(local[..., 2], axis=1)
    inside = cam.inside(view, pixels) & (facing & (marker_px > _SMALLEST_MARKER_PX))[:, None]
    with np.errstate(invalid="ignore"):
        column = np.floor((pixels[..., 0] + 0.5) / view.width * _CELLS[0])
        row = np.floor((pixels[..., 1] + 0.5) / view.height * _CELLS[1])
    return np.where(inside, column + _CELLS[0] * row, -1.0)


def _spread(seen: F64, rng: np.random.Generator) -> list[int]:
    """Choose places one by one, each where the images have been seen least. `(N, views, corners) -> places`."""
    cells = _CELLS[0] * _CELLS[1]
    hit = np.stack([(seen == cell).sum(-1) for cell in range(cells)], axis=-1) > 2
    counts = np.zeros(hit.shape[1:])
    chosen: list[int] = []
    for _ in range(min(_PLACES, len(seen))):
        some = rng.choice(len(seen), min(_CHOICES, len(seen)), replace=False)
        gain = (hit[some] / (1.0 + counts) ** 2).sum((1, 2))
        gain[np.isin(some, chosen)] = -1.0
        best = int(some[np.argmax(gain)])
        chosen.append(best)
        counts += hit[best]
    return chosen


def _short_way(places: F64, centre: F64) -> tuple[list[int], F64]:
    """Visit the nearest place next, and return to the first. `-> order, (K,) s` for each leg."""
    middle = cam.transform(places, centre[None])[:, 0]
    apart = np.linalg.norm(middle[:, None] - middle[None], axis=-1)
    turn = np.swapaxes(places[:, None, :3, :3], -1, -2) @ places[None, :, :3, :3]
    angle = np.arccos(np.clip((np.trace(turn, axis1=-2, axis2=-1) - 1.0) / 2.0, -1.0, 1.0))
    legs_s = np.maximum(np.maximum(apart / _SPEED_M_S, angle / _TURN_RAD_S), _SHORTEST_S)
    order = [0]
    while len(order) < len(places):
        left = [k for k in range(len(places)) if k not in order]
        order.append(min(left, key=lambda k: legs_s[order[-1], k]))
    return order, legs_s[order, np.roll(order, -1)]
