# SPDX-License-Identifier: GPL-3.0-or-later
"""Names a calibration in a rig's file, leaving everything else in it as it was. No Qt."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from hoi_core.errors import ConfigError, StorageError

_LINE = re.compile(r"^calibration[ \t]*:.*$", re.MULTILINE)


def rig_path(root: Path, name: str) -> Path | None:
    """The file in `<root>/rigs` that describes a rig; None for one that has no file there, as the simulated one."""
    for path in sorted((root / "rigs").glob("*.y*ml")):
        try:
            values = yaml.safe_load(path.read_text(encoding="utf8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            # Another rig's broken file is not this one's trouble.
            continue
        own = str(values.get("name", path.stem)) if isinstance(values, dict) else path.stem
        if name in (own, path.stem):
            return path
    return None


def attach_calibration(path: Path, identifier: str) -> None:
    """Make a rig use a calibration from its next opening on; comments and order stay.

    Raises:
        ConfigError: the file is not a rig.
        StorageError: it cannot be written.
    """
    line = f'calibration: "{identifier}"'
    try:
        text = path.read_text(encoding="utf8")
        changed = _LINE.sub(line, text, count=1) if _LINE.search(text) else f"{text.rstrip()}\n{line}\n"
        values = yaml.safe_load(changed)
        if not isinstance(values, dict) or str(values.get("calibration")) != identifier:
            raise ConfigError(f"{path} is not a rig file.", f"Write this line into it yourself: {line}")
        draft = path.with_name(f".{path.name}.part")
        draft.write_text(changed, encoding="utf8")
        os.replace(draft, path)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}.", f"Write this line into it yourself: {line}") from error
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}.", f"Write this line into it yourself: {line}"
        ) from error
