"""Natural order of names."""

from hypothesis import given
from hypothesis import strategies as st

from topology.naming import natural_key


def test_digits_compare_as_numbers() -> None:
    names = ["n10", "n2", "n1", "n01", "n", "m3", "n2a", "n1-10", "n1-9"]
    assert sorted(names, key=natural_key) == ["m3", "n", "n01", "n1", "n1-9", "n1-10", "n2", "n2a", "n10"]


def test_very_long_numbers_are_ordered() -> None:
    assert natural_key("n" + "9" * 5000) < natural_key("n1" + "0" * 5000)


@given(st.lists(st.text("n019-", max_size=6), unique=True), st.randoms())
def test_order_is_total(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_numbers_by_size(a: int, b: int) -> None:
    assert (natural_key(f"n{a}") < natural_key(f"n{b}")) == (a < b)
