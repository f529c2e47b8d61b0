"""Which switches serve the same children: groups by overlap of their child sets, not by equality.

Equal sets alone break apart with one missing cable, and plain connectivity
fuses two groups with one misplaced cable. An average overlap of at least one
half survives both.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from topology.naming import NameKey, natural_key

LEAST_OVERLAP = 0.5
"""Jaccard index, on average over two groups, from which they are one."""

_GUID = re.compile(r"[0-9a-f]{16}")
_DIGITS = 9  # means that differ by less are equal, so that ties end in a name


def switch_key(switch: str) -> NameKey:
    """The sort key of a switch: GUIDs as the numbers they are, names in natural order."""
    return ("", switch) if _GUID.fullmatch(switch) else natural_key(switch)


def overlap_groups(
    sets: Mapping[str, frozenset[str]], *, least: float = LEAST_OVERLAP
) -> tuple[tuple[str, ...], ...]:
    """Groups of keys whose sets overlap; keys with an empty set are in none.

    Average linkage: the two groups that overlap most, by the mean Jaccard
    index over all pairs of their members, are merged until that mean is below
    `least`. Groups and members are in the order of `switch_key`. Cost: about
    pairs of different sets with a common child, times the logarithm.
    """
    classes: dict[frozenset[str], list[str]] = {}
    for name in sorted(sets, key=switch_key):
        if sets[name]:
            classes.setdefault(sets[name], []).append(name)
    groups = list(classes.values())
    near = _summed_overlaps(list(classes), [len(group) for group in groups])
    _merge(groups, near, least)
    return tuple(tuple(sorted(group, key=switch_key)) for group in groups if group)


def _summed_overlaps(sets: Sequence[frozenset[str]], sizes: Sequence[int]) -> list[dict[int, float]]:
    """Per set the Jaccard index with every other that shares a child, times the pairs of keys behind them."""
    holders: dict[str, list[int]] = {}
    for at, one in enumerate(sets):
        for child in one:
            holders.setdefault(child, []).append(at)
    common: Counter[tuple[int, int]] = Counter()
    for holding in holders.values():
        common.update(combinations(holding, 2))
    near: list[dict[int, float]] = [{} for _ in sets]
    for (low, high), shared in common.items():
        jaccard = shared / (len(sets[low]) + len(sets[high]) - shared)
        near[low][high] = near[high][low] = jaccard * sizes[low] * sizes[high]
    return near


def _merge(groups: list[list[str]], near: list[dict[int, float]], least: float) -> None:
    """Empty every group that joins another; the one with the smaller first key stays."""

    def mean(one: int, other: int) -> float:
        return round(near[one][other] / (len(groups[one]) * len(groups[other])), _DIGITS)

    waiting = [
        (-mean(one, other), one, other) for one in range(len(groups)) for other in near[one] if one < other
    ]
    heapq.heapify(waiting)
    while waiting and -waiting[0][0] >= least:
        claimed, one, other = heapq.heappop(waiting)
        if other not in near[one] or mean(one, other) != -claimed:
            continue  # an older figure; the newer one waits behind
        groups[one] += groups[other]
        groups[other] = []
        del near[one][other], near[other][one]
        for third, summed in near[other].items():
            del near[third][other]
            near[one][third] = near[third][one] = near[one].get(third, 0.0) + summed
        near[other] = {}
        for third in near[one]:
            low, high = sorted((one, third))
            heapq.heappush(waiting, (-mean(low, high), low, high))
