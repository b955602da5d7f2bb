"""Labels in memory with the whole protocol of a session: a sequence of gray images with a flat quad for a hand."""

from dataclasses import dataclass, replace

import numpy as np

from hoi_core.camera import look_at
from hoi_core.errors import FitError, SequenceError
from hoi_core.types import (
    MARKS,
    STATUSES,
    Camera,
    HandKeypoints,
    HandTrack,
    ObjectPoints,
    ObjectTrack,
    Revision,
)

N_MOMENTS = 40
CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)


def revision():
    """Forty moments; the seventh has no label, residuals grow."""
    rng, m = np.random.default_rng(0), N_MOMENTS
    joints = rng.normal(0.0, 0.05, (m, 21, 3))
    hand = HandTrack(
        orient=np.zeros((m, 3)),
        pose=np.zeros((m, 45)),
        betas=np.zeros(10),
        trans_m=np.zeros((m, 3)),
        joints_m=joints,
        joint_cov_m2=np.tile(np.eye(3) * 4e-6, (m, 21, 1, 1)),
        valid=np.arange(m) != 7,
        status=np.where(np.arange(m) == 7, STATUSES.index("none"), STATUSES.index("auto")).astype(np.uint8),
        joint_source=np.full((m, 21), 4, np.uint8),
    )
    points = np.concatenate([rng.uniform(5, 40, (m, 21, 2)), np.ones((m, 21, 1))], -1)
    cup = ObjectTrack(np.tile(np.eye(4), (m, 1, 1)), np.arange(m) != 7, (np.arange(m) != 7).astype(np.uint8))
    return Revision(
        t_ns=np.arange(m, dtype=np.int64) * 33_333_333,
        hands={"right": hand},
        objects={"o01": cup},
        keypoints={"right": HandKeypoints({"left": points, "right": points})},
        frame_index={"left": np.arange(m), "right": np.arange(m)},
        residuals={"reprojection_px": np.linspace(0.5, 9.0, m), "depth_m": np.full(m, 0.002)},
        author="auto",
        parent="r000",
    )


@dataclass(frozen=True)
class Step:
    text: str
    frames: tuple[int, int] | None


@dataclass(frozen=True)
class Suggestion:
    frame: int
    reason: str = "far from any keyframe"
    expected_error_mm: float = 4.2


@dataclass(frozen=True)
class Agreement:
    moments: int
    joint_mm: float = 3.25
    joint_p95_mm: float = 7.0
    click_px: float = float("nan")


@dataclass(frozen=True)
class DragView:
    joints_m: np.ndarray
    vertices_m: np.ndarray


class Drag:
    """The joint goes where it is dragged, at its own depth; the rest stays."""

    def __init__(self, session, side, frame):
        self.session, self.side, self.frame, self.last = session, side, frame, None
        session.drags.append(self)
        self.ended = ""

    def move(self, view, joint, px):
        if self.session.fail_drag:
            raise FitError("the hand cannot follow.", "Free a joint.")
        self.last = (view, joint, px)
        joints = self.session.revision.hands[self.side].joints_m[self.frame].copy()
        joints[joint] += 0.01
        return DragView(joints, self.session.vertices_m(self.side, self.frame))

    def finish(self):
        self.ended = "finished"
        view, joint, px = self.last
        self.session.set_keypoint(self.side, self.frame, view, joint, px, text="Drag")
        self.session.code(self.side, [self.frame], "edited")

    def cancel(self):
        self.ended = "cancelled"


class FakeAnnotation:
    """Everything that a window asks of a session; every change can be undone."""

    sequence, n_frames, views, author = "seq_001", N_MOMENTS, ("left", "right"), "me"
    object_names = ("o01",)

    def __init__(self):
        self.revision, self.revisions, self.revision_name = revision(), ["r000", "r001"], "r001"
        self.saved, self.recovered, self.closed, self.fail_fit = self.revision, False, False, False
        self.read_only = self.blind = self.fail_drag = False
        self.warnings, self.drags, self.seconds, self.prepared = [], [], {}, []
        self.undone, self.done = [], []
        self.to_repeat = ()

    dirty = property(lambda self: self.revision is not self.saved)
    sides = property(lambda self: tuple(self.revision.hands))
    can_undo = property(lambda self: bool(self.done))
    can_redo = property(lambda self: bool(self.undone))
    undo_text = property(lambda self: self.done[-1][0].text if self.done else "")
    redo_text = property(lambda self: self.undone[-1][0].text if self.undone else "")
    sensor_camera = replace(CAMERA, width=128, height=128, T_world_cam=look_at(*np.eye(3)[[1, 0, 2]]))

    def _change(self, text, new, frames=None):
        if self.read_only:
            raise SequenceError("these labels can only be looked at.", "Open them without --read-only.")
        where = (min(frames), max(frames)) if frames else None
        self.done.append((Step(text, where), self.revision, new))
        self.undone.clear()
        self.revision = new

    def undo(self):
        entry = self.done.pop()
        self.undone.append(entry)
        self.revision = entry[1]
        return entry[0]

    def redo(self):
        entry = self.undone.pop()
        self.done.append(entry)
        self.revision = entry[2]
        return entry[0]

    def image(self, view, frame):
        return None if (view, frame) == ("right", 9) else np.full((48, 64, 3), 60 + frame, np.uint8)

    def depth_m(self, view, frame):
        return np.full((48, 64), 0.6, np.float32)

    def camera(self, view):
        eye = np.array([-0.3 if view == "left" else 0.3, -0.4, 0.4])
        return replace(CAMERA, T_world_cam=look_at(eye, np.zeros(3), np.array([0.0, 0.0, 1.0])))

    def cloud(self, frame, every=4):
        return np.random.default_rng(frame).normal(0, 0.05, (200, 3)), np.full((200, 3), 90, np.uint8)

    def sensor_image(self, frame):
        return np.full((128, 128), frame, np.uint8)

    def vertices_m(self, side, frame):
        hand = self.revision.hands.get(side)
        if hand is None or not hand.valid[frame]:
            return None
        return np.array([[-0.05, -0.05, 0.0], [0.05, -0.05, 0.0], [0.05, 0.05, 0.0], [-0.05, 0.05, 0.0]])

    def faces(self, side):
        return np.array([[0, 1, 2], [0, 2, 3]])

    def object_mesh(self, name):
        return np.array([[0, 0, 0], [0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]]), np.array([[0, 2, 1], [0, 1, 3]])

    def object_pose(self, name, frame):
        track = self.revision.objects[name]
        return track.T_world_obj[frame] if track.valid[frame] else None

    def statuses(self, side=None):
        hand = self.revision.hands.get(side or "right")
        return tuple(STATUSES[c] for c in hand.status) if hand is not None else ("none",) * self.n_frames

    def triangulated(self, side, frame):
        return np.zeros((21, 3))

    def epipolar(self, view, px, other):
        return np.array([[0.0, px[1]], [63.0, px[1]]])

    def suggestion(self, after):
        states = self.statuses()
        left = [n for n in range(self.n_frames) if states[n] in ("none", "auto") and n != after]
        return Suggestion(max(left)) if left else None

    def agreement(self, name):
        return Agreement(len(self.to_repeat))

    def stored(self, name):
        return self.saved

    def code(self, side, frames, status):
        """Set codes as part of a step that is there already."""
        hand = self.revision.hands[side]
        codes = hand.status.copy()
        codes[list(frames)] = STATUSES.index(status)
        self.revision = replace(self.revision, hands={**self.revision.hands, side: replace(hand, status=codes)})

    def set_status(self, frames, status, side=None):
        hand = self.revision.hands["right"]
        codes = hand.status.copy()
        codes[list(frames)] = STATUSES.index(status)
        self._change(status, replace(self.revision, hands={"right": replace(hand, status=codes)}), frames)

    def set_comment(self, frame, text):
        comments = {n: t for n, t in {**self.revision.comments, frame: text}.items() if t}
        self._change("Comment", replace(self.revision, comments=comments), [frame])

    def set_keypoint(self, side, frame, view, joint, px, *, occluded=False, text="Place"):
        nothing = {v: np.full((self.n_frames, 21, 3), np.nan) for v in self.views}
        held = self.revision.keypoints.get(side) or HandKeypoints(nothing)
        points = held.by_view[view].copy()
        points[frame, joint] = np.nan if px is None else (*px, 1.0)
        marks = self._marks(held, view)
        marks[frame, joint] = 0 if px is None else MARKS["clicked"]
        made = HandKeypoints({**held.by_view, view: points}, {**held.marks, view: marks})
        self._change(text, replace(self.revision, keypoints={**self.revision.keypoints, side: made}), [frame])

    def _marks(self, held, view):
        return held.marks[view].copy() if view in held.marks else np.zeros((self.n_frames, 21), np.uint8)

    def set_occluded(self, side, frame, view, joint, on):
        held = self.revision.keypoints[side]
        marks = self._marks(held, view)
        marks[frame, joint] = marks[frame, joint] & 1 | (MARKS["occluded"] if on else 0)
        made = replace(held, marks={**held.marks, view: marks})
        self._change("Occluded", replace(self.revision, keypoints={**self.revision.keypoints, side: made}), [frame])

    def set_locked(self, side, frame, joints, on):
        had = self.revision.locked.get(side)
        locked = np.zeros((self.n_frames, 21), bool) if had is None else had.copy()
        locked[frame, list(joints)] = on
        self._change("Lock", replace(self.revision, locked={**self.revision.locked, side: locked}), [frame])

    def copy_from(self, side, frame, source):
        hand = self.revision.hands[side]
        if not 0 <= source < self.n_frames or not hand.valid[source]:
            raise SequenceError(f"frame {source} has no label to copy.", "Choose another frame.")
        joints, valid, codes = hand.joints_m.copy(), hand.valid.copy(), hand.status.copy()
        joints[frame], valid[frame], codes[frame] = joints[source], True, STATUSES.index("edited")
        made = replace(hand, joints_m=joints, valid=valid, status=codes)
        self._change("Copy", replace(self.revision, hands={**self.revision.hands, side: made}), [frame])

    def swap_hands(self, frames):
        nothing = HandKeypoints({v: np.full((self.n_frames, 21, 3), np.nan) for v in self.views})
        held = self.revision.keypoints
        other = {"right": held.get("left", nothing), "left": held.get("right", nothing)}
        self._change("Swap", replace(self.revision, keypoints=other), frames)

    def delete_label(self, side, frames):
        hand = self.revision.hands[side]
        valid, codes = hand.valid.copy(), hand.status.copy()
        valid[list(frames)], codes[list(frames)] = False, 0
        made = replace(hand, valid=valid, status=codes)
        self._change("Delete", replace(self.revision, hands={**self.revision.hands, side: made}), frames)

    def interpolate(self, side, first, last):
        self._change(f"Interpolate {first} to {last}", replace(self.revision, comment="interpolated"), [first, last])

    def refit_between(self, side, first, last, progress=None, cancelled=None):
        self._change(f"Refit {first} to {last}", replace(self.revision, comment="refitted"), [first, last])

    def nudge_object(self, name, frame, shift_m, turn_rad, axes="object"):
        track = self.revision.objects[name]
        poses = track.T_world_obj.copy()
        poses[frame, :3, 3] += shift_m
        self._change(f"Move {axes}", replace(self.revision, objects={name: replace(track, T_world_obj=poses)}), [frame])

    def set_object_pose(self, name, frame, pose):
        self.nudge_object(name, frame, pose[:3, 3] - self.revision.objects[name].T_world_obj[frame, :3, 3], ())

    def add_object_point(self, name, frame, view, px, point_m):
        had = self.revision.object_points.get(name)
        had = had or ObjectPoints(np.zeros(0, np.int64), (), np.zeros((0, 2)), np.zeros((0, 3)))
        made = ObjectPoints(
            np.append(had.moment, frame),
            (*had.view, view),
            np.append(had.point_px, [px], 0),
            np.append(had.point_m, [point_m], 0),
        )
        self._change("Mark", replace(self.revision, object_points={name: made}), [frame])

    def remove_object_point(self, name, index):
        had = self.revision.object_points[name]
        keep = np.arange(len(had.moment)) != index
        views = tuple(v for k, v in enumerate(had.view) if k != index)
        made = ObjectPoints(had.moment[keep], views, had.point_px[keep], had.point_m[keep])
        self._change("Unmark", replace(self.revision, object_points={name: made}))

    def place_object(self, name, frame):
        raise FitError("an object needs four marked points, it has fewer.", "Mark more points.")

    def adopt(self, new, text="Fit all frames"):
        self._change(text, new)

    def begin_drag(self, side, frame):
        return Drag(self, side, frame)

    def prepare(self, side, frame):
        self.prepared.append((side, frame))

    def fit(self, progress, cancelled):
        for n in range(4):
            progress(n / 4, "fitting")
            if cancelled():
                break
        if self.fail_fit:
            raise FitError("too few keypoints: 3.", "Click more.")
        return replace(self.revision, comment="fitted again")

    def work(self, frame, seconds):
        self.seconds[frame] = self.seconds.get(frame, 0.0) + seconds

    def save(self, comment=""):
        self.revision_name = f"r{len(self.revisions):03d}"
        self.revisions.append(self.revision_name)
        self.saved = self.revision = replace(self.revision, comment=comment)
        return self.revision_name

    def close(self):
        self.closed = True
