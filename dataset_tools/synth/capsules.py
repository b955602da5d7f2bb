"""A hand as nineteen capsules, one for each bone: whether its fingers sink into each other or into the palm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from hoi_core.biomechanics import bone_ends, pose_from_angles
from hoi_core.conventions import MANO_FINGERS, N_BETAS, fingertips
from hoi_core.mano import ManoLayer
from hoi_core.scene.anatomy import phalanx_of_vertices
from hoi_core.types import F64, I64, Bool

SINK_M = 0.0015
"""How much deeper than in the flat hand two capsules may lie in each other: skin gives way."""
_PHALANGES = 15


@dataclass(frozen=True)
class Capsules:
    """A hand model's capsules: fifteen phalanges in MANO's order, then four metacarpals. Those of fingers move."""

    layer: ManoLayer
    """The hand, in its mean shape."""
    radii_m: F64
    """(19,) m: the flesh around each bone, where it is thinnest."""
    owner: I64
    """(19,) row in `MANO_FINGERS`; -1 for the palm."""
    pairs: I64
    """(P, 2) capsules that must not lie in each other."""
    allowed_m: F64
    """(P,) m that they may overlap."""

    def segments_m(self, angles: F64) -> F64:
        """Axes of the capsules of postures. `(B, 15, 3) rad -> (B, 19, 2, 3)` m, the wrist's frame at the origin."""
        pose = pose_from_angles(angles, self.layer.joint_frames)
        still = np.zeros((len(pose), 3))
        return _segments(self.layer, still, pose, self.radii_m)

    def free(self, segments_m: F64) -> Bool:
        """Whether no finger sinks into another or into the palm. `(B, 19, 2, 3) m -> (B,)`."""
        return _free(segments_m, self.radii_m, self.pairs, self.allowed_m)

    def overlap_m(self, segments_m: F64) -> F64:
        """How far each pair's capsules lie in each other. `(B, 19, 2, 3) m -> (B, P)` m, negative for a gap."""
        out = np.empty((len(segments_m), len(self.pairs)))
        for b, segments in enumerate(segments_m):
            for p, (i, j) in enumerate(self.pairs):
                out[b, p] = self.radii_m[i] + self.radii_m[j] - _segment_distance(segments[i], segments[j])
        return out


def capsules_of(layer: ManoLayer) -> Capsules:
    """Measure a hand's capsules on its template."""
    model = layer.model
    flat = _segments(layer, np.zeros((1, 3)), np.zeros((1, 45)), np.zeros(_PHALANGES + 4))[0]
    radii = np.empty(len(flat))
    for i, (start, end) in enumerate(flat):
        mine = phalanx_of_vertices(layer) == (i + 1 if i < _PHALANGES else 0)
        radii[i] = _thickness(model.v_template[mine], start, end)
    owner = np.concatenate([np.repeat(np.arange(5), 3), np.full(4, -1)])
    pairs = np.array([(i, j) for i in range(len(flat)) for j in range(i) if _may_meet(i, j, owner)], dtype=np.int64)
    bare = Capsules(layer, radii, owner, pairs, np.zeros(len(pairs)))
    rest = bare.overlap_m(bare.segments_m(np.zeros((1, _PHALANGES, 3))))[0]
    return Capsules(layer, radii, owner, pairs, np.maximum(rest, 0.0) + SINK_M)


def _may_meet(i: int, j: int, owner: I64) -> bool:
    """Bones of one finger are joined, and so are the first phalanges and the palm."""
    if owner[i] == owner[j]:
        return False
    thumb = MANO_FINGERS.index("thumb")
    root = (i % 3 == 0 and owner[i] != thumb) or owner[i] < 0
    other_root = (j % 3 == 0 and owner[j] != thumb) or owner[j] < 0
    return not (root and other_root)


def _segments(layer: ManoLayer, orient: F64, pose: F64, radii_m: F64) -> F64:
    """Bones from joint to joint; the last of a finger ends a radius before its tip."""
    T = layer.joint_transforms(orient, pose, np.zeros(N_BETAS))
    model = layer.model
    rest = model.J_regressor @ model.v_template
    tips = model.v_template[list(fingertips())]
    ends = bone_ends(rest, tips)
    along = ends - rest[1:]
    ends = ends - np.where(np.arange(_PHALANGES) % 3 == 2, radii_m[:_PHALANGES], 0.0)[:, None] * along / np.linalg.norm(
        along, axis=1, keepdims=True
    )
    start = T[:, 1:, :3, 3]
    end = start + (T[:, 1:, :3, :3] @ (ends - rest[1:])[..., None])[..., 0]
    bones = np.stack([start, end], axis=2)
    knuckles = bones[:, [0, 3, 6, 9], 0]
    wrist = T[:, :1, :3, 3]
    # The carpus is wide: metacarpals start where they have spread.
    palm = np.stack([wrist + 0.25 * (knuckles - wrist), wrist + 0.92 * (knuckles - wrist)], axis=2)
    return np.concatenate([bones, palm], axis=1)


def _thickness(points_m: F64, start: F64, end: F64) -> float:
    """Distance from the middle part of a bone to the skin where it is nearest. `(N, 3), (3,), (3,) -> m`."""
    middle = start + np.linspace(0.25, 0.75, 5)[:, None] * (end - start)
    near = np.linalg.norm(points_m[None] - middle[:, None], axis=-1).min(1)
    return float(np.median(near))


@njit(cache=True, nogil=True)
def _segment_distance(p: F64, q: F64) -> float:
    """Smallest distance of two segments `(2, 3)` m (Ericson 2005, section 5.1.9)."""
    d1, d2, r = p[1] - p[0], q[1] - q[0], p[0] - q[0]
    a = d1[0] * d1[0] + d1[1] * d1[1] + d1[2] * d1[2]
    e = d2[0] * d2[0] + d2[1] * d2[1] + d2[2] * d2[2]
    f = d2[0] * r[0] + d2[1] * r[1] + d2[2] * r[2]
    c = d1[0] * r[0] + d1[1] * r[1] + d1[2] * r[2]
    b = d1[0] * d2[0] + d1[1] * d2[1] + d1[2] * d2[2]
    crossed = a * e - b * b
    s = min(max((b * f - c * e) / crossed, 0.0), 1.0) if crossed > 1e-15 else 0.0
    t = (b * s + f) / e
    if t < 0.0:
        t, s = 0.0, min(max(-c / a, 0.0), 1.0)
    elif t > 1.0:
        t, s = 1.0, min(max((b - c) / a, 0.0), 1.0)
    total = 0.0
    for k in range(3):
        total += (r[k] + d1[k] * s - d2[k] * t) ** 2
    return np.sqrt(total)


@njit(cache=True, nogil=True)
def _free(segments: F64, radii: F64, pairs: I64, allowed: F64) -> Bool:
    out = np.ones(segments.shape[0], np.bool_)
    for n in range(segments.shape[0]):
        for k in range(pairs.shape[0]):
            i, j = pairs[k]
            if radii[i] + radii[j] - _segment_distance(segments[n, i], segments[n, j]) > allowed[k]:
                out[n] = False
                break
    return out
