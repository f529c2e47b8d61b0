"""What is odd about switches: hosts in the wrong tier, cables within one, groups with two parents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from topology.formats.cabling import Cabling, counted
from topology.formats.overlap import switch_key
from topology.formats.tiers import Tiers
from topology.reading import ERROR, NOTE, WARNING, Finding, natural


def wire_findings(cabling: Cabling, tiers: Tiers) -> Iterator[Finding]:
    """Hosts without cables or above the leaves, ties, cables inside a tier, idle switches."""
    yield from _unseen_hosts(cabling)
    yield from _hosts_above(cabling, tiers)
    yield from _ties(cabling, tiers)
    yield from _cables_within(cabling, tiers)
    if tiers.idle:
        message = f"{counted(len(tiers.idle), 'switch')} without any host of the cluster below, in no domain"
        yield Finding("IdleSwitch", NOTE, cabling.where, natural(tiers.idle), message)


def _unseen_hosts(cabling: Cabling) -> Iterator[Finding]:
    unseen = natural(set(cabling.hosts) - {link.host for link in cabling.host_links})
    if unseen:
        message = (
            f"{counted(len(unseen), 'node')} of the cluster without a cable in this file: place not known"
        )
        yield Finding("HostNotSeen", WARNING, cabling.where, unseen, message)


def _hosts_above(cabling: Cabling, tiers: Tiers) -> Iterator[Finding]:
    above: dict[str, set[str]] = defaultdict(set)
    for link in cabling.host_links:
        if tiers.number.get(link.switch) != 0:
            above[link.switch].add(link.host)
    for switch in sorted(above, key=switch_key):
        hosts = natural(above[switch])
        message = (
            f"hosts hang on {cabling.title(switch)}, which stands above the leaves; those cables say no place"
        )
        yield Finding(
            "HostOnSpine", WARNING, cabling.switches[switch].where, natural((*hosts, switch)), message
        )


def _ties(cabling: Cabling, tiers: Tiers) -> Iterator[Finding]:
    for tier in tiers.tiers:
        for child in natural(child for child, homes in tier.homes.items() if len(homes) > 1):
            homes = natural(tier.homes[child])
            message = f"{child} has as many cables to {' as to '.join(homes)}; its {tier.name} is left open"
            yield Finding("TwoParents", ERROR, cabling.where, natural((child, *homes)), message)


def _cables_within(cabling: Cabling, tiers: Tiers) -> Iterator[Finding]:
    within: dict[int, set[str]] = defaultdict(set)
    for link in cabling.switch_links:
        tier = tiers.number.get(link.one)
        if tier is not None and tier == tiers.number.get(link.other):
            within[tier] |= {link.one, link.other}
    for tier, switches in sorted(within.items()):
        names = natural(switches)
        message = (
            f"{counted(len(names), 'switch')} of tier {tier} cabled to each other; such cables join no groups"
        )
        yield Finding("SameTierCable", NOTE, cabling.switches[names[0]].where, names, message)
