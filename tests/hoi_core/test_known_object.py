from __future__ import annotations

import numpy as np
import pytest

from hoi_core import camera as cameras
from hoi_core.errors import AssetError
from hoi_core.known_object import MIRROR, KnownObject, control_points, diameter, known_object
from hoi_core.mesh_file import Triangles
from hoi_core.rotation import exp_so3
from hoi_core.scene import objects


def _built_in(kind: str) -> KnownObject:
    shape = objects.make(kind).shape
    return known_object(kind, Triangles(shape.vertices_m, shape.faces))


def test_control_points_are_corners_then_middles_of_edges_then_the_centre() -> None:
    points = control_points(np.array([-1.0, -2.0, -3.0]), np.array([1.0, 2.0, 5.0]))
    assert points.shape == (21, 3)
    assert points[0].tolist() == [-1, -2, -3]
    assert points[5].tolist() == [1, -2, 5]  # 101 in binary: x high, y low, z high
    # Four edges along each axis: one coordinate in the middle, the others at their ends.
    middles = points[8:20] == [0.0, 0.0, 1.0]
    assert middles.sum(0).tolist() == [4, 4, 4]
    assert (middles.sum(1) == 1).all()
    assert len(np.unique(points, axis=0)) == 21
    assert points[20].tolist() == [0, 0, 1]


def test_the_diameter_is_the_largest_distance_not_the_boxs_diagonal() -> None:
    octahedron = np.concatenate([np.eye(3), -np.eye(3)]) * 0.1
    assert diameter(octahedron) == pytest.approx(0.2)
    faces = np.array([[0, 1, 2], [3, 5, 4]], np.int32)
    about = KnownObject("octahedron", octahedron, faces)
    assert about.diagonal_m == pytest.approx(0.2 * np.sqrt(3.0))
    assert about.diameter_m == pytest.approx(0.2)
    assert diameter(np.array([[0.0, 0, 0], [0.03, 0.04, 0], [0.01, 0.0, 0]])) == pytest.approx(0.05)  # flat


@pytest.mark.parametrize(
    ("kind", "symmetric", "axes"), [("can", True, 1), ("ball", True, 3), ("box", True, 0), ("mug", False, 0)]
)
def test_the_shape_tells_what_looks_alike(kind: str, symmetric: bool, axes: int) -> None:
    found = _built_in(kind)
    assert found.symmetric == symmetric
    assert len(found.axes) == axes


def test_of_the_ycb_set_names_decide() -> None:
    shape = objects.make("box").shape
    surface = Triangles(shape.vertices_m, shape.faces)
    assert not known_object("003_cracker_box", surface).symmetric
    assert known_object("061_foam_brick", surface).symmetric


@pytest.mark.parametrize("kind", ["can", "ball", "box"])
def test_all_poses_that_look_alike_have_one_plainest(kind: str) -> None:
    found = _built_in(kind)
    rng = np.random.default_rng(1)
    for _ in range(4):
        T = cameras.rigid(exp_so3(rng.normal(size=3)), rng.normal(size=3))
        axis = np.array([0.0, 0.0, 1.0])
        turn = exp_so3((np.pi if kind == "box" else 2.0) * axis)
        other = T @ cameras.rigid(turn, found.centre_m - turn @ found.centre_m)
        plain = found.plainest(T)
        np.testing.assert_allclose(found.plainest(other), plain, atol=1e-9)
        # It is a rotation, leaves the centre where it was, and is at least as near to no turn.
        np.testing.assert_allclose(plain[:3, :3] @ plain[:3, :3].T, np.eye(3), atol=1e-9)
        centre = found.centre_m[None]
        np.testing.assert_allclose(cameras.transform(plain, centre), cameras.transform(T, centre), atol=1e-9)
        assert np.trace(plain[:3, :3]) >= np.trace(T[:3, :3]) - 1e-9


def test_an_object_without_symmetry_keeps_its_pose() -> None:
    T = cameras.rigid(exp_so3(np.array([0.3, 2.0, -1.0])), np.array([0.1, 0.2, 0.7]))
    assert _built_in("mug").plainest(T) is T


def test_a_mirrored_object_in_its_pose_is_the_mirror_image_of_the_object() -> None:
    found = _built_in("mug")
    R, t = exp_so3(np.array([0.4, -0.8, 1.1])), np.array([0.02, 0.05, 0.6])
    seen = (found.vertices_m @ R.T + t) @ np.diag([-1.0, 1.0, 1.0])  # through a mirror
    T = cameras.rigid(np.diag([-1.0, 1.0, 1.0]) @ R @ MIRROR, t * [-1.0, 1.0, 1.0])
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(cameras.transform(T, found.mirrored.vertices_m), seen, atol=1e-12)
    np.testing.assert_allclose(found.mirrored.control_m, found.control_m * [-1.0, 1.0, 1.0])

    def volume(about: KnownObject) -> float:
        a, b, c = (about.vertices_m[about.faces[:, k]] for k in range(3))
        return float((a * np.cross(b, c)).sum() / 6)

    assert volume(found.mirrored) == pytest.approx(volume(found))  # its faces still look outward
    assert volume(found) > 0


def test_a_mesh_without_extent_is_refused() -> None:
    with pytest.raises(AssetError, match="no extent"):
        known_object("dot", Triangles(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32)))
