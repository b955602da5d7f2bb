"""What every command does with flags and errors."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from hoi_cli import _run, data, info
from hoi_core.errors import ConfigError, StorageError


@dataclass(frozen=True)
class Config:
    """Options of nothing."""

    verbose: _run.Verbose = False
    """Show more."""


def refuse(config: Config) -> None:
    raise ConfigError("expected a, met b.", "Do c.")


@pytest.mark.parametrize(("flags", "traceback"), [([], False), (["-v"], True), (["--verbose"], True)])
def test_an_error_ends_with_code_2_and_shows_its_origin_only_when_asked(flags, traceback, capsys):
    assert _run.run(Config, refuse, flags, prog="hoi-x", doc="Do nothing.") == 2
    shown = capsys.readouterr().err
    assert "hoi-x: expected a, met b. Do c." in shown
    assert ("Traceback" in shown) == traceback


def test_ctrl_c_ends_with_code_130(capsys):
    def stop(config: Config) -> None:
        raise KeyboardInterrupt

    assert _run.run(Config, stop, [], prog="hoi-x", doc="Do nothing.") == 130
    assert "Ctrl-C" in capsys.readouterr().err


def test_the_short_flag_is_known_to_commands_and_sub_commands(tmp_path, capsys):
    assert info.main(["-v"]) == 0
    assert data.main(["list", "-v", "--data", str(tmp_path)]) == 0


def test_figures_that_cannot_be_written_are_a_typed_error(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"):
        _run.write_json(tmp_path / "taken" / "figures.json", {"a": 1.0})


def test_figures_are_plain_json_and_nan_is_null(tmp_path):
    _run.write_json(tmp_path / "new" / "figures.json", {"a": float("nan"), "b": [1, tmp_path.name]})
    assert (tmp_path / "new" / "figures.json").read_text() == (
        '{\n  "a": null,\n  "b": [\n    1,\n    "' + tmp_path.name + '"\n  ]\n}\n'
    )


def test_mano_names_the_hand_model_for_the_whole_command(tmp_path, monkeypatch):
    monkeypatch.setenv("HOI_MANO", "elsewhere")  # so that the command's change is undone
    seen = []

    @dataclass(frozen=True)
    class WithMano(Config):
        """Options of nothing but the hand."""

        mano: Path | None = None
        """Folder."""

    def look(config: Config) -> None:
        seen.append(os.environ["HOI_MANO"])

    for flags in ([], ["--mano", str(tmp_path)]):
        assert _run.run(WithMano, look, flags, prog="hoi-x", doc="Do nothing.") == 0
    assert seen == ["elsewhere", str(tmp_path)]
