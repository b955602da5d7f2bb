"""Losses: zero at perfect, masks respected, values by hand, gradients by finite differences."""

import math
from dataclasses import fields, replace

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
        joints_px=torch.zeros(n, 21, 2),
        pixels_valid=torch.ones(n, 21, dtype=torch.bool),
        R_world_crop=torch.linalg.qr(torch.randn(n, 3, 3, generator=g, dtype=dtype)).Q,
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
        "heatmap": losses.heatmap(out, batch),
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


def unlabelled(out, batch):
    """The losses that compare predictions with one another."""
    return {
        "smooth": losses.smooth(out, MESH),
        "laplacian": losses.laplacian(out, MESH),
        "pair": losses.pair(out, batch),
        "pair_depth": losses.pair_depth(out, batch),
    }


OF_OTHER_NETWORKS = ("lixel_", "hand_", "object_", "ik_")  # see test_lixels, test_hfl and test_ik_net


@pytest.mark.parametrize("name", [f.name for f in fields(LossWeights) if not f.name.startswith(OF_OTHER_NETWORKS)])
def test_gradients(name):
    """Of every loss of joints and mesh that has a weight."""
    torch.manual_seed(0)
    batch = make(1, n=2)

    def function(joints, vertices, maps):
        out = HandOutput(joints, vertices, torch.ones(2, 21), maps)
        return (of(out, batch) | unlabelled(out, batch))[name]

    out = perfect(batch)
    joints = (out.joints_m + 0.01 * torch.randn(2, 21, 3)).requires_grad_()
    vertices = (out.vertices_m + 0.01 * torch.randn(2, 4, 3)).requires_grad_()
    maps = torch.randn(2, 21, 4, 4, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(function, (joints, vertices, maps), fast_mode=True)


def flat_square(tip_m=0.0):
    """A square of 0.2 m in two triangles with its third corner lifted; and the batch in which it lies flat."""
    square = torch.tensor([[[0.0, 0, 0], [0.2, 0, 0], [0.2, 0.2, 0], [0, 0.2, 0]]], dtype=torch.double)
    batch = make(n=1)
    fields_ = {**batch.__dict__, "vertices_m": square + batch.joints_m[:, :1]}
    lifted = square.clone()
    lifted[0, 2, 2] = tip_m
    return HandOutput(batch.joints_m, lifted, torch.ones(1, 21)), Batch(**fields_)


def test_mesh_losses_by_hand():
    """The lifted corner moves by a unit; three of the five edges end there, two of these twice in a triangle."""
    out, batch = flat_square(0.2)
    assert losses.vertex(out, batch) == pytest.approx(1.0 / 12)
    # Two edges grow from 1 to sqrt 2, the diagonal from sqrt 2 to sqrt 3.
    assert losses.edge(out, batch, MESH) == pytest.approx((2 * (2**0.5 - 1) + 3**0.5 - 2**0.5) / 5)
    # The normal is z: each edge counts by the sine of its climb; the diagonal lies in both triangles.
    sines = 2 * (1 / 2**0.5) + 2 * (1 / 3**0.5)
    assert losses.normal(out, batch, MESH) == pytest.approx(sines / 6, rel=1e-4)  # a millimetre softens the division


def test_laplacian_by_hand():
    """On the flat square: corners 0 and 2 have three neighbours, 1 and 3 the two others."""
    out, _ = flat_square()
    # Corner 0 is 2/3 of a side from its neighbours' mean in x and in y, as is corner 2; 1 and 3 are half of one.
    assert losses.laplacian(out, MESH) == pytest.approx((2 * 2 * (2 / 3) ** 2 + 2 * 2 * 0.5**2) / 4)
    assert losses.laplacian(HandOutput(out.joints_m, out.vertices_m * 0.0, out.confidence), MESH) == 0.0


def test_second_view_by_hand():
    """Seen from the front and from the right: what is depth in one is a place in the image of the other."""
    batch = make(n=2)
    from_the_right = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]], dtype=torch.double)  # its z is the front's x
    turned = Batch(
        **{**batch.__dict__, "R_world_crop": torch.stack([torch.eye(3, dtype=torch.double), from_the_right])}
    )
    front = torch.zeros(21, 3, dtype=torch.double)
    front[:, 2] = 0.6
    front[1] = torch.tensor([0.04, 0.02, 0.7])
    right = torch.zeros(21, 3, dtype=torch.double)
    right[:, 2] = 0.9
    right[1] = torch.tensor([-0.1, 0.02, 0.94])
    agreed = HandOutput(torch.stack([front, right]), batch.vertices_m, torch.ones(2, 21))
    assert losses.pair(agreed, turned) == pytest.approx(0.0, abs=1e-12)
    assert losses.pair_depth(agreed, turned) == pytest.approx(0.0, abs=1e-12)
    front[1, 2] += 0.1  # half a unit too far: depth in the front view alone, x in the other
    apart = HandOutput(torch.stack([front, right]), batch.vertices_m, torch.ones(2, 21))
    assert losses.pair(apart, turned) == pytest.approx(0.25 / 21)
    assert losses.pair_depth(apart, turned) == pytest.approx(0.25 / 42)


def test_a_map_of_equal_logits_lacks_what_a_gaussian_knows():
    """The Gaussian of a joint in the second of four cells along both axes, and the sum over its cells, by hand."""
    batch = make(n=1)
    at_px = 128 / 4 * 1.5 - 0.5  # the middle of the second cell along both axes
    seen = replace(batch, joints_px=torch.full((1, 21, 2), at_px, dtype=torch.double))
    weights = [math.exp(-((cell - 1) ** 2) / 2) for cell in range(4)]
    shares = [a * b / sum(weights) ** 2 for a in weights for b in weights]
    flat = torch.zeros(1, 21, 4, 4, dtype=torch.double)
    out = replace(perfect(batch), maps=flat)
    assert losses.heatmap(out, seen) == pytest.approx(sum(p * math.log(p * 16) for p in shares))
    right = torch.tensor(shares, dtype=torch.double).log().reshape(1, 1, 4, 4).expand(1, 21, 4, 4)
    assert losses.heatmap(replace(out, maps=right + 3.0), seen) == pytest.approx(0.0, abs=1e-12)


def test_maps_of_joints_outside_the_crop_or_without_a_label_do_not_count():
    batch = make(n=2)
    places = torch.full((2, 21, 2), 40.0, dtype=torch.double)
    places[0, 3, 0] = -5.0
    known = torch.ones(2, 21, dtype=torch.bool)
    known[1, 7] = False
    maps = torch.zeros(2, 21, 4, 4, dtype=torch.double).requires_grad_()
    losses.heatmap(replace(perfect(batch), maps=maps), replace(batch, joints_px=places, pixels_valid=known)).backward()
    idle = (maps.grad.abs().amax((2, 3)) == 0).nonzero().tolist()
    assert idle == [[0, 3], [1, 7]]


def test_total_is_the_weighted_sum_and_leaves_out_zero_weights():
    batch = make()
    out = perfect(batch)
    out = HandOutput(out.joints_m + 0.01, out.vertices_m * 1.1, out.confidence)
    weights = LossWeights(reproj=2.0, normal=0.0)
    value, parts = losses.total(out, batch, MESH, weights)
    assert "normal" not in parts
    assert value == pytest.approx(float(sum(getattr(weights, k) * v for k, v in parts.items())))
    both = make(n=4)
    _, alone = losses.total(perfect(both), both, MESH, LossWeights())
    _, paired = losses.total(perfect(both), both, MESH, LossWeights(), pairs=True)
    assert paired.keys() - alone.keys() == {"pair", "pair_depth"}
