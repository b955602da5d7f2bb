"""Robust Levenberg-Marquardt over a whole sequence; the terms are plug-ins of `annotate.terms`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from annotate import equations as normal
from annotate.equations import NormalEquations
from annotate.evidence import Evidence
from annotate.stage import SEQUENCE, WIDE, Stage
from annotate.state import FitState
from hoi_core import plugins
from hoi_core.config import from_dict
from hoi_core.errors import FitError

log = logging.getLogger(__name__)
TERMS = "annotate.terms"
_TRIES = 6
_START_DAMPING = 1e-3
_ALIKE = 2e-2
"""Relative decrease of the cost by a last step up to which the equations before it serve for the covariance."""


@dataclass(frozen=True)
class Term:
    """A term and how it is set."""

    module: ModuleType
    """The plug-in."""
    config: Any
    """Its `Config`."""


Prepared = Sequence[tuple[ModuleType, Any]]
"""Terms and what each of them prepared."""


@dataclass(frozen=True)
class FitResult:
    """Where the fit ended."""

    state: FitState
    """The unknowns."""
    equations: NormalEquations
    """Normal equations there, or just before a last step that gained next to nothing; for the covariance."""
    cost: float
    """Half the sum of squared residuals in sigmas."""
    iterations: int
    """Steps tried."""
    before: FitState | None = None
    """Where the equations hold, if that is not where the fit ended."""
    prepared: Prepared = ()
    """The terms as they were made ready there."""

    def made_ready(self, term: Term, evidence: Evidence, stage: Stage) -> Any | None:
        """A term made ready where the equations hold; None where it has nothing to say."""
        found = [made for module, made in self.prepared if module is term.module]
        return found[0] if found else term.module.prepare(term.config, evidence, self.at, stage)

    @property
    def at(self) -> FitState:
        """Where the equations hold."""
        return self.state if self.before is None else self.before


def load_terms(settings: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Term]:
    """Every term of the folder with its defaults, except for what `settings` (term -> field -> value) says.

    Raises:
        ConfigError: a term or a field that does not exist.
    """
    settings = settings or {}
    for name in settings:
        plugins.load(TERMS, name)
    terms = {}
    for name in _term_names():
        module = plugins.load(TERMS, name)
        terms[name] = Term(module, from_dict(module.Config, dict(settings.get(name, {})), f"term {name}"))
    return terms


@cache
def _term_names() -> tuple[str, ...]:
    """The terms there are: to look them up takes a tenth of a second."""
    return tuple(plugins.names(TERMS))


def fit(
    evidence: Evidence,
    state: FitState,
    terms: Mapping[str, Term],
    stages: Sequence[Stage] | None = None,
    *,
    tolerance: float = 1e-4,
    alike: float = _ALIKE,
    on_step: Callable[[int, int], None] | None = None,
) -> FitResult:
    """Fit the hand to the evidence, one damped Gauss-Newton step for each stage.

    Args:
        evidence: what the cameras say.
        state: where to start.
        terms: from `load_terms`.
        stages: strictness of each iteration, None for those that suit the evidence; equal stages at the end stop
            early once the cost settles.
        tolerance: relative decrease of the cost that counts as settled.
        alike: relative decrease by the last step up to which the equations before it serve as those after it.
        on_step: called with (iterations done, of at most).

    Raises:
        FitError: nothing to fit, or the cost is not finite.
    """
    if not len(evidence.t_s):
        raise FitError("the fit needs at least one moment, the evidence has none.", "Check the recording.")
    if stages is None:
        stages = SEQUENCE if evidence.two_views else WIDE
    if evidence.anchors is not None and len(evidence.anchors.moment):
        state = replace(state, hands=replace(state.hands, betas=evidence.anchors.hands.betas))
    damping = _START_DAMPING
    cost = np.inf
    for i, stage in enumerate(stages):
        start: FitState | None = state
        prepared = prepare(terms, evidence, state, stage)
        equations, state, before, cost, damping = _step(prepared, evidence, state, damping)
        log.debug("fit %d: cost %.1f -> %.1f, damping %.0e", i, before, cost, damping)
        if on_step is not None:
            on_step(i + 1, len(stages))
        last = i + 1 == len(stages)
        little = max(tolerance, alike) if last else tolerance
        if stage == stages[-1] and (last or (i and stage == stages[i - 1])) and before - cost < little * before:
            # A step that gained next to nothing: the equations before it are those after it.
            break
    else:
        prepared = prepare(terms, evidence, state, stages[-1])
        equations, cost = evaluate(prepared, evidence, state)
        start = None
    return FitResult(state, equations, cost, i + 1, start, prepared)


def prepare(terms: Mapping[str, Term], evidence: Evidence, state: FitState, stage: Stage) -> Prepared:
    """Every term made ready for one iteration; those that have nothing to say are left out."""
    made = [(term.module, term.module.prepare(term.config, evidence, state, stage)) for term in terms.values()]
    return [(module, prepared) for module, prepared in made if prepared is not None]


def _cost(prepared: Prepared, state: FitState) -> float:
    return sum(module.accumulate(made, state, None) for module, made in prepared)


def evaluate(prepared: Prepared, evidence: Evidence, state: FitState) -> tuple[NormalEquations, float]:
    """Normal equations and cost of the terms at a state."""
    equations = normal.empty(len(evidence.t_s), len(evidence.views))
    return equations, sum(module.accumulate(made, state, equations) for module, made in prepared)


def _step(
    prepared: Prepared, evidence: Evidence, state: FitState, damping: float
) -> tuple[NormalEquations, FitState, float, float, float]:
    """One accepted step, or none where no damping helps.

    Returns:
        Equations before it, state, cost before, cost after, damping.
    """
    equations, before = evaluate(prepared, evidence, state)
    if not np.isfinite(before):
        raise FitError(
            "the cost of the fit is not a number.",
            "Look for broken keypoints or cameras with `hoi-data check`.",
        )
    for _ in range(_TRIES):
        step, shared = normal.solve(equations, damping)
        tried = state.moved(step, shared)
        after = _cost(prepared, tried)
        if after <= before:
            return equations, tried, before, after, max(damping * 0.2, 1e-7)
        damping = max(damping * 10.0, 1e-5)
    return equations, state, before, before, damping
