"""The running average of the weights."""

import pytest
import torch

from hoi_core.errors import ConfigError
from learning.average import AveragedWeights


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


def test_the_average_is_the_weighted_sum_of_all_weights():
    """With d_t = min(decay, (1 + t) / (10 + t)): a_t = d_t a_(t-1) + (1 - d_t) w_t, written out for three steps."""
    model = network()
    weights = [model[0].weight.detach().clone()]
    average = AveragedWeights(model, 0.25)
    for step in (1, 2, 3):
        with torch.no_grad():
            model[0].weight.add_(step)
        weights.append(model[0].weight.detach().clone())
        average.update(model, step)
    d1, d2, d3 = 2 / 11, 0.25, 0.25
    expected = d3 * (d2 * (d1 * weights[0] + (1 - d1) * weights[1]) + (1 - d2) * weights[2]) + (1 - d3) * weights[3]
    with average.shown(model) as last:
        torch.testing.assert_close(model[0].weight.detach(), expected)
        assert torch.equal(last["0.weight"], weights[3])
    assert torch.equal(model[0].weight, weights[3])


def test_statistics_are_averaged_and_counts_are_not():
    model = network()
    average = AveragedWeights(model, 0.5)
    with torch.no_grad():
        model[1].running_var.fill_(3.0)
        model[1].num_batches_tracked.fill_(7)
    average.update(model, 1000)
    with average.shown(model) as last:
        torch.testing.assert_close(model[1].running_var, torch.full((3,), 2.0))
        assert model[1].num_batches_tracked == 7
    assert set(last) == {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"}


def test_a_restored_average_goes_on_as_if_nothing_had_been():
    model = network()
    average = AveragedWeights(model, 0.9)
    for step in (1, 2):
        with torch.no_grad():
            model[0].bias.add_(1.0)
        average.update(model, step)
    with average.shown(model) as last:
        saved = {name: value.clone() for name, value in model.state_dict().items()}
    again = network()
    again.load_state_dict(saved)
    resumed = AveragedWeights(again, 0.9)
    resumed.restore(again, last)
    for one, its in ((model, average), (again, resumed)):
        with torch.no_grad():
            one[0].bias.mul_(2.0)
        its.update(one, 3)
    assert torch.equal(model[0].bias, again[0].bias)
    with average.shown(model), resumed.shown(again):
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    with pytest.raises(ConfigError, match="another model"):
        resumed.restore(again, {"0.weight": last["0.weight"]})
