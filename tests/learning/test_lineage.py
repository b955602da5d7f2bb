"""What a model is bound to by all that its weights ever learned from."""

from dataclasses import replace

from dataset_tools.readers import freihand, ours, synth
from learning import lineage, runs
from learning.config import TrainConfig
from learning.models import splite


def test_licences_come_down_through_all_runs(tmp_path):
    """The third run knows of the first, which learned from FreiHAND with MANO, though that is gone."""
    settings = TrainConfig(net=splite.Config(), dataset="freihand")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))

    def trained(run, settings, hand):
        runs.describe(run, settings, {"hand_model": hand, "lineage": lineage.of(run.name, settings, hand)})

    trained(first, settings, "1234abcd")
    trained(second, replace(settings, dataset="synth:0.5", from_run=first), "stand-in")
    (first / "config.yaml").rename(tmp_path / "gone.yaml")
    trained(third, replace(settings, dataset="ours", from_run=second), "stand-in")
    found = lineage.before(third)
    told = [(training["run"], training["dataset"]) for training in found]
    assert told == [("third", "ours"), ("second", "synth:0.5"), ("first", "freihand")]
    assert lineage.licences(found) == {
        "freihand": freihand.INFO.licence,
        "synth": synth.INFO.licence,
        "ours": ours.INFO.licence,
    }
    assert not lineage.is_free_of_mano(found)


def test_a_run_of_before_lineages_were_noted_and_one_that_is_gone(tmp_path):
    settings = TrainConfig(net=splite.Config(), dataset="ours", from_run=tmp_path / "lost")
    runs.describe(tmp_path / "old", settings, {"hand_model": "stand-in"})
    found = lineage.before(tmp_path / "old")
    assert [training["run"] for training in found] == ["old", "lost"]
    told = lineage.licences(found)
    assert told["ours"] == ours.INFO.licence
    assert told["lost"].startswith("unknown")
    assert not lineage.is_free_of_mano(found)  # nobody knows
    assert lineage.is_free_of_mano(lineage.of("alone", replace(settings, from_run=None), "stand-in"))
