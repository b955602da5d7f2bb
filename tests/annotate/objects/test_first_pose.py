"""The first pose of an object from clicks."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.objects.first_pose import place
from annotate.objects.mesh import SolidMesh, solid_mesh
from hoi_core import camera as cameras
from hoi_core import metrics, rotation
from hoi_core.errors import FitError
from hoi_core.render import Mesh, render_depth
from hoi_core.scene import objects
from hoi_core.types import Camera, ObjectPoints


@pytest.fixture(scope="module")
def mesh() -> SolidMesh:
    thing = objects.make("o01")
    return solid_mesh("o01", thing.shape.vertices_m, thing.faces.astype(np.int32))


def views() -> dict[str, Camera]:
    out = {}
    for name, angle in (("left", -0.65), ("right", 0.65)):
        eye = np.array([0.6 * np.sin(angle), -0.6 * np.cos(angle), 0.35])
        T = cameras.look_at(eye, np.array([0.0, 0.0, 0.05]), np.array([0.0, 0.0, 1.0]))
        lens = (0.08, -0.1, 0.001, -0.002, 0.0)
        out[name] = Camera(640, 480, 610.0, 612.0, 320.0, 240.0, lens, "brown_conrady", T)
    return out


def pose(turn: tuple[float, float, float], at: tuple[float, float, float]) -> np.ndarray:
    return cameras.rigid(rotation.exp_so3(np.array(turn)), np.array(at))


def clicks(mesh: SolidMesh, T: np.ndarray, rigs: dict[str, Camera], rows: list[int], noise_px: float = 0.0):
    rng = np.random.default_rng(0)
    names = [name for name in rigs for _ in rows]
    point_m = np.tile(mesh.vertices_m[rows], (len(rigs), 1))
    pixels = []
    for name, point in zip(names, point_m, strict=True):
        camera = rigs[name]
        world = cameras.transform(T, point[None])
        pixels.append(cameras.project(camera, cameras.transform(camera.T_cam_world, world))[0])
    moment = np.zeros(len(names), np.int64)
    return ObjectPoints(moment, tuple(names), np.array(pixels) + rng.normal(size=(len(names), 2)) * noise_px, point_m)


def depths(mesh: SolidMesh, T: np.ndarray, rigs: dict[str, Camera]) -> dict[str, np.ndarray]:
    gray = np.full((len(mesh.vertices_m), 3), 128, np.uint8)
    thing = Mesh(cameras.transform(T, mesh.vertices_m), mesh.faces, gray, 1)
    corners = np.array([[-0.5, -0.4, 0.0], [0.5, -0.4, 0.0], [0.5, 0.4, 0.0], [-0.5, 0.4, 0.0]])
    table = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.full((4, 3), 90, np.uint8), 2)
    return {name: render_depth([thing, table], camera)[0] for name, camera in rigs.items()}


FAR_APART = [0, 40, 90, 160, 250, 330]


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.4), (1.2, -0.7, 0.3), (0.0, 3.1, 0.0)])
@pytest.mark.parametrize("names", [("left", "right"), ("left",)])
def test_exact_clicks_give_the_exact_pose(mesh, turn, names):
    T = pose(turn, (0.03, -0.02, 0.05))
    rigs = {name: views()[name] for name in names}
    found = place(mesh, rigs, clicks(mesh, T, rigs, FAR_APART), {})
    assert metrics.add(found, T, mesh.vertices_m) < 1e-4


def test_clicks_of_a_person_in_two_views(mesh):
    T = pose((0.2, 0.1, 0.5), (0.0, 0.0, 0.03))
    found = place(mesh, views(), clicks(mesh, T, views(), FAR_APART, 2.0), depths(mesh, T, views()))
    assert metrics.add(found, T, mesh.vertices_m) < 0.004


def seen_from_left(mesh, T):
    """Vertices whose own surface the left view sees."""
    camera = views()["left"]
    local = cameras.transform(camera.T_cam_world, cameras.transform(T, mesh.vertices_m))
    depth = depths(mesh, T, {"left": camera})["left"]
    u, v = np.rint(cameras.project(camera, local)).astype(int).T
    near = np.array([depth[b - 2 : b + 3, a - 2 : a + 3].max() for a, b in zip(u, v, strict=True)])
    return np.flatnonzero(np.abs(near - local[:, 2]) < 0.002)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_clicks_need_depth_and_a_standing_object(mesh, count):
    T = pose((0.0, 0.0, 0.6), (0.04, -0.05, 0.0))
    left = {"left": views()["left"]}
    rows = seen_from_left(mesh, T)
    rows = rows[[len(rows) // 3, 2 * len(rows) // 3][:count]].tolist()
    points = clicks(mesh, T, left, rows)
    found = place(mesh, views(), points, depths(mesh, T, views()))
    assert metrics.add_s(found, T, mesh.vertices_m) < 0.008
    with pytest.raises(FitError, match="no depth under them"):
        place(mesh, views(), points, {})


def test_no_clicks(mesh):
    none = ObjectPoints(np.zeros(0, np.int64), (), np.zeros((0, 2)), np.zeros((0, 3)))
    with pytest.raises(FitError, match="no point"):
        place(mesh, views(), none, {})


def test_a_point_off_the_mesh_is_named(mesh):
    points = clicks(mesh, np.eye(4), views(), FAR_APART)
    off = points.point_m.copy()
    off[3] += 0.05
    with pytest.raises(FitError, match="off its mesh"):
        place(mesh, views(), replace(points, point_m=off), {})


def test_clicks_that_contradict_each_other(mesh):
    points = clicks(mesh, pose((0, 0, 0.4), (0, 0, 0.0)), views(), FAR_APART)
    wrong = np.random.default_rng(1).uniform(100, 380, points.point_px.shape)
    with pytest.raises(FitError, match="contradict"):
        place(mesh, views(), replace(points, point_px=wrong), {})
