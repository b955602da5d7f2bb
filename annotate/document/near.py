"""Evidence of a few moments, read when it is needed and kept while a person works nearby."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotate import gather
from annotate.competition import without_rivals
from annotate.document.models import Models
from annotate.evidence import Cloud, Evidence, take_cloud, undistorted_px, without_distortion
from annotate.hand import HandState, state_from_axis_angle
from annotate.objects.solid import Solid
from annotate.state import FitState
from hoi_core.conventions import N_JOINTS, Side
from hoi_core.sequence import Capture
from hoi_core.types import F64, I64, HandKeypoints, Revision

_KEPT = 600
"""Moments of a hand whose depth points are kept."""
_STRAYED_M = 0.03
"""A hand that moved farther than this needs its depth points chosen anew."""


@dataclass(frozen=True)
class Rivals:
    """What else is near a hand over some moments, and has depth points of its own."""

    hands: Sequence[HandState]
    """The other hands."""
    solids: Mapping[str, Solid]
    """The objects."""


def rivals_of(revision: Revision, models: Models, side: Side, moments: I64) -> Rivals:
    """What the labels say is beside a hand at some moments."""
    hands = []
    for other, hand in models.hands.items():
        track = revision.hands.get(other)
        if other != side and track is not None:
            some = (track.orient[moments], track.pose[moments], track.betas, track.trans_m[moments])
            hands.append(state_from_axis_angle(hand, *some))
    solids = {}
    for name, mesh in models.meshes.items():
        if name in revision.objects:
            solids[name] = Solid(mesh, revision.objects[name].T_world_obj[moments])
    return Rivals(hands, solids)


class Nearby:
    """Evidence of an open recording, moment by moment. Safe to use from any thread.

    Args:
        capture: the recording; it stays open as long as this is used.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._guard = threading.Lock()
        self._clouds: dict[tuple[Side, int], tuple[F64, dict[int, Cloud]]] = {}

    def evidence(
        self,
        side: Side,
        moments: I64,
        points: HandKeypoints | None,
        hands: HandState,
        views: F64,
        rivals: Rivals,
    ) -> Evidence:
        """Keypoints and depth of some moments; depth points are chosen once, by what is known when they are read.

        Args:
            side: which hand.
            moments: (K,) ascending.
            points: the hand's keypoints over the sequence; None for none.
            hands: about where it is, K moments.
            views: (V, 8) corrections of the views.
            rivals: what else is there at these moments.
        """
        part = self._keypoints(moments, points)
        state = FitState(hands, views)
        with self._guard:
            missing = np.array([self._lacks(side, m, hands.joints_m[k]) for k, m in enumerate(moments)], dtype=bool)
            if missing.any():
                self._read(side, moments, np.flatnonzero(missing), part, state, rivals)
            clouds = [self._clouds[side, int(m)][1] for m in moments]
            self._forget()
        joined = {v: _join([cloud[v] for cloud in clouds]) for v in clouds[0]}
        return replace(part, clouds=joined)

    def _lacks(self, side: Side, moment: int, joints_m: F64) -> bool:
        held = self._clouds.get((side, int(moment)))
        return held is None or bool(np.abs(held[0] - joints_m).max() > _STRAYED_M)

    def _read(self, side: Side, moments: I64, rows: I64, part: Evidence, state: FitState, rivals: Rivals) -> None:
        some = replace(state, hands=state.hands.taken(rows))
        capture = _at(self._capture, moments[rows])
        found = gather.with_clouds(part.taken(rows), capture, some, gather.CloudConfig())
        others = [hand.taken(rows) for hand in rivals.hands]
        solids = [solid.taken(rows) for solid in rivals.solids.values()]
        clouds = {v: without_rivals(cloud, some.hands, others, solids) for v, cloud in found.clouds.items()}
        for k, moment in enumerate(moments[rows]):
            alone = {v: take_cloud(cloud, np.array([k])) for v, cloud in clouds.items()}
            self._clouds.pop((side, int(moment)), None)
            self._clouds[side, int(moment)] = (some.hands.joints_m[k].copy(), alone)

    def _forget(self) -> None:
        """Let go of what was read longest ago."""
        for key in list(self._clouds)[: max(len(self._clouds) - _KEPT, 0)]:
            del self._clouds[key]

    def _keypoints(self, moments: I64, points: HandKeypoints | None) -> Evidence:
        capture, sync = self._capture, self._capture.sync
        views = tuple(capture.views)
        pixels = np.full((len(moments), len(views), N_JOINTS, 2), np.nan)
        confidence = np.zeros((len(moments), len(views), N_JOINTS))
        lag_s = np.full((len(moments), len(views)), np.nan)
        for v, view in enumerate(views):
            stream = f"{view}/color"
            there = sync.index[stream][moments] >= 0
            lag_s[:, v] = np.where(there, sync.skew_ns[stream][moments] * 1e-9, np.nan)
            if points is not None and view in points.by_view:
                held = points.by_view[view][moments]
                pixels[:, v] = undistorted_px(capture.views[view].camera, held[..., :2])
                confidence[:, v] = np.nan_to_num(held[..., 2])
        return Evidence(
            t_s=(sync.t_ns[moments] - sync.t_ns[0]) * 1e-9,
            views=views,
            cameras=tuple(without_distortion(capture.views[view].camera) for view in views),
            keypoints_px=pixels,
            confidence=confidence,
            lag_s=lag_s,
        )


def corrections_of(corrections: Mapping[str, F64], views: tuple[str, ...]) -> F64:
    """(V, 8) what a fit corrected of each view; zero where it did not say."""
    return np.stack([np.asarray(corrections.get(view, np.zeros(8)), dtype=np.float64) for view in views])


def _at(capture: Capture, moments: I64) -> Capture:
    """The recording as if it had only some of its moments; closes with the recording."""
    part, sync = copy.copy(capture), capture.sync
    part.sync = replace(
        sync,
        t_ns=sync.t_ns[moments],
        index={name: index[moments] for name, index in sync.index.items()},
        skew_ns={name: skew[moments] for name, skew in sync.skew_ns.items()},
    )
    return part


def _join(clouds: list[Cloud]) -> Cloud:
    """Clouds of one moment each as one of all of them."""
    sizes = [len(cloud.points_m) for cloud in clouds]
    return replace(
        clouds[0],
        start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        points_m=np.concatenate([cloud.points_m for cloud in clouds]),
        normals=np.concatenate([cloud.normals for cloud in clouds]),
        lag_s=np.concatenate([cloud.lag_s for cloud in clouds]),
    )
