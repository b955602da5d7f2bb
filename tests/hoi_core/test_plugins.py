import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hoi_core import plugins
from hoi_core.errors import ConfigError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "plugged"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "splite.py").write_text(
        '"""The sparse model.\n\nMore."""\nimport sys\nsys.modules["plugged_was_imported"] = sys\n'
    )
    (folder / "_private.py").write_text('"""No plug-in."""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "plugged"
    for name in [m for m in sys.modules if m.startswith("plugged")]:
        del sys.modules[name]


def test_names_reads_the_docstring_without_importing(package):
    assert plugins.names(package) == {"splite": "The sparse model."}
    assert "plugged_was_imported" not in sys.modules


def test_load_imports_only_the_chosen_file(package):
    assert plugins.load(package, "splite").__doc__.startswith("The sparse model.")


def test_our_own_file_wins_over_a_third_partys_of_the_same_name(package, monkeypatch):
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [EntryPoint("splite", "json", package)])
    assert plugins.load(package, "splite").__name__ == "plugged.splite"
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [EntryPoint("theirs", "json", package)])
    assert plugins.load(package, "theirs").__name__ == "json"
    assert plugins.names(package)["theirs"] == "from json"


def test_an_unknown_name_suggests_the_nearest(package):
    with pytest.raises(ConfigError) as caught:
        plugins.load(package, "splitt")
    assert "Did you mean 'splite'?" in caught.value.hint
