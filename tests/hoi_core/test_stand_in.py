"""The stand-in hand: a sound mesh, the anatomy it claims, and poses that stay apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hoi_core.conventions import FINGERS, FINGERTIP_VERTICES, MANO_PARENTS, SIDES
from hoi_core.mano import ManoLayer
from hoi_core.mano.model import SHAPES, to_arrays
from hoi_core.mano.stand_in import build, poses, surface
from hoi_core.mano.stand_in.mesh import build_mesh
from hoi_core.mano.stand_in.skeleton import fingers, joints_m
from hoi_core.mano.topology import boundary_loop, close_wrist


@pytest.fixture(scope="module", params=SIDES)
def layer(request) -> ManoLayer:
    return ManoLayer.stand_in(request.param)


def posed(layer: ManoLayer, name: str) -> np.ndarray:
    pose = poses.pose_of(poses.named_angles(name))
    return layer(np.zeros((1, 3)), pose[None]).vertices_m[0]


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.einsum("nd,nd->", a, np.cross(b, c)) / 6)


def directed(faces: np.ndarray) -> list[tuple[int, int]]:
    return [(int(f[k]), int(f[(k + 1) % 3])) for f in faces for k in range(3)]


def test_array_shapes(layer):
    for key, value in to_arrays(layer.model).items():
        assert value.shape == SHAPES[key]
        assert np.isfinite(value.astype(float)).all()


def test_manifold_with_sixteen_boundary_edges(layer):
    edges = Counter(tuple(sorted(e)) for e in directed(layer.faces))
    assert set(edges.values()) == {1, 2}
    assert sum(n == 1 for n in edges.values()) == 16
    assert max(Counter(directed(layer.faces)).values()) == 1, "neighbours run opposite ways"
    assert 778 - len(edges) + 1538 == 1, "a disc"
    assert set(np.unique(layer.faces)) == set(range(778))


def test_every_vertex_has_one_fan(layer):
    """No two sheets touch in one point."""
    link: dict[int, list[tuple[int, int]]] = {}
    for f in layer.faces.tolist():
        for k in range(3):
            link.setdefault(f[k], []).append((f[(k + 1) % 3], f[(k + 2) % 3]))
    for pairs in link.values():
        nxt = dict(pairs)
        starts = set(nxt) - set(nxt.values())
        assert len(starts) <= 1
        at = next(iter(starts or nxt))
        for _ in range(len(nxt)):
            at = nxt[at]
        assert len(nxt) == len(pairs)
        assert at in nxt.values()


def test_wrist_ring(layer):
    loop = boundary_loop(layer.faces)
    assert len(loop) == 16
    ahead = np.abs(layer.model.v_template[loop, 0])
    assert np.ptp(ahead) < 1e-9, "the forearm is cut straight"


def test_triangles_are_well_shaped(layer):
    v = layer.model.v_template[layer.faces]
    sides = np.linalg.norm(v - np.roll(v, 1, axis=1), axis=-1)
    area = 0.5 * np.linalg.norm(np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]), axis=-1)
    assert area.min() > 2e-6
    assert (2 * np.sqrt(3) * 2 * area / (sides**2).sum(1)).min() > 0.15, "1 is equilateral"


def test_closed_mesh_points_outward(layer):
    assert len(layer.closed_faces) == 1538 + 14
    assert set(Counter(tuple(sorted(e)) for e in directed(layer.closed_faces)).values()) == {2}
    # An adult hand with a stub of wrist has 300 to 450 cm^3.
    assert 250e-6 < volume(layer.model.v_template, layer.closed_faces) < 480e-6


def test_proportions(layer):
    joints = layer(np.zeros((1, 3)), np.zeros((1, 45))).joints_m[0]
    length = np.abs(joints[12, 0] - joints[0, 0])
    assert 0.175 < length < 0.205
    assert 0.055 < np.linalg.norm(joints[5] - joints[17]) < 0.07  # outer knuckles
    tips = [np.abs(joints[t, 0] - joints[0, 0]) for t in (4, 8, 12, 16, 20)]
    assert tips[0] < tips[4] < tips[1] < tips[3] < tips[2]
    assert joints[4, 2] > joints[8, 2] > joints[12, 2] > joints[16, 2] > joints[20, 2]
    m = layer.model
    across = (np.abs(np.abs(m.v_template[:, 0]) - 0.015) < 0.008) & (m.weights[:, 13:].sum(1) < 0.05)
    palm = m.v_template[across]
    assert 0.07 < np.ptp(palm[:, 2]) < 0.095


@pytest.mark.parametrize("name", FINGERTIP_VERTICES)
def test_tip_ids_lie_on_their_own_finger(layer, name):
    """Within 8 mm of its finger's most distal vertex, and moved by its last joint only."""
    last_joint = {"index": 3, "middle": 6, "little": 9, "ring": 12, "thumb": 15}
    v, weights = layer.model.v_template, layer.model.weights
    for finger, vertex in zip(FINGERS, FINGERTIP_VERTICES[name], strict=True):
        joint = last_joint[finger]
        own = np.flatnonzero(weights[:, joint] > 0.99)
        base = layer.model.J_regressor[joint] @ v
        along = v[own].mean(0) - base
        farthest = own[np.argmax((v[own] - base) @ along)]
        assert weights[vertex, joint] > 0.99
        assert np.linalg.norm(v[vertex] - v[farthest]) < 8e-3
        if name == "smplx":
            assert np.linalg.norm(v[vertex] - v[farthest]) < 3.5e-3


def test_rig(layer):
    m = layer.model
    np.testing.assert_allclose(m.weights.sum(1), 1.0, atol=1e-12)
    assert m.weights.min() >= 0
    np.testing.assert_allclose(m.J_regressor.sum(1), 1.0, atol=1e-12)
    assert (m.J_regressor != 0).sum(1).max() <= 48
    assert m.J_regressor.min() > -1e-2
    # A finger never moves with another finger's end joints.
    chain = {j: {j, MANO_PARENTS[j], MANO_PARENTS[MANO_PARENTS[j]]} for j in (3, 6, 9, 12, 15)}
    for j, allowed in chain.items():
        others = [k for k in range(1, 16) if k not in allowed]
        assert m.weights[m.weights[:, j] > 0.5][:, others].max() == 0


def test_shape_axes(layer):
    m = layer.model
    flat = m.shapedirs.reshape(-1, 10)
    gram = flat.T @ flat
    scale = np.sqrt(np.diag(gram))
    np.testing.assert_allclose(gram / np.outer(scale, scale), np.eye(10), atol=1e-10)
    rest, joints = m.v_template, m.J_regressor @ m.v_template
    for beta in (-2.0, 2.0):
        bigger = rest + beta * m.shapedirs[..., 0]
        factor = np.linalg.norm(np.ptp(bigger, axis=0)) / np.linalg.norm(np.ptp(rest, axis=0))
        assert factor == pytest.approx(1 + 0.045 * beta, abs=1e-6)
        np.testing.assert_allclose(
            m.J_regressor @ bigger - joints[0], (1 + 0.045 * beta) * (joints - joints[0]), atol=1e-9
        )
    rms_mm = 1e3 * scale / np.sqrt(778)
    assert (rms_mm > 0.2).all()
    assert rms_mm[0] == rms_mm.max()


def test_extreme_shapes_stay_hands(layer):
    rng = np.random.default_rng(0)
    betas = rng.normal(0, 1.5, (40, 10)).clip(-3, 3)
    out = layer(np.zeros((40, 3)), np.zeros((40, 45)), betas)
    for vertices in out.vertices_m:
        assert 120e-6 < volume(vertices, layer.closed_faces) < 900e-6
    lengths = np.linalg.norm(out.joints_m[:, 10] - out.joints_m[:, 9], axis=-1)
    assert lengths.min() > 0.028


def test_pose_components(layer):
    m = layer.model
    np.testing.assert_allclose(m.components @ m.components.T, np.eye(45), atol=1e-10)
    # The mean pose is a relaxed, half-closed hand.
    mean = layer(np.zeros((1, 3)), m.hands_mean[None]).joints_m[0]
    flat = layer(np.zeros((1, 3)), np.zeros((1, 45))).joints_m[0]
    reach = [np.linalg.norm(j[12] - j[0]) for j in (mean, flat)]
    assert 0.5 < reach[0] / reach[1] < 0.95


def test_components_describe_grasps_compactly():
    family = poses.grasp_family()
    layer = ManoLayer.stand_in()
    centred = family - layer.model.hands_mean
    kept = centred @ layer.model.components.T
    share = (kept**2).sum(0).cumsum() / (centred**2).sum()
    assert share[5] > 0.6
    assert share[14] > 0.85


@pytest.mark.parametrize("name", poses.NAMES)
def test_bending_keeps_the_volume(name):
    """Fingers neither collapse nor swell at their joints."""
    layer = ManoLayer.stand_in()
    rest = volume(layer.model.v_template, layer.closed_faces)
    assert volume(posed(layer, name), layer.closed_faces) == pytest.approx(rest, rel=0.06)


def test_fist_closes_and_flat_is_flat():
    layer = ManoLayer.stand_in()
    np.testing.assert_allclose(posed(layer, "flat"), layer.model.v_template, atol=1e-12)
    fist = posed(layer, "fist")
    palm = layer.model.v_template[(layer.model.weights[:, 0] > 0.99)].mean(0)
    for vertex in (320, 443, 554, 671):
        assert np.linalg.norm(fist[vertex] - palm) < 0.07
        assert fist[vertex, 1] < -0.01, "on the palm's side"


@pytest.mark.parametrize("name", ["pinch", "ok"])
def test_pinch_brings_thumb_and_index_together(name):
    vertices = posed(ManoLayer.stand_in(), name)
    assert np.linalg.norm(vertices[744] - vertices[320]) < 0.03


def deepest_overlap(layer: ManoLayer, pose: np.ndarray) -> float:
    """How deep a finger's skin lies inside another finger or the palm, m; against the posed bones' thickness."""
    posed = layer(np.zeros((1, 3)), pose[None]).vertices_m[0]
    moves = layer.joint_transforms(np.zeros((1, 3)), pose[None])[0]
    moves[:, :3, 3] -= (moves[:, :3, :3] @ joints_m()[..., None])[..., 0]
    to_rest = np.linalg.inv(moves)
    groups = [surface.finger_group(f) for f in fingers()] + [surface.palm_group()]
    worst = 0.0
    for i, finger in enumerate(fingers()):
        skin = posed[layer.model.weights[:, list(finger.joints[1:])].sum(1) > 0.6]
        others = [group for k, group in enumerate(groups) if k != i]
        worst = max(worst, *(-surface.group_distance(skin, group, to_rest).min() for group in others))
    return worst


@pytest.mark.parametrize("name", poses.NAMES)
def test_poses_hardly_intersect(name):
    assert deepest_overlap(ManoLayer.stand_in(), poses.pose_of(poses.named_angles(name))) < 3e-3


def test_build_is_repeatable():
    first, second = build_mesh(), build_mesh()
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(build("right").v_template, first[0])


def test_faces_of_left_are_flipped():
    right, left = build("right"), build("left")
    np.testing.assert_array_equal(left.faces, right.faces[:, ::-1])
    np.testing.assert_array_equal(left.v_template, right.v_template * [-1, 1, 1])


def test_topology_errors():
    with pytest.raises(ValueError, match="no boundary"):
        close_wrist(np.array([[0, 1, 2], [0, 2, 1]]))
    with pytest.raises(ValueError, match="boundary"):
        boundary_loop(np.array([[0, 1, 2], [3, 4, 5]]))
