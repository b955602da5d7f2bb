"""What ended a training that the user can do something about."""

from __future__ import annotations

from typing import Any

import torch

from hoi_core.errors import ConfigError, HoiError
from learning.config import TrainConfig

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
_LOST_WORKER = ("exited unexpectedly", "is killed by signal")


def explained(error: BaseException, settings: TrainConfig[Any]) -> HoiError | None:
    """The error in words that name a remedy; None where none is known.

    Args:
        error: that ended the steps.
        settings: of the run.
    """
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(sign in text.lower() for sign in _NO_MEMORY):
        smaller = max(1, settings.batch_size // 2)
        return ConfigError(
            f"the memory does not hold a step of {settings.batch_size} samples at {settings.size} px.",
            f"Go on with --batch-size {smaller}, or share it among the processes of several machines (torchrun).",
        )
    if isinstance(error, RuntimeError) and any(sign in text for sign in _LOST_WORKER):
        return ConfigError(
            "the system ended a loading process, most likely for want of memory.",
            f"Use fewer --workers (now {settings.workers}): each keeps images of its own.",
        )
    return None
