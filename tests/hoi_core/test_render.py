"""The rasteriser against rays, planes and spheres worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.render import Light, Mesh, render, render_depth, render_overlay, render_quick, shadow, window_of
from hoi_core.types import Camera

CAMERA = Camera(160, 120, 150.0, 148.0, 80.3, 58.7)
LENS = Camera(160, 120, 150.0, 148.0, 80.3, 58.7, (-0.12, 0.05, 0.001, -0.002, 0.0), "brown_conrady")


def sphere(centre, radius=0.1, rows=120, columns=240, label=1):
    theta, phi = np.linspace(0, np.pi, rows), np.arange(columns) * 2 * np.pi / columns
    t, p = (a.ravel() for a in np.meshgrid(theta, phi, indexing="ij"))
    points = centre + radius * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    a, b = i * columns + j, i * columns + (j + 1) % columns
    faces = np.concatenate([np.stack([a, a + columns, b], -1), np.stack([b, a + columns, b + columns], -1)])
    return Mesh(points, faces.astype(np.int32), np.full((len(points), 3), 180, np.uint8), label)


def plane(T, half=2.0, cells=1, label=1):
    """The square |x|, |y| < half of the plane z = 0 of a frame."""
    axis = np.linspace(-half, half, cells + 1)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    points = cam.transform(T, np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], -1))
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).astype(np.int32)
    return Mesh(points, faces, np.full((len(points), 3), 120, np.uint8), label)


def pixel_rays(camera):
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(float)
    return cam.rays(camera, np.stack([u, v], -1))


@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "lens"])
def test_sphere_depth_and_normals_follow_the_ray_equation(camera):
    centre, radius = np.array([0.03, -0.02, 0.6]), 0.1
    out = render([sphere(centre, radius)], camera, Light())
    rays = pixel_rays(camera)
    # |s r - c| = R, smaller root.
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - radius**2
    disc = b * b - a * c
    # Away from the silhouette: the cosine at the surface is above 0.3.
    inner = disc > 0.09 * a * radius**2
    expected = (b - np.sqrt(np.maximum(disc, 0))) / a
    assert inner.sum() > 500
    assert np.abs(out.depth_m - expected)[inner].max() < 1e-4
    assert (out.segmentation[inner] == 1).all()
    assert (out.segmentation[disc < -1e-4] == 0).all()
    assert (out.depth_m[disc < -1e-4] == 0).all()
    normals = (rays * expected[..., None] - centre) / radius
    assert np.abs(out.normals - normals)[inner].max() < 0.02


@settings(max_examples=20)
@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.floats(0.4, 1.5))
def test_unprojected_depth_lies_on_the_plane(tilt_x, tilt_y, distance):
    T = cam.rigid(rotation.exp_so3(np.array([tilt_x, tilt_y, 0.0])), np.array([0.0, 0.0, distance]))
    depth_m, labels = render_depth([plane(T)], CAMERA)
    hit = labels > 0
    v, u = np.nonzero(hit)
    points = cam.unproject(CAMERA, np.stack([u, v], -1).astype(float), depth_m[hit].astype(float))
    assert hit.sum() > 1000
    assert np.abs((points - T[:3, 3]) @ T[:3, 2]).max() < 1e-5


def test_lens_distortion_moves_vertices_as_the_camera_does():
    T = cam.rigid(rotation.exp_so3(np.array([0.4, -0.3, 0.1])), np.array([0.0, 0.0, 0.7]))
    depth_m, labels = render_depth([plane(T, half=1.0, cells=200)], LENS)
    points = pixel_rays(LENS) * depth_m[..., None]
    off = np.abs((points - T[:3, 3]) @ T[:3, 2])[labels > 0]
    assert (labels > 0).mean() > 0.9
    assert off.max() < 1e-4


def test_triangle_covers_its_projected_area():
    points = np.array([[-0.2, -0.12, 0.6], [0.22, -0.1, 0.8], [0.02, 0.2, 0.7]])
    mesh = Mesh(points, np.array([[0, 1, 2]], np.int32), np.full((3, 3), 99, np.uint8), 3)
    (ax, ay), (bx, by), (cx, cy) = cam.project(CAMERA, points)
    area = 0.5 * abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
    _, labels = render_depth([mesh], CAMERA)
    assert (labels == 3).sum() == pytest.approx(area, rel=0.02)


def test_nearer_mesh_hides_the_other_whatever_the_order():
    near, far = sphere(np.array([0.0, 0.0, 0.5]), 0.05, label=1), sphere(np.array([0.0, 0.0, 0.9]), 0.2, label=2)
    for meshes in ([near, far], [far, near]):
        _, labels = render_depth(meshes, CAMERA)
        assert labels[59, 80] == 1
        assert (labels[59, 40], labels[59, 60]) == (0, 2)
        assert (labels == 2).sum() > (labels == 1).sum()


def test_surface_through_the_camera_is_cut_at_the_near_plane():
    # A floor 0.3 m below the camera that reaches from behind it to 2 m ahead.
    floor = plane(cam.rigid(rotation.exp_so3(np.array([np.pi / 2, 0.0, 0.0])), np.array([0.0, 0.3, 0.0])))
    depth_m, labels = render_depth([floor], CAMERA)
    v = np.arange(CAMERA.height)
    expected = 0.3 * CAMERA.fy / (v - CAMERA.cy)
    rows = (v > CAMERA.cy) & (expected < 1.9)
    assert (labels[rows] == 1).all()
    np.testing.assert_allclose(depth_m[rows, 80], expected[rows], rtol=1e-5)
    assert (labels[v < CAMERA.cy] == 0).all()


def test_window_is_a_cut_of_the_whole_image():
    meshes = [sphere(np.array([0.03, -0.02, 0.6]))]
    background = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    whole = render(meshes, LENS, Light(), background, supersample=2)
    x0, y0, x1, y1 = window = window_of(meshes[0].vertices_m, LENS)
    part = render(meshes, LENS, Light(), background, supersample=2, window=window)
    for name in ("color", "depth_m", "segmentation", "normals"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[y0:y1, x0:x1])
    outside = whole.segmentation == 0
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(whole.color[outside], background[outside])


def test_supersampling_smooths_colour_and_leaves_geometry():
    meshes = [sphere(np.array([0.0, 0.0, 0.6]))]
    coarse, fine = (render(meshes, CAMERA, Light(), supersample=s) for s in (1, 3))
    np.testing.assert_array_equal(coarse.depth_m, fine.depth_m)
    np.testing.assert_array_equal(coarse.segmentation, fine.segmentation)
    black = [((o.color.sum(-1) > 0) & (o.color.max(-1) < 40)).sum() for o in (coarse, fine)]
    assert black[1] > black[0]


def test_lit_side_is_brighter_and_camera_pose_is_used():
    pose = cam.look_at(np.array([0.0, -0.6, 0.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    camera = Camera(160, 120, 150.0, 148.0, 79.5, 59.5, T_world_cam=pose)
    out = render([sphere(np.zeros(3))], camera, Light(direction=(1.0, -0.3, 0.0)))
    assert out.depth_m[59, 80] == pytest.approx(0.5, abs=1e-3)
    assert out.color[60, 95].mean() > out.color[60, 64].mean() + 30


def test_shadow_falls_where_the_lamp_throws_it():
    pose = cam.look_at(np.array([0.0, -0.01, 1.0]), np.zeros(3), np.array([0.0, 1.0, 0.0]))
    camera = Camera(160, 120, 150.0, 150.0, 79.5, 59.5, T_world_cam=pose)
    board = plane(cam.rigid(np.eye(3), np.array([0.0, 0.0, 0.1])), half=0.05)
    covered = shadow([board], camera, Light(direction=(1.0, 0.0, 0.5)), window=(0, 0, 160, 120))
    v, u = np.nonzero(covered)
    centre = cam.project(camera, cam.transform(camera.T_cam_world, np.array([[-0.2, 0.0, 0.0]])))[0]
    np.testing.assert_allclose([u.mean(), v.mean()], centre, atol=0.6)


def test_nothing_to_draw_gives_the_background():
    background = np.full((120, 160, 3), 7, np.uint8)
    behind = sphere(np.array([0.0, 0.0, -1.0]))
    for meshes in ([], [behind]):
        out = render(meshes, CAMERA, Light(), background)
        np.testing.assert_array_equal(out.color, background)
        assert not out.depth_m.any()
    assert window_of(behind.vertices_m, CAMERA) is None


@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "lens"])
def test_lighting_the_vertices_looks_as_lighting_the_pixels(camera):
    meshes = [sphere(np.array([0.03, -0.02, 0.6])), sphere(np.array([-0.1, 0.05, 0.5]), 0.04, label=2)]
    background = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    lamp = Light(direction=(0.6, -0.4, -0.7))
    full = render(meshes, camera, lamp, background)
    colour, depth_m = render_quick(meshes, camera, lamp, background)
    np.testing.assert_array_equal(depth_m, full.depth_m)
    np.testing.assert_array_equal(colour[depth_m == 0], background[depth_m == 0])
    # Lit at the vertices of a fine mesh: a few levels apart at most, where the normal turns within a triangle.
    apart = np.abs(colour[depth_m > 0].astype(float) - full.color[depth_m > 0])
    assert np.percentile(apart, 99) <= 3
    assert full.color[depth_m > 0].std() > 20


def test_an_overlay_holds_the_meshes_and_nothing_else():
    mesh = sphere(np.array([0.03, -0.02, 0.6]))
    full = render([mesh], LENS, Light())
    picture, (x0, y0, x1, y1) = render_overlay([mesh], LENS, Light(), 0.6)
    covered = np.zeros((LENS.height, LENS.width), bool)
    covered[y0:y1, x0:x1] = picture[..., 3] > 0
    np.testing.assert_array_equal(covered, full.segmentation > 0)
    assert set(np.unique(picture[..., 3]).tolist()) == {0, 153}
    inside = covered[y0:y1, x0:x1]
    apart = np.abs(picture[inside][:, :3] - 0.6 * full.color[y0:y1, x0:x1][inside])
    assert np.percentile(apart, 99) <= 2
    assert not picture[~inside].any()
    assert render_overlay([sphere(np.array([0.0, 0.0, -1.0]))], LENS, Light(), 0.5) is None
    assert render_overlay([], LENS, Light(), 0.5) is None
