"""Slurm's host lists: what they stand for, and what none can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topology.formats.hostlist import LIMIT, Expander, compress, expand
from topology.reading import InvalidSource

LETTERS = st.text("abn-._", min_size=1, max_size=3)
NUMBERS = st.integers(0, 120).flatmap(lambda n: st.sampled_from([str(n), f"{n:02}", f"{n:04}"]))
NAMES = st.one_of(
    st.tuples(LETTERS, NUMBERS).map("".join),
    st.tuples(LETTERS, NUMBERS, LETTERS, NUMBERS).map("".join),
    st.tuples(LETTERS, NUMBERS, LETTERS).map("".join),
    st.tuples(NUMBERS, LETTERS).map("".join),
    st.just("x1234567890123456789012"),
    LETTERS,
)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("", ()),
        ("login", ("login",)),
        ("n[1-3]", ("n1", "n2", "n3")),
        ("n[001-003,010]", ("n001", "n002", "n003", "n010")),
        ("n[9-11]", ("n9", "n10", "n11")),
        ("n[08-11]", ("n08", "n09", "n10", "n11")),
        ("a,b[1-2],c", ("a", "b1", "b2", "c")),
        ("r[1-2]n[01,03]", ("r1n01", "r1n03", "r2n01", "r2n03")),
        ("r[1-2]n[1-2]-ib, s[3]", ("r1n1-ib", "r1n2-ib", "r2n1-ib", "r2n2-ib", "s3")),
        ("[1-2][0-1]", ("10", "11", "20", "21")),
        ("a,,b,", ("a", "b")),
    ],
)
def test_expressions(expression: str, names: tuple[str, ...]) -> None:
    assert expand(expression) == names


@pytest.mark.parametrize(
    "expression",
    ["n[1-3", "n1-3]", "n[1-]", "n[3-1]", "n[a-c]", "n[[1-2]]", "n[1,,2]", "n 1", "n[1-2]]", "n[1-2-3]",
     "n[]", "n[٣]", "n[1-99999999999999999999]"],
)  # fmt: skip
def test_what_is_no_host_list_is_named(expression: str) -> None:
    with pytest.raises(InvalidSource) as told:
        expand(expression, where="topology.conf:3")
    assert "topology.conf:3" in str(told.value)
    assert expression in str(told.value)


@pytest.mark.parametrize("expression", ["n[1-999999999]", "a[1-1000]b[1-1001]", "n[1-1000000],m"])
def test_a_bomb_is_refused_before_it_goes_off(expression: str) -> None:
    with pytest.raises(InvalidSource, match="at most 1,000,000 names"):
        expand(expression)


def test_many_small_bombs_are_refused_too() -> None:
    expander = Expander()
    expander.expand(f"n[1-{LIMIT // 2}]", where="a:1")
    expander.expand(f"m[1-{LIMIT // 2}]", where="a:2")
    with pytest.raises(InvalidSource, match="a:3"):
        expander.expand("o", where="a:3")


@pytest.mark.parametrize(
    ("names", "expression"),
    [
        ((), ""),
        (("n1", "n2", "n3", "n5"), "n[1-3,5]"),
        (("n08", "n09", "n10"), "n[08-10]"),
        (("n8", "n09"), "n[8,09]"),
        (("r1n1", "r1n2", "r2n1", "r2n2"), "r[1-2]n[1-2]"),
        (("r1n1", "r1n2", "r2n1"), "r1n[1-2],r2n1"),
        (("a", "a", "a1"), "a,a,a1"),
        (("n2", "n1"), "n[2,1]"),
    ],
)
def test_compressed(names: tuple[str, ...], expression: str) -> None:
    assert compress(names) == expression


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a[1]", "a\n"])
def test_names_that_no_expression_holds(name: str) -> None:
    with pytest.raises(InvalidSource):
        compress([name])


@given(st.lists(NAMES, max_size=40))
@settings(max_examples=400)
def test_expanding_undoes_compressing(names: list[str]) -> None:
    assert list(expand(compress(names))) == names


@given(st.lists(st.integers(0, 2000), unique=True, max_size=60))
def test_sorted_numbers_become_few_ranges(numbers: list[int]) -> None:
    ordered = sorted(numbers)
    runs = sum(number - 1 not in set(ordered) for number in ordered)
    assert compress(f"n{number:04}" for number in ordered).count(",") == max(runs - 1, 0)


@given(st.text("n[]-,01 a", max_size=30))
@settings(max_examples=400)
def test_any_text_is_a_host_list_or_refused(text: str) -> None:
    try:
        names = expand(text)
    except InvalidSource:
        return
    assert all(name and not set(name) & set("[], ") for name in names)
