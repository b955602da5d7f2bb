"""Keeps the built hand in the user's cache folder: building takes seconds, reading milliseconds."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from hoi_core.mano.model import ManoModel

log = logging.getLogger(__name__)
_ARRAYS = tuple(field.name for field in fields(ManoModel) if field.name not in ("side", "source", "shapedirs_fixed"))
_WHAT = ("conventions.py", "biomechanics.py", "rotation.py", "mano/topology.py", "mano/model.py")


def cached(build: Callable[[], ManoModel]) -> ManoModel:
    """The right hand from the cache, or built and put there; a cache that fails is as good as none."""
    try:
        path = _folder() / f"stand_in_{_version()}.npz"
    except (OSError, RuntimeError) as error:
        log.debug("no folder to keep the stand-in hand in: %s", error)
        return build()
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in _ARRAYS}
        return ManoModel(side="right", source="stand-in", **arrays)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        log.debug("no stand-in hand in %s: %s", path, error)
    model = build()
    _keep(model, path)
    return model


def _keep(model: ManoModel, path: Path) -> None:
    draft = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            np.savez(file, **{name: getattr(model, name) for name in _ARRAYS})
        draft.replace(path)
    except OSError as error:
        log.debug("the stand-in hand is not kept: %s", error)
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _folder() -> Path:
    """`$XDG_CACHE_HOME/hoi-toolkit`, by default under ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "hoi-toolkit"


def _version() -> str:
    """Changes with any code that the hand is made by."""
    core = Path(__file__).parents[2]
    sources = [*sorted(Path(__file__).parent.glob("*.py")), *(core / name for name in _WHAT)]
    total = hashlib.sha256(np.__version__.encode())
    for source in sources:
        total.update(source.read_bytes())
    return total.hexdigest()[:16]
