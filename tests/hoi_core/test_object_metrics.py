from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from hoi_core import camera as cameras
from hoi_core import metrics, object_metrics
from hoi_core.known_object import KnownObject, known_object
from hoi_core.mesh_file import Triangles
from hoi_core.rotation import exp_so3
from hoi_core.scene import objects
from hoi_core.types import F64

_CUBE = np.array([[x, y, z] for x in (-0.05, 0.05) for y in (-0.05, 0.05) for z in (-0.05, 0.05)])


def _hull(points: F64) -> tuple[F64, NDArray[np.int32]]:
    """A convex body about the origin, its faces outward."""
    faces = ConvexHull(points).simplices.astype(np.int32)
    a, b, c = (points[faces[:, k]] for k in range(3))
    inward = (np.cross(b - a, c - a) * (a + b + c)).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points, faces


def _sphere(radius_m: float, count: int = 2000) -> tuple[F64, NDArray[np.int32]]:
    """Points along a spiral on a sphere, a pole on x among them."""
    k = np.arange(count)
    x = 1.0 - 2.0 * k / (count - 1)
    turn = k * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(np.maximum(1.0 - x * x, 0.0))
    return _hull(radius_m * np.stack([x, ring * np.cos(turn), ring * np.sin(turn)], -1))


def _cube(*, symmetric: bool = False) -> KnownObject:
    points, faces = _hull(_CUBE)
    return known_object("cube", Triangles(points, faces)) if symmetric else KnownObject("cube", points, faces)


def _shifted(x_m: float) -> F64:
    return cameras.rigid(np.eye(3), np.array([x_m, 0.0, 0.0]))


def test_a_shift_is_its_own_add_and_corner_error() -> None:
    about = _cube()
    assert object_metrics.pose_error_m(about, _shifted(0.012), np.eye(4)) == pytest.approx(0.012)
    assert object_metrics.corner_error_mm(about, _shifted(0.012), np.eye(4)) == pytest.approx(12.0)


def test_a_quarter_turn_moves_the_corners_of_a_cube_by_its_side() -> None:
    turned = cameras.rigid(exp_so3(np.array([0.0, 0.0, 0.5 * np.pi])), np.zeros(3))
    assert object_metrics.corner_error_mm(_cube(), turned, np.eye(4)) == pytest.approx(100.0)
    assert object_metrics.pose_error_m(_cube(), turned, np.eye(4)) == pytest.approx(0.1)
    about = _cube(symmetric=True)
    assert object_metrics.corner_error_mm(about, turned, np.eye(4)) == pytest.approx(0.0, abs=1e-9)
    assert object_metrics.pose_error_m(about, turned, np.eye(4)) == pytest.approx(0.0, abs=1e-9)


def test_the_diagonal_is_more_lenient_than_the_diameter() -> None:
    octahedron, faces = _hull(np.concatenate([np.eye(3), -np.eye(3)]) * 0.1)
    about = KnownObject("octahedron", octahedron, faces)
    error = np.array([0.019, 0.021, 0.034, 0.035, np.nan])
    # A tenth of 0.2 m, and of 0.2 sqrt(3) m; what was not found is wrong.
    assert object_metrics.add_right(error, np.array(about.diameter_m)).tolist() == [1, 0, 0, 0, 0]
    assert object_metrics.add_right(error, np.array(about.diagonal_m)).tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("kind", ["can", "ball", "box"])
def test_symmetric_objects_are_not_punished_for_what_nobody_can_see(kind: str) -> None:
    shape = objects.make(kind).shape
    about = known_object(kind, Triangles(shape.vertices_m, shape.faces))
    T = cameras.rigid(exp_so3(np.array([0.4, -1.0, 0.3])), np.array([0.1, 0.0, 0.6]))
    turn = exp_so3(np.array([0.0, 0.0, {"can": 2.0, "ball": 2.0, "box": np.pi}[kind]]))
    other = T @ cameras.rigid(turn, about.centre_m - turn @ about.centre_m)
    blind = KnownObject(kind, about.vertices_m, about.faces)
    assert object_metrics.corner_error_mm(about, other, T) < 2.0  # turns are tried in steps of five degrees
    assert object_metrics.corner_error_mm(blind, other, T) > 25.0
    assert object_metrics.pose_error_m(about, other, T) < 0.002
    assert object_metrics.pose_error_m(blind, other, T) > 0.02
    moved = cameras.rigid(np.eye(3), np.array([0.0, 0.0, 0.03])) @ other
    assert object_metrics.corner_error_mm(about, moved, T) == pytest.approx(30.0, abs=1.0)


def test_chamfer_by_hand_in_both_conventions() -> None:
    one = np.array([[0.0, 0.0, 0.0], [0.01, 0.0, 0.0]])
    other = np.array([[0.0, 0.003, 0.0]])
    # There: 3 mm and sqrt(109) mm; back: 3 mm.
    found = object_metrics.chamfer(one, other)
    assert found.squared_mm2 == pytest.approx((9.0 + 109.0) / 2 + 9.0)
    assert found.mean_mm == pytest.approx(0.5 * ((3.0 + np.sqrt(109.0)) / 2 + 3.0))
    assert np.isnan(object_metrics.chamfer(one * np.nan, other)).all()


@pytest.mark.parametrize("apart_m", [0.03, 0.045, 0.07])
def test_two_spheres_meet_as_their_closed_form_says(apart_m: float) -> None:
    (hand, hand_faces), (ball, faces) = _sphere(0.02), _sphere(0.035)
    hand = hand + np.array([apart_m, 0.0, 0.0])
    r, R, d = 0.02, 0.035, apart_m
    found = object_metrics.meeting(hand, ball, faces)
    depth_mm = 1e3 * max(r + R - d, 0.0)
    assert found.penetration_mm == pytest.approx(depth_mm, abs=0.15)
    assert metrics.penetration_depth_mm(hand, ball, faces) == pytest.approx(found.penetration_mm)
    assert found.distance_m == pytest.approx(max(d - r - R, 0.0), abs=2e-4)
    assert object_metrics.touches(found.distance_m) == float(d - r - R <= 0.005)
    lens = np.pi * (R + r - d) ** 2 * (d * d + 2 * d * (r + R) - 3 * (r - R) ** 2) / (12 * d) if d < r + R else 0.0
    volume = object_metrics.intersection_cm3(hand, hand_faces, ball, faces, pitch_m=0.001)
    assert volume == pytest.approx(1e6 * lens, rel=0.02)
    coarse = object_metrics.intersection_cm3(hand, hand_faces, ball, faces)
    assert coarse == pytest.approx(1e6 * lens, rel=0.05)


def test_volumes_of_boxes_along_the_axes() -> None:
    points, faces = _hull(_CUBE)
    other = points * 0.5 + [0.04, 0.0, 0.0]  # from 0.015 to 0.065 m: 35 mm of it lie in the cube
    assert object_metrics.intersection_cm3(points, faces, other, faces, 0.001) == pytest.approx(3.5 * 5 * 5, rel=0.03)
    assert object_metrics.intersection_cm3(points, faces, points + 0.2, faces) == 0.0
    assert np.isnan(object_metrics.intersection_cm3(points * np.nan, faces, points, faces))


def test_distances_to_a_surface_by_brute_force() -> None:
    """Against the nearest of many points on it, and what is inside against the shape's own distance."""
    shape = objects.make("mug").shape
    rng = np.random.default_rng(0)
    asked = rng.uniform(-0.06, 0.1, (60, 3))
    found = object_metrics.meeting(asked[:1], shape.vertices_m, shape.faces).distance_m
    corners = shape.vertices_m[shape.faces]
    u = rng.dirichlet(np.ones(3), (40, 1, 1))
    dense = (corners[None] * u[..., 0, :, None]).sum(2).reshape(-1, 3)
    assert found == pytest.approx(np.linalg.norm(dense - asked[0], axis=-1).min(), abs=1e-3)
    exact = shape.distance_m(asked)
    clear = np.abs(exact) > 0.001
    within = object_metrics.inside(asked, shape.vertices_m, shape.faces)
    np.testing.assert_array_equal(within[clear], (exact < 0)[clear])


def test_nothing_is_said_of_a_hand_or_pose_that_is_unknown() -> None:
    points, faces = _hull(_CUBE)
    assert np.isnan(object_metrics.meeting(points * np.nan, points, faces)).all()
    assert np.isnan(object_metrics.touches(float("nan")))
    assert np.isnan(object_metrics.corner_error_mm(_cube(), np.full((4, 4), np.nan), np.eye(4)))
    assert np.isnan(object_metrics.pose_error_m(_cube(), np.full((4, 4), np.nan), np.eye(4)))
