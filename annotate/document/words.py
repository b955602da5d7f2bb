"""What steps and long work are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hoi_core.errors import FitError
from hoi_core.types import I64, Status

Progress = Callable[[float, str], None]
_VERBS: dict[Status, str] = {"accepted": "Accept", "rejected": "Reject"}


def named(frames: Sequence[int] | I64) -> str:
    """`frame 3`, or `12 frames`."""
    return f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames"


def judging(frames: Sequence[int] | I64, status: Status) -> str:
    """What setting a status is called: `Accept frame 3`."""
    return f"{_VERBS[status]} {named(frames)}" if status in _VERBS else f"Mark {named(frames)} as {status}"


def teller(progress: Progress | None, cancelled: Callable[[], bool] | None) -> Progress:
    """Progress that raises `FitError` once it was cancelled."""

    def tell(share: float, what: str) -> None:
        if cancelled is not None and cancelled():
            raise FitError("the fit was cancelled.", "Nothing has changed.")
        if progress is not None:
            progress(share, what)

    return tell
