"""Where things are, and dataclass <-> YAML with strict keys."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml

from hoi_core.errors import ConfigError
from hoi_core.plugins import unknown_name

C = TypeVar("C")
_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "a text (in quotes)"}


def data_root(given: Path | None = None) -> Path:
    """The dataset's root: `--data`, else `$HOI_DATA`, else `./data`."""
    return given or Path(os.environ.get("HOI_DATA", "data"))


def runs_root(given: Path | None = None) -> Path:
    """Where runs are written: `--out`, else `$HOI_RUNS`, else `./runs`."""
    return given or Path(os.environ.get("HOI_RUNS", "runs"))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping without any Python tags.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not hold a mapping.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf8"))
    except FileNotFoundError as error:
        raise ConfigError(f"expected a file {path}, found none.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not plain YAML: {str(error).splitlines()[0]}.", "Correct the file.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold `key: value` lines, got {type(value).__name__}.", "Correct the file.")
    return value


def from_dict(kind: type[C], values: dict[str, Any], where: str = "configuration") -> C:
    """Build a (nested) dataclass from plain values; an unknown key is an error that names the nearest one.

    Raises:
        ConfigError: an unknown key, a value of the wrong kind, or one that the dataclass refuses.
    """
    from typing import get_type_hints

    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name(f"key in {where}", key, known)
        hint = hints[key]
        if is_dataclass(hint) and isinstance(value, dict):
            value = from_dict(hint, value, f"{where}.{key}")  # type: ignore[arg-type]  # noqa: PLW2901
        elif hint is Path:
            value = Path(value)  # noqa: PLW2901
        elif hint in _PLAIN:
            value = _plain_value(hint, value, f"{key} in {where}")  # noqa: PLW2901
        elif get_origin(hint) is Literal and isinstance(value, bool) and {"on", "off"} <= set(get_args(hint)):
            value = "on" if value else "off"  # noqa: PLW2901 - YAML takes an unquoted on or off for true or false
        elif get_origin(hint) is Literal and value not in get_args(hint):
            raise unknown_name(f"{key} in {where}", str(value), [str(choice) for choice in get_args(hint)])
        elif isinstance(value, list):
            value = _items(hint, value, f"{where}.{key}")  # noqa: PLW2901
        arguments[key] = value
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"bad value in {where}: {error}.", "Correct it and try again.") from error


def _items(hint: Any, values: list[Any], where: str) -> tuple[Any, ...]:
    """A list as a tuple; where the field holds dataclasses, each item becomes one."""
    kind = next(iter(get_args(hint)), None)
    if not is_dataclass(kind):
        return tuple(values)
    return tuple(
        from_dict(kind, item, f"{where}[{i}]") if isinstance(item, dict) else item  # type: ignore[arg-type]
        for i, item in enumerate(values)
    )


def _plain_value(kind: type, value: Any, what: str) -> Any:
    """The value, if it is of the kind: YAML takes an unquoted serial number for a number, and `1e-3` for a text."""
    if kind is float and not isinstance(value, bool):
        with suppress(TypeError, ValueError):
            return float(value)
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{what} takes {_PLAIN[kind]}, got {value!r}.", "Correct it and try again.")


def to_yaml(config: Any) -> str:
    """Plain YAML of a dataclass, keys in their order; paths as text, tuples as lists."""
    return yaml.safe_dump(_plain(asdict(config)), sort_keys=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
