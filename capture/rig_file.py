"""Rig files: YAML that names the devices which record together, read strictly and without opening anything."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from hoi_core import plugins
from hoi_core.config import from_dict, read_yaml
from hoi_core.errors import ConfigError, DeviceError, HoiError, StorageError
from hoi_core.whole_file import write_whole

DEVICES = "capture.devices"
"""Folder of the device types, and the entry-point group under which other packages add theirs."""
SIMULATED = "simulated"

_KEYS = ("name", "calibration", "defaults", "devices")
# Options that name a file: relative to the rig file, if it is there.
_FILES = ("file", "source")
_CALIBRATION = re.compile(r"^calibration[ \t]*:.*$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One device of a rig file."""

    type: str
    """Device type."""
    module: ModuleType
    """Its plug-in: `Config` and `open(config)`."""
    config: Any
    """Its options, an instance of the plug-in's `Config`."""

    @property
    def label(self) -> str:
        """What it is, in words."""
        view, serial = getattr(self.config, "view", ""), getattr(self.config, "serial", "")
        return " ".join(part for part in (Path(self.type).stem, view, serial and f"({serial})") if part)

    @property
    def missing(self) -> str:
        """The file or device file that it plays or reads, if that is not there; else empty."""
        for key in _FILES:
            value = str(getattr(self.config, key, ""))
            if value and not value.isdigit() and not Path(value).exists():
                return value
        return ""


@dataclass(frozen=True)
class RigFile:
    """What a rig file says."""

    path: Path
    """Where it is."""
    name: str
    """Name of the rig."""
    calibration: str
    """Identifier of its calibration; empty without one."""
    entries: tuple[Entry, ...]
    """Its devices."""


def rig_paths(root: Path) -> list[Path]:
    """The rig files of a dataset, `<root>/rigs/*.yaml`."""
    return sorted(path for path in (root / "rigs").glob("*.y*ml") if path.suffix in (".yaml", ".yml"))


def file_of_rig(root: Path, name: str) -> Path | None:
    """The file in `<root>/rigs` of a rig that calls itself so; None for one that has no file, as the simulated one."""
    for path in rig_paths(root):
        try:
            own = str(read_yaml(path).get("name", path.stem))
        except (HoiError, OSError):
            # Another rig's broken file is not this one's trouble.
            continue
        if name in (own, path.stem):
            return path
    return None


def find_rig(name: str, root: Path) -> Path:
    """The file that `--rig` names: a path, or the name of one in `<root>/rigs`.

    Raises:
        ConfigError: there is none.
    """
    for path in (Path(name), root / "rigs" / f"{name}.yaml", root / "rigs" / f"{name}.yml"):
        if path.suffix in (".yaml", ".yml") and path.is_file():
            return path
    raise plugins.unknown_name("rig", name, [SIMULATED, *(path.stem for path in rig_paths(root))])


def read_rig(path: Path) -> RigFile:
    """Read a rig file.

    Raises:
        ConfigError: a key or a value that nothing understands; names the file, the device and the key.
    """
    values = read_yaml(path)
    for key in values:
        if key not in _KEYS:
            raise plugins.unknown_name(f"key in {path}", str(key), list(_KEYS))
    listed = values.get("devices")
    if not isinstance(listed, list) or not listed:
        raise ConfigError(f"{path} names no devices.", "List them under `devices:`, each with its `type:`.")
    defaults = _defaults(path, values.get("defaults"))
    entries = tuple(_entry(path, k, entry, defaults) for k, entry in enumerate(listed))
    unused = set(defaults) - {entry.type for entry in entries}
    if unused:
        raise ConfigError(
            f"{path}: defaults for {', '.join(sorted(unused))}, but no such device is listed.",
            "Correct the type, or remove them.",
        )
    _refuse_same_names(path, entries)
    return RigFile(path, str(values.get("name", path.stem)), str(values.get("calibration") or ""), entries)


def attach_calibration(path: Path, identifier: str) -> None:
    """Make a rig use a calibration from its next opening on; comments and order stay.

    Raises:
        ConfigError: the file is not a rig.
        StorageError: it cannot be written.
    """
    line = f'calibration: "{identifier}"'
    try:
        text = path.read_text(encoding="utf8")
        changed = _CALIBRATION.sub(line, text, count=1) if _CALIBRATION.search(text) else f"{text.rstrip()}\n{line}\n"
        values = yaml.safe_load(changed)
        if not isinstance(values, dict) or str(values.get("calibration")) != identifier:
            raise ConfigError(f"{path} is not a rig file.", f"Write this line into it yourself: {line}")
        write_whole(path, changed)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}.", f"Write this line into it yourself: {line}") from error
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}.", f"Write this line into it yourself: {line}"
        ) from error


def load_type(name: str, folder: Path) -> ModuleType:
    """The plug-in of a device type: a built-in one, one of an entry point, or a Python file beside the rig file.

    Args:
        name: `realsense`, or a path that ends in `.py`.
        folder: what a relative path starts from.

    Raises:
        ConfigError: no such type, or the file holds no device.
    """
    is_file = name.endswith(".py")
    module = _load_file((folder / name).resolve()) if is_file else plugins.load(DEVICES, name)
    missing = [part for part in ("Config", "open") if not hasattr(module, part)]
    if missing:
        raise ConfigError(
            f"device type {name} has no {' and no '.join(missing)}.",
            "A device needs a dataclass Config and a function open(config): see docs/devices.md.",
        )
    return module


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"expected a device type {path}, found no such file.", "Correct its path in the rig file.")
    name = f"hoi_device_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python module.", "Name a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except HoiError:
        sys.modules.pop(name)
        raise
    except Exception as error:  # whatever is wrong in somebody's file
        sys.modules.pop(name)
        raise DeviceError(f"{path} does not load: {type(error).__name__}: {error}.", "Correct that file.") from error
    return module


def _defaults(path: Path, values: object) -> dict[str, dict[str, Any]]:
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(options, dict) for options in values.values()):
        raise ConfigError(
            f"{path}: expected `defaults` by device type, got {values!r}.",
            "Write `defaults:`, below it `realsense: {fps: 60}`.",
        )
    return {str(kind): dict(options) for kind, options in values.items()}


def _entry(path: Path, k: int, values: object, defaults: Mapping[str, dict[str, Any]]) -> Entry:
    if not isinstance(values, dict) or "type" not in values:
        raise ConfigError(
            f"{path}: expected a device with its `type`, got {values!r}.",
            "Write it as `- {type: realsense, view: left}`.",
        )
    kind = str(values["type"])
    module = load_type(kind, path.parent)
    options = defaults.get(kind, {}) | {key: value for key, value in values.items() if key != "type"}
    for key in _FILES:
        beside = path.parent / str(options.get(key, ""))
        if options.get(key) and not Path(str(options[key])).is_absolute() and beside.is_file():
            options[key] = str(beside)
    return Entry(kind, module, from_dict(module.Config, options, f"{path}: device {k + 1} ({kind})"))


def _refuse_same_names(path: Path, entries: tuple[Entry, ...]) -> None:
    for what in ("view", "serial"):
        seen: set[str] = set()
        for entry in entries:
            known = {field.name for field in fields(entry.config)}
            value = str(getattr(entry.config, what)) if what in known else ""
            if value and value in seen:
                raise ConfigError(f"{path}: two devices have {what} {value!r}.", f"Give each its own {what}.")
            seen.add(value)
