"""The detector's targets, losses, network and data."""

import math

import numpy as np
import pytest
import torch

from dataset_tools.scenes.types import Scene, SceneHand
from hoi_core.detect import STRIDE, boxes_of_cells, decoded
from hoi_core.errors import ConfigError
from hoi_core.types import Camera
from learning.augment import Augment
from learning.items import DataConfig
from learning.scenes import SceneDataset, scene_item
from learning.tasks import detect

CELLS = 10
# Right: centre (43.5, 27.5) px is cell (5, 3) exactly; left: between cells.
RIGHT, LEFT = (23.5, 15.5, 63.5, 39.5), (50.0, 50.0, 70.0, 78.0)


def of(boxes, sides, clear):
    return detect.targets(
        torch.tensor([boxes], dtype=torch.float32), torch.tensor([sides]), torch.tensor([clear]), CELLS
    )


def test_a_centre_is_a_bump_whose_width_is_that_of_its_box_and_knows_its_side():
    target = of([RIGHT, LEFT], [0, 1], [True, True])
    heat = target.centres[0, 0]
    # (60 - 3.5) / 8 = 7.06 and (64 - 3.5) / 8 = 7.56 are nearest to cell (7, 8).
    assert {tuple(cell) for cell in (heat == 1).nonzero().tolist()} == {(3, 5), (8, 7)}
    # The box is 5 cells wide, so its bump spreads 0.75; it is 3 high, and no bump is narrower than 0.6 cells.
    assert heat[3, 6].item() == pytest.approx(math.exp(-0.5 / 0.75**2))
    assert heat[4, 5].item() == pytest.approx(math.exp(-0.5 / 0.6**2))
    assert target.right[0, 0, 3, 5] == 1.0
    assert target.right[0, 0, 8, 7] == 0.0
    assert target.asked.all()


def test_boxes_that_are_asked_for_are_those_that_the_runtime_reads():
    target = of([RIGHT, LEFT], [0, 1], [True, True])
    read = boxes_of_cells(target.boxes.double().numpy())
    np.testing.assert_allclose(read[0, 3, 5], RIGHT, atol=1e-4)
    np.testing.assert_allclose(read[0, 8, 7], LEFT, atol=1e-4)
    assert target.near[0, 0, 3, 5] == 1.0
    # exp(-0.5 / 0.5625) = 0.41 is too far from the centre to be asked for a box.
    assert target.near[0, 0, 3, 6] == 0.0


def test_what_is_hardly_seen_is_neither_right_nor_wrong():
    target = of([RIGHT, LEFT], [0, 1], [True, False])
    assert target.centres[0, 0, 8, 7] < 1e-6
    # Cell centres 51.5 to 67.5 px lie in the left hand's box from 50 to 70, and 51.5 to 75.5 in 50 to 78.
    hidden = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    hidden[6:10, 6:9] = True
    assert torch.equal(~target.asked[0, 0], hidden)


def test_rows_without_a_hand_ask_for_nothing():
    target = of([(0, 0, 0, 0)] * 2, [-1, -1], [False, False])
    assert (target.centres == 0).all()
    assert target.asked.all()
    assert (target.near == 0).all()


def test_the_losses_have_the_values_of_their_formulas():
    target = of([RIGHT, (0, 0, 0, 0)], [0, -1], [True, False])
    bumps = target.centres.double().clamp(1e-9, 1 - 1e-9)
    # Cross entropy of a bump with itself is its entropy; a cell of the ground counts a tenth.
    entropy = -(bumps * bumps.log() + (1 - bumps) * (1 - bumps).log()) * (0.1 + 0.9 * bumps)
    logits = torch.logit(bumps).float()
    assert detect.centre_loss(logits, target).item() == pytest.approx(entropy.sum().item(), rel=1e-3)
    logits[0, 0, 9, 9] = math.log(0.3 / 0.7)  # a false 0.3 where nothing is
    expected = entropy.sum().item() - 0.1 * math.log(0.7)
    assert detect.centre_loss(logits, target).item() == pytest.approx(expected, rel=1e-3)
    boxes = target.boxes.clone()
    assert detect.box_loss(boxes, target).item() == 0
    boxes[0, 0, 3, 5] += 0.5  # of a box 5 cells wide
    boxes[0, 3, 3, 5] -= 0.3
    assert detect.box_loss(boxes, target).item() == pytest.approx(0.1 + 0.3, rel=1e-5)
    sides = torch.full((1, 1, CELLS, CELLS), math.log(0.8 / 0.2))
    assert detect.side_loss(sides, target).item() == pytest.approx(-math.log(0.8), rel=1e-5)


def test_the_losses_have_the_gradients_that_they_claim():
    target = of([RIGHT, LEFT], [0, 1], [True, True])
    random = torch.Generator().manual_seed(0)
    double = detect.Targets(
        *(x if x.dtype == torch.bool else x.double() for x in (target.centres, target.asked, target.boxes)),
        target.near.double(),
        target.right.double(),
    )
    for loss, channels in ((detect.centre_loss, 1), (detect.box_loss, 4), (detect.side_loss, 1)):
        raw = torch.randn(1, channels, CELLS, CELLS, generator=random, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, double), raw)


def test_perfect_outputs_decode_to_the_hands():
    target = of([RIGHT, LEFT], [0, 1], [True, True])
    logits = torch.logit(target.centres[0].double().clamp(1e-4, 1 - 1e-4)).numpy()
    said = decoded(logits, target.boxes[0].double().numpy(), target.right[0].double().numpy() - 0.5, 0.5)
    found = {side: box for side, box, _ in said}
    assert set(found) == {"right", "left"}
    np.testing.assert_allclose(found["right"], RIGHT, atol=1e-4)
    np.testing.assert_allclose(found["left"], LEFT, atol=1e-4)


SIZE = 64


def scene(side="right", box=(10.0, 20.0, 30.0, 44.0)):
    image = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    image[20:45, 10:31] = (250, 10, 10)
    camera = Camera(SIZE, SIZE, 60.0, 60.0, 31.5, 31.5)
    return Scene(0, image, camera, (SceneHand(side, np.zeros((21, 2)), box, 1.0, True),))


def test_a_mirrored_scene_shows_the_other_hand_in_the_mirrored_place():
    calm = Augment(brightness=0, contrast=0, tint=0, noise=0, blurred=0, occluders=0)
    seen = set()
    for seed in range(40):
        item = scene_item(scene(), calm, np.random.default_rng(seed))
        side, (x0, y0, x1, y1) = item.sides[0], np.rint(item.boxes_px[0]).astype(int)
        if not item.clear[0]:
            continue
        seen.add((int(side), x0))
        middle = item.pixels[:, y0 + 1 : y1, x0 + 1 : x1].reshape(3, -1)
        assert (middle == np.array([[250], [10], [10]])).all()
    # 10..30 mirrored in 64 pixels is 33..53.
    assert {(0, 10), (1, 33)} <= seen


def test_bars_beside_an_image_cut_boxes_and_hide_hands():
    calm = Augment(brightness=0, contrast=0, tint=0, noise=0, blurred=0, occluders=0)
    high = scene(box=(10.0, 0.0, 30.0, 10.0))
    outcomes = set()
    for seed in range(60):
        item = scene_item(high, calm, np.random.default_rng(seed))
        outcomes.add((bool(item.clear[0]), bool(item.sides[0] >= 0)))
        gray = (item.pixels[:, 0] == 114).all()
        assert gray == (item.boxes_px[0, 1] > 0)
    # Whole; cut too far to be asked for; gone altogether (bars of 16:9 hide the first 14 rows).
    assert outcomes == {(True, True), (False, True), (False, False)}


def test_another_dataset_is_refused_with_what_to_type(tmp_path):
    with pytest.raises(ConfigError, match="scenes"):
        SceneDataset("ours", tmp_path, "train", DataConfig())
    with pytest.raises(ConfigError, match="split"):
        SceneDataset("scenes", tmp_path, "hours", DataConfig())


def test_the_network_has_outputs_for_each_cell_and_few_parameters():
    from learning.models import build

    network = build("hand_detector").eval()
    centres, boxes, sides = network(torch.zeros(2, 3, 96, 96))
    assert centres.shape == sides.shape == (2, 1, 96 // STRIDE, 96 // STRIDE)
    assert boxes.shape == (2, 4, 96 // STRIDE, 96 // STRIDE)
    assert sum(p.numel() for p in network.parameters()) < 1_500_000
    # A fresh network takes one cell in a hundred for a centre.
    assert centres.sigmoid().mean().item() == pytest.approx(0.01, rel=0.5)


def test_what_a_model_is_bound_to_is_told_of_every_kind_of_data():
    from dataset_tools.readers import freihand, synth
    from learning.data import HandDataset

    assert list(SceneDataset.licences("scenes")) == ["scenes"]
    expected = {"freihand": freihand.INFO.licence, "synth": synth.INFO.licence}
    assert HandDataset.licences("freihand:0.5+synth") == expected
