"""Meshes: files, checks with their remedies, distances and symmetry."""

import json
import struct
from functools import lru_cache

import numpy as np
import pytest

from annotate.objects.mesh import SolidMesh, load_mesh, solid_mesh
from annotate.objects.solid import Solid
from annotate.objects.symmetry import Symmetry
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.errors import AssetError
from hoi_core.mesh_file import read_mesh, write_obj
from hoi_core.scene import objects

KINDS = {
    "o01": "rotations",
    "o02": "revolution",
    "o03": "none",
    "o04": "revolution",
    "o05": "sphere",
    "o06": "none",
    "o07": "revolution",
    "o08": "rotations",
}


def cube(edge_m: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float) * edge_m
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int32)


def box_distance(points: np.ndarray, edge_m: float = 0.1) -> np.ndarray:
    q = np.abs(points - 0.5 * edge_m) - 0.5 * edge_m
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)


@lru_cache
def made(name: str) -> SolidMesh:
    """An object of the scene as its mesh alone tells it; making one takes a second."""
    thing = objects.make(name)
    return solid_mesh(name, thing.shape.vertices_m, thing.faces.astype(np.int32))


def put(root, vertices, faces, name="o01"):
    folder = root / "objects" / name
    folder.mkdir(parents=True)
    write_obj(folder / "mesh.obj", vertices, faces)
    return folder


def test_obj_round_trip(tmp_path):
    vertices, faces = cube()
    write_obj(tmp_path / "a.obj", vertices, faces)
    again = read_mesh(tmp_path / "a.obj")
    np.testing.assert_allclose(again.vertices, vertices, atol=1e-7)
    np.testing.assert_array_equal(again.faces, faces)


def test_obj_with_polygons_normals_and_negative_numbers(tmp_path):
    path = tmp_path / "a.obj"
    path.write_text("# x\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvn 0 0 1\nf 1//1 2//1 3//1 4//1\nf -4/1 -3/2 -2/3\n")
    np.testing.assert_array_equal(read_mesh(path).faces, [[0, 1, 2], [0, 2, 3], [0, 1, 2]])


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply(tmp_path, form):
    vertices, faces = cube()
    head = (
        f"ply\nformat {form} 1.0\ncomment x\nelement vertex 8\nproperty float x\nproperty uchar red\nproperty float y\n"
        "property float z\nelement face 12\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if form == "ascii":
        rows = [f"{x} 7 {y} {z}" for x, y, z in vertices] + [f"3 {a} {b} {c}" for a, b, c in faces]
        body = "\n".join([*rows, ""]).encode()
    else:
        order = "<" if "little" in form else ">"
        body = b"".join(struct.pack(order + "fBff", x, 7, y, z) for x, y, z in vertices)
        body += b"".join(struct.pack(order + "Biii", 3, *f) for f in faces.tolist())
    path = tmp_path / "a.ply"
    path.write_bytes(head + body)
    mesh = read_mesh(path)
    np.testing.assert_allclose(mesh.vertices, vertices, atol=1e-7)
    np.testing.assert_array_equal(mesh.faces, faces)
    path.write_bytes((head + body)[:-9])
    with pytest.raises(AssetError, match="not a mesh"):
        read_mesh(path)


@pytest.mark.parametrize("binary", [True, False])
def test_stl_joins_equal_corners(tmp_path, binary):
    vertices, faces = cube()
    path = tmp_path / "a.stl"
    if binary:
        rows = b"".join(struct.pack("<12fH", 0, 0, 0, *vertices[f].ravel(), 0) for f in faces)
        path.write_bytes(b"\0" * 80 + struct.pack("<I", len(faces)) + rows)
    else:
        lines = [f"vertex {x} {y} {z}" for f in faces for x, y, z in vertices[f]]
        path.write_text("\n".join(["solid a", *lines, "endsolid"]))
    mesh = read_mesh(path)
    assert len(mesh.vertices) == 8
    np.testing.assert_allclose(mesh.vertices[mesh.faces], vertices[faces], atol=1e-7)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.obj", "v 0 0 0\n", "must hold triangles"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nf 1 2 9\n", "does not hold"),
        ("a.obj", "v 0 zero 0\n", "not a mesh"),
        ("a.ply", "nothing", "not a mesh"),
        ("a.fbx", "", "one of"),
    ],
)
def test_broken_files_are_refused(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(AssetError, match=says):
        read_mesh(tmp_path / name)


def test_a_mesh_is_prepared_once_until_its_content_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vertices, faces = cube()
    folder = put(tmp_path, vertices, faces)
    made = load_mesh(tmp_path, "o01")
    with monkeypatch.context() as only:
        only.setattr("annotate.objects.mesh.solid_mesh", None)
        again = load_mesh(tmp_path, "o01")
    points = np.random.default_rng(0).uniform(-0.01, 0.11, (50, 3))
    np.testing.assert_array_equal(again.grid.at(points)[0], made.grid.at(points)[0])
    for before, after in zip(made.cells, again.cells, strict=True):
        np.testing.assert_array_equal(before, after)
    assert (again.symmetry, again.radius_m, again.name) == (made.symmetry, made.radius_m, "o01")
    write_obj(folder / "mesh.obj", 1.1 * vertices, faces)
    assert load_mesh(tmp_path, "o01").radius_m == pytest.approx(1.1 * made.radius_m)
    (folder / "object.json").write_text('{"symmetry": "none"}')
    assert load_mesh(tmp_path, "o01").symmetry.kind == "none"


def test_no_mesh_names_the_remedy(tmp_path):
    with pytest.raises(AssetError, match=r"mesh\.obj") as error:
        load_mesh(tmp_path, "o01")
    assert "hoi-data scan" in error.value.hint


@pytest.mark.parametrize(("scale", "says"), [(1000.0, "millimetres"), (0.001, "too small")])
def test_a_mesh_of_another_unit_is_refused(tmp_path, scale, says):
    vertices, faces = cube()
    put(tmp_path, vertices * scale, faces)
    with pytest.raises(AssetError, match=says):
        load_mesh(tmp_path, "o01")


def test_points_that_are_not_numbers_are_refused():
    vertices, faces = cube()
    vertices[3, 1] = np.nan
    with pytest.raises(AssetError, match="1 points that are not numbers"):
        solid_mesh("o01", vertices, faces)


def test_a_flat_mesh_is_refused():
    vertices, faces = cube()
    with pytest.raises(AssetError, match="no area"):
        solid_mesh("o01", vertices * [1, 0, 0], faces)


def test_distances_of_a_cube_with_degenerate_faces_and_crumbs():
    vertices, faces = cube()
    crumb = np.array([[0.3, 0.3, 0.3], [0.301, 0.3, 0.3], [0.3, 0.301, 0.3]])
    faces = np.concatenate([faces, [[0, 0, 1], [8, 9, 10]]]).astype(np.int32)
    mesh = solid_mesh("o01", np.concatenate([vertices, crumb]), faces)
    points = np.random.default_rng(0).uniform(-0.01, 0.11, (5000, 3))
    distance, outward = mesh.grid.at(points)
    true = box_distance(points)
    away = np.abs(distance - true)
    assert away[np.abs(true) < 0.007].max() < 0.001
    assert away.max() < 0.003
    assert (np.sign(distance) == np.sign(true))[np.abs(true) > 5e-4].all()
    inside = (true < -0.01) & (np.abs(points[:, 0] - 0.1) < 0.02) & (np.abs(points[:, 1:] - 0.05) < 0.02).all(1)
    assert (outward[inside] @ [1, 0, 0] > 0.99).all()


def test_a_hole_does_not_turn_the_inside_out():
    vertices, faces = cube()
    fine, closed = subdivided(vertices, faces, 3)
    mesh = solid_mesh("o01", fine, np.delete(closed, np.arange(4), axis=0))
    points = np.random.default_rng(0).uniform(0.0, 0.1, (3000, 3))
    true = box_distance(points)
    deep = true < -0.004
    wrong = (mesh.grid.at(points)[0] > 0)[deep]
    assert wrong.mean() < 0.05


def subdivided(vertices, faces, times):
    for _ in range(times):
        a, b, c = (vertices[faces[:, i]] for i in range(3))
        n = len(vertices)
        k = np.arange(len(faces))
        ab, bc, ca = n + k, n + len(faces) + k, n + 2 * len(faces) + k
        vertices = np.concatenate([vertices, (a + b) / 2, (b + c) / 2, (c + a) / 2])
        f = faces
        quarters = [(f[:, 0], ab, ca), (ab, f[:, 1], bc), (ca, bc, f[:, 2]), (ab, bc, ca)]
        faces = np.concatenate([np.stack(q, -1) for q in quarters]).astype(np.int32)
    return vertices, faces


@pytest.mark.parametrize("name", ["o01", "o03", "o05"])
def test_distances_agree_with_the_shapes_own(name):
    thing = objects.make(name)
    mesh = made(name)
    low, high = mesh.vertices_m.min(0) - 0.008, mesh.vertices_m.max(0) + 0.008
    points = np.random.default_rng(0).uniform(low, high, (4000, 3))
    away = np.abs(mesh.grid.at(points)[0] - thing.shape.distance_m(points))
    assert away.mean() < 2e-4
    assert np.percentile(away, 99) < 1.5e-3


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_symmetry_is_found(name, kind):
    symmetry = made(name).symmetry
    assert symmetry.kind == kind
    if kind == "revolution":
        assert abs(symmetry.axis[2]) > 0.999
    assert len(symmetry.rotations) == (3 if kind == "rotations" else 0)  # half a turn about each axis of a box


def test_a_stated_symmetry_wins(tmp_path):
    vertices, faces = cube()
    folder = put(tmp_path, vertices, faces)
    (folder / "object.json").write_text(json.dumps({"symmetry": "revolution", "axis": [0, 2, 0]}))
    assert load_mesh(tmp_path, "o01").symmetry == Symmetry("revolution", (0.0, 1.0, 0.0))
    for broken in ('{"symmetry": "round"}', "{", '{"symmetry": "revolution", "axis": [0, 0, 0]}'):
        (folder / "object.json").write_text(broken)
        with pytest.raises(AssetError, match=r"object\.json"):
            load_mesh(tmp_path, "o01")


def test_a_solid_is_where_its_pose_is():
    mesh = solid_mesh("o01", *cube())
    T = cameras.rigid(rotation.exp_so3(np.array([0.3, -0.2, 0.9])), np.array([0.2, 0.1, 0.4]))
    solid = Solid(mesh, np.stack([T, np.full((4, 4), np.nan), np.eye(4)]))
    local = np.array([[0.05, 0.05, 0.105], [0.05, 0.05, 0.09]])
    points = np.stack([cameras.transform(T, local), local, local])
    moment, point = solid.reached(points, 0.0)
    assert set(zip(moment, point, strict=True)) == {(0, 0), (0, 1), (2, 0), (2, 1)}, "where it is known"
    distance, outward = solid.distance_m(points[moment, point], moment)
    np.testing.assert_allclose(distance, [0.005, -0.01] * 2, atol=3e-4)
    np.testing.assert_allclose(outward[:2], np.tile(T[:3, 2], (2, 1)), atol=0.05)
    away = points + T[:3, 2] * (mesh.radius_m + 0.02)
    assert not set(solid.reached(away, 0.0)[0]) & {0}, "a ball's radius above the top nothing is within reach"
    assert solid.taken(np.array([2])).T_world_obj.shape == (1, 4, 4)
    assert np.isnan(solid.surface_m()[1]).all()
