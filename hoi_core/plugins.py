"""Find plug-ins by file name: `learning/models/splite.py` is the model `splite`."""

from __future__ import annotations

import ast
import difflib
import importlib
import pkgutil
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from hoi_core.errors import ConfigError


def names(package: str) -> dict[str, str]:
    """Name -> first docstring line of every plug-in, read without importing (so listing stays fast).

    Files that start with an underscore are no plug-ins. Third parties add their own through an entry-point
    group named like the package with its dots, such as `learning.models`.

    Args:
        package: dotted name of the folder, such as `learning.models`.
    """
    spec = find_spec(package)
    found: dict[str, str] = {}
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for module in pkgutil.iter_modules([folder]):
            if not module.name.startswith("_"):
                found[module.name] = _first_line(Path(folder), module.name)
    for point in entry_points(group=package):
        found.setdefault(point.name, f"from {point.value}")
    return found


def load(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `package`.

    Raises:
        ConfigError: no plug-in has that name; the hint lists what there is.
    """
    # The list reads every file of the folder: only a name that is not there asks for it.
    if name.isidentifier() and not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
        return importlib.import_module(f"{package}.{name}")
    known = names(package)
    if name not in known:
        raise unknown_name(package.rsplit(".", 1)[-1].removesuffix("s"), name, known)
    (point, *_) = entry_points(group=package, name=name)
    module: ModuleType = point.load()
    return module


def unknown_name(kind: str, name: str, known: dict[str, str] | list[str]) -> ConfigError:
    """The error for a name that is not among `known`, with the nearest one as a hint."""
    near = difflib.get_close_matches(name, list(known), 1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return ConfigError(f"no {kind} named {name!r}.", f"{guess}Choose from: {', '.join(sorted(known)) or 'none'}.")


def _first_line(folder: Path, module: str) -> str:
    path = folder / f"{module}.py"
    if not path.exists():
        path = folder / module / "__init__.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))) or ""
    return docstring.split("\n", 1)[0]
