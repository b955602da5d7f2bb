"""What the cameras say about a hand, as plain arrays: the only input of the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from annotate.hand import HandState
from hoi_core import camera as cameras
from hoi_core.conventions import N_JOINTS
from hoi_core.types import F64, I64, Bool, Camera

if TYPE_CHECKING:
    from annotate.masks import Silhouettes
    from annotate.objects.solid import Solid

PALM = (0, 1, 5, 9, 13, 17)
"""Joints of `openpose21` that move with the palm (the base of the thumb nearly)."""
FEWEST_PALM = 4
_APART_S = 0.08
_APART_TWO_VIEWS_S = 0.16
"""Where two views see the hand, each moment's guess is good enough to interpolate farther."""


@dataclass(frozen=True)
class Cloud:
    """Depth points of one view over all moments, sorted by moment. K points."""

    start: I64
    """(M + 1,) the points of moment m are `start[m]:start[m + 1]`."""
    points_m: F64
    """(K, 3) m, world."""
    normals: F64
    """(K, 3) unit, towards the camera; zero where unknown."""
    lag_s: F64
    """(M,) s from the moment to the mid-exposure of the depth image; NaN where there is none."""
    eye_m: F64
    """(3,) m centre of the depth imager, world."""

    @cached_property
    def moment(self) -> I64:
        """(K,) moment of each point."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    @cached_property
    def rays(self) -> F64:
        """(K, 3) unit, from the camera to each point."""
        away = self.points_m - self.eye_m
        return np.asarray(away / np.linalg.norm(away, axis=-1, keepdims=True))

    def every(self, step: int) -> Cloud:
        """The cloud with one of so many points; made once."""
        if step not in self._thinner:
            start = -(-self.start // step)
            points_m, normals = (np.ascontiguousarray(rows[::step]) for rows in (self.points_m, self.normals))
            self._thinner[step] = replace(self, start=start, points_m=points_m, normals=normals)
        return self._thinner[step]

    @cached_property
    def _thinner(self) -> dict[int, Cloud]:
        """The cloud with fewer points, by how many of them one is kept of."""
        return {1: self}


@dataclass(frozen=True)
class Anchors:
    """Moments that the fit leaves where they are. K of them."""

    moment: I64
    """(K,) ascending."""
    hands: HandState
    """The hand at these moments. Its shape holds for the whole sequence."""
    sigma_m: F64
    """(K,) m how far the hand may leave them."""

    def taken(self, moments: I64) -> Anchors:
        """The anchors among some of the moments, ascending, counted anew."""
        kept, _, at = np.intersect1d(self.moment, moments, assume_unique=True, return_indices=True)
        rows = np.searchsorted(self.moment, kept)
        return Anchors(at.astype(np.int64), self.hands.taken(rows), self.sigma_m[rows])


@dataclass(frozen=True)
class Evidence:
    """Keypoints and depth of V views over M moments."""

    t_s: F64
    """(M,) s time of each moment, ascending."""
    views: tuple[str, ...]
    """Names of the views."""
    cameras: tuple[Camera, ...]
    """The views' colour cameras without distortion; the first one is trusted."""
    keypoints_px: F64
    """(M, V, 21, 2) px with the distortion removed; NaN where absent."""
    confidence: F64
    """(M, V, 21) in [0, 1]."""
    lag_s: F64
    """(M, V) s from the moment to the mid-exposure of the view's colour image; NaN where it has none."""
    clouds: Mapping[int, Cloud] = field(default_factory=dict)
    """Depth points by index of the view; empty before there is a hand to look around."""
    keypoint_depth_m: F64 | None = None
    """(M, V, 21) m depth of the surface at each keypoint, along the camera's z; NaN where nothing was measured."""
    joints_m: F64 | None = None
    """(M, 21, 3) m triangulated joints, world; NaN where there are none. Only the first guess uses them."""
    anchors: Anchors | None = None
    """Moments that are settled."""
    solids: Mapping[str, Solid] = field(default_factory=dict)
    """Objects beside the hand, by name."""
    silhouettes: Mapping[int, Silhouettes] = field(default_factory=dict)
    """Where depth shows what lies behind the hand, by index of the view."""

    @property
    def seen(self) -> Bool:
        """(M, V, 21) whether there is a keypoint."""
        there = np.all(np.isfinite(self.keypoints_px), axis=-1)
        return np.asarray(there & (self.confidence > 0))

    @property
    def two_views(self) -> bool:
        """Whether two views saw at least half of the joints that any view saw."""
        views = self.seen.sum(1)
        return bool((views >= 2).sum() * 2 >= (views >= 1).sum())

    def taken(self, moments: I64) -> Evidence:
        """The evidence of some of the moments, ascending."""
        return replace(
            self,
            t_s=self.t_s[moments],
            keypoints_px=self.keypoints_px[moments],
            confidence=self.confidence[moments],
            lag_s=self.lag_s[moments],
            keypoint_depth_m=None if self.keypoint_depth_m is None else self.keypoint_depth_m[moments],
            joints_m=None if self.joints_m is None else self.joints_m[moments],
            clouds={v: take_cloud(cloud, moments) for v, cloud in self.clouds.items()},
            anchors=None if self.anchors is None else self.anchors.taken(moments),
            solids={name: solid.taken(moments) for name, solid in self.solids.items()},
            silhouettes={v: seen.taken(moments) for v, seen in self.silhouettes.items()},
        )


def take_cloud(cloud: Cloud, moments: I64) -> Cloud:
    """The points of some of the moments."""
    sizes = np.diff(cloud.start)[moments]
    kept = np.concatenate([np.arange(cloud.start[m], cloud.start[m + 1]) for m in moments] or [np.zeros(0, int)])
    kept = kept.astype(np.int64)
    return Cloud(
        start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        points_m=cloud.points_m[kept],
        normals=cloud.normals[kept],
        lag_s=cloud.lag_s[moments],
        eye_m=cloud.eye_m,
    )


def without_distortion(camera: Camera) -> Camera:
    """The pinhole camera that sees undistorted pixels."""
    return replace(camera, distortion=(0.0,) * 5, distortion_model="none")


def undistorted_px(camera: Camera, pixels: F64) -> F64:
    """Where `without_distortion(camera)` sees what the camera sees at `pixels`. `(..., 2) px -> (..., 2) px`."""
    missing: Bool = np.any(~np.isfinite(pixels), axis=-1)
    rays = cameras.rays(camera, np.where(missing[..., None], 0.0, pixels))
    ideal = rays[..., :2] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    return np.where(missing[..., None], np.nan, ideal)


def keypoint_gap(evidence: Evidence) -> F64:
    """(M,) s to the nearest moment with at least half the joints in some view; inf where there is none."""
    full = evidence.t_s[(evidence.seen.sum(-1) * 2 >= N_JOINTS).any(1)]
    if not len(full):
        return np.full(len(evidence.t_s), np.inf)
    return np.abs(evidence.t_s[:, None] - full).min(1)


def starting_moments(evidence: Evidence) -> I64:
    """Moments that a first guess starts from, ascending: enough of the palm in some view, none right after another.

    Between them, interpolation is as good a guess.
    """
    apart_s = _APART_TWO_VIEWS_S if evidence.two_views else _APART_S
    kept: list[int] = []
    for m in np.flatnonzero(evidence.seen[:, :, list(PALM)].any(axis=1).sum(-1) >= FEWEST_PALM):
        if not kept or evidence.t_s[m] - evidence.t_s[kept[-1]] >= apart_s:
            kept.append(int(m))
    return np.array(kept, dtype=np.int64)
