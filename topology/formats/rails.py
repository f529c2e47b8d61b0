"""Hosts that hang differently from their peers: a rail missing, a rail on the wrong leaf."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low

from topology.formats.cabling import Cabling, HostLink
from topology.formats.overlap import switch_key
from topology.formats.tiers import Tiers
from topology.reading import NOTE, WARNING, Finding, natural


@dataclass(slots=True)
class _Leaves:
    """The lowest tier, looked at from its leaf switches."""

    links: dict[str, list[HostLink]] = field(default_factory=lambda: defaultdict(list))
    home: dict[str, str] = field(default_factory=dict)
    group_of: dict[str, str] = field(default_factory=dict)
    hosts_of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    expected: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    usual: dict[str, int] = field(default_factory=dict)
    device: dict[str, str] = field(default_factory=dict)
    steady: set[str] = field(default_factory=set)
    partial: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()


def rail_findings(cabling: Cabling, tiers: Tiers) -> Iterator[Finding]:
    """Missing, misplaced and swapped rails by host; shared and partial leaves; groups with fewer rails."""
    if not tiers.tiers:
        return
    leaves = _look(cabling, tiers)
    for switch in sorted(leaves.shared, key=switch_key):
        groups = natural({leaves.home[link.host] for link in _homed(leaves, switch)})
        message = f"leaf {cabling.title(switch)} serves hosts of {' and '.join(groups)}"
        yield Finding("SharedLeaf", NOTE, cabling.switches[switch].where, natural((switch, *groups)), message)
    for switch, absent in leaves.partial.items():
        where, group = cabling.switches[switch].where, leaves.group_of[switch]
        message = (
            f"leaf {cabling.title(switch)} reaches not half of {group}: {', '.join(absent)} are not on it"
        )
        yield Finding("PartialLeaf", WARNING, where, natural((switch, *absent)), message)
    for host in natural(leaves.home):
        yield from _host_findings(host, leaves, cabling)
    yield from _fewer_rails(leaves, cabling)


def _look(cabling: Cabling, tiers: Tiers) -> _Leaves:
    lowest = tiers.tiers[0]
    leaves = _Leaves(group_of=lowest.group_of_switch(), shared=frozenset(lowest.shared))
    leaves.home = {host: homes[0] for host, homes in lowest.homes.items() if len(homes) == 1}
    for host in natural(leaves.home):
        leaves.hosts_of[leaves.home[host]].append(host)
    on: dict[str, list[HostLink]] = defaultdict(list)
    for link in cabling.host_links:
        if tiers.number.get(link.switch) == 0:
            leaves.links[link.host].append(link)
            on[link.switch].append(link)
    for switch, group in sorted(leaves.group_of.items(), key=lambda found: switch_key(found[0])):
        own = [link for link in on[switch] if leaves.home.get(link.host) == group]
        hosts = Counter(link.host for link in own)
        if hosts and 2 * len(hosts) >= len(leaves.hosts_of[group]):
            leaves.expected[group].append(switch)
            leaves.usual[switch] = median_low(hosts.values())
        devices = Counter(link.device for link in own if link.device)
        leaves.device[switch] = min(devices, key=lambda device: (-devices[device], device), default="")
        if 4 * devices[leaves.device[switch]] > 3 * len(own):
            leaves.steady.add(switch)
        if hosts and 2 * len(hosts) < len(leaves.hosts_of[group]):
            leaves.partial[switch] = natural(set(leaves.hosts_of[group]) - set(hosts))
    return leaves


def _homed(leaves: _Leaves, switch: str) -> Iterator[HostLink]:
    for host in leaves.home:
        yield from (link for link in leaves.links[host] if link.switch == switch)


def _host_findings(host: str, leaves: _Leaves, cabling: Cabling) -> Iterator[Finding]:
    """What this host lacks, each misplaced cable matched with the leaf it should be on."""
    group = leaves.home[host]
    have = Counter(link.switch for link in leaves.links[host])
    missing = [switch for switch in leaves.expected[group] if not have[switch]]
    for link in _stray(leaves.links[host], group, leaves, crowded=bool(missing)):
        right = _belongs(link, missing, leaves.device)
        missing = [switch for switch in missing if switch not in right]
        places = " or ".join(cabling.title(switch) for switch in right)
        instead = f"; its peers in {group} are on {places}" if right else f", beside its rails in {group}"
        what = f"{host}'s adapter {link.device or link.adapter}"
        message = f"{what} is cabled to {cabling.title(link.switch)}{instead}"
        yield Finding("MisplacedRail", WARNING, link.where, natural((host, link.switch, *right)), message)
    yield from _swapped(host, leaves, cabling)
    if missing:
        rails = ", ".join(_rail(switch, leaves, cabling) for switch in missing)
        message = f"{host} of {group} has no cable to {rails}, where its peers have one"
        yield Finding(
            "MissingRail", WARNING, cabling.switches[missing[0]].where, natural((host, *missing)), message
        )


def _swapped(host: str, leaves: _Leaves, cabling: Cabling) -> Iterator[Finding]:
    """Adapters on the leaf where the peers have another one, which in turn has a leaf of its own."""
    group = leaves.home[host]
    usual = {leaves.device[switch] for switch in leaves.expected[group]}
    swapped = {
        link.switch: link
        for link in leaves.links[host]
        if link.switch in leaves.steady and link.device != leaves.device[link.switch] and link.device in usual
    }
    if swapped:
        rails = ", ".join(
            f"{swapped[switch].device} on {_rail(switch, leaves, cabling)}" for switch in swapped
        )
        message = f"{host} of {group} has its rails in another order than its peers: {rails} there"
        where = next(iter(swapped.values())).where
        yield Finding("SwappedRail", NOTE, where, natural((host, *swapped)), message)


def _stray(links: Sequence[HostLink], group: str, leaves: _Leaves, *, crowded: bool) -> Iterator[HostLink]:
    """Cables to leaves of other groups and, when rails are missing, second ones to a leaf of the own."""
    count: Counter[str] = Counter()
    for link in sorted(
        links, key=lambda link: (switch_key(link.switch), link.device != leaves.device.get(link.switch))
    ):
        count[link.switch] += 1
        if leaves.group_of.get(link.switch) != group:
            if link.switch not in leaves.shared:
                yield link
        elif crowded and count[link.switch] > max(1, leaves.usual.get(link.switch, 1)):
            yield link


def _belongs(link: HostLink, missing: Sequence[str], device: Mapping[str, str]) -> tuple[str, ...]:
    """The leaf where peers have this device; all that lack a cable when that does not tell."""
    named = tuple(switch for switch in missing if link.device and device[switch] == link.device)
    return named if len(named) == 1 else tuple(missing)


def _rail(switch: str, leaves: _Leaves, cabling: Cabling) -> str:
    device = leaves.device[switch]
    return cabling.title(switch) + (f" as {device}" if device else "")


def _fewer_rails(leaves: _Leaves, cabling: Cabling) -> Iterator[Finding]:
    """Groups with fewer leaf switches than most: a leaf that is down does not show otherwise."""
    rails = Counter(leaves.group_of.values())
    sizes = Counter(rails.values())
    if not sizes:
        return
    usual = max(sizes, key=lambda size: (sizes[size], size))
    for group in natural(group for group, count in rails.items() if count < usual):
        hosts = tuple(leaves.hosts_of[group])
        message = f"{group} has {rails[group]} leaf switches, most groups have {usual}"
        yield Finding("FewerRails", NOTE, cabling.where, natural((group, *hosts)), message)
