"""The next moment to check: the one that helps most, with its reason, until nothing is worse than the goal."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.suggest import UNLABELLED_MM, expected_error_mm, next_to_repeat, review_queue, suggest
from hoi_core.types import PROBLEMS, STATUSES, HandTrack, Revision

M = 60


def labels(sigma_mm: np.ndarray, **more) -> Revision:
    """A right hand whose joints are each uncertain by `sigma_mm` along every axis."""
    cov = (1e-3 * sigma_mm[:, None, None, None]) ** 2 * np.eye(3)
    hand = HandTrack(
        orient=np.zeros((M, 3)),
        pose=np.zeros((M, 45)),
        betas=np.zeros(10),
        trans_m=np.zeros((M, 3)),
        joints_m=np.zeros((M, 21, 3)),
        joint_cov_m2=np.broadcast_to(cov, (M, 21, 3, 3)).copy(),
        valid=np.ones(M, dtype=bool),
        status=np.full(M, STATUSES.index("auto"), np.uint8),
        joint_source=np.full((M, 21), 4, np.uint8),
    )
    index = {"left": np.arange(M)}
    return Revision(np.arange(M) * 33_333_333, {"right": hand}, {}, {}, index, **more)


def with_hand(revision: Revision, **changes) -> Revision:
    return replace(revision, hands={"right": replace(revision.hands["right"], **changes)})


def test_expected_error_is_the_mean_length_of_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    drawn = np.linalg.norm(rng.normal(size=(200_000, 3)) * 2.0, axis=-1).mean()
    assert expected_error_mm(labels(np.full(M, 2.0)))[0] == pytest.approx(drawn, rel=0.01)


def test_nothing_is_suggested_below_the_goal() -> None:
    assert suggest(labels(np.full(M, 1.0))) is None
    assert review_queue(labels(np.full(M, 1.0))) == []


def test_the_middle_of_the_worst_stretch_comes_first_and_names_the_joint() -> None:
    sigma = np.full(M, 1.0)
    sigma[30:41] = 4.0
    revision = labels(sigma)
    revision.hands["right"].joint_cov_m2[35, 12] *= 4.0
    found = suggest(revision)
    assert found is not None
    assert found.frame == 35
    assert "middle tip" in found.reason
    assert found.expected_error_mm > 4.0


def test_a_checked_moment_calms_its_neighbours() -> None:
    sigma = np.full(M, 1.0)
    sigma[10:21] = sigma[45] = 4.0
    revision = labels(sigma)
    assert suggest(revision).frame == 15
    status = revision.hands["right"].status.copy()
    status[15] = STATUSES.index("accepted")
    checked = with_hand(revision, status=status)
    assert expected_error_mm(checked)[15] == 0.0
    assert expected_error_mm(checked)[16] < 0.1 * expected_error_mm(revision)[16]
    assert suggest(checked).frame == 45


def test_residuals_above_the_usual_raise_the_error_and_are_the_reason() -> None:
    px = np.full(M, 2.0)
    px[20] = 9.0
    found = suggest(labels(np.full(M, 1.5), residuals={"reprojection_px": px}))
    assert found.frame == 20
    assert "4.5 times" in found.reason


def test_moments_without_a_label_say_why_and_those_out_of_view_are_left() -> None:
    revision = labels(np.full(M, 1.0))
    valid = np.ones(M, dtype=bool)
    valid[[8, 50]] = False
    codes = np.zeros(M, np.uint8)
    codes[8], codes[50] = PROBLEMS.index("no agreement"), PROBLEMS.index("out of view")
    revision = replace(with_hand(revision, valid=valid), problems={"right": codes})
    (found,) = review_queue(revision)
    assert found.frame == 8
    assert found.expected_error_mm == UNLABELLED_MM
    assert "no agreement" in found.reason


def test_the_moment_looked_at_is_not_suggested_and_equal_ones_follow_in_order() -> None:
    revision = replace(labels(np.zeros(M)), hands={})
    assert "no label yet" in suggest(revision).reason
    apart = np.full(M, 1.0)
    apart[[10, 30, 50]] = 4.0
    revision = labels(apart)
    assert [suggest(revision, after).frame for after in (-1, 10, 12, 30, 50)] == [10, 30, 30, 50, 10]


def test_rejected_moments_wait_for_nobody() -> None:
    sigma = np.full(M, 1.0)
    sigma[10] = 4.0
    revision = labels(sigma)
    status = revision.hands["right"].status.copy()
    status[10] = STATUSES.index("rejected")
    assert suggest(with_hand(revision, status=status)) is None


def test_moments_to_repeat_follow_one_another_until_each_is_settled() -> None:
    again, status = labels(np.full(M, 2.0)), np.full(M, STATUSES.index("none"), np.uint8)
    moments = (3, 8, 11)
    found = next_to_repeat(with_hand(again, status=status), moments)
    assert (found.frame, found.reason) == (3, "to be labelled a second time, 0 of 3 done")
    assert next_to_repeat(with_hand(again, status=status), moments, after=3).frame == 8
    assert next_to_repeat(with_hand(again, status=status), moments, after=11).frame == 3
    status[[3, 8]] = STATUSES.index("edited"), STATUSES.index("accepted")
    found = next_to_repeat(with_hand(again, status=status), moments, after=11)
    assert (found.frame, found.reason) == (11, "to be labelled a second time, 2 of 3 done")
    assert next_to_repeat(replace(again, hands={}), moments, after=8).frame == 11
    status[11] = STATUSES.index("accepted")
    assert next_to_repeat(with_hand(again, status=status), moments, after=2) is None
    assert next_to_repeat(with_hand(again, status=status), ()) is None
