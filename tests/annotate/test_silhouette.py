"""Where depth sees behind a drawn hand, and the term that moves the hand away from there."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from annotate import equations as normal
from annotate import fit as fitting
from annotate.masks import BEHIND, COVERED, HAND, NOTHING, away_px, cells, farthest_m, with_silhouettes
from annotate.stage import Stage
from annotate.state import FitState
from annotate.terms import silhouette
from hoi_core.render import Mesh, render_depth

STAGE = Stage(10.0, 0.0)
CONFIG = silhouette.Config(weight=1.0)


class Images(list):
    """A depth stream."""


@pytest.fixture(scope="module")
def seen(scene):
    """Evidence of a hand before a far wall, drawn into depth images; and its true state."""
    made = scene(6, 4)
    faces = made.truth.hands.hand.faces.astype(np.int32)
    views, streams, sync = {}, {}, SimpleNamespace(index={}, skew_ns={})
    for name, camera in zip(made.evidence.views, made.evidence.cameras, strict=True):
        images = []
        for surface_m in made.truth.hands.vertices_m:
            mesh = Mesh(surface_m, faces, np.zeros(surface_m.shape, np.uint8), 1)
            depth_m, _ = render_depth([mesh], camera)
            images.append(np.rint(np.where(depth_m > 0, depth_m, 1.5) * 1000).astype(np.uint16))
        stream = Images(images)
        stream.camera, stream.name, stream.scale_m = camera, f"{name}/depth", 0.001
        views[name], streams[stream.name] = SimpleNamespace(depth=stream), stream
        sync.index[stream.name], sync.skew_ns[stream.name] = np.arange(4), np.zeros(4, np.int64)
    return made, SimpleNamespace(views=views, streams=streams, sync=sync)


def shifted(state: FitState, by_m: np.ndarray) -> FitState:
    return replace(state, hands=replace(state.hands, trans_m=state.hands.trans_m + by_m))


def test_a_hand_in_its_place_is_left_alone(seen) -> None:
    made, capture = seen
    evidence = with_silhouettes(made.evidence, capture, made.truth)
    prepared = silhouette.prepare(CONFIG, evidence, made.truth, STAGE)
    moved = shifted(made.truth, np.array([0.015, 0.0, 0.0]))
    elsewhere = silhouette.prepare(CONFIG, evidence, moved, STAGE)
    in_place = silhouette.accumulate(prepared, made.truth, None)
    assert in_place < 0.01 * silhouette.accumulate(elsewhere, moved, None)


def test_a_shifted_hand_comes_back(seen) -> None:
    made, capture = seen
    wrong = shifted(made.truth, np.array([0.015, 0.0, 0.0]))
    evidence = with_silhouettes(made.evidence, capture, wrong)
    terms = fitting.load_terms({"silhouette": {"weight": 1.0}})
    terms = {name: terms[name] for name in ("silhouette", "shape_prior", "pose_prior")}
    settled = fitting.fit(evidence, wrong, terms, [STAGE] * 8).state
    before = np.linalg.norm(wrong.hands.joints_m - made.joints_m, axis=-1).mean()
    after = np.linalg.norm(settled.hands.joints_m - made.joints_m, axis=-1).mean()
    assert after < 0.7 * before


def test_slopes_are_those_of_the_cost(seen) -> None:
    made, capture = seen
    wrong = shifted(made.truth, np.array([0.012, 0.004, 0.003]))
    evidence = with_silhouettes(made.evidence, capture, wrong)
    prepared = silhouette.prepare(CONFIG, evidence, wrong, STAGE)
    equations = normal.empty(4, 2)
    silhouette.accumulate(prepared, wrong, equations)
    rng = np.random.default_rng(0)
    for _ in range(4):
        step = rng.normal(size=(4, 51)) * np.array([1e-4] * 3 + [1e-3] * 48)
        h = 1e-3
        nothing = np.zeros(normal.empty(4, 2).gs.shape)
        up = silhouette.accumulate(prepared, wrong.moved(h * step, nothing), None)
        down = silhouette.accumulate(prepared, wrong.moved(-h * step, nothing), None)
        assert (up - down) / (2 * h) == pytest.approx(float((equations.g * step).sum()), rel=0.05, abs=1e-4)


def test_it_is_silent_where_it_is_off_or_has_nothing_to_say(seen) -> None:
    made, capture = seen
    assert silhouette.prepare(CONFIG, made.evidence, made.truth, STAGE) is None
    evidence = with_silhouettes(made.evidence, capture, made.truth)
    assert silhouette.prepare(silhouette.Config(), evidence, made.truth, STAGE) is None


def test_some_moments_can_be_taken(seen) -> None:
    made, capture = seen
    wrong = shifted(made.truth, np.array([0.012, 0.0, 0.0]))
    evidence = with_silhouettes(made.evidence, capture, wrong)
    some = np.array([1, 3])
    part = evidence.taken(some)
    state = replace(wrong, hands=wrong.hands.taken(some))
    prepared = silhouette.prepare(CONFIG, part, state, STAGE)
    assert silhouette.accumulate(prepared, state, None) > 0
    assert [field.shape for field in part.silhouettes[0].away_px] == [
        evidence.silhouettes[0].away_px[m].shape for m in some
    ]


def test_cells_tell_the_hand_from_what_is_before_and_behind_it() -> None:
    drawn_m = np.zeros((24, 24), np.float32)
    drawn_m[8:16, 8:16] = 0.5
    measured_m = np.full((24, 24), 0.505, np.float32)
    measured_m[:, 12:] = 0.8
    measured_m[8:10] = 0.4
    measured_m[15] = 0.0
    found = cells(measured_m, drawn_m)
    assert found[12, 9] == HAND
    assert found[12, 14] == BEHIND
    assert found[9, 9] == COVERED
    assert found[15, 9] == NOTHING
    assert found[0, 0] == NOTHING
    # The drawn hand may move a little: what lies just beside it counts too.
    assert found[12, 18] == BEHIND


def test_distance_grows_away_from_the_hand() -> None:
    labels = np.full((9, 9), BEHIND, np.uint8)
    labels[:, :3] = HAND
    away = away_px(labels)
    assert (away[:, :3] == 0).all()
    np.testing.assert_allclose(away[4, 3:], [2.0, 6.0, 10.0, 14.0, 18.0, 22.0], rtol=1e-3)
    assert (away_px(np.full((4, 4), BEHIND, np.uint8)) == 0).all()


def test_a_cell_at_an_edge_does_not_see_behind() -> None:
    image = np.full((16, 16), 900, np.uint16)
    image[3, 3] = 500
    image[9, 9] = 0
    out = farthest_m(image, (0, 0, 4, 4), 0.001)
    assert out[0, 0] == pytest.approx(0.5)
    assert out[2, 2] == 0.0
    assert out[3, 3] == pytest.approx(0.9)


def test_fields_are_sampled_between_their_cells() -> None:
    v, u = np.mgrid[:6, :8].astype(np.float32)
    value, slope = silhouette.sampled(2 * u + 3 * v, np.array([[2.25, 3.5], [-1.0, 2.0], [7.5, 1.0]]))
    np.testing.assert_allclose(value, [15.0, 0.0, 0.0])
    np.testing.assert_allclose(slope, [[2.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
