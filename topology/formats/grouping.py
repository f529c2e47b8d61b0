"""The groups of one tier of switches, and the group that each child belongs to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from topology.formats.overlap import overlap_groups, switch_key

Links = Mapping[tuple[str, str], int]
"""Cables between a child and a switch of the tier."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """Groups as their switches, smallest first; per child the first switches of its groups, several at a tie.

    `shared` are switches that serve the children of several groups about
    equally, such as a storage rail over two groups.
    """

    groups: tuple[tuple[str, ...], ...]
    homes: Mapping[str, tuple[str, ...]]
    shared: tuple[str, ...]


def group_switches(links: Links, *, at: int) -> Grouped:
    """Group the switches of tier `at`, 0 the leaves.

    1. Merge by overlap of children. 2. Above the leaves, join groups that a
    child reaches about equally well. 3. Give each child the group with most
    cables. 4. Settle switches whose children are at home elsewhere: with most
    of them in one group they join it (a leaf that lost half its cables), else
    they are shared.
    """
    sets = _children(links, at)
    merged = overlap_groups(sets)
    if at > 0:
        merged = _fuse(merged, links)
    homes = _homes(merged, links)
    group_of, shared = _settle(merged, sets, homes)
    members: dict[str, list[str]] = defaultdict(list)
    for switch, first in group_of.items():
        members[first].append(switch)
    groups = {first: tuple(sorted(found, key=switch_key)) for first, found in members.items()}
    renamed = {first: switches[0] for first, switches in groups.items()}
    return Grouped(
        tuple(sorted(groups.values(), key=lambda switches: switch_key(switches[0]))),
        {child: tuple(renamed[first] for first in found) for child, found in homes.items()},
        tuple(sorted(shared, key=switch_key)),
    )


def _children(links: Links, at: int) -> dict[str, frozenset[str]]:
    children: dict[str, set[str]] = defaultdict(set)
    for child, switch in links:
        children[switch].add(child)
    sets = {switch: frozenset(below) for switch, below in children.items()}
    if at > 1:  # an empty leaf looks like a core switch, but joins nothing
        wide = {switch: below for switch, below in sets.items() if len(below) > 1}
        sets = wide or sets
    return sets


def _strengths(groups: Iterable[Sequence[str]], links: Links) -> dict[str, Counter[str]]:
    """Per child the number of cables to each group, which goes by its first switch."""
    group_of = {switch: switches[0] for switches in groups for switch in switches}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for (child, switch), count in links.items():
        if switch in group_of:
            found[child][group_of[switch]] += count
    return found


def _fuse(merged: Sequence[tuple[str, ...]], links: Links) -> tuple[tuple[str, ...], ...]:
    """Join groups that a child reaches about equally well: they are one hop apart by it."""
    parent = {switches[0]: switches[0] for switches in merged}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for _, strengths in sorted(_strengths(merged, links).items()):
        best = max(strengths.values())
        near = sorted({root(group) for group, count in strengths.items() if 2 * count > best}, key=switch_key)
        for other in near[1:]:
            parent[other] = near[0]
    joined: dict[str, list[str]] = defaultdict(list)
    for switches in merged:
        joined[root(switches[0])] += switches
    return tuple(tuple(sorted(switches, key=switch_key)) for switches in joined.values())


def _homes(merged: Sequence[tuple[str, ...]], links: Links) -> dict[str, tuple[str, ...]]:
    """Per child the groups with most cables, in order."""
    homes = {}
    for child, strengths in sorted(_strengths(merged, links).items()):
        best = max(strengths.values())
        found = (group for group, count in strengths.items() if count == best)
        homes[child] = tuple(sorted(found, key=switch_key))
    return homes


def _settle(
    merged: Sequence[tuple[str, ...]], sets: Mapping[str, frozenset[str]], homes: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], list[str]]:
    """The group of each switch, and the switches that are shared. A group that is any child's home stays."""
    lived = {group for found in homes.values() for group in found}
    group_of: dict[str, str] = {}
    shared: list[str] = []
    for switches in merged:
        for switch in switches:
            count = Counter(homes[child][0] for child in sets[switch] if len(homes[child]) == 1)
            best = min(count, key=lambda group: (-count[group], switch_key(group)), default="")
            if switches[0] in lived and not _mostly_guests(count, switches[0]):
                group_of[switch] = switches[0]
            elif 2 * count[best] > len(sets[switch]):
                group_of[switch] = best
            else:
                shared.append(switch)
    for switches in merged:
        if switches[0] in lived and switches[0] not in group_of.values():
            group_of.update((switch, switches[0]) for switch in switches)
    return group_of, [switch for switch in shared if switch not in group_of]


def _mostly_guests(count: Counter[str], group: str) -> bool:
    """True when two children or more are at home in other groups, and not many more in this one."""
    guests = count.total() - count[group]
    return guests > 1 and 3 * guests >= 2 * count[group]
