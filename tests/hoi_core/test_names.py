"""Names in the order in which people count."""

from hypothesis import given
from hypothesis import strategies as st

from hoi_core.names import natural_key


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_count(numbers):
    names = [f"image_{n}.png" for n in numbers]
    assert sorted(names, key=natural_key) == [f"image_{n}.png" for n in sorted(numbers)]


@given(st.text(), st.text())
def test_any_two_names_can_be_compared(one, other):
    assert (natural_key(one) < natural_key(other)) + (natural_key(other) < natural_key(one)) <= 1


def test_text_before_numbers_decides_first():
    assert sorted(["p10", "p2", "a3", "p", "2"], key=natural_key) == ["2", "a3", "p", "p2", "p10"]
