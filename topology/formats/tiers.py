"""Tiers of switches from their cables: leaf groups, the spine groups above them, cores.

A rail-optimised host hangs on several leaf switches, one per rail, so no
switch is "its" leaf: switches that serve the same children form one group,
and groups are the domains.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from topology.formats.cabling import Cabling
from topology.formats.grouping import group_switches
from topology.formats.overlap import switch_key
from topology.reading import tier_name

FEW = 4
"""A switch with so many times fewer adapters than its neighbours stands above them, whatever hangs on it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Switches of one tier that serve the same children; `name` is that of the domain."""

    name: str
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: its groups, and per child (host or group below) the groups it is best connected to.

    More than one such group is a tie: which one it belongs to is not known.
    `shared` are switches in no group, since they serve children of several.
    """

    name: str
    groups: tuple[Group, ...]
    homes: Mapping[str, tuple[str, ...]]
    shared: tuple[str, ...]

    def group_of_switch(self) -> dict[str, str]:
        """The group of each switch in a group."""
        return {switch: group.name for group in self.groups for switch in group.switches}


@dataclass(frozen=True, slots=True)
class Tiers:
    """All tiers, leaf first; `number` is the tier of every switch that a host can be reached from.

    `idle` are switches beyond the tiers, such as leaves without adapters.
    """

    tiers: tuple[Tier, ...]
    number: Mapping[str, int]
    idle: tuple[str, ...]

    def path(self, host: str) -> dict[str, str]:
        """The domains of a host; at a tie only what all candidates share."""
        return self._path((host,), 0)

    def _path(self, children: Sequence[str], at: int) -> dict[str, str]:
        if at == len(self.tiers):
            return {}
        homes = {home for child in children for home in self.tiers[at].homes.get(child, ())}
        if any(child not in self.tiers[at].homes for child in children):
            return {}
        above = self._path(sorted(homes), at + 1)
        return {self.tiers[at].name: next(iter(homes)), **above} if len(homes) == 1 else above


def build_tiers(cabling: Cabling) -> Tiers:
    """The tiers of a fabric. Cost: about linear in cables, see `overlap_groups`."""
    neighbours = _neighbours(cabling)
    number = _tier_numbers(cabling, neighbours)
    links: Counter[tuple[str, str]] = Counter(
        (link.host, link.switch) for link in cabling.host_links if number.get(link.switch) == 0
    )
    tiers: list[Tier] = []
    while links:
        tier = _tier(len(tiers), links)
        if tiers and not _joins(tier):
            break
        tiers.append(tier)
        links = _upward(tier, len(tiers), neighbours, number)
    used = {switch for tier in tiers for group in tier.groups for switch in group.switches}
    used |= {switch for tier in tiers for switch in tier.shared}
    idle = sorted(cabling.switches.keys() - used, key=switch_key)
    return Tiers(tuple(tiers), number, tuple(idle))


def _neighbours(cabling: Cabling) -> dict[str, Counter[str]]:
    """Per switch its neighbours with the number of cables between them."""
    found: dict[str, Counter[str]] = {switch: Counter() for switch in cabling.switches}
    for link in cabling.switch_links:
        found[link.one][link.other] += 1
        found[link.other][link.one] += 1
    return found


def _tier_numbers(cabling: Cabling, neighbours: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Hops from the nearest leaf; a leaf is a switch with adapters that does not stand above others."""
    adapters = {switch: info.adapters for switch, info in cabling.switches.items() if info.adapters}

    def stands_above(switch: str) -> bool:
        beside = [adapters[other] for other in neighbours[switch] if other in adapters]
        return len(beside) > 1 and FEW * adapters[switch] <= median(beside)

    number = {switch: 0 for switch in adapters if not stands_above(switch)}
    waiting = deque(number)
    while waiting:
        switch = waiting.popleft()
        for other in neighbours[switch]:
            if other not in number:
                number[other] = number[switch] + 1
                waiting.append(other)
    return number


def _tier(at: int, links: Mapping[tuple[str, str], int]) -> Tier:
    """Group the switches of a tier by their children, and give each child its home."""
    made = group_switches(links, at=at)
    name = tier_name(at)
    groups = tuple(Group(f"{name}-{switches[0]}", switches) for switches in made.groups)
    names = {group.switches[0]: group.name for group in groups}
    homes = {child: tuple(names[first] for first in found) for child, found in made.homes.items()}
    return Tier(name, groups, homes, made.shared)


def _joins(tier: Tier) -> bool:
    """True when a tier puts any two children together; one that does not says nothing."""
    if tier.name == tier_name(1):
        return True
    homes = Counter(home for found in tier.homes.values() for home in found)
    return max(homes.values(), default=0) > 1


def _upward(
    tier: Tier, above: int, neighbours: Mapping[str, Mapping[str, int]], number: Mapping[str, int]
) -> Counter[tuple[str, str]]:
    """Cables from the groups of a tier to the switches of the next one."""
    links: Counter[tuple[str, str]] = Counter()
    for group in tier.groups:
        for switch in group.switches:
            for other, count in neighbours[switch].items():
                if number.get(other) == above:
                    links[group.name, other] += count
    return links
