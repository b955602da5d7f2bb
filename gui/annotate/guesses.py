# SPDX-License-Identifier: GPL-3.0-or-later
"""What the annotation window needs of a network that guesses hand and object, as protocols. No Qt."""

from __future__ import annotations

from typing import Any, Protocol

from hoi_core.conventions import Side
from hoi_core.types import Revision


class Guess(Protocol):
    """What a network says of a frame."""

    @property
    def revision(self) -> Revision:
        """The labels with it; those that were asked about where nothing is believed."""

    @property
    def told(self) -> str:
        """What was guessed and what was not."""

    @property
    def text(self) -> str:
        """What the step is called."""


class Guesser(Protocol):
    """Asks a network for hand and object; safe on a worker."""

    def guess(self, session: Any, side: Side, frame: int, name: str) -> Guess:
        """Hand and object of a frame; changes nothing."""
