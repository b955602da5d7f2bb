"""Find how a hand can hold an object: place the palm, then close every finger until it touches.

All searches run over the object's exact distance function; nothing sinks in deeper than `DEEPEST_M`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hoi_core import rotation
from hoi_core.biomechanics import pose_from_angles
from hoi_core.conventions import FINGERS
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import finger_of_vertices, hand_frame, mano_rows, phalanx_of_vertices
from hoi_core.scene.objects import GraspHint, ObjectModel
from hoi_core.types import F64

DEEPEST_M = 0.0015
"""How far skin may sink into an object: fingertips are soft."""
_TOUCH_M = 0.004
_LEVELS = 24
_CURL_RAD = np.deg2rad(45.0)
_CANDIDATES = 8

# Flexion, abduction (towards the thumb) and twist in degrees of the three joints, base to tip.
_Posture = dict[str, tuple[tuple[float, float, float], ...]]
_REST: _Posture = {"finger": ((20, 0, 0), (26, 0, 0), (14, 0, 0)), "thumb": ((8, 2, 10), (12, 0, 0), (14, 0, 0))}
_OPEN: _Posture = {"finger": ((8, 0, 0), (14, 0, 0), (7, 0, 0)), "thumb": ((16, 16, 36), (-4, 0, 0), (2, 0, 0))}
_CLOSED: _Posture = {"finger": ((84, 0, 0), (102, 0, 0), (66, 0, 0)), "thumb": ((44, -6, 42), (58, 0, 0), (72, 0, 0))}
_SPREAD_DEG = {"thumb": 0.0, "index": 4.0, "middle": 0.0, "ring": -4.0, "little": -8.0}


@dataclass(frozen=True)
class Grasp:
    """A hand about an object, in the object's frame."""

    R_obj_hand: F64
    """(3, 3) global rotation of the hand."""
    wrist_m: F64
    """(3,) m, the wrist joint."""
    away: F64
    """(3,) unit vector along which the hand comes and leaves."""
    open_rad: F64
    """(15, 3) anatomical angles just before closing."""
    closed_rad: F64
    """(15, 3) anatomical angles when every finger touches or is fully bent."""
    touching: tuple[str, ...]
    """Fingers in contact."""


def _angles_rad(posture: _Posture) -> F64:
    """Anatomical angles of a posture table. `-> (15, 3)` rad."""
    out = np.zeros((15, 3))
    for finger in FINGERS:
        table = np.array(posture["thumb" if finger == "thumb" else "finger"], np.float64)
        out[mano_rows(finger)] = table
        out[mano_rows(finger)][0, 1] += _SPREAD_DEG[finger]
    return np.deg2rad(out)


def rest_angles() -> F64:
    """A relaxed hand. `-> (15, 3)` rad."""
    return _angles_rad(_REST)


def solve(layer: ManoLayer, betas: F64, model: ObjectModel, hint: GraspHint, rng: np.random.Generator) -> Grasp:
    """The best of several ways to take an object as the hint says.

    Args:
        layer: the true hand.
        betas: `(10,)`.
        model: the object, standing on the table (z = 0 of its frame).
        hint: approach and place.
        rng: varies direction and height.

    Returns:
        The first candidate that all fingers touch, else the one with most contacts, the thumb counting double.
    """
    best, best_score = None, -1.0
    for _ in range(_CANDIDATES):
        grasp, score = _candidate(layer, betas, model, hint, rng)
        if score > best_score:
            best, best_score = grasp, score
        if len(grasp.touching) == len(FINGERS):
            break
    if best is None:
        raise ValueError("at least one candidate is needed")
    return best


def _candidate(
    layer: ManoLayer, betas: F64, model: ObjectModel, hint: GraspHint, rng: np.random.Generator
) -> tuple[Grasp, float]:
    frame = hand_frame(layer, betas)
    yaw = np.deg2rad(hint.yaw_deg + rng.uniform(-25.0, 25.0))
    tilt = np.deg2rad(rng.uniform(5.0, 25.0) + (rng.uniform(0.0, 20.0) if hint.approach == "top" else 0.0))
    goal = _directions(hint, layer.side == "right", yaw, tilt)
    R = goal @ frame.axes.T
    open_rad = _angles_rad(_OPEN)
    if hint.approach == "top":
        open_rad[:, 0] += np.deg2rad(12.0)
    centre = np.array(hint.centre_m)
    knuckle = R @ (frame.joints_m[[5, 9, 13, 17]].mean(0) - frame.joints_m[0])
    # The object's middle lies a little beyond the knuckles, so that the fingers can bend around it.
    reach = knuckle + goal[:, 1] * rng.uniform(0.008, 0.020) - goal[:, 0] * rng.uniform(-0.004, 0.010)
    hand = layer(rotation.log_so3(R)[None], pose_from_angles(open_rad[None], layer.joint_frames), betas)
    local = hand.vertices_m[0] - hand.joints_m[0, 0]
    if hint.approach == "side":
        # The lowest finger stays above the table.
        centre[2] += max(0.004 - float((local + centre - reach)[:, 2].min()), 0.0)
    standoff = _standoff(model, local, centre - reach, goal[:, 2])
    wrist = centre - reach - standoff * goal[:, 2]
    closed_rad, gap = _close(layer, betas, model, (R, wrist), open_rad)
    touching = tuple(f for f, g in zip(FINGERS, gap, strict=True) if g < _TOUCH_M)
    score = len(touching) + ("thumb" in touching) - 20.0 * max(float(standoff) - 0.08, 0.0) + 0.5 * rng.random()
    return Grasp(R, wrist, -goal[:, 2], open_rad, closed_rad, touching), score


def _directions(hint: GraspHint, right: bool, yaw: float, tilt: float) -> F64:
    """Where thumb side, fingers and palm shall point in the object's frame. `-> (3, 3)` columns."""
    mirror = 1.0 if right else -1.0
    up = np.array([0.0, 0.0, 1.0])
    if hint.approach == "side":
        # The person stands behind the table (+y) and looks along -y: a right palm faces +x.
        palm = np.array([mirror * np.cos(yaw), mirror * np.sin(yaw), 0.0])
        thumb = rotation.exp_so3(palm * tilt * mirror * 0.6) @ up
    else:
        heading = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
        palm = -up * np.cos(tilt) - heading * np.sin(tilt) * 0.6
        palm /= np.linalg.norm(palm)
        thumb = np.cross(heading, palm) * mirror
    thumb = thumb - (thumb @ palm) * palm
    thumb /= np.linalg.norm(thumb)
    # Thumb side x fingers = palm for right hands.
    forward = np.cross(palm, thumb) * mirror
    return np.stack([thumb, forward, palm], axis=-1)


def _distance(model: ObjectModel, points_m: F64) -> F64:
    """Distance to the object or to the table below it, whichever is nearer. `(..., 3) m -> (...) m`."""
    return np.minimum(model.shape.distance_m(points_m), points_m[..., 2])


def _standoff(model: ObjectModel, local_m: F64, start_m: F64, palm: F64) -> float:
    """Smallest distance along the palm's normal at which the open hand touches nothing, m."""
    steps = np.linspace(0.0, 0.15, 51)
    near = np.array([_distance(model, local_m[::2] + start_m - s * palm).min() for s in steps])
    blocked = np.flatnonzero(near < 0.0015)
    return float(steps[min(blocked[-1] + 1, len(steps) - 1)]) if len(blocked) else 0.0


def _close(layer: ManoLayer, betas: F64, model: ObjectModel, place: tuple[F64, F64], open_rad: F64) -> tuple[F64, F64]:
    """Bend whole fingers until they touch, then their outer joints a little more. `-> (15, 3) rad, (5,) m` gaps."""
    closed_rad = _angles_rad(_CLOSED)
    now, gap = open_rad.copy(), np.full(5, np.inf)
    owner, phalanx = finger_of_vertices(layer), phalanx_of_vertices(layer)
    for first_joint in (0, 1, 2):
        goal = now.copy()
        for finger in FINGERS:
            rows = mano_rows(finger)
            further = closed_rad[rows][first_joint:]
            if first_joint:
                further = np.minimum(further, now[rows][first_joint:] + _CURL_RAD)
            goal[rows][first_joint:] = further
        share = np.linspace(0.0, 1.0, _LEVELS)
        path = now + share[:, None, None] * (goal - now)
        near = _nearest_by_level(layer, betas, model, place, path)
        for i, finger in enumerate(FINGERS):
            rows = mano_rows(finger)
            moving = (owner == i) & (phalanx >= rows.start + 1 + first_joint)
            depth = near[:, moving].min(1)
            bad = np.flatnonzero(depth < -DEEPEST_M)
            # Never start a stage deeper than the one before ended.
            last = max(int(bad[0]) - 1, 0) if len(bad) else _LEVELS - 1
            now[rows] = path[last, rows]
            gap[i] = min(gap[i], float(near[last, owner == i].min()))
    # A finger that finds nothing to hold stays half open instead of making a fist.
    for i, finger in enumerate(FINGERS):
        if gap[i] > _TOUCH_M:
            rows = mano_rows(finger)
            now[rows] = open_rad[rows] + 0.3 * (closed_rad[rows] - open_rad[rows])
    return now, gap


def _nearest_by_level(layer: ManoLayer, betas: F64, model: ObjectModel, place: tuple[F64, F64], path_rad: F64) -> F64:
    """Distance of every vertex to object and table along a path of postures. `(L, 15, 3) -> (L, 778)` m."""
    R, wrist = place
    orient = np.tile(rotation.log_so3(R), (len(path_rad), 1))
    hand = layer(orient, pose_from_angles(path_rad, layer.joint_frames), betas)
    return _distance(model, hand.vertices_m - hand.joints_m[:, :1] + wrist)
