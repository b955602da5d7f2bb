"""Keeps the built hand in the user's cache folder: building takes seconds, reading milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from hoi_core import user_cache
from hoi_core.mano.model import ManoModel

_NO_ARRAYS = ("side", "source", "coefficients", "shapedirs_fixed")
_ARRAYS = tuple(field.name for field in fields(ManoModel) if field.name not in _NO_ARRAYS)
_WHAT = ("conventions.py", "biomechanics.py", "rotation.py", "mano/topology.py", "mano/model.py")


def cached(build: Callable[[], ManoModel]) -> ManoModel:
    """The right hand from the cache, or built and put there; a cache that fails is as good as none."""
    name = f"stand_in_{_version()}"
    kept = user_cache.recall(name)
    if kept is not None and set(kept) == set(_ARRAYS):
        return ManoModel(side="right", source="stand-in", **kept)
    model = build()
    user_cache.keep(name, {array: getattr(model, array) for array in _ARRAYS})
    return model


def _version() -> str:
    """Changes with any code that the hand is made by."""
    core = Path(__file__).parents[2]
    return user_cache.code_version([*sorted(Path(__file__).parent.glob("*.py")), *(core / name for name in _WHAT)])
