"""The shape of a person's hand, learned from all of the person's sequences: one small file for each hand.

Each sequence adds what its own keypoints and depth say of the shape coefficients, without what was known before it,
so a sequence never counts twice, however often it is fitted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from annotate import equations as normal
from annotate.fit import FitResult, Term
from hoi_core.conventions import N_BETAS, Side
from hoi_core.errors import DatasetError
from hoi_core.types import F64
from hoi_core.whole_file import write_whole

_FORMAT = "hoi-participant 1.0"
_LASTING = 0.2
"""A sequence's coefficients are no surer than this: its calibration, and what the model lacks, pull them alike at all
moments, so no number of moments makes up for it."""


@dataclass(frozen=True)
class Share:
    """What one sequence says of the shape."""

    content: str
    """Content hash of the recording."""
    sequence: str
    """Name of the sequence, for people."""
    mean: F64
    """(10,)."""
    information: F64
    """(10, 10) inverse covariance of the evidence alone."""


def shape_path(root: Path, participant: str, side: Side) -> Path:
    """The file of a person's hand in a dataset."""
    return root / "participants" / participant / f"hand_{side}.json"


def own_share(result: FitResult, term: Term, content: str, sequence: str) -> Share:
    """What a fit says of the shape without what it was told.

    Args:
        result: of the fit.
        term: its `shape_prior`.
        content: content hash of the recording.
        sequence: its name.
    """
    covariance, _ = normal.shared_covariance(result.equations)
    told, expected = prior_of(term)
    posterior = np.linalg.inv(covariance[:N_BETAS, :N_BETAS])
    values, vectors = np.linalg.eigh(posterior - told)
    # Rounding can make the evidence look negative where there is next to none.
    values = np.maximum(values, 0.0)
    information = (vectors * values) @ vectors.T
    pull = posterior @ result.state.hands.betas - told @ expected
    mean = np.linalg.lstsq(information, pull, rcond=1e-9)[0]
    bounded = values / (1.0 + values * _LASTING**2)
    return Share(content, sequence, mean, (vectors * bounded) @ vectors.T)


def prior_of(term: Term) -> tuple[F64, F64]:
    """What the term `shape_prior` expects: information `(10, 10)` and mean `(10,)`."""
    config = term.config
    if config.betas:
        return np.asarray(config.information), np.asarray(config.betas)
    return np.eye(N_BETAS) / config.sigma_betas**2, np.zeros(N_BETAS)


def remember_shape(root: Path, participant: str, side: Side, source: str, share: Share) -> None:
    """Enter what a sequence says of a person's hand, in place of what it said before.

    Args:
        root: the dataset.
        participant: pseudonym of the person.
        side: which hand.
        source: hand model that the coefficients belong to.
        share: of the sequence.

    Raises:
        DatasetError: the file is damaged.
    """
    path = shape_path(root, participant, side)
    shares = [known for known in _read(path, source) if known.content != share.content]
    entries = [
        {"content": s.content, "sequence": s.sequence, "mean": s.mean.tolist(), "information": s.information.tolist()}
        for s in sorted([*shares, share], key=lambda s: (s.sequence, s.content))
    ]
    write_whole(path, json.dumps({"format": _FORMAT, "source": source, "sequences": entries}) + "\n")


def shape_prior(root: Path, participant: str, side: Side, source: str, without: str = "") -> tuple[F64, F64] | None:
    """What the person's sequences say of the hand together; None where there are none.

    Args:
        root: the dataset.
        participant: pseudonym of the person.
        side: which hand.
        source: hand model in use; what was learned with another one does not count.
        without: content hash of the recording that is to be fitted: its own share is left out.

    Returns:
        mean `(10,)` and information `(10, 10)` of the sequences alone.

    Raises:
        DatasetError: the file is damaged.
    """
    shares = [share for share in _read(shape_path(root, participant, side), source) if share.content != without]
    if not shares:
        return None
    information = np.sum([share.information for share in shares], axis=0)
    pull = np.sum([share.information @ share.mean for share in shares], axis=0)
    return np.linalg.lstsq(information, pull, rcond=1e-9)[0], information


def with_shape(term: Term, known: tuple[F64, F64] | None) -> Term:
    """The term `shape_prior` with what is known of the person added to the spread over people."""
    if known is None:
        return term
    mean, information = known
    general = np.eye(N_BETAS) / term.config.sigma_betas**2
    together = information + general
    betas = np.linalg.solve(together, information @ mean)
    config = replace(term.config, betas=tuple(betas.tolist()), information=tuple(map(tuple, together.tolist())))
    return replace(term, config=config)


def _read(path: Path, source: str) -> list[Share]:
    """The shares of a file that were learned with a hand model; none where there is no file."""
    if not path.exists():
        return []
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
        if found["format"] != _FORMAT:
            raise ValueError(f"format {found['format']!r}")
        if found["source"] != source:
            return []
        shares = [
            Share(str(s["content"]), str(s["sequence"]), np.asarray(s["mean"]), np.asarray(s["information"]))
            for s in found["sequences"]
        ]
        if any(s.mean.shape != (N_BETAS,) or s.information.shape != (N_BETAS, N_BETAS) for s in shares):
            raise ValueError("shape coefficients of another number")
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} must hold what sequences say of a hand's shape ({_FORMAT}), and cannot be read: {error}.",
            "Move it away; it is written again when the person's sequences are fitted again.",
        ) from error
    return shares
