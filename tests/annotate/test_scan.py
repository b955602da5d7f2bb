"""Fusing a turntable take: the mesh against the object that was rendered."""

import numpy as np
import pytest

from annotate import scan
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.errors import FitError
from hoi_core.render import render_depth
from hoi_core.scene import objects
from hoi_core.types import Camera

pytest.importorskip("open3d")

OUTLINE_M = np.array([[0, 0, 0], [0.19, 0, 0], [0.19, 0.26, 0], [0, 0.26, 0]], dtype=np.float64)
CONFIG = scan.Config(voxel_m=0.003, triangles=4000)
BIAS_M = 0.002


def shots(name: str, turn_deg: float = 360.0, count: int = 36, *, empty: bool = False):
    """Depth of an object on the board from two heights, everything `BIAS_M` too far along z."""
    thing = objects.make(name)
    for k in range(count):
        angle = np.deg2rad(turn_deg) * k / count
        height = 0.25 + 0.1 * (k % 2)
        eye = np.array([0.45 * np.cos(angle), 0.45 * np.sin(angle), height])
        pose = cameras.look_at(eye, np.array([0.0, 0.0, 0.04]), np.array([0.0, 0.0, 1.0]))
        camera = Camera(320, 240, 300.0, 300.0, 160.0, 120.0, T_world_cam=pose)
        T_world_board = cameras.rigid(np.diag([1.0, -1.0, -1.0]), np.array([-0.095, 0.13, 0.0]))
        meshes = [] if empty else [thing.mesh(np.eye(4), 1)]
        near_m, _ = render_depth([*meshes, _table()], camera)
        depth_m = np.where(near_m > 0, near_m + BIAS_M, 0.0).astype(np.float32)
        color = np.full((240, 320, 3), (180, 90, 40), np.uint8)
        yield scan.Shot("left", color, depth_m, camera, cameras.inverse_rigid(pose) @ T_world_board)


def _table():
    from hoi_core.render import Mesh

    corners = np.array([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.full((4, 3), 90, np.uint8), 2)


@pytest.mark.parametrize("name", ["o01", "o02"])
def test_the_mesh_is_the_object(name):
    found = scan.fuse(shots(name), OUTLINE_M, CONFIG)
    true = objects.make(name).shape.vertices_m
    # Its middle over the origin, and standing on the table.
    assert found.vertices_m[:, 2].min() == pytest.approx(0.0, abs=1e-9)
    middle = (true.min(0) + true.max(0)) / 2.0
    moved = found.vertices_m + np.array([middle[0], middle[1], 0.0])
    distance = np.abs(objects.make(name).shape.distance_m(moved[moved[:, 2] > 0.004]))
    assert distance.mean() < 0.001
    np.testing.assert_allclose(found.size_m, np.ptp(true, axis=0), atol=0.005)
    # Along the ray, a depth that is too far along z is a little more too far.
    assert found.bias_mm["left"] == pytest.approx(1e3 * BIAS_M, abs=0.3)
    assert found.residual_mm < 1.0
    assert found.seen_deg == 360.0
    np.testing.assert_allclose(np.median(found.colors, axis=0), (180, 90, 40), atol=3)


def test_the_mesh_is_closed_and_points_outwards():
    found = scan.fuse(shots("o01"), OUTLINE_M, CONFIG)
    edges = np.concatenate([found.faces[:, [0, 1]], found.faces[:, [1, 2]], found.faces[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)
    assert {tuple(e) for e in edges.tolist()} == {(b, a) for a, b in edges.tolist()}
    a, b, c = (found.vertices_m[found.faces[:, k]] for k in range(3))
    volume_m3 = (np.cross(a, b) * c).sum() / 6.0
    assert volume_m3 > 0.8 * np.prod(found.size_m)


def test_half_a_turn_is_refused():
    with pytest.raises(FitError, match="from 270 degrees around"):
        scan.fuse(shots("o01", turn_deg=150.0), OUTLINE_M, CONFIG)


def test_an_empty_board_is_refused():
    with pytest.raises(FitError, match="nothing stands there"):
        scan.fuse(shots("o01", empty=True), OUTLINE_M, CONFIG)


def test_no_images_are_refused():
    with pytest.raises(FitError, match="0 images"):
        scan.fuse([], OUTLINE_M, CONFIG)


def test_a_bent_lens_gives_the_same_points():
    """What the straightened image shows at a pixel is what the bent one shows where that ray falls."""
    lens = Camera(64, 48, 60.0, 60.0, 31.5, 23.5, (0.2, -0.05, 0.001, 0.002, 0.0), "brown_conrady")
    ramp = np.tile(np.arange(64, dtype=np.float32), (48, 1))
    import cv2

    straight = scan._undistorted(ramp, lens, cv2.INTER_LINEAR)
    ray = rotation.exp_so3(np.array([0.1, -0.15, 0.0])) @ [0.0, 0.0, 1.0]
    pinhole = ray[:2] / ray[2] * 60.0 + [31.5, 23.5]
    bent = cameras.project(lens, ray)
    assert straight[round(pinhole[1]), round(pinhole[0])] == pytest.approx(bent[0], abs=1.0)
