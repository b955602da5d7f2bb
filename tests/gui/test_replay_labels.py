"""Labels laid over the pictures of a recording, from a real annotation file."""

import numpy as np
import pytest

from gui.replay_labels import SCALE, Labels
from hoi_core.camera import look_at
from hoi_core.draw import world_to_pixels
from hoi_core.errors import SequenceError
from hoi_core.mano.layer import ManoLayer
from hoi_core.sequence import Binding, write_revision
from hoi_core.types import STATUSES, Camera, HandTrack, Revision

POSE = look_at(np.array([0.0, -0.4, 0.3]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
CAMERA = Camera(160, 120, 160.0, 160.0, 79.5, 59.5, T_world_cam=POSE)
PERIOD_NS = 33_333_333
M = 5


@pytest.fixture
def folder(tmp_path):
    hand = ManoLayer.stand_in("right")(np.zeros((1, 3)), np.zeros((1, 45)), np.zeros(10), np.zeros((1, 3)))
    trans_m = -hand.joints_m[0].mean(0)
    track = HandTrack(
        orient=np.zeros((M, 3)),
        pose=np.zeros((M, 45)),
        betas=np.zeros(10),
        trans_m=np.tile(trans_m, (M, 1)),
        joints_m=np.tile(hand.joints_m[0] + trans_m, (M, 1, 1)),
        joint_cov_m2=np.full((M, 21, 3, 3), np.nan),
        valid=np.arange(M) != 2,
        status=np.where(np.arange(M) == 2, STATUSES.index("none"), STATUSES.index("auto")).astype(np.uint8),
        joint_source=np.full((M, 21), 4, np.uint8),
    )
    for values in (track.orient, track.pose, track.trans_m, track.joints_m):
        values[~track.valid] = np.nan
    made = Revision(
        t_ns=np.arange(M, dtype=np.int64) * PERIOD_NS,
        hands={"right": track},
        objects={},
        keypoints={},
        frame_index={"left": np.arange(M)},
        author="auto",
    )
    write_revision(tmp_path / "annotation.h5", made, binding=Binding("0" * 64))
    return tmp_path


def test_the_hand_is_drawn_where_its_joints_are(folder):
    labels = Labels(folder)
    image = np.full((120, 160, 3), 90, np.uint8)
    drawn = labels.draw_on(image, CAMERA, "left", 0)
    assert drawn.shape == (120 * SCALE, 160 * SCALE, 3)
    changed = np.argwhere((drawn != 90).any(-1))
    joints = (world_to_pixels(CAMERA, labels.revision.hands["right"].joints_m[0]) + 0.5) * SCALE - 0.5
    # All joints lie on what was drawn, and nothing was drawn far from them.
    for u, v in joints:
        assert (drawn[round(v), round(u)] != 90).any()
    low, high = joints.min(0) - 25, joints.max(0) + 25
    assert (changed[:, ::-1] >= low).all()
    assert (changed[:, ::-1] <= high).all()


def test_a_moment_without_a_label_stays_as_it_is(folder):
    drawn = Labels(folder).draw_on(np.full((120, 160), 90, np.uint8), CAMERA, "left", 2)
    assert (drawn == 90).all()


@pytest.mark.parametrize(
    ("t_ns", "moment"),
    [(0, 0), (PERIOD_NS + 400, 1), (3 * PERIOD_NS - 400, 3), (4 * PERIOD_NS + 10_000_000, None), (-9_000_000, None)],
)
def test_labels_are_found_by_time(folder, t_ns, moment):
    assert Labels(folder).frame_at(t_ns, 1e6) == moment


def test_labels_that_are_not_there(tmp_path):
    assert not Labels.exist(tmp_path)
    with pytest.raises(SequenceError):
        Labels(tmp_path)
