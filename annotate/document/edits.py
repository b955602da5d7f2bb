"""What a person does to labels, as pure functions from one revision to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from annotate.carried import keep_settled, settled
from annotate.document import words
from hoi_core.conventions import N_JOINTS, SIDES, Side
from hoi_core.errors import ConfigError
from hoi_core.plugins import unknown_name
from hoi_core.sequence import Capture
from hoi_core.types import (
    F64,
    I64,
    JOINT_SOURCES,
    MARKS,
    STATUSES,
    U8,
    Bool,
    HandKeypoints,
    HandTrack,
    Revision,
    Status,
)

_REJECTED = STATUSES.index("rejected")
_NONE = STATUSES.index("none")
_JUDGED: tuple[Status, ...] = ("accepted", "edited")


def unlabelled(capture: Capture) -> Revision:
    """The labels of a recording that has none."""
    index = {view: capture.sync.index[f"{view}/color"] for view in capture.views}
    return Revision(capture.sync.t_ns, {}, {}, {}, index, keypoint_source="clicked")


def check_frames(revision: Revision, frames: Sequence[int]) -> I64:
    """The frames as indices.

    Raises:
        ConfigError: one does not exist.
    """
    chosen = np.unique(np.asarray(list(frames), dtype=np.int64))
    last = len(revision.t_ns) - 1
    if not len(chosen) or chosen[0] < 0 or chosen[-1] > last:
        raise ConfigError(f"frames must lie in 0 to {last}, got {list(frames)}.", "Choose frames of the sequence.")
    return chosen


def check_joints(joints: Sequence[int]) -> list[int]:
    """The joints.

    Raises:
        ConfigError: one does not exist.
    """
    if any(not 0 <= joint < N_JOINTS for joint in joints):
        raise ConfigError(f"joints must lie in 0 to {N_JOINTS - 1}, got {list(joints)}.", "Choose joints of a hand.")
    return list(joints)


def check_side(side: str) -> Side:
    """The hand.

    Raises:
        ConfigError: no hand has that name.
    """
    if side not in SIDES:
        raise unknown_name("hand", side, list(SIDES))
    return side


def check_view(revision: Revision, view: str) -> str:
    """The view.

    Raises:
        ConfigError: the recording has none of that name.
    """
    if view not in revision.frame_index:
        raise unknown_name("view", view, sorted(revision.frame_index))
    return view


def hand_of(revision: Revision, side: Side) -> HandTrack:
    """A hand's labels.

    Raises:
        ConfigError: it has none.
    """
    if check_side(side) not in revision.hands:
        raise ConfigError(f"the {side} hand has no labels yet.", "Fit it first.")
    return revision.hands[side]


def is_settled(track: HandTrack) -> Bool:
    """(M,) frames that a person settled, see `carried.settled`."""
    return settled(track, len(track.valid))


def empty_hand(moments: int) -> HandTrack:
    """A hand without any label."""
    return HandTrack(
        orient=np.full((moments, 3), np.nan),
        pose=np.full((moments, 45), np.nan),
        betas=np.zeros(10),
        trans_m=np.full((moments, 3), np.nan),
        joints_m=np.full((moments, 21, 3), np.nan),
        joint_cov_m2=np.full((moments, 21, 3, 3), np.nan),
        valid=np.zeros(moments, bool),
        status=np.zeros(moments, np.uint8),
        joint_source=np.zeros((moments, 21), np.uint8),
    )


def set_status(revision: Revision, frames: Sequence[int], status: Status, side: Side | None = None) -> Revision:
    """Judge labels of frames: of one hand, or of all hands and objects.

    A frame without a label can be rejected, which says that there is nothing to label; no fit fills it then.

    Raises:
        ConfigError: none of the frames has a label to judge.
    """
    chosen = check_frames(revision, frames)
    if status not in STATUSES or status == "none":
        raise ConfigError(f"a status is one of {', '.join(STATUSES[1:])}, got {status!r}.", "Choose one of them.")
    hands = {side: hand_of(revision, side)} if side else dict(revision.hands)
    tracks = [*hands.values(), *(() if side else revision.objects.values())]
    if status != "rejected" and not any(track.valid[chosen].any() for track in tracks):
        raise ConfigError(
            f"met {words.named(chosen)} without a label to judge.", "Fit it first, or copy the label of a neighbour."
        )

    def codes(valid: np.ndarray, held: U8) -> U8:
        out = held.copy()
        out[chosen] = np.where(valid[chosen] | (status == "rejected"), STATUSES.index(status), _NONE)
        return out

    judged = {name: replace(hand, status=codes(hand.valid, hand.status)) for name, hand in hands.items()}
    objects = revision.objects
    if not side:
        objects = {name: replace(t, status=codes(t.valid, t.status)) for name, t in objects.items()}
    return replace(revision, hands={**revision.hands, **judged}, objects=objects)


def set_comment(revision: Revision, frame: int, text: str) -> Revision:
    """Write about a frame; empty text removes what was written."""
    check_frames(revision, [frame])
    comments = {**revision.comments, frame: text.strip()}
    return replace(revision, comments={moment: said for moment, said in sorted(comments.items()) if said})


def set_keypoint(
    revision: Revision, side: Side, at: tuple[int, str, int], px: tuple[float, float] | None, *, occluded: bool = False
) -> Revision:
    """Place a joint in an image, or remove it with None.

    Args:
        revision: the labels.
        side: which hand.
        at: frame, view and joint.
        px: where, px of the colour image.
        occluded: the joint is hidden from the view; its place is a guess.

    Raises:
        ConfigError: no such frame, view or joint, or a place that is not finite.
    """
    frame, view, joint = _place(revision, at)
    if px is not None and not np.isfinite(px).all():
        raise ConfigError(f"a keypoint is a place in pixels, got {px}.", "Click inside the image.")
    points, marks = _points(revision, side, view)
    points[frame, joint] = np.nan if px is None else (*px, 1.0)
    mark = MARKS["clicked"] | (MARKS["occluded"] if occluded else 0)
    marks[frame, joint] = 0 if px is None else mark
    return _with_points(revision, side, view, points, marks)


def set_occluded(revision: Revision, side: Side, at: tuple[int, str, int], *, on: bool) -> Revision:
    """Say whether a joint is hidden from a view; `at` is frame, view and joint."""
    frame, view, joint = _place(revision, at)
    points, marks = _points(revision, side, view)
    marks[frame, joint] = marks[frame, joint] & ~np.uint8(MARKS["occluded"]) | (MARKS["occluded"] if on else 0)
    return _with_points(revision, side, view, points, marks)


def _place(revision: Revision, at: tuple[int, str, int]) -> tuple[int, str, int]:
    frame, view, joint = at
    check_frames(revision, [frame])
    check_joints([joint])
    return frame, check_view(revision, view), joint


def _points(revision: Revision, side: Side, view: str) -> tuple[F64, U8]:
    """Copies of a view's keypoints and marks; empty ones where there are none."""
    held = revision.keypoints.get(check_side(side), HandKeypoints({}))
    moments = len(revision.t_ns)
    points = held.by_view[view].copy() if view in held.by_view else np.full((moments, N_JOINTS, 3), np.nan)
    marks = held.marks[view].copy() if view in held.marks else np.zeros((moments, N_JOINTS), np.uint8)
    return points, marks


def _with_points(revision: Revision, side: Side, view: str, points: F64, marks: U8) -> Revision:
    held = revision.keypoints.get(side, HandKeypoints({}))
    changed = HandKeypoints({**held.by_view, view: points}, {**held.marks, view: marks})
    return replace(revision, keypoints={**revision.keypoints, side: changed})


def set_locked(revision: Revision, side: Side, frame: int, joints: Sequence[int], *, on: bool) -> Revision:
    """Fix joints where they are, or free them."""
    check_frames(revision, [frame])
    held = revision.locked.get(check_side(side))
    locked = np.zeros((len(revision.t_ns), N_JOINTS), bool) if held is None else held.copy()
    locked[frame, check_joints(joints)] = on
    return replace(revision, locked={**revision.locked, side: locked})


def copy_from(revision: Revision, side: Side, frame: int, source: int) -> Revision:
    """Give a frame the label of another one, as an edited label of unknown uncertainty.

    Raises:
        ConfigError: the other frame has no label.
    """
    check_frames(revision, [frame, source])
    hand = hand_of(revision, side)
    if not hand.valid[source]:
        raise ConfigError(f"frame {source} has no label of the {side} hand.", "Choose a frame that has one.")
    label = {name: getattr(hand, name)[source][None] for name in ("orient", "pose", "trans_m", "joints_m")}
    return put_labels(revision, side, np.array([frame]), label, "edited", "interpolated")


def put_labels(
    revision: Revision, side: Side, frames: I64, label: Mapping[str, F64], status: Status, source: str
) -> Revision:
    """Replace the labels of frames; residuals and reasons that belonged to the old ones go.

    Args:
        revision: the labels.
        side: which hand.
        frames: (K,).
        label: `orient`, `pose`, `trans_m`, `joints_m` of each, and `joint_cov_m2` where known; K rows each.
        status: of the frames from now on.
        source: of their joints.
    """
    hand = revision.hands.get(side) or empty_hand(len(revision.t_ns))
    arrays = {f.name: getattr(hand, f.name).copy() for f in fields(hand)}
    arrays["joint_cov_m2"][frames] = np.nan
    for name, values in label.items():
        arrays[name][frames] = values
    arrays["valid"][frames] = True
    arrays["status"][frames] = STATUSES.index(status)
    arrays["joint_source"][frames] = JOINT_SOURCES.index(source)
    changed = replace(revision, hands={**revision.hands, side: HandTrack(**arrays)})
    return _forget(changed, side, frames)


def delete_label(revision: Revision, side: Side, frames: Sequence[int]) -> Revision:
    """Take labels out: nothing is to be labelled there, and no fit fills them again; keypoints stay."""
    return _without_labels(revision, side, check_frames(revision, frames), _REJECTED)


def _without_labels(revision: Revision, side: Side, frames: I64, status: int) -> Revision:
    hand = hand_of(revision, side)
    arrays = {f.name: getattr(hand, f.name).copy() for f in fields(hand) if f.name != "betas"}
    for name, values in arrays.items():
        values[frames] = np.nan if values.dtype.kind == "f" else status if name == "status" else 0
    changed = replace(revision, hands={**revision.hands, side: replace(hand, **arrays)})
    return _forget(changed, side, frames)


def _forget(revision: Revision, side: Side, frames: I64) -> Revision:
    """Residuals of a label that was replaced say nothing of the new one."""
    others = tuple(f"{other}_" for other in SIDES if other != side)
    residuals = dict(revision.residuals)
    for name, values in residuals.items():
        if not name.startswith(others):
            residuals[name] = values.copy()
            residuals[name][frames] = np.nan
    problems = dict(revision.problems)
    if side in problems:
        problems[side] = problems[side].copy()
        problems[side][frames] = 0
    return replace(revision, residuals=residuals, problems=problems)


def swap_hands(revision: Revision, frames: Sequence[int]) -> Revision:
    """Exchange left and right keypoints and locks of frames.

    A label of the other hand's shape cannot be exchanged: the labels of the frames go, until the next fit.

    Raises:
        ConfigError: neither hand has keypoints there.
    """
    chosen = check_frames(revision, frames)
    views = {view for points in revision.keypoints.values() for view in points.by_view}
    held = {(side, view): _points(revision, side, view) for side in SIDES for view in views}
    if not any(np.isfinite(points[chosen]).any() for points, _ in held.values()):
        raise ConfigError(f"met {words.named(chosen)} without keypoints to exchange.", "Choose frames that have some.")
    out = revision
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        for view in sorted(views):
            (points, marks), (their_points, their_marks) = held[side, view], held[other, view]
            points, marks = points.copy(), marks.copy()
            points[chosen], marks[chosen] = their_points[chosen], their_marks[chosen]
            out = _with_points(out, side, view, points, marks)
        if side in revision.hands:
            out = _without_labels(out, side, chosen, _NONE)
    return _with_swapped_locks(out, chosen)


def _with_swapped_locks(revision: Revision, frames: I64) -> Revision:
    if not revision.locked:
        return revision
    nothing = np.zeros((len(revision.t_ns), N_JOINTS), bool)
    held = {side: revision.locked.get(side, nothing) for side in SIDES}
    locked = {side: locks.copy() for side, locks in held.items()}
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        locked[side][frames] = held[other][frames]
    return replace(revision, locked=locked)


def adopt(revision: Revision, fitted: Revision) -> Revision:
    """Take over what a fit made; what a person settled, clicked, locked and wrote stays as it is now.

    Raises:
        ConfigError: the fit has other moments, or another shape than frames that were settled while it ran.
    """
    if not np.array_equal(revision.t_ns, fitted.t_ns):
        raise ConfigError("the fit is of another recording.", "Fit this one.")
    for side, hand in fitted.hands.items():
        held = revision.hands.get(side)
        if held is not None and is_settled(held).any() and not np.array_equal(held.betas, hand.betas):
            raise ConfigError(
                f"frames of the {side} hand were settled while the fit ran, which found another shape of the hand.",
                "Fit again: it will keep their shape.",
            )
    return replace(
        revision,
        hands={**revision.hands, **{s: keep_settled(hand, revision.hands.get(s)) for s, hand in fitted.hands.items()}},
        objects={
            **revision.objects,
            **{name: keep_settled(track, revision.objects.get(name)) for name, track in fitted.objects.items()},
        },
        residuals=fitted.residuals,
        problems=fitted.problems,
        corrections=fitted.corrections,
        keypoints={**fitted.keypoints, **revision.keypoints},
        keypoint_source=revision.keypoint_source if revision.keypoints else fitted.keypoint_source,
    )
