"""The layer against an independent loop over vertices, against smplx, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hoi_core.conventions import FINGERTIP_VERTICES, MANO_PARENTS, SIDES, mirror_axis_angle, mirror_x
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer


def parameters(seed: int, batch: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(0, 1.0, (batch, 3)),
        rng.normal(0, 0.5, (batch, 45)),
        rng.normal(0, 1.0, (batch, 10)),
        rng.normal(0, 0.3, (batch, 3)),
    )


def posed_by_loops(layer: ManoLayer, orient: np.ndarray, pose: np.ndarray, betas: np.ndarray, trans: np.ndarray):
    """One hand, vertex by vertex, with homogeneous matrices and scipy's rotations."""
    m = layer.model
    shaped = np.array([m.v_template[v] + sum(betas[k] * m.shapedirs[v, :, k] for k in range(10)) for v in range(778)])
    joints = np.array([sum(m.J_regressor[j, v] * shaped[v] for v in range(778)) for j in range(16)])
    R = [Rotation.from_rotvec(w).as_matrix() for w in np.concatenate([orient, pose]).reshape(16, 3)]
    feature = np.concatenate([(R[j] - np.eye(3)).ravel() for j in range(1, 16)])
    world: list[np.ndarray] = []
    for j, p in enumerate(MANO_PARENTS):
        local = np.eye(4)
        local[:3, :3] = R[j]
        local[:3, 3] = joints[j] - (joints[p] if p >= 0 else 0.0)
        world.append(local if p < 0 else world[p] @ local)
    out = np.zeros((778, 3))
    for v in range(778):
        rest = np.append(shaped[v] + m.posedirs[v] @ feature, 1.0)
        for j in range(16):
            back = np.eye(4)
            back[:3, 3] = -joints[j]
            out[v] += m.weights[v, j] * (world[j] @ back @ rest)[:3]
    return out + trans, np.array([w[:3, 3] for w in world]) + trans


@pytest.mark.parametrize("side", SIDES)
def test_against_loops(side):
    layer = ManoLayer.stand_in(side)
    orient, pose, betas, trans = parameters(3, 2)
    got = layer(orient, pose, betas, trans)
    for n in range(2):
        vertices, joints = posed_by_loops(layer, orient[n], pose[n], betas[n], trans[n])
        np.testing.assert_allclose(got.vertices_m[n], vertices, atol=1e-12)
        # openpose21: wrist, then thumb, index, middle, ring, little; MANO: index, middle, little, ring, thumb.
        for ours, mano in {0: 0, 1: 13, 3: 15, 5: 1, 9: 4, 13: 10, 17: 7, 19: 9}.items():
            np.testing.assert_allclose(got.joints_m[n, ours], joints[mano], atol=1e-12)
        for ours, vertex in zip((4, 8, 12, 16, 20), (744, 320, 443, 554, 671), strict=True):
            np.testing.assert_allclose(got.joints_m[n, ours], vertices[vertex], atol=1e-12)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("components", [None, 6, 15, 45])
def test_agrees_with_smplx(tmp_path, side, flat, components):
    smplx, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")
    layer = ManoLayer.stand_in(side)
    path = layer.save_pickle(tmp_path)
    theirs = smplx.create(
        str(path),
        model_type="mano",
        use_pca=components is not None,
        num_pca_comps=components or 6,
        flat_hand_mean=flat,
        is_rhand=side == "right",
        batch_size=3,
        dtype=torch.float64,
    )
    orient, pose, betas, trans = parameters(11)
    given = pose
    if components is not None:
        given = np.random.default_rng(5).normal(0, 1.0, (3, components))
        # smplx takes 45 components as plain axis-angle (its `use_pca` is then off).
        pose = given if components == 45 else layer.pca_to_pose(given, flat_hand_mean=True)
    tensors = {"betas": betas, "global_orient": orient, "hand_pose": given, "transl": trans}
    expected = theirs(**{k: torch.tensor(v) for k, v in tensors.items()})
    got = layer(orient, pose, betas, trans, flat_hand_mean=flat)
    np.testing.assert_allclose(got.vertices_m, expected.vertices.detach().numpy(), atol=1e-5)
    to_mano16 = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]
    np.testing.assert_allclose(got.joints_m[:, to_mano16], expected.joints.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("flat", [True, False])
def test_torch_equals_numpy(flat):
    torch = pytest.importorskip("torch")
    layer = ManoLayer.stand_in("left")
    arrays = parameters(7)
    got = layer(*(torch.tensor(a) for a in arrays), flat_hand_mean=flat)
    expected = layer(*arrays, flat_hand_mean=flat)
    np.testing.assert_allclose(got.vertices_m.numpy(), expected.vertices_m, atol=1e-13)
    np.testing.assert_allclose(got.joints_m.numpy(), expected.joints_m, atol=1e-13)
    single = layer(*(torch.tensor(a, dtype=torch.float32) for a in arrays), flat_hand_mean=flat)
    assert single.vertices_m.dtype == torch.float32
    np.testing.assert_allclose(single.vertices_m.numpy(), expected.vertices_m, atol=2e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 0.6])
def test_gradients(scale):
    """Also where the closed form of the rotation is 0 / 0."""
    torch = pytest.importorskip("torch")
    layer = ManoLayer.stand_in()
    rng = np.random.default_rng(2)
    weights = torch.tensor(rng.normal(size=(778, 3)))
    inputs = [torch.tensor(scale * rng.normal(size=(1, n)), requires_grad=True) for n in (3, 45, 10, 3)]

    def loss(orient, pose, betas, trans):
        out = layer(orient, pose, betas, trans)
        return (out.vertices_m * weights).sum(), out.joints_m

    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-6)


def test_second_derivative_at_rest_is_finite():
    torch = pytest.importorskip("torch")
    layer = ManoLayer.stand_in()
    pose = torch.zeros(1, 45, dtype=torch.float64, requires_grad=True)
    loss = (layer(torch.zeros(1, 3, dtype=torch.float64), pose).joints_m ** 2).sum()
    (first,) = torch.autograd.grad(loss, pose, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), pose)
    assert torch.isfinite(first).all()
    assert torch.isfinite(second).all()


def test_inference_first_then_training():
    torch = pytest.importorskip("torch")
    layer = ManoLayer(ManoLayer.stand_in().model)
    with torch.inference_mode():
        layer(torch.zeros(1, 3), torch.zeros(1, 45))
    pose = torch.zeros(1, 45, requires_grad=True)
    layer(torch.zeros(1, 3), pose).vertices_m.sum().backward()
    assert torch.isfinite(pose.grad).all()


def test_float32_numpy_gives_float64():
    layer = ManoLayer.stand_in()
    out = layer(*(a.astype(np.float32) for a in parameters(1)))
    assert out.vertices_m.dtype == out.joints_m.dtype == np.float64


def test_global_rotation_is_about_the_shaped_wrist():
    layer = ManoLayer.stand_in()
    orient, pose, betas, _ = parameters(4, 1)
    still = layer(np.zeros((1, 3)), pose, betas)
    turned = layer(orient, pose, betas)
    wrist = still.joints_m[0, 0]
    R = Rotation.from_rotvec(orient[0]).as_matrix()
    np.testing.assert_allclose(turned.vertices_m[0], (still.vertices_m[0] - wrist) @ R.T + wrist, atol=1e-12)
    np.testing.assert_allclose(turned.joints_m[0, 0], wrist, atol=1e-12)


def test_shape_is_shared_or_per_hand():
    layer = ManoLayer.stand_in()
    orient, pose, betas, trans = parameters(5)
    shared = layer(orient, pose, betas[0], trans)
    each = layer(orient, pose, np.repeat(betas[:1], 3, axis=0), trans)
    np.testing.assert_array_equal(shared.vertices_m, each.vertices_m)


def test_left_is_the_mirror_of_right():
    right, left = ManoLayer.stand_in("right"), ManoLayer.stand_in("left")
    orient, pose, betas, trans = parameters(6)
    a = right(orient, pose, betas, trans)
    b = left(mirror_axis_angle(orient), mirror_axis_angle(pose), betas, mirror_x(trans))
    np.testing.assert_allclose(b.vertices_m, mirror_x(a.vertices_m), atol=1e-12)
    np.testing.assert_allclose(b.joints_m, mirror_x(a.joints_m), atol=1e-12)
    coefficients = np.random.default_rng(0).normal(size=(3, 12))
    np.testing.assert_allclose(
        left.pca_to_pose(coefficients), mirror_axis_angle(right.pca_to_pose(coefficients)), atol=1e-12
    )


def test_joint_transforms_carry_the_rest_joints_to_the_posed_ones():
    layer = ManoLayer.stand_in()
    orient, pose, betas, trans = parameters(8)
    T = layer.joint_transforms(orient, pose, betas, trans)
    joints = layer(orient, pose, betas, trans).joints_m
    np.testing.assert_allclose(T[:, 4, :3, 3], joints[:, 9], atol=1e-12)  # MANO's middle knuckle
    np.testing.assert_allclose(T[:, 0, :3, :3], Rotation.from_rotvec(orient).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(T), 1.0, atol=1e-12)
    np.testing.assert_array_equal(T[:, :, 3], np.broadcast_to([0, 0, 0, 1.0], (3, 16, 4)))


@pytest.mark.parametrize("flat", [True, False])
def test_pca_round_trip(flat):
    layer = ManoLayer.stand_in()
    pose = parameters(9)[1]
    coefficients = layer.pose_to_pca(pose, flat_hand_mean=flat)
    np.testing.assert_allclose(layer.pca_to_pose(coefficients, flat_hand_mean=flat), pose, atol=1e-12)
    few = layer.pose_to_pca(pose, 6, flat_hand_mean=flat)
    np.testing.assert_allclose(few, coefficients[:, :6], atol=1e-12)


def test_relative_pose_adds_the_mean():
    layer = ManoLayer.stand_in()
    orient, pose, betas, trans = parameters(10)
    relative = layer(orient, pose, betas, trans, flat_hand_mean=False)
    absolute = layer(orient, pose + layer.model.hands_mean, betas, trans)
    np.testing.assert_allclose(relative.vertices_m, absolute.vertices_m, atol=1e-13)


@pytest.mark.parametrize("name", FINGERTIP_VERTICES)
def test_fingertip_sets(name):
    layer = ManoLayer.stand_in()
    out = layer(*parameters(12, 1), tips=name)
    np.testing.assert_array_equal(
        out.joints_m[0, [4, 8, 12, 16, 20]], out.vertices_m[0, list(FINGERTIP_VERTICES[name])]
    )


def test_misuse():
    layer = ManoLayer.stand_in()
    with pytest.raises(ValueError, match=r"orient must be \(B, 3\) and pose \(B, 45\)"):
        layer(np.zeros((2, 3)), np.zeros((3, 45)))
    with pytest.raises(ValueError, match="betas must be"):
        layer(np.zeros((2, 3)), np.zeros((2, 45)), np.zeros((3, 10)))
    with pytest.raises(TypeError, match="list"):
        layer([0.0] * 3, [0.0] * 45)
    with pytest.raises(ConfigError, match="fingertip"):
        layer(np.zeros((1, 3)), np.zeros((1, 45)), tips="elsewhere")
    with pytest.raises(ConfigError, match="no hand"):
        ManoLayer.stand_in("middle")
