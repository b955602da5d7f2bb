"""Analytic derivatives of every term against finite differences, and the contract of the folder."""

from dataclasses import fields, is_dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from annotate import equations as normal
from annotate import masks
from annotate.evidence import Anchors
from annotate.objects.mesh import SolidMesh, solid_mesh
from annotate.objects.solid import Solid
from annotate.stage import Stage
from annotate.state import FitState
from annotate.terms import _turns, depth
from hoi_core import camera as cameras
from hoi_core import plugins, rotation
from hoi_core.conventions import N_BETAS
from hoi_core.render import Mesh, render_depth, window_of
from hoi_core.scene import objects
from hoi_core.types import Camera

TERMS = sorted(plugins.names("annotate.terms"))
LOOSE = Stage(robust_scale=1e6, gate_m=0.05)
OWN_ONLY = {"contact"}
"""Terms that move neither the shape nor the views, on purpose: their cost is followed along the moments alone."""
SHORT_STEP = {"contact": 1e-6, "silhouette": 1e-9}
"""Steps for costs that bend within a millimetre, or have a kink wherever a vertex crosses from one cell to the next."""


@pytest.fixture(scope="module")
def box() -> SolidMesh:
    thing = objects.make("o01")
    return solid_mesh("o01", thing.shape.vertices_m, thing.faces.astype(np.int32))


def anchors(truth: FitState, rng: np.random.Generator) -> Anchors:
    """Three moments held where the hand truly was, in a slightly other shape."""
    held = truth.hands.taken(np.array([0, 2, 3]))
    return Anchors(
        np.array([0, 2, 3]),
        replace(held, betas=held.betas + rng.normal(size=N_BETAS) * 3e-4),
        np.array([0.001, 0.002, 0.004]),
    )


def sunk_in(box: SolidMesh, state: FitState) -> Solid:
    """A box at every moment whose side the middle fingertip is 6 mm deep in."""
    T = np.tile(np.eye(4), (len(state.hands.trans_m), 1, 1))
    T[:, :3, 3] = state.hands.joints_m[:, 12] - np.array([0.0, 0.016, 0.06])
    return Solid(box, T)


def silhouettes(camera: Camera, truth: FitState, state: FitState, rng: np.random.Generator) -> masks.Silhouettes:
    """Where a view that sees the true hand before a far wall sees behind the hand as the state has it."""
    coarse = cameras.resize(camera, camera.width // masks.CELL_PX, camera.height // masks.CELL_PX)
    faces = state.hands.hand.faces.astype(np.int32)
    left_top, fields = [], []
    for true_m, believed_m in zip(truth.hands.vertices_m, state.hands.vertices_m, strict=True):
        window = window_of(believed_m, coarse, 5)
        assert window is not None
        seen_m, drawn_m = (
            render_depth([Mesh(surface_m, faces, np.zeros(surface_m.shape, np.uint8), 1)], coarse, window=window)[0]
            for surface_m in (true_m, believed_m)
        )
        seen_m = np.where(seen_m > 0, seen_m, np.float32(1.5))
        left_top.append(window[:2])
        fields.append(masks.away_px(masks.cells(seen_m, drawn_m)))
    lag_s = rng.normal(size=len(fields)) * 0.005
    return masks.Silhouettes(coarse, np.array(left_top), tuple(fields), lag_s)


def test_folder_holds_the_terms() -> None:
    assert set(TERMS) >= {"keypoints2d", "depth", "limits", "shape_prior", "pose_prior", "smooth"}


@pytest.mark.parametrize("name", TERMS)
def test_contract(name: str) -> None:
    module = plugins.load("annotate.terms", name)
    assert is_dataclass(module.Config)
    assert "weight" in {f.name for f in fields(module.Config)}
    assert callable(module.prepare)
    assert callable(module.accumulate)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_is_that_of_the_cost(name: str, seed: int, scene, box: SolidMesh) -> None:
    made = scene(seed, 5)
    rng = np.random.default_rng(seed)
    # Pose corrections are left out of the derivatives on purpose; here they are left out of the hand too.
    still = replace(
        made.truth.hands, hand=replace(made.truth.hands.hand, pose_m=np.zeros_like(made.truth.hands.hand.pose_m))
    )
    state = FitState(still, rng.normal(size=(2, 8)) * 1e-3).moved(
        rng.normal(size=(5, 51)) * 0.05, np.zeros(N_BETAS + 16)
    )
    state = FitState(state.hands, rng.normal(size=(2, 8)) * 1e-3)
    evidence = replace(made.evidence, joints_m=made.joints_m, lag_s=rng.normal(size=(5, 2)) * 0.005)
    evidence = replace(
        evidence,
        anchors=anchors(made.truth, rng),
        solids={"o01": sunk_in(box, state)},
        silhouettes={v: silhouettes(evidence.cameras[v], made.truth, state, rng) for v in range(2)},
    )
    module = plugins.load("annotate.terms", name)
    stage = replace(LOOSE, robust_scale=1e3)
    config = module.Config()
    # A term that is off by default has a gradient too.
    prepared = module.prepare(replace(config, weight=config.weight or 1.0), evidence, state, stage)
    assert prepared is not None
    equations = normal.empty(5, 2)
    cost = module.accumulate(prepared, state, equations)
    assert cost > 0.0
    assert cost == pytest.approx(module.accumulate(prepared, state, None))
    assert equations.g.any() or equations.gs.any()
    if name in OWN_ONLY:
        assert not equations.gs.any()
    h = SHORT_STEP.get(name, 1e-5)
    for _ in range(4):
        step, shared = rng.normal(size=(5, 51)), rng.normal(size=N_BETAS + 16)
        if name in OWN_ONLY:
            shared = np.zeros_like(shared)
        ahead = module.accumulate(prepared, state.moved(h * step, h * shared), None)
        back = module.accumulate(prepared, state.moved(-h * step, -h * shared), None)
        slope = (equations.g * step).sum() + equations.gs @ shared
        assert (ahead - back) / (2 * h) == pytest.approx(slope, rel=5e-5)


@pytest.mark.parametrize("name", ["keypoints2d", "keypoints3d", "depth", "smooth"])
def test_hessian_is_the_square_of_the_slopes(name: str, scene) -> None:
    """Where residuals are near zero, Gauss-Newton's Hessian is the cost's own."""
    made = scene(3, 5)
    hand = replace(made.truth.hands.hand, pose_m=np.zeros_like(made.truth.hands.hand.pose_m))
    state = replace(made.truth, hands=replace(made.truth.hands, hand=hand))
    evidence = replace(made.evidence, joints_m=state.hands.joints_m)
    module = plugins.load("annotate.terms", name)
    prepared = module.prepare(module.Config(), evidence, state, LOOSE)
    equations = normal.empty(5, 2)
    at = module.accumulate(prepared, state, equations)
    rng = np.random.default_rng(0)
    step, shared = rng.normal(size=(5, 51)), rng.normal(size=N_BETAS + 16) * 0.1
    dense = np.zeros((255, 255))
    banded = normal.band(equations, 0.0)
    for offset in range(len(banded)):
        i = np.arange(255 - offset)
        dense[i + offset, i] = dense[i, i + offset] = banded[offset, : 255 - offset]
    d = step.ravel()
    C = equations.C.reshape(255, -1)
    quadratic = d @ dense @ d + 2 * d @ C @ shared + shared @ equations.Hs @ shared
    h = 1e-4
    moved = [module.accumulate(prepared, state.moved(s * step, s * shared), None) for s in (h, -h)]
    assert (moved[0] + moved[1] - 2 * at) / h**2 == pytest.approx(quadratic, rel=1e-3)


def test_the_arm_behind_the_wrist_does_not_pull(scene) -> None:
    made = scene(0, 5)
    hands, (view, cloud) = made.truth.hands, next(iter(made.evidence.clouds.items()))
    rim = hands.hand.rim
    ring_m, normals = hands.vertices_m[:, rim], hands.normals[:, rim]
    outwards = ring_m.mean(1) - hands.joints_m[:, [9]].mean(1)
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    sleeve_m = ring_m + 0.004 * outwards[:, None] + 0.003 * normals
    count = int(rim.sum())
    arm = replace(
        cloud,
        start=np.arange(len(hands.trans_m) + 1) * count,
        points_m=sleeve_m.reshape(-1, 3),
        normals=np.zeros((len(hands.trans_m) * count, 3)),
    )
    evidence = replace(made.evidence, clouds={view: arm})
    stage = Stage(4.0, 0.01)
    prepared = depth.prepare(depth.Config(), evidence, made.truth, stage)
    assert (depth.match(arm, made.truth, stage.gate_m) >= 0).any()
    assert not sum(len(part.distance_m) for part in depth.distances(prepared, made.truth))


def test_a_thinner_stage_counts_every_third_point_of_a_cloud_three_times(scene) -> None:
    made = scene(0, 5)
    view, cloud = next(iter(made.evidence.clouds.items()))
    rows = [k for k in range(len(cloud.points_m)) if k % 3 == 0]
    sizes = [sum(first <= k < last for k in rows) for first, last in pairwise(cloud.start)]
    third = replace(
        cloud,
        start=np.concatenate([[0], np.cumsum(sizes)]),
        points_m=cloud.points_m[rows],
        normals=cloud.normals[rows],
    )

    def cost(points, stage: Stage) -> float:
        evidence = replace(made.evidence, clouds={view: points})
        return depth.accumulate(depth.prepare(depth.Config(), evidence, made.truth, stage), made.truth, None)

    assert cost(cloud, replace(LOOSE, every=3)) == pytest.approx(3.0 * cost(third, LOOSE), rel=1e-12)


def test_accelerations_of_rotations_are_those_of_their_logarithms() -> None:
    """Small turns and turns of almost half a circle, against numpy's own logarithm."""
    rng = np.random.default_rng(0)
    R = rotation.exp_so3(rng.normal(size=(30, 2, 3)) * 1.5)
    R[5], R[7] = R[6], R[6] @ rotation.exp_so3(rng.normal(size=(2, 3)) * 1e-6)
    R[9] = R[10] @ rotation.exp_so3((np.pi - 1e-4) * np.eye(3)[:2])
    before, after = rng.uniform(0.5, 1.5, (2, 28))
    found = np.empty((28, 2, 3))
    _turns.accelerations(R, before, after, found, np.empty((3, 0, 2, 3, 3)), (0, 28))
    middle = np.swapaxes(R[1:-1], -1, -2)
    back, ahead = rotation.log_so3(middle @ R[:-2]), rotation.log_so3(middle @ R[2:])
    expected = before[:, None, None] * back + after[:, None, None] * ahead
    np.testing.assert_allclose(found, expected, atol=1e-9)
