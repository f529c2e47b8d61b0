"""From cables to a reading: tiers as levels, and what is odd about any host, rail or link."""

from __future__ import annotations

from topology.formats.cabling import Cabling
from topology.formats.linkspeed import speed_findings
from topology.formats.rails import rail_findings
from topology.formats.tiers import build_tiers
from topology.formats.wirefaults import wire_findings
from topology.reading import Reading, invalid


def read_cabling(cabling: Cabling) -> Reading:
    """The reading of some cables: levels coarse to fine, all of them made of switch groups.

    A host that is only known by name keeps its place among the nodes, with
    nothing known. Raises InvalidSource when no host has any cable.
    """
    if not cabling.host_links:
        wanted = "at least one cable from a host of the cluster to a switch"
        raise invalid(cabling.where, "hosts with cables", _instead(cabling), wanted)
    tiers = build_tiers(cabling)
    nodes = {host: tiers.path(host) for host in cabling.hosts}
    used = {level for path in nodes.values() for level in path}
    levels = tuple(tier.name for tier in reversed(tiers.tiers) if tier.name in used)
    findings = (
        *cabling.findings,
        *wire_findings(cabling, tiers),
        *rail_findings(cabling, tiers),
        *speed_findings(cabling, tiers),
    )
    return Reading(cabling.source, levels, (), nodes, findings)


def _instead(cabling: Cabling) -> str:
    """What there is in place of hosts: the first few names of what was left out, by finding."""
    told = (f"{one.code} {', '.join(one.names[:3])}".strip() for one in cabling.findings)
    return f"none, but {'; '.join(told)}" if cabling.findings else "none"
