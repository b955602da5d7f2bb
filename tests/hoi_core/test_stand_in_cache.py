"""The stand-in hand is built once for a user; whatever is wrong with the kept file, there is a hand."""

from dataclasses import fields, replace

import numpy as np
import pytest

from hoi_core.mano import ManoLayer
from hoi_core.mano.stand_in import cache


@pytest.fixture(scope="module")
def built():
    """A hand whose numbers no file has held yet; building the stand-in itself takes ten seconds."""
    model, rng = ManoLayer.stand_in("right").model, np.random.default_rng(0)
    floats = {f.name: v for f in fields(model) if np.asarray(v := getattr(model, f.name)).dtype.kind == "f"}
    return replace(model, **{name: v + 1e-9 * rng.normal(size=v.shape) for name, v in floats.items()})


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "hoi-toolkit"


def never():
    raise AssertionError("built again")


def test_the_kept_hand_is_the_built_one(kept, built):
    assert cache.cached(lambda: built) is built
    again = cache.cached(never)
    for field in fields(built):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(built, field.name))
        assert type(getattr(again, field.name)) is type(getattr(built, field.name))
    assert [path.suffix for path in kept.iterdir()] == [".npz"]


@pytest.mark.parametrize("damage", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_damaged_file_is_made_again(kept, built, damage):
    cache.cached(lambda: built)
    (path,) = kept.iterdir()
    path.write_bytes(damage)
    assert cache.cached(lambda: built) is built
    cache.cached(never)


def test_without_a_place_to_keep_it_there_is_still_a_hand(tmp_path, monkeypatch, built):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache.cached(lambda: built) is built
