"""A joint in a person's hand: the hand follows while the pointer moves, and what was dragged becomes one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from annotate.document import edits
from annotate.document.models import Models
from annotate.document.near import Nearby, corrections_of, rivals_of
from annotate.evidence import Anchors, Evidence, undistorted_px
from annotate.hand import HandState, state_from_axis_angle
from annotate.labels import axis_angles
from annotate.local import LocalFit
from annotate.state import FitState
from hoi_core.conventions import Side
from hoi_core.errors import ConfigError
from hoi_core.types import F64, I64, JOINT_SOURCES, STATUSES, Bool, Camera, Revision

REACH = 30
"""Moments before and after the dragged one that give way."""
_MARGIN = 2  # moments beyond the reach, so that its ends are held
_SETTLED_SIGMA_M = 1e-6
_Step = Callable[[Callable[[Revision], Revision]], None]


@dataclass(frozen=True)
class DragView:
    """The hand while a joint is being dragged."""

    joints_m: F64
    """(21, 3) m in the world."""
    vertices_m: F64
    """(778, 3) m in the world."""


@dataclass(frozen=True)
class Window:
    """The labelled moments around one, and what is known of the hand there."""

    moments: I64
    """(K,) ascending, without a gap."""
    state: FitState
    """The labels of these moments."""
    evidence: Evidence
    """What the cameras say, settled moments among the anchors."""


def window(nearby: Nearby, revision: Revision, models: Models, side: Side, frame: int) -> Window:
    """Read what a drag of a frame needs.

    Raises:
        ConfigError: the frame has no label.
    """
    edits.check_frames(revision, [frame])
    track = edits.hand_of(revision, side)
    if not track.valid[frame]:
        raise ConfigError(f"frame {frame} has no label of the {side} hand.", "Fit it first, or copy a neighbour's.")
    moments, hand = _labelled_around(track.valid, frame), models.hands[side]
    hands = state_from_axis_angle(hand, track.orient[moments], track.pose[moments], track.betas, track.trans_m[moments])
    views = corrections_of(revision.corrections, tuple(revision.frame_index))
    rivals = rivals_of(revision, models, side, moments)
    evidence = nearby.evidence(side, moments, revision.keypoints.get(side), hands, views, rivals)
    state = FitState(hands, views)
    settled = np.flatnonzero(edits.is_settled(track)[moments] & (moments != frame))
    if len(settled):
        anchors = Anchors(settled, hands.taken(settled), np.full(len(settled), _SETTLED_SIGMA_M))
        evidence = replace(evidence, anchors=anchors)
    return Window(moments, state, evidence)


def _labelled_around(valid: Bool, frame: int) -> I64:
    reach = REACH + _MARGIN
    gaps = np.flatnonzero(~valid)
    before, after = gaps[gaps < frame], gaps[gaps > frame]
    first = max(frame - reach, before[-1] + 1 if len(before) else 0)
    last = min(frame + reach, after[0] - 1 if len(after) else len(valid) - 1)
    return np.arange(first, last + 1)


class HandDrag:
    """One drag, from the press to the release of the button; ends with `finish` or `cancel`.

    Args:
        around: what `window` read.
        fit: of the moments around, nothing dragged yet.
        side: which hand.
        frame: the moment of the dragged joint.
        cameras: view -> colour camera, distortion included.
        locked: joints that stay.
        step: makes one undoable step.
    """

    def __init__(
        self,
        around: Window,
        fit: LocalFit,
        side: Side,
        frame: int,
        *,
        cameras: Mapping[str, Camera],
        locked: Collection[int],
        step: _Step,
    ) -> None:
        self._around, self._fit, self._side, self._frame = around, fit, side, frame
        self._cameras, self._locked, self._step = cameras, locked, step
        self._placed: dict[tuple[str, int], tuple[float, float]] = {}
        self._over = False

    def move(self, view: str, joint: int, px: tuple[float, float]) -> DragView:
        """The hand with the joint under a pixel of the view's colour image, as near as hand and locks allow.

        Raises:
            ConfigError: no such view or joint, the pixel is not finite, or the drag is over.
        """
        if self._over:
            raise ConfigError("this drag is over.", "Begin another one.")
        if view not in self._cameras:
            raise ConfigError(f"no view {view!r}.", f"Drag in one of {', '.join(self._cameras)}.")
        pixel = undistorted_px(self._cameras[view], np.asarray(px, dtype=np.float64))
        hands = self._fit.drag(joint, view, pixel, locked=self._locked)
        self._placed[view, joint] = (float(px[0]), float(px[1]))
        here = hands.taken(np.array([self._fit.centre]))
        return DragView(here.joints_m[0], here.vertices_m[0])

    def finish(self) -> None:
        """Take over the last move: the joint is clicked there, and the labels around give way."""
        self._over = True
        if self._placed:
            self._step(self._taken_over)

    def cancel(self) -> None:
        """Leave the labels as they were."""
        self._over = True

    def _taken_over(self, now: Revision) -> Revision:
        for (view, joint), px in self._placed.items():
            now = edits.set_keypoint(now, self._side, (self._frame, view, joint), px)
        rows = np.arange(self._fit.window.start, self._fit.window.stop)
        new, old = self._fit.settle(), self._around.state.hands.taken(rows)
        # Moments that were held keep every bit of their labels.
        moved = np.any(new.trans_m != old.trans_m, axis=1) | np.any(new.rotations != old.rotations, axis=(1, 2, 3))
        moved[self._fit.centre] = True
        frames, hands = self._around.moments[rows[moved]], new.taken(np.flatnonzero(moved))
        return mark_dragged(with_hands(now, self._side, frames, hands), self._side, self._frame, self._placed)


def with_hands(revision: Revision, side: Side, frames: I64, hands: HandState) -> Revision:
    """Labels replaced by a state of the same shape; status, uncertainty and sources stay."""
    orient, pose = axis_angles(hands)
    track = edits.hand_of(revision, side)
    new = {"orient": orient, "pose": pose, "trans_m": hands.trans_m, "joints_m": hands.joints_m}
    arrays = {field.name: getattr(track, field.name) for field in fields(track)}
    for name, values in new.items():
        arrays[name] = arrays[name].copy()
        arrays[name][frames] = values
    return replace(revision, hands={**revision.hands, side: replace(track, **arrays)})


def mark_dragged(revision: Revision, side: Side, frame: int, placed: Collection[tuple[str, int]]) -> Revision:
    """The frame was edited, and the joints were placed by a person."""
    track = edits.hand_of(revision, side)
    status, source = track.status.copy(), track.joint_source.copy()
    status[frame] = STATUSES.index("edited")
    source[frame, [joint for _, joint in placed]] = JOINT_SOURCES.index("clicked")
    return replace(revision, hands={**revision.hands, side: replace(track, status=status, joint_source=source)})
