"""`hoi-train`: `learning.command`, which `torchrun -m learning.train` runs as well."""

from __future__ import annotations

from learning.command import main

__all__ = ["main"]
