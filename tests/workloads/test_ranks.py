"""The order of members: stated ranks, then index labels, then numbers at the end of names; never text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.model import GangKey, Membership, Owner, Pod
from scheduler.workloads.keys import JOB_INDEX, POD_INDEX
from scheduler.workloads.natural import index_of, natural, stem_and_number
from scheduler.workloads.ranks import ranked
from tests.builders import pod

GANG = GangKey("default", "g")


def said(one: Pod, *, rank: int | None = None, group: str = "") -> tuple[Pod, Membership]:
    return one, Membership(GANG, "annotations", rank=rank, group=group)


def indexed(name: str, key: str, index: int, *, owner: str = "") -> Pod:
    made = replace(pod(name), labels={key: str(index)})
    return replace(made, owner=Owner("batch/v1", "Job", owner, owner)) if owner else made


def names(*members: tuple[Pod, Membership]) -> list[str]:
    return [member.pod.name for member in ranked(members)]


@settings(deadline=None)
@given(st.permutations(range(24)))
def test_numbers_at_the_end_of_names_are_numbers(order: list[int]) -> None:
    found = ranked([said(pod(f"w-{at}")) for at in order])
    assert [(member.rank, member.pod.name) for member in found] == [(at, f"w-{at}") for at in range(24)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**30), unique=True), st.sampled_from(["w-", "a1-b", ""]))
def test_natural_order_is_the_order_of_numbers(numbers: list[int], stem: str) -> None:
    assert sorted((f"{stem}{n}" for n in numbers), key=natural) == [f"{stem}{n}" for n in sorted(numbers)]


@settings(deadline=None)
@given(st.lists(st.text("ab019-", max_size=6), unique=True))
def test_natural_order_is_total(texts: list[str]) -> None:
    assert len({natural(text) for text in texts}) == len(texts)
    backwards = list(reversed(texts))
    assert sorted(texts, key=natural) == sorted(backwards, key=natural)


@settings(deadline=None)
@given(st.data())
def test_stated_ranks_are_kept_and_the_others_fill_the_gaps(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    stated = data.draw(st.sets(st.integers(0, size - 1)))
    order = data.draw(st.permutations(range(size)))
    members = [said(pod(f"w-{at}"), rank=at if at in stated else None) for at in order]
    found = ranked(members)
    assert [member.rank for member in found] == list(range(size))
    assert [member.pod.name for member in found] == [f"w-{at}" for at in range(size)]


def test_a_gang_that_still_forms_keeps_the_stated_ranks() -> None:
    found = ranked([said(pod("w-b"), rank=3), said(pod("w-a"), rank=1)])
    assert [(member.rank, member.pod.name) for member in found] == [(1, "w-a"), (3, "w-b")]


@pytest.mark.parametrize("key", [JOB_INDEX, POD_INDEX])
def test_the_index_label_goes_before_the_name(key: str) -> None:
    assert names(*(said(indexed(f"w-{9 - at}", key, at)) for at in (2, 10, 0))) == ["w-9", "w-7", "w--1"]


def test_random_suffixes_do_not_matter_beside_an_index() -> None:
    pods = [indexed("t-0-zz9", JOB_INDEX, 0, owner="t"), indexed("t-1-aa1", JOB_INDEX, 1, owner="t")]
    pods.append(indexed("t-10-ab2", JOB_INDEX, 10, owner="t"))
    assert names(*map(said, reversed(pods))) == ["t-0-zz9", "t-1-aa1", "t-10-ab2"]


def test_sets_that_share_indexes_stand_one_after_another() -> None:
    pods = [pod(f"{stem}-{at}") for at in (10, 2) for stem in ("prefill", "decode")]
    assert names(*map(said, pods)) == ["decode-2", "decode-10", "prefill-2", "prefill-10"]


def test_groups_stand_together_in_the_order_of_their_first_names() -> None:
    members = [
        said(pod("b-0"), group="x"),
        said(pod("a-1"), group="y"),
        said(pod("c-0"), group="y"),
        said(pod("b-1"), group="x"),
    ]
    assert names(*members) == ["a-1", "c-0", "b-0", "b-1"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("w-10", ("w-", 10)),
        ("w", ("w", 0)),
        ("7", ("", 7)),
        ("w-007", ("w-", 7)),
        ("w-" + "9" * 5000, ("w-", 0)),
    ],
)
def test_stems(name: str, wanted: tuple[str, int]) -> None:
    assert stem_and_number(name) == wanted


@pytest.mark.parametrize(("text", "wanted"), [("0", 0), ("12", 12), ("", None), ("-1", None), ("١", None)])
def test_index_labels(text: str, wanted: int | None) -> None:
    assert index_of(text) == wanted
