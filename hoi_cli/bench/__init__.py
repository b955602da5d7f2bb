"""Time things side by side, and say where the time goes.

Example: hoi-bench model splite_fp32.onnx splite_int8.onnx --json bench.json
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hoi_cli._run import commands, run


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-bench`."""
    return run(commands(__name__), job, argv, prog="hoi-bench", doc=__doc__)


def job(case: Any) -> None:
    """Run the case in whose file the class of `case` lies."""
    import importlib

    importlib.import_module(type(case).__module__).job(case)
