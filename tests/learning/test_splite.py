"""The parts of SPLite that turn heatmaps into places, and places into features."""

import pytest
import torch

from learning.models._splite_network import GridSample, SoftArgmax


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
