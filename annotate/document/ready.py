"""What a drag needs, made before the drag begins: the moments around, how noisy they are, and the fit's larger part."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from annotate import fit as fitting
from annotate.document.drag import REACH, Window, window
from annotate.document.models import Models
from annotate.document.near import Nearby
from annotate.fit import FitResult, Term
from annotate.local import LocalFit
from annotate.noise import calibrate
from annotate.stage import SEQUENCE, WIDE
from hoi_core.conventions import Side
from hoi_core.types import Revision


@dataclass(frozen=True)
class _Ready:
    revision: Revision
    side: Side
    frame: int
    around: Window
    fit: LocalFit


class Readiness:
    """Keeps what a drag needs for the last frame asked for. Safe to use from any thread.

    Args:
        nearby: reads the evidence.
    """

    def __init__(self, nearby: Nearby) -> None:
        self._nearby = nearby
        self._guard = threading.Lock()
        self._last: _Ready | None = None
        self._noise: dict[Side, tuple[int, Mapping[str, Term]]] = {}

    def drag(
        self, revision: Revision, models: Models, side: Side, frame: int, terms: Mapping[str, Term]
    ) -> tuple[Window, LocalFit]:
        """The moments around a frame and the fit of a drag there; quick where the same was asked for just before.

        Raises:
            ConfigError: the frame has no label.
        """
        with self._guard:
            last = self._last
            if last is None or last.revision is not revision or (last.side, last.frame) != (side, frame):
                around = window(self._nearby, revision, models, side, frame)
                centre = int(np.searchsorted(around.moments, frame))
                fit = LocalFit(
                    around.evidence, around.state, self._terms(around, side, frame, terms), centre, reach=REACH
                )
                fit.ready()
                self._last = last = _Ready(revision, side, frame, around, fit)
            return last.around, last.fit.fresh()

    def _terms(self, around: Window, side: Side, frame: int, terms: Mapping[str, Term]) -> Mapping[str, Term]:
        """The terms with the noise of the moments around, as the labels were fitted; kept while a person works there.

        With other noise levels the hand would leave its label at the first touch.
        """
        known = self._noise.get(side)
        if known is None or abs(known[0] - frame) > REACH:
            evidence, state = around.evidence, around.state
            stage = (SEQUENCE if evidence.two_views else WIDE)[-1]
            equations, cost = fitting.evaluate(fitting.prepare(terms, evidence, state, stage), evidence, state)
            known = frame, calibrate(FitResult(state, equations, cost, 0), evidence, terms)
            self._noise[side] = known
        return known[1]
