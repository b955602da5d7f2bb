"""Overlays: right place, right colour, input untouched, degenerate input survived."""

import numpy as np
import pytest

from hoi_core import draw
from hoi_core.conventions import FINGER_COLOURS
from hoi_core.types import Camera

CAMERA = Camera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
# A square of 0.2 m at 0.6 m, its two triangles wound so that they face the camera.
SQUARE_M = np.array([[-0.1, -0.1, 0.6], [0.1, -0.1, 0.6], [0.1, 0.1, 0.6], [-0.1, 0.1, 0.6]])
FACING = np.array([[0, 2, 1], [0, 3, 2]])


def blank(h=48, w=64, value=0):
    return np.full((h, w, 3), value, dtype=np.uint8)


def test_skeleton_paints_joints_in_their_finger_colours_and_keeps_the_input():
    image = blank(240, 240)
    joints = np.stack([np.linspace(15, 225, 21), np.full(21, 120.0)], -1)
    out = draw.skeleton(image, joints)
    assert image.max() == 0
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    for joint, finger in ((1, "thumb"), (6, "index"), (12, "middle"), (15, "ring"), (20, "little")):
        u, v = np.round(joints[joint]).astype(int)
        assert tuple(out[v, u]) == FINGER_COLOURS[finger]
    assert out[10].max() == 0


def test_missing_joints_are_left_out():
    joints = np.full((21, 3), np.nan)
    assert draw.skeleton(blank(), joints).max() == 0
    assert draw.crosses(blank(), joints).max() == 0
    joints[0] = [1e9, 3.0, 1.0]
    assert draw.skeleton(blank(), joints).max() == 0


def test_mesh_covers_exactly_its_projection():
    out = draw.mesh(blank(), CAMERA, SQUARE_M, FACING, draw.MeshStyle(opacity=1.0))
    rows, columns = np.nonzero(out.any(-1))
    # 0.1 m at 0.6 m with a focal length of 60 px is 10 px from the principal point.
    assert abs(rows.min() - 13.5) <= 1
    assert abs(rows.max() - 33.5) <= 1
    assert abs(columns.min() - 21.5) <= 1
    assert abs(columns.max() - 41.5) <= 1


def test_mesh_leaves_out_faces_turned_away_and_points_behind():
    assert draw.mesh(blank(), CAMERA, SQUARE_M, FACING[:, ::-1]).max() == 0
    assert draw.mesh(blank(), CAMERA, SQUARE_M * [1, 1, -1], FACING).max() == 0


def test_near_faces_hide_far_ones():
    both = np.concatenate([SQUARE_M + np.array([0, 0, 0.3]), SQUARE_M])
    near_last = np.concatenate([FACING, FACING + 4])
    style = draw.MeshStyle(opacity=1.0)
    assert np.array_equal(
        draw.mesh(blank(), CAMERA, both, near_last, style), draw.mesh(blank(), CAMERA, both, near_last[::-1], style)
    )


def test_opacity_blends():
    full = draw.mesh(blank(value=200), CAMERA, SQUARE_M, FACING, draw.MeshStyle(opacity=1.0))[23, 31].astype(float)
    half = draw.mesh(blank(value=200), CAMERA, SQUARE_M, FACING, draw.MeshStyle(opacity=0.5))[23, 31]
    assert np.abs(half - (full + 200.0) / 2).max() <= 1


def test_wireframe_leaves_the_inside():
    out = draw.mesh(blank(), CAMERA, SQUARE_M, FACING, draw.MeshStyle(opacity=1.0, wireframe=True))
    assert out[14, 30:34].any()
    assert not out[18, 36].any()


def test_depth_colours_mark_holes_and_order_depth():
    depth = np.array([[0.0, np.nan, 0.35, 0.9]], dtype=np.float32)
    out = draw.depth_colours(depth)
    assert tuple(out[0, 0]) == tuple(out[0, 1]) == draw.HOLE_COLOUR
    near, far = out[0, 2].astype(int), out[0, 3].astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_montage_centres_images_of_different_sizes():
    out = draw.montage([blank(10, 20, 255), np.full((4, 8), 200, np.uint8)], gap=2)
    assert out.shape == (14, 46, 3)
    assert (out[2:12, 2:22] == 255).all()
    assert (out[5:9, 30:38] == 200).all()
    assert draw.montage([blank()] * 3, columns=2, gap=0).shape == (96, 128, 3)
    with pytest.raises(ValueError, match="at least one"):
        draw.montage([])


@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_label_writes_only_in_its_corner(corner):
    out = draw.label(blank(100, 200, 100), "12", corner=corner)
    changed = (out != 100).any(-1)
    rows, columns = np.nonzero(changed)
    assert (rows.max() < 50) == corner.startswith("top")
    assert (columns.max() < 100) == corner.endswith("left")
    assert out.max() > 200
