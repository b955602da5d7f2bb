"""The native engine: convolutions over the sites of an image alone, compiled, without torch.

It is optional: an install without a C++ compiler lacks it and runs models in ONNX Runtime.
"""

from __future__ import annotations

import os

from hoi_core.errors import AssetError

SWITCH = "HOI_NATIVE"
"""Environment variable: an instruction set to use in place of the fastest, or `off`."""


def problem() -> str:
    """Why the engine cannot be used here; empty where it can."""
    if os.environ.get(SWITCH) == "off":
        return f"{SWITCH}=off switches it off"
    try:
        from hoi_core.native import _engine  # noqa: F401
    except ImportError as error:
        return f"it was not built ({error}): install a C++ compiler, then hoi-toolkit again"
    return ""


def instruction_sets() -> tuple[str, ...]:
    """Instruction sets that it can use on this processor, the fastest first.

    Raises:
        AssetError: the engine cannot be used here.
    """
    why = problem()
    if why:
        raise AssetError(f"the native engine cannot be used: {why}.", "Or run the model in ONNX Runtime.")
    from hoi_core.native import _engine

    return tuple(_engine.instruction_sets())


def chosen_set() -> str:
    """The instruction set that it uses: the fastest, or the one that the environment names.

    Raises:
        AssetError: the engine cannot be used here, or this processor does not have the set.
    """
    sets = instruction_sets()
    wanted = os.environ.get(SWITCH) or sets[0]
    if wanted not in sets:
        raise AssetError(f"{SWITCH} must be off or one of {', '.join(sets)}, got {wanted!r}.", f"Unset {SWITCH}.")
    return wanted


def description() -> str:
    """For `hoi-info`: what the engine computes with, or why it cannot."""
    return problem() or f"usable, {', '.join(instruction_sets())}; computes with {chosen_set()}"
