"""The hand model: MANO's equations, a safe reader of its files, and the project's own stand-in hand."""

from __future__ import annotations

from hoi_core.mano.layer import ManoLayer, ManoOutput
from hoi_core.mano.model import ManoModel

__all__ = ["ManoLayer", "ManoModel", "ManoOutput"]
