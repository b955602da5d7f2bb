"""A person's shape grows surer with every sequence, and no sequence counts twice."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import fit as fitting
from annotate.participant import Share, own_share, remember_shape, shape_path, shape_prior, with_shape
from annotate.stage import SEQUENCE
from hoi_core.errors import DatasetError


def share(content: str, value: float, precision: float = 4.0) -> Share:
    return Share(content, f"seq_{content}", np.full(10, value), precision * np.eye(10))


def test_sequences_are_weighed_by_how_sure_they_are(tmp_path) -> None:
    assert shape_prior(tmp_path, "p01", "right", "stand-in") is None
    remember_shape(tmp_path, "p01", "right", "stand-in", share("a", 1.0, 3.0))
    remember_shape(tmp_path, "p01", "right", "stand-in", share("b", 0.0, 1.0))
    mean, information = shape_prior(tmp_path, "p01", "right", "stand-in")
    assert mean == pytest.approx(np.full(10, 0.75))
    assert information == pytest.approx(4.0 * np.eye(10))
    assert shape_prior(tmp_path, "p01", "left", "stand-in") is None
    assert shape_prior(tmp_path, "p02", "right", "stand-in") is None


def test_a_sequence_never_counts_twice(tmp_path) -> None:
    for value in (1.0, 0.5):
        remember_shape(tmp_path, "p01", "right", "stand-in", share("a", value))
    mean, information = shape_prior(tmp_path, "p01", "right", "stand-in")
    assert mean == pytest.approx(np.full(10, 0.5))
    assert information == pytest.approx(4.0 * np.eye(10))
    assert shape_prior(tmp_path, "p01", "right", "stand-in", without="a") is None


def test_another_hand_model_knows_nothing(tmp_path) -> None:
    remember_shape(tmp_path, "p01", "right", "stand-in", share("a", 1.0))
    assert shape_prior(tmp_path, "p01", "right", "mano") is None


@pytest.mark.parametrize("text", ["{", '{"format": "other"}', "[]", '{"format": "hoi-participant 1.0"}'])
def test_a_damaged_file_is_named(tmp_path, text: str) -> None:
    path = shape_path(tmp_path, "p01", "right")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DatasetError, match="Move it away"):
        shape_prior(tmp_path, "p01", "right", "stand-in")


def test_what_was_told_is_not_learned_again(scene) -> None:
    made = scene(0, 30)
    plain = fitting.load_terms()
    first = fitting.fit(made.evidence, made.truth, plain, SEQUENCE[-6:], tolerance=1e-9)
    alone = own_share(first, plain["shape_prior"], "a", "seq_001")
    told = {**plain, "shape_prior": with_shape(plain["shape_prior"], (alone.mean, alone.information))}
    second = own_share(
        fitting.fit(made.evidence, first.state, told, SEQUENCE[-6:], tolerance=1e-9), told["shape_prior"], "a", "s"
    )
    assert np.trace(second.information) == pytest.approx(np.trace(alone.information), rel=0.1)
    assert told["shape_prior"].config.sigma_betas == plain["shape_prior"].config.sigma_betas


def test_a_known_shape_holds_where_the_evidence_says_little(scene) -> None:
    made = scene(1, 10)
    blind = replace(made.evidence, clouds={})
    plain = fitting.load_terms()
    betas = made.truth.hands.betas
    told = {**plain, "shape_prior": with_shape(plain["shape_prior"], (betas, 1e4 * np.eye(10)))}
    start = replace(made.truth, hands=replace(made.truth.hands, betas=np.zeros(10)))
    known = fitting.fit(blind, start, told, SEQUENCE[-6:]).state.hands.betas
    unknown = fitting.fit(blind, start, plain, SEQUENCE[-6:]).state.hands.betas
    assert np.abs(known - betas).max() < 0.05 < np.abs(unknown - betas).max()
