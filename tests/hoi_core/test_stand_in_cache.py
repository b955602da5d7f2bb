"""The stand-in hand is built once for a user; whatever is wrong with the kept file, there is a hand."""

from dataclasses import fields

import numpy as np
import pytest

from hoi_core.mano import stand_in
from hoi_core.mano.stand_in import cache


@pytest.fixture(scope="module")
def built():
    return stand_in._build_right()


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
