"""Texts of manifests that are hostile: the process goes on, and the line is named."""

from __future__ import annotations

import pytest

from scheduler.files import parse
from scheduler.model import InvalidInput

LAUGHS = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{at}: &a{at} {{p: *a{at - 1}, q: *a{at - 1}}}\n" for at in range(1, 40)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{at}: &a{at}\n  <<: [*a{at - 1}, *a{at - 1}]\n" for at in range(1, 40)
)


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 60_000, "a:\n" + "{a: " * 60_000])
def test_deep_nesting_is_an_error_and_not_the_end_of_the_process(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse("f.yaml", text.encode())
    assert caught.value.faults[0].object.startswith("f.yaml:")


@pytest.mark.parametrize("text", [LAUGHS, MERGES])
def test_aliases_that_stand_for_billions_of_values_are_an_error(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse("f.yaml", text.encode())
    (fault,) = caught.value.faults
    assert fault.wanted == "aliases that stand for at most 1,000,000 values"
    assert int(fault.object.removeprefix("f.yaml:")) > 15


def test_anchors_and_merges_of_a_usual_size_are_read() -> None:
    text = "base: &b {x: 1}\none: {<<: *b, y: 2}\ntwo: *b\n"
    assert parse("f.yaml", text.encode()) == [{"base": {"x": 1}, "one": {"x": 1, "y": 2}, "two": {"x": 1}}]


def test_nesting_up_to_the_limit_is_read() -> None:
    (found,) = parse("f.yaml", b"a: " + b"{a: " * 99 + b"x" + b"}" * 99)
    for _ in range(100):
        found = found["a"]
    assert found == "x"
