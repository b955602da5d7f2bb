"""HFL-Net: sizes against sums by hand and the published ones, its parts, where gradients stop, boxes, losses."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import grasp_model
from hoi_core.errors import AssetError, ConfigError
from hoi_core.grasp_model import GraspModel
from hoi_core.known_object import KnownObject, control_points
from hoi_core.mano import ManoLayer
from hoi_core.rotation import exp_so3
from hoi_core.types import Camera
from learning import config, costs, grasp_losses, inputs, models, train
from learning.config import LossWeights
from learning.grasps import GraspBatch
from learning.layers.attention import Attend, MapAttention
from learning.layers.hourglass import FirstNormBottleneck, Hourglass
from learning.layers.sparse import FirstNorm, fold_batch_norms
from learning.models import hfl
from learning.models._hfl_decoders import JointPlaces, Votes
from learning.tasks import control_points as task

SIZE, CELLS = 64, 16
TINY = {"encoder": "resnet18", "width": 0.125, "layers": 0.1, "features": 16, "cells": 4}


def conv(c_in: int, c_out: int, k: int = 1) -> int:
    """Weights of a convolution and the two numbers of the batch norm behind it."""
    return c_in * c_out * k * k + 2 * c_out


def biased(c_in: int, c_out: int, k: int = 1) -> int:
    return c_in * c_out * k * k + c_out


STAGES = []  # of ResNet-50, from its stem
for c_in, inner, count in ((64, 64, 3), (256, 128, 4), (512, 256, 6), (1024, 512, 3)):
    first = conv(c_in, inner) + conv(inner, inner, 3) + conv(inner, 4 * inner) + conv(c_in, 4 * inner)
    STAGES.append(first + (count - 1) * (2 * conv(4 * inner, inner) + 6 * inner + conv(inner, inner, 3)))
PYRAMID = sum(biased(c, 256) for c in (256, 512, 1024, 2048)) + biased(256, 256, 3)
RESNET = conv(3, 64, 7) + sum(STAGES)


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def on_shapes(**options) -> nn.Module:
    with torch.device("meta"):
        return models.build("hfl", **options)


@pytest.mark.parametrize(
    ("streams", "by_hand", "published_m"),
    [
        ("single", RESNET + PYRAMID, 25.08),
        ("harmonious", RESNET + STAGES[1] + STAGES[2] + 2 * PYRAMID, 34.97),
        # The paper's 50.15 would be two with one stem: 50.1548.
        ("double", 2 * (RESNET + PYRAMID), 50.15 + conv(3, 64, 7) / 1e6),
    ],
)
def test_the_streams_have_their_published_parameters(streams, by_hand, published_m):
    assert RESNET == 23_508_032
    network = on_shapes(streams=streams)
    assert size(network.streams) == by_hand
    assert by_hand / 1e6 == pytest.approx(published_m, abs=0.005)


def test_the_network_has_its_published_size_and_cost():
    """46.08 M and 23.19 G, of which 15.49 G are the streams'."""
    block = 2 * 256 + biased(256, 128) + 2 * 128 + biased(128, 128, 3) + 2 * 128 + biased(128, 256)

    def attention(c):
        return 3 * biased(c, c) + 2 * c + biased(c, 4 * c) + biased(4 * c, c)

    hand = (13 + 1 + 8) * block + biased(256, 256) + 2 * 256 + biased(256, 21) + 21 + biased(21, 256) + biased(256, 256)
    hand += biased(1024, 1024) + biased(1024, 512) + biased(512, 96) + biased(512, 10)
    objects = 3 * (conv(256, 128) + conv(128, 256, 3)) + biased(256, 63)
    by_hand = RESNET + STAGES[1] + STAGES[2] + 2 * PYRAMID + attention(512) + attention(256) + hand + objects
    row = costs.cost("model", "hfl", on_shapes(), inputs.example("hfl", hfl.Config(), 256))
    assert row.parameters == row.published_parts == by_hand
    assert by_hand / 1e6 == pytest.approx(46.08, abs=0.005)
    assert row.multiply_adds / 1e9 == pytest.approx(23.19, abs=0.005)


def test_every_row_of_the_ablations_can_be_built():
    """What is left out has no weights; what replaces it has those of its own attention."""
    full = size(on_shapes(**TINY))
    attention = {c: size(MapAttention(c)) for c in (16, 32)}
    assert size(on_shapes(**TINY, object_to_hand="none")) == full - attention[32]
    assert size(on_shapes(**TINY, hand_to_object="none")) == full - attention[16]
    for kind in ("add", "self", "cross"):
        assert size(on_shapes(**TINY, object_to_hand=kind)) == full - attention[32] + attention[16]
    with pytest.raises(ConfigError, match="--cells"):
        models.build("hfl", cells=12)


def test_attention_of_one_head_by_hand():
    """Two pixels: the first asks for what the second answers, in equal parts where all keys are alike."""
    attend = Attend(1)
    query, key = torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, -1.0]]]])
    value = torch.tensor([[[[10.0, 20.0]]]])
    torch.testing.assert_close(attend(query, key, value), torch.full((1, 1, 1, 2), 15.0))
    query[0, 0, 0, 1] = 0.5  # its products are 1.5 and -0.5
    share = 1.0 / (1.0 + np.exp(-2.0))
    expected = 10.0 * share + 20.0 * (1.0 - share)
    assert attend(query, key, value)[0, 0, 0, 1] == pytest.approx(expected)
    # Each of two heads sees its own half of the channels.
    q, k, v = torch.randn(3, 2, 6, 2, 2)
    halves = [attend(q[:, c : c + 3], k[:, c : c + 3], v[:, c : c + 3]) for c in (0, 3)]
    torch.testing.assert_close(Attend(2)(q, k, v), torch.cat(halves, 1))


@pytest.mark.parametrize("make", [lambda: MapAttention(4, 2), lambda: FirstNormBottleneck(4), lambda: Hourglass(2, 1)])
def test_layers_have_the_gradients_of_finite_differences(make):
    torch.manual_seed(0)
    layer = make().double().eval()
    x = torch.randn(1, 4 if not isinstance(layer, Hourglass) else 2, 2, 2, dtype=torch.double, requires_grad=True)
    given = (x, x.detach() + 1.0) if isinstance(layer, MapAttention) else (x,)
    assert layer(*given).shape == x.shape
    assert torch.autograd.gradcheck(layer, given, fast_mode=True)


def test_a_norm_that_comes_first_is_folded_to_a_scale_and_a_shift():
    torch.manual_seed(0)
    layer, x = nn.Sequential(FirstNorm(3)), torch.randn(4, 3, 5, 5) * 2.0 + 1.0
    layer.train()(x)
    expected = layer.eval()(x)
    folded = fold_batch_norms(layer)
    assert {name for name, _ in folded.named_parameters()} == {"0.scale", "0.shift"}
    torch.testing.assert_close(folded(x), expected)


def test_places_and_votes_by_hand():
    """Joints: all of a map in one cell of 4 x 4. Object: offsets are tenths of the box from the middle of each cell."""
    score = torch.full((1, 21, 4, 4), -1e4)
    score[:, :, 1, 3] = 0.0
    joints, peak = JointPlaces()(score)
    torch.testing.assert_close(joints[0, 7], torch.tensor([0.875, 0.375]))
    assert peak.min() == 1.0
    raw = torch.zeros(1, 63, 2, 2)
    raw[0, 3 * 5 : 3 * 5 + 3, 1, 0] = torch.tensor([2.0, -1.0, np.log(3.0)])
    places, trust = Votes()(raw)
    torch.testing.assert_close(places[0, 5, :, 2], torch.tensor([0.25 + 0.2, 0.75 - 0.1]))
    torch.testing.assert_close(places[0, 4, :, 1], torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(trust[0, 5], torch.tensor([0.5, 0.5, 0.75, 0.5]))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return models.build("hfl", **TINY).eval()


def streams_with_gradient(network, outputs):
    """Which of both streams' own layers a gradient of some outputs reaches."""
    network.zero_grad()
    image, *boxes = inputs.example("hfl", hfl.Config(), SIZE, 2)
    said = network(torch.randn_like(image), *boxes)
    sum(said[k].square().sum() for k in outputs).backward()
    own = {"hand": network.streams.pyramid, "object": network.streams.object_pyramid}
    return {name for name, m in own.items() if any(p.grad is not None and p.grad.any() for p in m.parameters())}


def test_gradients_stop_where_the_released_code_stops_them(network):
    """What enhances a stream's features is not changed by what comes of them."""
    assert streams_with_gradient(network, (0, 1, 2)) == {"hand"}
    assert streams_with_gradient(network, (4, 5)) == {"object"}
    crossed = models.build("hfl", **TINY, object_to_hand="cross", hand_to_object="object")
    assert streams_with_gradient(crossed.eval(), (0, 2)) == {"hand"}


def test_where_boxes_do_not_meet_the_hand_says_nothing_of_the_object(network):
    """Beside each other, without area, and out of the image: zeros. Else the features of their meeting."""
    x = torch.randn(4, 16, 16, 16)
    hand = torch.tensor([[10.0, 10.0, 30.0, 30.0]]).expand(4, -1)
    objects = torch.tensor([[31.0, 10.0, 50.0, 30.0], [0.0] * 4, [70.0, 70.0, 90.0, 90.0], [20.0, 5.0, 60.0, 25.0]])
    found = network.meeting(x, hand, objects)
    assert not found[:3].any()
    torch.testing.assert_close(found[3:], network.roi(x[3:], torch.tensor([[20.0, 10.0, 30.0, 25.0]])))


def test_an_unknown_object_leaves_the_hand_as_it_is(network):
    """Its box is of zeros; all that is said stays finite, and what is said of the hand does not depend on it."""
    image, hand_box, object_box = inputs.example("hfl", hfl.Config(), SIZE, 1)
    image = torch.randn_like(image)
    with torch.no_grad():
        known, unknown = (network(image, hand_box, box) for box in (object_box, torch.zeros(1, 4)))
    assert all(x.isfinite().all() for x in unknown)
    for k in range(4):
        torch.testing.assert_close(known[k], unknown[k])
    assert not torch.equal(known[4], unknown[4])


def test_both_streams_go_through_the_shared_stage_as_one_batch(network):
    """In evaluation that is the same as one after the other."""
    streams = network.streams
    hand, objects = torch.randn(2, 32, 4, 4), torch.randn(2, 32, 4, 4)
    found = streams._as_one_batch(3, hand, objects)
    for made, given in zip(found, (hand, objects), strict=True):
        torch.testing.assert_close(made, streams.stages[3](given))


def batch_of(count: int, seed: int = 0) -> GraspBatch:
    """Hands with boxes beside them, as crops of 64 px would see them, and a picture that tells them apart."""
    rng = np.random.default_rng(seed)
    layer, focal = ManoLayer.stand_in("right"), 100.0
    turns = exp_so3(rng.normal(0.0, 0.3, (count, 16, 3)))
    betas = rng.normal(0.0, 0.5, (count, 10))
    hands = layer.posed(turns, betas, np.array([0.0, 0.0, 0.5]) + rng.normal(0.0, 0.02, (count, 3)))
    control = control_points(np.array([-0.03, -0.05, -0.02]), np.array([0.03, 0.05, 0.02]))
    T = np.stack([cameras.rigid(exp_so3(rng.normal(0, 1, 3)), np.array([0.05, 0.0, 0.55])) for _ in range(count)])
    K = np.array([[focal, 0.0, 31.5], [0.0, focal, 31.5], [0.0, 0.0, 1.0]])

    def seen(points):
        return points[..., :2] / points[..., 2:] * focal + 31.5

    def box(points):
        return np.concatenate([points.min(1), points.max(1)], -1)

    joints_px = seen(hands.joints_m)
    control_px = seen(np.stack([cameras.transform(pose, control) for pose in T]))
    noise = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    yes = torch.ones(count, dtype=torch.bool)
    numbers = {
        "K": np.tile(K, (count, 1, 1)), "joints_m": hands.joints_m, "vertices_m": hands.vertices_m,
        "joints_px": joints_px, "R_world_crop": np.tile(np.eye(3), (count, 1, 1)), "hand_box": box(joints_px),
        "object_box": box(control_px), "hand_R": turns, "betas": betas, "T_crop_obj": T,
        "object_scale": np.ones(count), "control_m": np.tile(control, (count, 1, 1)), "control_px": control_px,
    }  # fmt: skip
    return GraspBatch(
        image=F.interpolate(noise, scale_factor=4.0) * 2.0 - 1.0,
        joints_valid=yes[:, None].expand(-1, 21).clone(),
        vertices_valid=yes.clone(),
        pixels_valid=yes[:, None].expand(-1, 21).clone(),
        mirrored=~yes,
        params_valid=yes.clone(),
        object_valid=yes.clone(),
        object_id=torch.zeros(count, dtype=torch.int64),
        mask=torch.ones(count, 8, 8, dtype=torch.bool),
        **{name: torch.as_tensor(values).float() for name, values in numbers.items()},
    )


def truth(batch: GraspBatch) -> tuple[torch.Tensor, ...]:
    """What a network without error would say of it."""
    columns = batch.hand_R[..., :2].transpose(-1, -2).flatten(2)
    control = grasp_losses.in_box(batch.control_px, batch.object_box)[..., None].expand(-1, -1, -1, CELLS)
    sure = torch.ones(len(batch.image), 21)
    joints = grasp_losses.in_box(batch.joints_px, batch.hand_box)
    return columns, batch.betas, joints, sure, control, sure[..., None].expand(-1, -1, CELLS)


@pytest.fixture
def batch():
    return batch_of(2)


WEIGHTS = LossWeights()


def parts_of(raw, batch):
    return {k: float(v) for k, v in grasp_losses.total(raw, batch, ManoLayer.stand_in("right"), WEIGHTS)[1].items()}


@pytest.mark.parametrize("name", ["joints", "vertices", "rotations", "shape"])
def test_gradients_of_the_losses_of_the_hand(batch, name):
    torch.manual_seed(0)
    shapes = {"joints_m": (2, 21, 3), "vertices_m": (2, 778, 3), "rotations": (2, 16, 3, 3), "betas": (2, 10)}
    said = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes.values()]

    def function(*numbers):
        hand = grasp_losses.SaidHand(**dict(zip(shapes, numbers, strict=True)))
        return getattr(grasp_losses, name)(hand, batch)

    assert torch.autograd.gradcheck(function, said, fast_mode=True)


def test_gradients_of_the_losses_of_places(batch):
    torch.manual_seed(0)
    joints = torch.rand(2, 21, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: grasp_losses.places(x, batch), (joints,), fast_mode=True)
    control = torch.rand(2, 21, 2, 64, dtype=torch.double, requires_grad=True)
    trust = torch.rand(2, 21, 64, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: grasp_losses.votes(x, trust, batch)[0], (control,), fast_mode=True)
    # What a cell thinks of its votes is learnt from how far off they are, and does not move them.
    assert torch.autograd.gradcheck(lambda x: grasp_losses.votes(control, x, batch)[1], (trust,), fast_mode=True)
    assert torch.autograd.grad(grasp_losses.votes(control, trust, batch)[1], control, allow_unused=True)[0] is None


def test_a_network_without_error_loses_nothing(batch):
    assert parts_of(truth(batch), batch) == pytest.approx(dict.fromkeys(parts_of(truth(batch), batch), 0.0), abs=1e-5)


def test_losses_by_hand(batch):
    columns, betas, joints, sure, control, trust = truth(batch)
    stretched = columns * torch.tensor([2.0] * 3 + [0.5] * 3)  # columns count by their directions
    off = (stretched, betas + 0.5, joints + 0.1, sure, control + torch.tensor([[0.3], [0.4]]), trust)
    value, parts = grasp_losses.total(off, batch, ManoLayer.stand_in("right"), WEIGHTS)
    assert parts["hand_rotations"] == pytest.approx(0.0, abs=1e-6)
    assert parts["hand_shape"] == pytest.approx(0.25)
    assert parts["hand_places"] == pytest.approx(0.01, rel=1e-4)
    assert parts["object_places"] == pytest.approx(0.35, rel=1e-4)
    assert parts["object_trust"] == pytest.approx(1.0 - np.exp(-0.5), rel=1e-4)  # 3, 4, 5
    # The wrist turned by half about z: diag(1, 1, 1) to diag(-1, -1, 1) is 8 of 9 x 16 numbers; joints go to -x, -y.
    columns = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(2, 16, 1)
    hand = grasp_losses.said_hand(columns, betas, ManoLayer.stand_in("right"))
    flat = replace(batch, joints_m=hand.joints_m, vertices_m=hand.vertices_m, hand_R=hand.rotations)
    turned = columns.clone()
    turned[:, 0] *= -1.0
    parts = parts_of((turned, *off[1:]), flat)
    assert parts["hand_rotations"] == pytest.approx(8.0 / 144.0)
    other = grasp_losses.said_hand(turned, betas + 0.5, ManoLayer.stand_in("right"))
    assert parts["hand_joints"] == pytest.approx(float((other.joints_m - hand.joints_m).square().mean()), rel=1e-5)
    expected = float((other.vertices_m - hand.vertices_m).square().mean())
    assert parts["hand_vertices"] == pytest.approx(expected, rel=1e-5)
    weights = {name: getattr(WEIGHTS, name) for name in parts}
    assert weights == {
        "hand_places": 100.0, "hand_joints": 1e4, "hand_vertices": 1e4, "hand_rotations": 10.0, "hand_shape": 0.1,
        "object_places": 500.0, "object_trust": 100.0,
    }  # fmt: skip
    total = grasp_losses.total((turned, *off[1:]), flat, ManoLayer.stand_in("right"), WEIGHTS)[0]
    assert total == pytest.approx(sum(weights[k] * v for k, v in parts.items()), rel=1e-5)
    assert value > 0


def test_what_is_not_labelled_does_not_count(batch):
    """Parameters, meshes, joints and objects that are missing, as NaN or 0; cells that do not show the object."""
    columns, betas, joints, sure, control, trust = truth(batch)
    nan = torch.full_like(batch.hand_R[:1], torch.nan)
    unknown = replace(
        batch,
        hand_R=torch.cat([batch.hand_R[:1], nan]),
        betas=torch.cat([batch.betas[:1], torch.full((1, 10), torch.nan)]),
        params_valid=torch.tensor([True, False]),
        vertices_m=torch.cat([batch.vertices_m[:1], torch.full((1, 778, 3), torch.nan)]),
        vertices_valid=torch.tensor([True, False]),
        object_valid=torch.tensor([True, False]),
        object_id=torch.tensor([0, -1]),
        object_box=torch.stack([batch.object_box[0], torch.zeros(4)]),
        control_px=torch.stack([batch.control_px[0], torch.zeros(21, 2)]),
        T_crop_obj=torch.stack([batch.T_crop_obj[0], torch.full((4, 4), torch.nan)]),
    )
    unknown.joints_valid[1], unknown.pixels_valid[1] = False, False
    wrong = torch.tensor([0.0, 1.0])
    raw = [x + wrong.reshape(2, *[1] * (x.dim() - 1)) for x in (columns, betas, joints, sure, control, trust)]
    raw = [x.clone().requires_grad_() for x in raw]
    value, parts = grasp_losses.total(tuple(raw), unknown, ManoLayer.stand_in("right"), WEIGHTS)
    assert {k: float(v.detach()) for k, v in parts.items()} == pytest.approx(dict.fromkeys(parts, 0.0), abs=1e-5)
    value.backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in raw)
    nothing = replace(unknown, object_valid=torch.tensor([False, False]), params_valid=torch.tensor([False, False]))
    _, parts = grasp_losses.total(tuple(raw), nothing, ManoLayer.stand_in("right"), WEIGHTS)
    assert parts["object_places"] == parts["object_trust"] == parts["hand_shape"] == 0.0
    # The upper half of the box shows the object: 8 x 8 cells of the mask, 4 x 4 of the network.
    half = replace(batch, mask=torch.zeros(2, 8, 8, dtype=torch.bool))
    half.mask[:, :4] = True
    below = control.clone()
    below[..., 8:] += 1.0
    assert parts_of((columns, betas, joints, sure, below, trust), half)["object_places"] == pytest.approx(0.0, abs=1e-6)
    # A mask that shows nothing counts as missing: all cells of the box are the object's.
    empty = replace(batch, mask=torch.zeros(2, 8, 8, dtype=torch.bool))
    assert parts_of((columns, betas, joints, sure, below, trust), empty)["object_places"] == pytest.approx(0.5)


def test_the_hand_is_where_its_joints_are_seen(batch):
    """Exact parameters and places give the hand back in space, which the network never says."""
    raw = tuple(x.double().numpy() for x in truth(batch))
    K, box = batch.K.double().numpy(), batch.hand_box.double().numpy()
    joints, vertices = grasp_model.hands(raw, box, K, ManoLayer.stand_in("right"))
    np.testing.assert_allclose(joints, batch.joints_m.numpy(), atol=1e-4)
    np.testing.assert_allclose(vertices, batch.vertices_m.numpy(), atol=1e-4)
    about = KnownObject("block", batch.control_m[0, :8].double().numpy(), np.zeros((1, 3), np.int32))
    batch = replace(batch, objects=[about], object_valid=torch.tensor([True, False]))
    found = task.errors(raw, batch, allow_reflection=False)
    assert found["object_add_mm"][0] < 0.1
    assert np.isnan(found["object_add_mm"][1])
    assert found["xyz_mm"].max() < 0.1
    assert found["mesh_pa_mm"].max() < 0.01
    np.testing.assert_allclose(task.pixels(raw, batch), batch.joints_px.numpy(), atol=1e-4)
    places, trust = grasp_model.votes(raw, batch.object_box.double().numpy())
    assert places.shape == (2, CELLS, 21, 2)
    np.testing.assert_allclose(grasp_model.most_trusted(places[0], trust[0]), batch.control_px[0], atol=1e-4)
    found = grasp_model.poses(raw, batch.object_box.double().numpy(), K, batch.control_m.double().numpy())
    np.testing.assert_allclose(found, batch.T_crop_obj.numpy(), atol=1e-3)
    same = task.differences(raw, raw, batch)
    assert all(not x.any() for x in same.values())
    moved = (*raw[:2], raw[2] + 0.1, *raw[3:])
    extent = (box[:, 2:] - box[:, :2])[:, None]
    expected = np.linalg.norm(0.1 * extent, axis=-1).repeat(21, 1)
    np.testing.assert_allclose(task.differences(raw, moved, batch)["places_px"], expected)


def test_the_decay_of_its_weights_is_added_to_the_gradient():
    """Adam's first step is the learning rate, whatever the length of the gradient, against its sign."""
    weight = nn.Parameter(torch.tensor([2.0, -3.0]))
    settings = config.TrainConfig(hfl.Config(), model="hfl", lr=0.1, weight_decay=5e-4)
    optimizer = train.optimizer_of(settings, [weight])
    weight.grad = torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([1.9, -2.9]), rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="--weight-decay"):
        config.TrainConfig(hfl.Config(), weight_decay=-1.0)


def test_eight_samples_are_learnt_by_heart():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    settings = config.TrainConfig(hfl.Config(**TINY), model="hfl", size=SIZE)
    batch, network = batch_of(8), models.build("hfl", **TINY).train()
    loss, shown = task.losses(settings, torch.device("cpu")), task.inputs(batch)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    values = []
    for _ in range(16):
        optimizer.zero_grad()
        value, parts = loss(network(*shown), batch)
        value.backward()
        optimizer.step()
        values.append({name: float(part.detach()) for name, part in parts.items()})
    first, last = values[0], values[-1]
    for name, share in (("hand_rotations", 0.9), ("hand_joints", 0.3), ("hand_places", 0.92), ("object_places", 0.9)):
        assert last[name] < share * first[name], (name, first, last)


@pytest.fixture(scope="module")
def exported():
    """A model whose network says what it is told to."""
    about = SimpleNamespace(size=SIZE, side="right", hand_model=ManoLayer.stand_in("right").model.source, input="rgb",
                            edges=None)  # fmt: skip
    return GraspModel(SimpleNamespace(), about)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_left_hand_and_its_object_come_back_from_the_mirror(exported, monkeypatch, side):
    """A network without error sees the mirrored crop; hand and object are where they were, in a lens off its middle."""
    camera = Camera(320, 240, 250.0, 260.0, 150.0, 125.0)
    right = batch_of(1, seed=5)
    flip = np.diag([-1.0, 1.0, 1.0]) if side == "left" else np.eye(3)
    joints_m = right.joints_m[0].double().numpy() @ flip
    T = cameras.rigid(exp_so3(np.array([0.3, -0.8, 0.5])), np.array([0.06, 0.02, 0.56]))
    control_m = right.control_m[0].double().numpy()
    control = cameras.transform(T, control_m)
    boxes = [crops.box_of(cameras.project(camera, points)) for points in (joints_m, control)]

    def said(image, hand_box, object_box):
        """As the labels of a dataset would be: in the crop's frame, which is mirrored for a left hand."""
        place = crops.Placement(scale=1.0, mirror=side == "left")
        crop = crops.around(camera, grasp_model.crop_box(*boxes), SIZE, place)
        turns = right.hand_R[0].double().numpy().copy()
        turns[0] = crop.R_cam_crop.T @ flip @ turns[0]
        points = [cameras.project(crop.camera, crops.to_crop(crop, x)) for x in (joints_m, control)]
        low, high = (np.concatenate([hand_box, object_box])[:, k : k + 2] for k in (0, 2))
        joints, votes = ((p - low[k]) / (high[k] - low[k]) for k, p in enumerate(points))
        columns = turns[None, ..., :2].swapaxes(-1, -2).reshape(1, 16, 6)
        votes = np.repeat(votes[None, ..., None], 4, -1)
        return columns, right.betas.double().numpy(), joints[None], np.ones((1, 21)), votes, np.ones((1, 21, 4))

    monkeypatch.setattr(exported, "run", said)
    image = np.zeros((240, 320, 3), np.uint8)
    grasp = exported.predict(image, camera, *boxes, control_m=control_m, side=side)
    np.testing.assert_allclose(grasp.hand.joints_m, joints_m, atol=2e-4)
    np.testing.assert_allclose(grasp.hand.joints_px, cameras.project(camera, joints_m), atol=0.1)
    np.testing.assert_allclose(grasp.T_cam_obj, T, atol=1e-4)
    np.testing.assert_allclose(grasp.control_px, cameras.project(camera, control), atol=1e-3)
    alone = exported.predict(image, camera, *boxes, side=side)
    assert np.isnan(alone.T_cam_obj).all()


def test_another_hand_model_is_refused():
    """Its parameters would pose another hand."""
    model = GraspModel(SimpleNamespace(), SimpleNamespace(hand_model="0" * 64))
    with pytest.raises(AssetError, match="another hand"):
        _ = model.layer
