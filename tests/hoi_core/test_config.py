from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from hoi_core import config
from hoi_core.errors import ConfigError


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-3


@dataclass(frozen=True)
class Run:
    steps: int = 10
    out: Path = Path("runs")
    betas: tuple[float, ...] = (0.9, 0.999)
    optim: Optim = field(default_factory=Optim)


def test_yaml_round_trip():
    given = Run(steps=7, out=Path("a/b"), betas=(0.5,), optim=Optim(lr=0.25))
    assert config.from_dict(Run, yaml.safe_load(config.to_yaml(given))) == given


def test_a_misspelt_key_names_the_nearest():
    with pytest.raises(ConfigError, match="stepz") as caught:
        config.from_dict(Run, {"stepz": 3})
    assert "'steps'" in caught.value.hint


def test_a_nested_misspelt_key_says_where():
    with pytest.raises(ConfigError, match=r"configuration\.optim"):
        config.from_dict(Run, {"optim": {"lrr": 1}})


@dataclass(frozen=True)
class Plain:
    serial: str = ""
    width: int = 640
    gain: float = 0.0
    live: bool = False
    side: Literal["right", "left"] = "right"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("serial: 923322071108", "serial in lab takes a text"),
        ("width: '640'", "width in lab takes a whole number, got '640'"),
        ("width: true", "width in lab takes a whole number"),
        ("gain: high", "gain in lab takes a number"),
        ("gain: [1]", "gain in lab takes a number"),
        ("live: 1", "live in lab takes true or false"),
        ("side: middle", "no side in lab named 'middle'"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        config.from_dict(Plain, yaml.safe_load(text), "lab")


def test_numbers_that_yaml_takes_for_other_kinds_are_understood():
    assert config.from_dict(Plain, yaml.safe_load("gain: 1e-3"), "lab").gain == 0.001
    assert config.from_dict(Plain, yaml.safe_load("gain: 2"), "lab").gain == 2.0


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "!!python/object/apply:os.system ['true']\n"])
def test_what_is_not_a_plain_mapping_is_refused(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.read_yaml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        config.read_yaml(tmp_path / "none.yaml")


def test_data_root_prefers_the_flag_then_the_environment(monkeypatch):
    monkeypatch.setenv("HOI_DATA", "/elsewhere")
    assert config.data_root(Path("here")) == Path("here")
    assert config.data_root() == Path("/elsewhere")
    monkeypatch.delenv("HOI_DATA")
    assert config.data_root() == Path("data")
