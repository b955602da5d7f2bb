"""The compiled parts of posing: the hand model's equations for one hand, and the rings of a forearm.

Numbers are those of Loper et al. 2015, as in `hoi_core.mano.equations`, which the tests hold this to.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hoi_core.types import F64, I64

BEND_M = 0.040
"""Length over which a wrist bends."""
ELBOW_AT_M = 0.22
MELT_M = 0.05
"""Length over which the wrist's own outline becomes an ellipse."""


@njit(cache=True, nogil=True)
def _turn(x: float, y: float, z: float, out: F64) -> None:
    """Rotation matrix of an axis-angle vector (Rodrigues)."""
    angle2 = x * x + y * y + z * z
    angle = np.sqrt(angle2)
    if angle2 < 1e-16:
        a, b = 1.0, 0.5
    else:
        a, b = np.sin(angle) / angle, (1.0 - np.cos(angle)) / angle2
    out[0, 0], out[0, 1], out[0, 2] = 1.0 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y
    out[1, 0], out[1, 1], out[1, 2] = b * x * y + a * z, 1.0 - b * (x * x + z * z), b * y * z - a * x
    out[2, 0], out[2, 1], out[2, 2] = b * x * z - a * y, b * y * z + a * x, 1.0 - b * (x * x + y * y)


@njit(cache=True, nogil=True)
def turned(axis_angle: F64) -> F64:
    """Rotation matrix of one axis-angle vector. `(3,) rad -> (3, 3)`."""
    out = np.empty((3, 3))
    _turn(axis_angle[0], axis_angle[1], axis_angle[2], out)
    return out


@njit(cache=True, nogil=True)
def _times(a: F64, b: F64, out: F64) -> None:
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@njit(cache=True, nogil=True)
def axis_angles(R: F64) -> F64:
    """Axis-angle of rotation matrices, stable for every angle. `(N, 3, 3) -> (N, 3) rad`."""
    out, q = np.empty((R.shape[0], 3)), np.empty(4)
    for n in range(R.shape[0]):
        M = R[n]
        # Four times the outer product of the quaternion (w, x, y, z) with itself: its longest row is stable.
        squares = (
            1.0 + M[0, 0] + M[1, 1] + M[2, 2],
            1.0 + M[0, 0] - M[1, 1] - M[2, 2],
            1.0 - M[0, 0] + M[1, 1] - M[2, 2],
            1.0 - M[0, 0] - M[1, 1] + M[2, 2],
        )
        wx, wy, wz = M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1]
        xy, xz, yz = M[0, 1] + M[1, 0], M[0, 2] + M[2, 0], M[1, 2] + M[2, 1]
        if squares[0] >= max(squares[1], squares[2], squares[3]):
            q[0], q[1], q[2], q[3] = squares[0], wx, wy, wz
        elif squares[1] >= max(squares[2], squares[3]):
            q[0], q[1], q[2], q[3] = wx, squares[1], xy, xz
        elif squares[2] >= squares[3]:
            q[0], q[1], q[2], q[3] = wy, xy, squares[2], yz
        else:
            q[0], q[1], q[2], q[3] = wz, xz, yz, squares[3]
        q /= np.sqrt((q * q).sum()) * (1.0 if q[0] >= 0.0 else -1.0)
        sine = np.sqrt(q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
        factor = 2.0 if sine < 1e-9 else 2.0 * np.arctan2(sine, q[0]) / sine
        for i in range(3):
            out[n, i] = factor * q[1 + i]
    return out


@njit(cache=True, nogil=True)
def rotations_of_angles(angles: F64, frames: F64) -> F64:
    """Joint rotations of flexion, abduction and twist. `(15, 3) rad, (15, 3, 3) -> (15, 3, 3)`."""
    out = np.empty((15, 3, 3))
    first, second, both = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    for j in range(15):
        f = frames[j]
        _turn(angles[j, 0] * f[0, 0], angles[j, 0] * f[1, 0], angles[j, 0] * f[2, 0], first)
        _turn(angles[j, 1] * f[0, 1], angles[j, 1] * f[1, 1], angles[j, 1] * f[2, 1], second)
        _times(first, second, both)
        _turn(angles[j, 2] * f[0, 2], angles[j, 2] * f[1, 2], angles[j, 2] * f[2, 2], second)
        _times(both, second, out[j])
    return out


@njit(cache=True, nogil=True)
def chain(R: F64, rotations: F64, rest_joints: F64, parents: I64) -> tuple[F64, F64]:
    """Joint frames (SMPL eq. 4) about the wrist, which stays. `(3, 3), (15, 3, 3), (16, 3) -> (16, 3, 3), (16, 3)`."""
    turned, place = np.empty((16, 3, 3)), np.empty((16, 3))
    for i in range(3):  # loops: numba takes seconds to compile what it says of slices that do not fit
        place[0, i] = rest_joints[0, i]
        for k in range(3):
            turned[0, i, k] = R[i, k]
    for j in range(1, 16):
        p = parents[j]
        _times(turned[p], rotations[j - 1], turned[j])
        for i in range(3):
            total = place[p, i]
            for k in range(3):
                total += turned[p, i, k] * (rest_joints[j, k] - rest_joints[p, k])
            place[j, i] = total
    return turned, place


@njit(cache=True, nogil=True)
def skinned(rest: F64, rotations: F64, posedirs: F64, weights: F64, frames: tuple[F64, F64], rest_joints: F64) -> F64:
    """Vertices of a posed hand (SMPL eq. 2, 3, 7 and 9).

    Args:
        rest: `(778, 3)` m, the shaped template.
        rotations: `(15, 3, 3)` of the finger joints.
        posedirs: `(135, 778 * 3)` m.
        weights: `(778, 16)`.
        frames: of `chain`.
        rest_joints: `(16, 3)` m.
    """
    turned, place = frames
    posed = rest.copy().reshape(-1)
    for j in range(15):
        for i in range(3):
            for k in range(3):
                share = rotations[j, i, k] - (1.0 if i == k else 0.0)
                row = posedirs[9 * j + 3 * i + k]
                for n in range(posed.shape[0]):
                    posed[n] += share * row[n]
    shift = np.empty((16, 3))
    for j in range(16):
        for i in range(3):
            shift[j, i] = place[j, i]
            for k in range(3):
                shift[j, i] -= turned[j, i, k] * rest_joints[j, k]
    out = np.zeros((rest.shape[0], 3))
    for v in range(rest.shape[0]):
        x, y, z = posed[3 * v], posed[3 * v + 1], posed[3 * v + 2]
        for j in range(16):
            w = weights[v, j]
            if w == 0.0:
                continue
            for i in range(3):
                out[v, i] += w * (turned[j, i, 0] * x + turned[j, i, 1] * y + turned[j, i, 2] * z + shift[j, i])
    return out


@njit(cache=True, nogil=True)
def _smooth(x: float) -> float:
    t = min(max(x, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, nogil=True)
def arm_rings(offsets: F64, stations: F64, wider: F64, bend: F64, axes: F64, ends: F64) -> F64:
    """Rings of points about a forearm's axis.

    Args:
        offsets: `(n, 3)` m, the wrist's open end about its middle.
        stations: `(S,)` m along the axis, rising.
        wider: `(S,)` m between skin and cloth.
        bend: `(3,)` rad, turn of the forearm against the hand.
        axes: `(3, 3)` of the hand's frame: columns towards the thumb's side, the fingers, out of the palm.
        ends: `(2, 2)` m, half axes of the forearm at the wrist and near the elbow.

    Returns:
        `(S, n, 3)` m, template's axes, the middle of the wrist's end at the origin.
    """
    n = offsets.shape[0]
    out, R, centre = np.empty((stations.shape[0], n, 3)), np.empty((3, 3)), np.zeros(3)
    flat = np.empty((n, 3))
    for i in range(n):
        for k in range(2):
            x, y, z = offsets[i]
            flat[i, k] = x * axes[0, 2 * k] + y * axes[1, 2 * k] + z * axes[2, 2 * k]
        flat[i, 2] = np.sqrt(offsets[i, 0] ** 2 + offsets[i, 1] ** 2 + offsets[i, 2] ** 2)
    size = (np.abs(flat[:, 0]).max() + np.abs(flat[:, 1]).max()) / (ends[0, 0] + ends[0, 1])
    at = 0.0
    for s in range(stations.shape[0]):
        # The axis is followed in steps of two millimetres, each along the direction in its middle.
        steps = int(np.ceil((stations[s] - at) / 0.002))
        start = at
        for step in range(steps):
            middle = start + (stations[s] - start) * (step + 0.5) / steps
            turn = _smooth(middle / BEND_M)
            _turn(turn * bend[0], turn * bend[1], turn * bend[2], R)
            for i in range(3):
                along = R[i, 0] * axes[0, 1] + R[i, 1] * axes[1, 1] + R[i, 2] * axes[2, 1]
                centre[i] -= along * (stations[s] - start) / steps
        at = stations[s]
        turn, melt = _smooth(at / BEND_M), _smooth(at / MELT_M)
        _turn(turn * bend[0], turn * bend[1], turn * bend[2], R)
        grown = min(at / ELBOW_AT_M, 1.3)
        across = size * (ends[0, 0] + grown * (ends[1, 0] - ends[0, 0])) + wider[s]
        through = size * (ends[0, 1] + grown * (ends[1, 1] - ends[0, 1])) + wider[s]
        for p in range(n):
            angle = np.arctan2(flat[p, 1] / ends[0, 1], flat[p, 0] / ends[0, 0])
            u, w = across * np.cos(angle), through * np.sin(angle)
            own = (1.0 - melt) * (1.0 + wider[s] / flat[p, 2])
            x = own * offsets[p, 0] + melt * (u * axes[0, 0] + w * axes[0, 2])
            y = own * offsets[p, 1] + melt * (u * axes[1, 0] + w * axes[1, 2])
            z = own * offsets[p, 2] + melt * (u * axes[2, 0] + w * axes[2, 2])
            for i in range(3):
                out[s, p, i] = centre[i] + R[i, 0] * x + R[i, 1] * y + R[i, 2] * z
    return out
