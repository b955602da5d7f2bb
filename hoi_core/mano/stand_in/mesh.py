"""The stand-in hand's own topology: rings of vertices from the wrist through palm and webs to the finger tips."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from hoi_core.conventions import FINGERS, FINGERTIP_VERTICES, N_VERTICES
from hoi_core.mano.stand_in.skeleton import WRIST_X_M, Finger, fingers
from hoi_core.mano.stand_in.surface import gradient, pull_to_surface
from hoi_core.mano.topology import edges
from hoi_core.types import F64, I64

Ring = list[int]
_RELAX_STEPS = 24
# Palm sections: vertices, mm ahead of the wrist, centre (up, thumbward), half height, half width.
_PALM_TO_THUMB = (
    (16, -24.0, (0.0, 1.0), 17.0, 27.0),
    (18, -13.0, (0.0, 1.0), 17.0, 27.0),
    (20, -2.0, (-1.0, 0.0), 18.0, 28.0),
    (22, 9.0, (-3.0, 1.0), 19.0, 31.0),
    (24, 20.0, (-4.0, 2.0), 20.0, 36.0),
    (26, 31.0, (-5.0, 2.0), 20.0, 41.0),
    (28, 43.0, (-5.0, 2.0), 19.0, 44.0),
)
_THUMB_TO_WEB = (
    (22, 60.0, (-4.0, -4.0), 15.0, 38.0),
    (24, 70.0, (-3.0, -4.0), 14.0, 39.0),
    (26, 80.0, (-2.0, -4.0), 13.0, 40.0),
    (28, 90.0, (-2.0, -4.5), 12.0, 41.0),
)
_WEB_AHEAD_MM = (98.0, 112.0, 112.0, 104.0, 88.0)  # thumb side of the index finger ... outer side of the little one
_STATIONS = {"thumb": 8, "index": 9, "middle": 10, "ring": 9, "little": 8}
_RING = 10  # vertices around a finger


@dataclass
class _Draft:
    """Vertices and triangles while they are being collected."""

    vertices: list[F64] = field(default_factory=list)
    faces: list[tuple[int, int, int]] = field(default_factory=list)
    crowns: Ring = field(default_factory=list)

    def add(self, points_m: F64) -> Ring:
        start = len(self.vertices)
        self.vertices.extend(points_m)
        return list(range(start, start + len(points_m)))

    def stitch(self, lower: Ring, upper: Ring) -> None:
        """Triangles between two rings that run the same way round and start at the same place."""
        n, m, i, j = len(lower), len(upper), 0, 0
        while i < n or j < m:
            if j == m or (i < n and (i + 1) * m <= (j + 1) * n):
                self.faces.append((lower[i % n], lower[(i + 1) % n], upper[j % m]))
                i += 1
            else:
                self.faces.append((lower[i % n], upper[(j + 1) % m], upper[j % m]))
                j += 1

    def cap(self, ring: Ring, point: int) -> None:
        for i, a in enumerate(ring):
            self.faces.append((a, ring[(i + 1) % len(ring)], point))


def _section(count: int, ahead_mm: float, centre: tuple[float, float], height: float, width: float) -> F64:
    """Points round the palm, from the thumb side over the back. `(count, 3) m`."""
    t = 2 * np.pi * np.arange(count) / count
    # A super-ellipse keeps the spacing even on the flat sides.
    c, s = np.cos(t), np.sin(t)
    z = centre[1] + width * np.sign(c) * np.abs(c) ** 0.75
    y = centre[0] + height * np.sign(s) * np.abs(s) ** 0.75
    return np.stack([np.full(count, WRIST_X_M - ahead_mm * 1e-3), y * 1e-3, z * 1e-3], axis=-1)


def _finger_frame(finger: Finger) -> tuple[F64, F64]:
    """Unit vectors towards the thumb side and the back of the finger."""
    d = finger.points_m[2] - finger.points_m[0]
    d = d / np.linalg.norm(d)
    side = np.array([0.0, 0.0, 1.0]) if finger.name != "thumb" else np.array([0.75, 0.0, 0.66])
    side = side - (side @ d) * d
    side = side / np.linalg.norm(side)
    return side, np.cross(d, side)


def _tube_ring(finger: Finger, u_m: float, count: int, turn: float, shrink: float = 1.0) -> F64:
    """Points round a finger at `u_m` along its bones. `(count, 3) m`."""
    lengths = np.linalg.norm(np.diff(finger.points_m, axis=0), axis=-1)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    centre = np.array([np.interp(u_m, ends, finger.points_m[:, k]) for k in range(3)])
    radius = np.interp(u_m, ends, finger.radii_m) * shrink
    side, up = _finger_frame(finger)
    t = turn + 2 * np.pi * np.arange(count) / count
    return centre + radius * (np.cos(t)[:, None] * side + np.sin(t)[:, None] * up)


def _grow_finger(draft: _Draft, finger: Finger, base: Ring, start_m: float, turn: float) -> None:
    """Add the rings and the cap of a finger on its base ring."""
    length = float(np.linalg.norm(np.diff(finger.points_m, axis=0), axis=-1).sum())
    count = _STATIONS[finger.name]
    ring = base
    end_radius = float(finger.radii_m[3])
    stations = [*np.linspace(start_m, length - 1.35 * end_radius, count)[1:], length - 0.45 * end_radius]
    for u in stations:
        shrink = 1.0 if u < length - end_radius else 0.85
        nxt = draft.add(_tube_ring(finger, float(u), _RING, turn, shrink))
        draft.stitch(ring, nxt)
        ring = nxt
    crown = draft.add(_tube_ring(finger, length - 0.1 * end_radius, 5, turn, 0.45))
    draft.stitch(ring, crown)
    tip = draft.add(finger.points_m[3:4])[0]
    draft.cap(crown, tip)
    draft.crowns.extend([*ring, *crown, tip])


def _web_row(draft: _Draft) -> tuple[Ring, list[Ring], list[float]]:
    """The ring where the palm ends, the base ring of each finger (index to little), and where each starts, m."""
    by_name = {finger.name: finger for finger in fingers()}
    four = [by_name[name] for name in ("index", "middle", "ring", "little")]
    starts = [
        float(0.5 * (_WEB_AHEAD_MM[i] + _WEB_AHEAD_MM[i + 1]) * 1e-3 - (WRIST_X_M - f.points_m[0, 0]))
        for i, f in enumerate(four)
    ]
    rings = [_tube_ring(f, s, _RING, 0.0) for f, s in zip(four, starts, strict=True)]
    back: list[F64] = []
    front: list[F64] = []
    gaps: list[F64] = []
    for i in range(4):
        for k in range(4):
            shared = k == 0 and i > 0
            a, b = rings[i][1 + k], rings[i][9 - k]
            if shared:
                a, b = 0.5 * (a + back.pop()), 0.5 * (b + front.pop())
            back.append(a)
            front.append(b)
        if i < 3:
            gaps.append(0.5 * (rings[i][5] + rings[i + 1][0]))
    outer = np.concatenate([[rings[0][0]], back, [rings[3][5]], front[::-1]])
    for i in range(5):  # commissures lie where the table says
        for row in (1 + 3 * i, 15 + 12 - 3 * i):
            outer[row, 0] = WRIST_X_M - _WEB_AHEAD_MM[i] * 1e-3
    ring = draft.add(outer)
    mids = draft.add(np.array(gaps))
    bases = []
    for i in range(4):
        radial = ring[0] if i == 0 else mids[i - 1]
        ulnar = ring[14] if i == 3 else mids[i]
        d = [ring[1 + 3 * i + k] for k in range(4)]
        p = [ring[15 + 12 - 3 * i - k] for k in range(4)]
        bases.append([radial, *d, ulnar, *p[::-1]])
    return ring, bases, starts


def _assemble() -> tuple[_Draft, Ring]:
    """All rings and triangles, not yet on the surface; and the wrist's ring."""
    draft = _Draft()
    sections = [draft.add(_section(*row)) for row in _PALM_TO_THUMB]
    for lower, upper in pairwise(sections):
        draft.stitch(lower, upper)
    branch = sections[-1]
    thumb = fingers()[4]
    start = 0.036
    for k, place in zip(range(-4, 3), _tube_ring(thumb, start, _RING, 0.0)[[6, 7, 8, 9, 0, 1, 2]], strict=True):
        draft.vertices[branch[k % 28]] = 0.5 * place + 0.5 * draft.vertices[branch[k % 28]]
    web = draft.add(np.array([[WRIST_X_M - 0.056, -0.008, 0.031]]))[0]
    palm_ring = [web, *branch[3:24]]
    thumb_ring = [*(branch[k % 28] for k in range(-5, 4)), web]
    ring = palm_ring
    for row in _THUMB_TO_WEB:
        nxt = draft.add(_section(*row))
        draft.stitch(ring, nxt)
        ring = nxt
    end, bases, starts = _web_row(draft)
    draft.stitch(ring, end)
    _grow_finger(draft, thumb, thumb_ring, start, np.deg2rad(216.0))
    by_name = {finger.name: finger for finger in fingers()}
    for name, base, u in zip(("index", "middle", "ring", "little"), bases, starts, strict=True):
        _grow_finger(draft, by_name[name], base, u, 0.0)
    return draft, sections[0]


def _relax(vertices: F64, faces: I64, rate: F64, steps: int) -> F64:
    """Even out the triangles: move along the surface towards the neighbours' centre, then back onto it."""
    pairs = edges(faces)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=len(vertices))[:, None]
    for _ in range(steps):
        sums = np.zeros_like(vertices)
        np.add.at(sums, both[:, 0], vertices[both[:, 1]])
        move = sums / degree - vertices
        normal = gradient(vertices)
        move = move - (move * normal).sum(-1, keepdims=True) * normal
        vertices = pull_to_surface(vertices + rate[:, None] * move, 1)
    return vertices


def _split_longest(vertices: F64, faces: I64, count: int) -> tuple[F64, I64]:
    """Split the longest inner edges until there are `count` vertices."""
    while len(vertices) < count:
        directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        length = np.linalg.norm(vertices[directed[:, 0]] - vertices[directed[:, 1]], axis=-1)
        for a, b in directed[np.argsort(-length, kind="stable")]:
            owners = np.flatnonzero((faces == a).any(1) & (faces == b).any(1))
            if len(owners) == 2:
                break
        new = len(vertices)
        vertices = np.concatenate([vertices, 0.5 * (vertices[a] + vertices[b])[None]])
        halves = faces[owners]
        faces = faces.copy()
        faces[owners] = np.where(halves == b, new, halves)
        faces = np.concatenate([faces, np.where(halves == a, new, halves)])
    return vertices, faces


def _number(vertices: F64, faces: I64) -> tuple[F64, I64]:
    """Renumber so that every listed fingertip id lies on the tip of its own finger."""
    place: dict[int, int] = {}  # new id -> old vertex
    by_name = {finger.name: finger for finger in fingers()}
    for k, name in enumerate(FINGERS):
        ids = list(dict.fromkeys(tips[k] for tips in FINGERTIP_VERTICES.values()))
        # The first id, smplx's, takes the vertex that lies farthest out along the last bone's axis.
        last, end = by_name[name].points_m[2:]
        beyond = end + 0.5 * (end - last)
        tip = vertices[np.argmin(np.linalg.norm(vertices - beyond, axis=-1))]
        nearest = np.argsort(np.linalg.norm(vertices - tip, axis=-1), kind="stable")
        place.update(zip(ids, nearest.tolist(), strict=False))
    taken = set(place.values())
    others = iter([v for v in range(len(vertices)) if v not in taken])
    old = np.array([place[i] if i in place else next(others) for i in range(len(vertices))])
    new = np.empty_like(old)
    new[old] = np.arange(len(old))
    return vertices[old], new[faces]


def build_mesh() -> tuple[F64, I64]:
    """The right hand's template. `(778, 3) m`, `(1538, 3)` with outward orientation, open at the wrist."""
    draft, wrist = _assemble()
    rate = np.full(N_VERTICES, 0.5)
    rate[draft.crowns] = 0.08  # small triangles keep the finger tips round
    rate[wrist] = 0.0
    vertices, faces = np.array(draft.vertices), np.array(draft.faces, dtype=np.int64)
    keep_x = vertices[wrist, 0].copy()
    vertices = pull_to_surface(vertices, 4)
    vertices = _relax(vertices, faces, rate[: len(vertices)], _RELAX_STEPS)
    vertices, faces = _split_longest(vertices, faces, N_VERTICES)
    vertices = _relax(vertices, faces, rate, 3)
    vertices = pull_to_surface(vertices, 2)
    vertices[wrist, 0] = keep_x
    v0, v1, v2 = (vertices[faces[:, k]] for k in range(3))
    if np.einsum("nd,nd->", v0, np.cross(v1, v2)) < 0:
        faces = faces[:, ::-1]
    return _number(vertices, faces)
