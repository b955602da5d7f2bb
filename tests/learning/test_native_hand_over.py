"""Images that the native engine hands over to ONNX Runtime: which ones, and that nobody sees it from the answers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hoi_core import native, runtime
from hoi_core.errors import AssetError
from hoi_core.native import hand_over
from hoi_core.native.encoder import Encoder
from learning.layers.sparse import fold_batch_norms
from learning.models._sparse_resnet import SparseResNet

needs_engine = pytest.mark.skipif(bool(native.problem()), reason=f"no native engine: {native.problem()}")
SIZE = 64
PIXELS = (0.0, 0.002, 0.02, 0.2, 1.0)


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    on = rng.random((len(PIXELS), 1, SIZE, SIZE)) < np.reshape(PIXELS, (-1, 1, 1, 1))
    return list((rng.uniform(0.1, 1.0, (len(PIXELS), 3, SIZE, SIZE)) * on).astype(np.float32))


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    weights = fold_batch_norms(SparseResNet(4).eval()).state_dict()
    return Encoder({name: value.numpy() for name, value in weights.items()}, SIZE, stages=(1, 2))


class Elsewhere:
    """Features that no encoder gives."""

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []
        self.features = [np.arange(c * s * s, dtype=np.float32).reshape(1, c, s, s) for c, s in ((8, 8), (16, 4))]

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        self.shown.append(image.copy())
        return self.features


@needs_engine
def test_images_above_the_share_are_computed_elsewhere_and_no_others(encoder):
    alone = [encoder.run(image) for image in images()]
    shares = []
    for image in images():
        encoder.run(image, timed=True)
        shares.append(sum(step["multiply_adds"] for step in encoder.report()))
    shares = [done / shares[-1] for done in shares]
    np.testing.assert_allclose([encoder.share(image) for image in images()], shares)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    for above in (0.0, shares[1], shares[2] * 1.0001, 0.999, 1.0):
        elsewhere = Elsewhere()
        encoder.hand_over(elsewhere, above)
        handed = [share > above for share in shares]
        for image, leaves, expected in zip(images(), handed, alone, strict=True):
            before = len(elsewhere.shown)
            found = encoder.run(image)
            assert len(elsewhere.shown) == before + leaves
            if leaves:
                np.testing.assert_array_equal(elsewhere.shown[-1], image)
            for got, wanted in zip(found, [x[0] for x in elsewhere.features] if leaves else expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
        encoder.run(images()[-1], timed=True)  # what is timed is this engine
        assert len(elsewhere.shown) == sum(handed)
    encoder.hand_over(None, 0.0)
    np.testing.assert_array_equal(encoder.run(images()[-1])[0], alone[-1][0])


@needs_engine
def test_features_that_do_not_fit_and_errors_come_out(encoder):
    image = images()[-1]
    expected = encoder.run(image)

    def fails(_: np.ndarray) -> list[np.ndarray]:
        raise AssetError("no features today.", "Wait.")

    encoder.hand_over(fails, 0.0)
    with pytest.raises(AssetError, match="today"):
        encoder.run(image)
    for features in ([], [np.zeros((8, 8, 8), np.float32)], [np.zeros((8, 8, 7), np.float32)] * 2):
        encoder.hand_over(lambda _, features=features: features, 0.0)
        with pytest.raises(ValueError, match="expected"):
            encoder.run(image)
    encoder.hand_over(None, 1.0)
    np.testing.assert_array_equal(encoder.run(image)[0], expected[0])


@pytest.mark.parametrize(
    ("seconds", "limit", "share"),
    [
        ([1.0, 2.0, 5.0], 1.5, 0.15),
        ([1.0, 2.0, 5.0], 3.0, 0.2 + 0.8 / 3.0),
        ([1.0, 2.0, 5.0], 5.0, 1.0),
        ([1.0, 2.0, 5.0], 0.9, 0.0),
        ([2.0, 1.0, 5.0], 3.5, 0.6),
    ],
)
def test_the_share_lies_where_the_times_cross(seconds, limit, share):
    assert hand_over.crossing([0.1, 0.2, 1.0], seconds, limit) == pytest.approx(share)


@needs_engine
@pytest.mark.parametrize(
    ("ours", "slow", "expected"),
    [(1.0, (), 1.0), (1.05, (), 1.0), (2.0, (1.2, 1.3, 1.4, 1.5), 0.0), (2.0, (0.1, 0.2, 0.3, 0.4), None)],
)
def test_it_hands_over_where_it_was_slower(encoder, monkeypatch, ours, slow, expected):
    """ONNX Runtime needs 1 s for any image, the engine `slow` for ever fuller ones and `ours` for a full one."""
    monkeypatch.delenv(hand_over.SWITCH)
    taken = iter([[ours, 1.0], list(slow)])
    monkeypatch.setattr(hand_over, "_fastest", lambda *_: next(taken))
    elsewhere = Elsewhere()
    share = hand_over.arrange(encoder, lambda: elsewhere)
    if expected is None:
        # Between the image of a tenth of the pixels, which took 0.4 s, and the full one.
        last = encoder.share(hand_over._image(encoder, 0.1))
        expected = last + (1.0 - last) * (1.05 - 0.4) / (2.0 - 0.4)
    assert share == pytest.approx(expected)
    encoder.run(images()[-1])
    assert len(elsewhere.shown) == (share < 1.0)


@needs_engine
def test_what_is_measured_is_both_engines_on_the_same_images(encoder, monkeypatch):
    monkeypatch.delenv(hand_over.SWITCH)
    elsewhere = Elsewhere()
    share = hand_over.arrange(encoder, lambda: elsewhere)
    assert 0.0 <= share <= 1.0
    assert len(elsewhere.shown) == 5
    assert all((image > 0).all() for image in elsewhere.shown)


@needs_engine
def test_hands_of_a_file_are_the_same_whichever_engine_computes_its_encoder(exported_splite, tmp_path, monkeypatch):
    model = exported_splite(tmp_path)
    found, calls = {}, []
    counting(calls, monkeypatch)
    for share in ("0", "0.3", "1"):
        monkeypatch.setenv(hand_over.SWITCH, share)
        hand = runtime.load(model, threads=1, engine="native")
        assert ("ONNX Runtime" in hand.computed_by) == (share != "1")
        assert ("30%" in hand.computed_by) == (share == "0.3")
        found[share] = hand
    theirs = runtime.load(model, threads=1)
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 1 + 60 * n, (SIZE, SIZE, 3), dtype=np.uint8) for n in range(5)]
    for hand in found.values():
        for crop in crops:
            for got, expected in zip(hand.run_crop(crop), theirs.run_crop(crop), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
        for got, expected in zip(hand.run(np.stack(images())), theirs.run(np.stack(images())), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    full, few = images()[-1], images()[1]
    assert 0.0 < found["0.3"].session._encoder.share(few) < 0.3
    for share, count in (("0", 2), ("0.3", 1), ("1", 0)):
        calls.clear()
        found[share].run(np.stack([full, few, np.zeros_like(full)]))
        assert len(calls) == count


def counting(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note in `calls` how often ONNX Runtime computes an encoder."""
    arrange = hand_over.arrange

    def arranged(encoder: Encoder, open_elsewhere: Callable[[], hand_over.Elsewhere]) -> float:
        def opened() -> hand_over.Elsewhere:
            run = open_elsewhere()
            return lambda image: (calls.append(1), run(image))[1]

        return arrange(encoder, opened)

    monkeypatch.setattr(hand_over, "arrange", arranged)


def test_shares_that_make_no_sense_are_refused(monkeypatch):
    for text in ("much", "-0.1", "1.5", "nan"):
        monkeypatch.setenv(hand_over.SWITCH, text)
        with pytest.raises(AssetError, match="share of 0 to 1"):
            hand_over._wanted()
