"""The command line of training: presets, and what an earlier run hands on."""

import math
from types import SimpleNamespace

import pytest

from hoi_core.errors import ConfigError
from learning import command, presets, train
from learning.config import TrainConfig, settings_from
from learning.models import splite


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_read_and_says_what_it_is_for(name):
    found = command._defaults(["--config", name])
    assert presets.names()[name]
    assert isinstance(found, TrainConfig)
    assert found.config is None


def test_flags_win_over_a_preset_and_an_unknown_one_is_named(monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(train, "train", trained.append)
    assert command.main(["--config", "splite_paper", "--lr", "5e-4"]) == 0
    (settings,) = trained
    assert (settings.lr, settings.batch_size, settings.epochs, settings.schedule) == (5e-4, 32, 38, "step")
    # The preset counts in epochs, which would take the place of the steps.
    assert command.main(["--config", "splite_paper", "--steps", "70"]) == 0
    assert (trained[1].steps, trained[1].epochs) == (70, None)
    assert command.main(["--config", "splite_papr"]) == 2
    assert "splite_paper" in capsys.readouterr().err


def test_a_run_gives_its_settings_and_a_missing_file_says_what_there_is(tmp_path, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(train, "train", trained.append)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("{model: splite, steps: 77, net: {width: 8}}")
    assert command.main(["--config", str(tmp_path / "run")]) == 0
    assert (trained[0].steps, trained[0].net.width) == (77, 8)
    assert command.main(["--config", str(tmp_path / "none.yaml")]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "none.yaml" in told
    assert "splite_paper" in told
    assert command.main(["--resume", "--out", str(tmp_path / "none")]) == 2
    assert "folder of hoi-train" in " ".join(capsys.readouterr().err.split())


def test_epochs_become_steps():
    dataset = SimpleNamespace(sizes=[5, 10], weights=[0.8, 1.0])  # 4 and 10 samples in an epoch
    settings = TrainConfig(net=splite.Config(), batch_size=3, epochs=2.5)
    counted = train._counted(settings, dataset)
    assert (counted.steps, counted.epochs) == (math.ceil(2.5 * 14 / 3), None)
    with pytest.raises(ConfigError, match="--epochs"):
        settings_from({"epochs": 0}, "here")
