"""Presets of `hoi-train --config NAME`: one YAML file each, with those settings that differ from the defaults."""

from __future__ import annotations

from pathlib import Path

from hoi_core.errors import ConfigError
from hoi_core.plugins import unknown_name

_HERE = Path(__file__).parent


def names() -> dict[str, str]:
    """Name -> what it is for, its first line of comment."""
    return {path.stem: _first_comment(path) for path in sorted(_HERE.glob("*.yaml"))}


def find(name: Path) -> Path:
    """The file that `--config` names: a file, a run's folder, or a preset.

    Raises:
        ConfigError: none of these.
    """
    for path in (name, name / "config.yaml", _HERE / f"{name}.yaml"):
        if path.is_file():
            return path
    if name.suffix or len(name.parts) > 1:
        raise ConfigError(
            f"found no settings in {name}.", f"Give a YAML file, a run, or a preset: {', '.join(names())}."
        )
    raise unknown_name("preset", str(name), names())


def _first_comment(path: Path) -> str:
    return path.read_text(encoding="utf8").split("\n", 1)[0].removeprefix("#").strip()
