"""Follow an object from known poses from moment to moment by its depth; what the whole-sequence fit starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock

import numpy as np

from annotate.hand import HandState
from annotate.objects import trajectory
from annotate.objects._follow import best_pose
from annotate.objects.depth_points import PointReader, distance_from_hands
from annotate.objects.mesh import SolidMesh
from annotate.parts import at_once
from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.types import F64

_STRICT = (0.008, 0.003, 4.0, 0.2)
"""Gate m, sigma m, robust scale in sigmas, weight."""
_PRIOR = np.array([0.006] * 3 + [0.06] * 3)
_LIMITS = np.array([3.0, 0.006, 3.0, 2e-4])
"""Every third point counts; nearer to a hand, m, it does not say whether a pose is right; steps; a small step."""
_TOUCHING_M = 0.01
_LOST_M = 0.010
Found = tuple[F64, F64]
"""Depth points of a moment and view: `(K, 3)` m and `(K,)` m distance from the nearest hand."""


@dataclass
class Followed:
    """What following found, filled moment by moment."""

    T_world_obj: F64
    """(M, 4, 4); NaN where it was not followed to."""
    cost: F64
    """(M,) share of the points that the pose does not explain, 0 to 1; NaN where there are none."""
    points: list[dict[int, Found]] = field(default_factory=list)
    """Of each moment, by index of the view."""


def follow(
    mesh: SolidMesh,
    starts: Mapping[int, F64],
    readers: Sequence[PointReader],
    hands: Mapping[Side, HandState],
    moments: int,
    on_moment: Callable[[int, int], None],
) -> Followed:
    """From each start on to the next; where that arrives elsewhere, also back from the next.

    Args:
        mesh: of the object.
        starts: moment -> `(4, 4)` pose.
        readers: of the views with depth.
        hands: the hands over the moments.
        moments: how many there are.
        on_moment: called with (moments done, of all).
    """
    nan = np.full((moments, 4, 4), np.nan)
    found = Followed(nan, np.full(moments, np.nan), [{} for _ in range(moments)])
    step = _Stepper(mesh, readers, hands)
    at = sorted(starts)
    told = _Told(on_moment, moments)

    for m in at:
        _take(found, m, step.at(m, [], starts[m]))
        told.another()

    def ahead(span: tuple[int, int]) -> None:
        first, last = span
        for m in range(first + 1, last):
            _take(found, m, step.at(m, _before(found, m, -1, first), None))
            told.another()
        if last < moments:
            arrived, _, _ = step.at(last, _before(found, last, -1, first), None)
            if _apart_m(mesh, arrived, starts[last]) > _LOST_M:
                _return(found, step, (last, starts[last]), range(last - 1, first, -1))

    def back(span: tuple[int, int]) -> None:
        for m in range(span[1] - 1, span[0] - 1, -1):
            _take(found, m, step.at(m, _before(found, m, 1, span[1]), None))
            told.another()

    # Between starts they do not meet: two are followed at once.
    spans = list(zip(at, [*at[1:], moments], strict=True))
    for _ in at_once(lambda span: back(span) if span[1] == at[0] else ahead(span), [(0, at[0]), *spans]):
        pass
    return found


class _Told:
    """Counts moments, from any thread; once the one who is told wants no more, nobody goes on.

    Args:
        on_moment: called with (moments done, of all); may raise to stop.
        moments: all of them.
    """

    def __init__(self, on_moment: Callable[[int, int], None], moments: int) -> None:
        self._on_moment, self._moments = on_moment, moments
        self._lock, self._done = Lock(), 0
        self._stopped: BaseException | None = None

    def another(self) -> None:
        """One more is done."""
        with self._lock:
            if self._stopped is not None:
                raise self._stopped
            self._done += 1
            try:
                self._on_moment(self._done, self._moments)
            except BaseException as error:
                self._stopped = error
                raise


_Result = tuple[F64, float, dict[int, Found]]
_Known = tuple[int, F64]


def _take(found: Followed, m: int, result: _Result) -> None:
    found.T_world_obj[m], found.cost[m], found.points[m] = result


def _before(found: Followed, m: int, back: int, first: int) -> list[_Known]:
    """The one or two poses before a moment, in the direction of following, the nearest one first."""
    rows = [m + back, m + 2 * back]
    low, high = (first, m - 1) if back < 0 else (m + 1, first)
    return [(r, found.T_world_obj[r]) for r in rows if low <= r <= high]


def _return(found: Followed, step: _Stepper, start: _Known, moments: range) -> None:
    """Follow back from where the object is known to be, as long as that explains more."""
    poses = [start]
    for m in moments:
        result = step.at(m, poses[:2], None)
        poses.insert(0, (m, result[0]))
        if not result[1] < found.cost[m]:
            return
        _take(found, m, result)


def _apart_m(mesh: SolidMesh, T: F64, other: F64) -> float:
    """Mean distance of the surface of one pose from that of another, m; symmetric turns do not count."""
    moved = cameras.transform(np.linalg.inv(other) @ T, mesh.samples_m[::4])
    return float(np.abs(mesh.grid.at(moved)[0]).mean())


def palm_poses(hand: HandState) -> F64:
    """(M, 4, 4) frame of a hand's wrist in the world: what it holds moves with it."""
    return cameras.rigid(hand.rotations[:, 0], hand.positions_m[:, 0])


class _Stepper:
    """Finds the pose of one moment from those before it."""

    def __init__(self, mesh: SolidMesh, readers: Sequence[PointReader], hands: Mapping[Side, HandState]) -> None:
        self._mesh, self._readers, self._hands = mesh, readers, hands
        self._palms = {side: palm_poses(state) for side, state in hands.items()}
        self._from_palms = {side: cameras.inverse_rigid(palm) for side, palm in self._palms.items()}
        for state in hands.values():
            _ = state.normals  # made on all cores, which no part of the work may ask for
        self._eyes_m = np.array([reader.eye_m for reader in readers]).reshape(-1, 3)

    def at(self, m: int, before: list[_Known], known: F64 | None) -> _Result:
        """Pose, share of points that it does not explain, and the points. `before`: the nearest pose first."""
        guesses = np.array([known] if known is not None else self._guesses(m, before))
        centre = guesses[0, :3, :3] @ self._mesh.centre_m + guesses[0, :3, 3]
        clouds = [reader.read(m, centre, self._mesh.radius_m) for reader in self._readers]
        start = np.cumsum([0, *map(len, clouds)])
        points = np.concatenate([np.zeros((0, 3)), *clouds])
        hand = distance_from_hands(points, self._hands, m, self._mesh, centre)
        body = trajectory.from_poses(guesses, self._mesh.centre_m)
        # Unseen, it goes with a hand that touches it, or stays: going on as before would lead it away.
        R, s, cost = best_pose(
            self._mesh.cells,
            self._mesh.centre_m,
            (start, points, hand, self._eyes_m),
            (np.ascontiguousarray(body.R), body.s_m),
            _STRICT,
            _PRIOR,
            _LIMITS,
        )
        found = {v: (points[a:b], hand[a:b]) for v, (a, b) in enumerate(pairwise(start))}
        return cameras.rigid(R, s - R @ self._mesh.centre_m), cost, found

    def _guesses(self, m: int, before: list[_Known]) -> list[F64]:
        """Going on as before, staying, and going with each hand that touches it."""
        moment, last = before[0]
        out = [last]
        if len(before) > 1:
            out.insert(0, last @ cameras.inverse_rigid(before[1][1]) @ last)
        centre = last[:3, :3] @ self._mesh.centre_m + last[:3, 3]
        reach = self._mesh.radius_m + _TOUCHING_M
        for side, palm in self._palms.items():
            away = self._hands[side].vertices_m[moment] - centre
            if np.einsum("ni,ni->n", away, away).min() < reach**2:
                out.append(palm[m] @ self._from_palms[side][moment] @ last)
        return out
