"""Groups of switches by overlap of what they serve."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from topology.formats.grouping import group_switches
from topology.formats.overlap import overlap_groups, switch_key

Sets = dict[str, frozenset[str]]

child_sets = st.dictionaries(
    st.integers(1, 12).map(lambda number: f"s{number}"),
    st.frozensets(st.sampled_from("abcdefgh"), max_size=6),
    max_size=9,
)


def brute_force(sets: Sets) -> set[frozenset[str]]:
    """Average linkage by definition: all pairs of groups anew at every step, in exact fractions."""
    groups = [frozenset((name,)) for name in sets if sets[name]]

    def mean(one: frozenset[str], other: frozenset[str]) -> Fraction:
        pairs = [(sets[a], sets[b]) for a in one for b in other]
        return sum((Fraction(len(a & b), len(a | b)) for a, b in pairs), Fraction(0)) / len(pairs)

    def first(group: frozenset[str]) -> tuple[str, str]:
        return min(map(switch_key, group))

    while True:
        pairs = [(mean(a, b), a, b) for at, a in enumerate(groups) for b in groups[:at]]
        best = max((pair[0] for pair in pairs), default=Fraction(0))
        if best < Fraction(1, 2):
            return set(groups)
        ties = [(sorted((first(a), first(b))), a, b) for found, a, b in pairs if found == best]
        _, one, other = min(ties, key=lambda tie: tie[0])
        groups = [group for group in groups if group not in (one, other)] + [one | other]


@given(child_sets)
def test_groups_are_those_of_average_linkage(sets: Sets) -> None:
    found = overlap_groups(sets)
    assert {frozenset(group) for group in found} == brute_force(sets)
    assert [switch_key(group[0]) for group in found] == sorted(switch_key(group[0]) for group in found)


@given(child_sets, st.randoms(use_true_random=False))
def test_the_order_of_switches_does_not_matter(sets: Sets, draw: random.Random) -> None:
    names = list(sets)
    draw.shuffle(names)
    assert overlap_groups({name: sets[name] for name in names}) == overlap_groups(sets)


@given(child_sets, st.integers(0, 2))
def test_every_child_has_a_home_among_groups_that_do_not_overlap(sets: Sets, at: int) -> None:
    links = Counter({(child, switch): 1 for switch, children in sets.items() for child in children})
    made = group_switches(links, at=at)
    placed = [switch for group in made.groups for switch in group] + list(made.shared)
    assert len(placed) == len(set(placed))
    firsts = {group[0] for group in made.groups}
    for child, homes in made.homes.items():
        assert homes
        assert set(homes) <= firsts, child
    if at < 2:
        assert set(placed) == {switch for switch, children in sets.items() if children}
        assert set(made.homes) == {child for children in sets.values() for child in children}


def links_of(sets: dict[str, str]) -> Counter[tuple[str, str]]:
    return Counter({(child, switch): 1 for switch, children in sets.items() for child in children})


def test_a_rail_over_two_groups_joins_neither() -> None:
    rails = {f"a{rail}": "ABCD" for rail in range(3)} | {f"b{rail}": "EFGH" for rail in range(3)}
    made = group_switches(links_of({**rails, "all": "ABCDEFGH"}), at=0)
    assert made.groups == (("a0", "a1", "a2"), ("b0", "b1", "b2"))
    assert made.shared == ("all",)
    assert made.homes["A"] == ("a0",)
    assert made.homes["H"] == ("b0",)


def test_a_leaf_that_lost_most_of_its_cables_stays_in_its_group() -> None:
    made = group_switches(
        links_of({"a0": "ABCDEF", "a1": "ABCDEF", "a2": "AB", "b0": "GH", "b1": "GH"}), at=0
    )
    assert made.groups == (("a0", "a1", "a2"), ("b0", "b1"))


def test_spines_in_a_ring_of_groups_are_one() -> None:
    made = group_switches(links_of({"x": "AB", "y": "BC", "z": "CA"}), at=1)
    assert made.groups == (("x", "y", "z"),)
    assert len(group_switches(links_of({"x": "AB", "y": "BC", "z": "CA"}), at=0).groups) == 3


def test_an_empty_leaf_beside_cores_is_left_out() -> None:
    made = group_switches(links_of({"c0": "AB", "c1": "AB", "empty": "A"}), at=2)
    assert made.groups == (("c0", "c1"),)
