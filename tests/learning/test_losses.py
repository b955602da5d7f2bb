"""Losses: zero at perfect, masks respected, values by hand, gradients by finite differences."""

import pytest
import torch

from hoi_core.types import Batch
from learning import losses
from learning.config import LossWeights
from learning.output import HandOutput

FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
MESH = losses.Mesh.of(FACES)


def make(seed=0, n=3, dtype=torch.double):
    g = torch.Generator().manual_seed(seed)
    joints = torch.randn(n, 21, 3, generator=g, dtype=dtype) * 0.05 + torch.tensor([0, 0, 0.5], dtype=dtype)
    vertices = torch.randn(n, 4, 3, generator=g, dtype=dtype) * 0.05 + joints[:, :1]
    K = torch.tensor([[200.0, 0, 63.5], [0, 200.0, 63.5], [0, 0, 1]], dtype=dtype).repeat(n, 1, 1)
    return Batch(
        image=torch.zeros(n, 3, 128, 128),
        K=K,
        joints_m=joints,
        joints_valid=torch.ones(n, 21, dtype=torch.bool),
        vertices_m=vertices,
        vertices_valid=torch.ones(n, dtype=torch.bool),
        mirrored=torch.zeros(n, dtype=torch.bool),
    )


def perfect(batch):
    return HandOutput(batch.joints_m, batch.vertices_m - batch.joints_m[:, :1], torch.ones(batch.K.shape[0], 21))


def of(out, batch):
    return {
        "reproj": losses.reproj(out, batch),
        "pose": losses.pose(out, batch),
        "depth": losses.depth(out, batch),
        "vertex": losses.vertex(out, batch),
        "normal": losses.normal(out, batch, MESH),
        "edge": losses.edge(out, batch, MESH),
    }


def test_zero_at_perfect():
    batch = make()
    for name, value in of(perfect(batch), batch).items():
        assert value == pytest.approx(0.0, abs=1e-9), name


def test_edges_are_listed_once():
    assert MESH.edges.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]]


def test_values_by_hand():
    batch = make()
    out = perfect(batch)
    shifted = HandOutput(out.joints_m + torch.tensor([0.0, 0.0, 0.1]), out.vertices_m + 0.02, out.confidence)
    assert losses.depth(shifted, batch) == pytest.approx(0.25)  # 0.1 m is half a unit
    assert losses.pose(shifted, batch) == pytest.approx(0.0, abs=1e-12)  # relative to the wrist
    assert losses.vertex(shifted, batch) == pytest.approx(0.1)
    assert losses.edge(shifted, batch, MESH) == pytest.approx(0.0, abs=1e-9)
    sideways = batch.joints_m.clone()
    sideways[..., 0] += 0.064 * sideways[..., 2]  # 12.8 px of 64
    assert losses.reproj(HandOutput(sideways, out.vertices_m, out.confidence), batch) == pytest.approx(0.04)
    square = torch.tensor([[[0.0, 0, 0], [0.2, 0, 0], [0.2, 0.2, 0], [0, 0.2, 0]]], dtype=torch.double)
    smooth = losses.smooth(HandOutput(batch.joints_m, square, out.confidence), MESH)
    assert smooth == pytest.approx((4 * 1.0 + 2.0) / 5)


def test_missing_labels_change_nothing():
    batch = make()
    out = perfect(batch)
    noisy = HandOutput(out.joints_m + torch.randn(3, 21, 3) * 0.01, out.vertices_m + 0.01, out.confidence)
    valid = batch.joints_valid.clone()
    valid[0, 5:], valid[1, 0], valid[2] = False, False, False
    joints = torch.where(valid[..., None], batch.joints_m, 0.0)
    vertices = batch.vertices_m.clone()
    vertices[1] = float("nan")
    fields = {**batch.__dict__, "joints_m": joints, "joints_valid": valid, "vertices_m": vertices}
    masked = Batch(**fields | {"vertices_valid": torch.tensor([True, False, True])})
    wild = noisy.joints_m.clone()
    wild[~valid] = 7.0
    for name, value in of(noisy, masked).items():
        again = of(HandOutput(wild, noisy.vertices_m, noisy.confidence), masked)[name]
        assert torch.isfinite(value), name
        assert value == pytest.approx(float(again)), name


@pytest.mark.parametrize("name", ["reproj", "pose", "depth", "vertex", "normal", "edge"])
def test_gradients(name):
    batch = make(1, n=1)

    def function(joints, vertices):
        return of(HandOutput(joints, vertices, torch.ones(1, 21)), batch)[name]

    out = perfect(batch)
    joints = (out.joints_m + 0.01 * torch.randn(1, 21, 3)).requires_grad_()
    vertices = (out.vertices_m + 0.01 * torch.randn(1, 4, 3)).requires_grad_()
    assert torch.autograd.gradcheck(function, (joints, vertices))


def test_total_is_the_weighted_sum_and_leaves_out_zero_weights():
    batch = make()
    out = perfect(batch)
    out = HandOutput(out.joints_m + 0.01, out.vertices_m * 1.1, out.confidence)
    weights = LossWeights(reproj=2.0, normal=0.0)
    value, parts = losses.total(out, batch, MESH, weights)
    assert "normal" not in parts
    assert value == pytest.approx(float(sum(getattr(weights, k) * v for k, v in parts.items())))
