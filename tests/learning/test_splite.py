"""The parts of SPLite that turn heatmaps into places, and places into features; and that the whole can learn."""

import math
from pathlib import Path

import pytest
import torch

from dataset_tools.readers import _tiny_ours
from hoi_core import metrics
from learning import models
from learning.config import LossWeights, TrainConfig
from learning.data import HandDataset, collate
from learning.items import DataConfig
from learning.models import splite
from learning.models._splite_network import GridSample, SoftArgmax
from learning.output import interpret
from learning.tasks import hand


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 15)])
def test_a_sharp_heatmap_gives_the_centre_of_its_cell_and_the_feature_there(row: int, column: int) -> None:
    logits = torch.full((1, 1, 8, 16), -50.0)
    logits[0, 0, row, column] = 50.0
    uv, confidence = SoftArgmax()(logits)
    # -1 and 1 are the outer edges of the grid, 16 cells wide and 8 high.
    torch.testing.assert_close(uv[0, 0], torch.tensor([(column + 0.5) / 8 - 1, (row + 0.5) / 4 - 1]))
    assert confidence[0, 0] == pytest.approx(1.0)
    features = torch.arange(2 * 8 * 16, dtype=torch.float32).reshape(1, 2, 8, 16)
    torch.testing.assert_close(GridSample()(features, uv)[0, :, 0, 0], features[0, :, row, column])


def test_two_equal_peaks_give_the_middle_and_half_the_confidence() -> None:
    logits = torch.full((1, 1, 4, 4), -50.0)
    logits[0, 0, 1, 0] = logits[0, 0, 1, 3] = 50.0
    uv, confidence = SoftArgmax()(logits)
    torch.testing.assert_close(uv[0, 0], torch.tensor([0.0, -0.25]), atol=1e-6, rtol=0.0)
    assert confidence[0, 0] == pytest.approx(0.5)


def test_eight_samples_are_learnt_by_heart(tmp_path: Path) -> None:
    """Both hands in four postures, by a quarter of the paper's widths; asked with the statistics of evaluation."""
    torch.manual_seed(0)
    dataset = HandDataset("ours", _tiny_ours.write(tmp_path, frames=4), "all", DataConfig(size=64))
    batch = collate([dataset[n, 0] for n in range(8)])
    net = models.build("splite", width=16, head_channels=64).train()
    weights = LossWeights(reproj=50.0, pose=50.0, depth=10.0, smooth=0.0, normal=0.0, edge=0.0)
    loss = hand.losses(TrainConfig(net=splite.Config(), size=64, loss=weights), torch.device("cpu"))
    optimizer = torch.optim.Adam(net.parameters())
    steps = 180
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1.0, (step + 1) / 10) * (0.01 + 0.495 * (1.0 + math.cos(math.pi * step / steps)))
        optimizer.zero_grad()
        loss(net(batch.image), batch)[0].backward()
        optimizer.step()
    with torch.no_grad():
        out = interpret(net.eval()(batch.image), batch.K, 64)
    joints_m, true_m = out.joints_m.double().numpy(), batch.joints_m.double().numpy()
    assert metrics.pa_mpjpe_mm(joints_m, true_m) < 2.0
