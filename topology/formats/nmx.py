"""NVLink domains from NMX's list of compute nodes; see `netq` for where the shape was read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from topology.formats.hostnames import HostNames
from topology.formats.jsontext import Records, word
from topology.reading import ERROR, NOTE, NVLINK_SUB, WARNING, Finding, Reading, invalid, natural
from topology.spec import NVLINK

SOURCE = "netq"


@dataclass(frozen=True, slots=True)
class _Tray:
    """A compute node: its NVLink domain, and the chassis that it sits in."""

    domain: str
    chassis: str
    health: str
    where: str


def looks_like_nmx(text: str) -> bool:
    """True for a list of compute nodes with DomainUUID."""
    return '"DomainUUID"' in text and '"compounded_nodes"' not in text


def read_nmx(document: object, *, name: str, names: HostNames) -> Reading:
    """The partition "nvlink" by DomainUUID, and "nvlink-sub" by chassis where any domain has several.

    A domain may hold several cliques, which NMX's list does not tell; a note
    says so. Raises InvalidSource when no node has a domain.
    """
    if not isinstance(document, list):
        raise invalid(
            name, "document", type(document).__name__, "a list of compute nodes with Name and DomainUUID"
        )
    records = Records(name)
    found: list[Finding] = []
    trays: dict[str, dict[_Tray, None]] = defaultdict(dict)
    for where, record in records.each(document, "nodes"):
        title, domain = word(record, "Name"), word(record, "DomainUUID")
        node = names.member(title) or title
        if not title or not domain:
            records.odd(where, "Name and DomainUUID", *filter(None, [title or word(record, "ID")]))
        elif names.wanted(node):
            place = record.get("LocationInfo")
            chassis = word(place, "ChassisID", "ChassisSerialNumber") if isinstance(place, Mapping) else ""
            health = word(record, "Health").lower()
            trays[node][_Tray(domain, chassis, health, f"{name} {where}")] = None
    if not trays:
        raise invalid(
            name, "nodes", len(document), "at least one node of the cluster with Name and DomainUUID"
        )
    nodes = _nodes(trays, found)
    unseen = natural((names.known or frozenset()) - trays.keys())
    if unseen:
        nodes.update((node, {}) for node in unseen)
        message = f"{len(unseen)} nodes of the cluster are not listed; their NVLink domain is not known"
        found.append(Finding("HostNotSeen", WARNING, name, unseen, message))
    split = any(NVLINK_SUB in path for path in nodes.values())
    domains = natural(path[NVLINK] for path in nodes.values() if NVLINK in path)
    message = "names are NVLink domains; a domain may hold several cliques, which this list does not tell"
    found.append(Finding("CliqueNotKnown", NOTE, name, domains, message))
    partitions = (NVLINK, NVLINK_SUB) if split else (NVLINK,)
    return Reading(SOURCE, (), partitions, nodes, (*records.findings, *found))


def _nodes(trays: Mapping[str, Mapping[_Tray, None]], found: list[Finding]) -> dict[str, dict[str, str]]:
    """The path of each node; one that is listed with two places has none."""
    chassis: dict[str, set[str]] = defaultdict(set)
    for listed in trays.values():
        for tray in listed:
            chassis[tray.domain].add(tray.chassis)
    nodes: dict[str, dict[str, str]] = {}
    for node in natural(trays):
        places = list(trays[node])
        tray = places[0]
        if len({(one.domain, one.chassis) for one in places}) > 1:
            nodes[node] = {}
            names = natural((node, *(one.domain for one in places)))
            message = f"{node} is listed in several places; none is kept"
            found.append(Finding("NodeTwice", ERROR, places[1].where, names, message))
            continue
        nodes[node] = {NVLINK: tray.domain}
        if len(chassis[tray.domain]) > 1 and tray.chassis:
            nodes[node][NVLINK_SUB] = f"{tray.domain}-c{tray.chassis}"
        if tray.health not in ("", "healthy"):
            message = f"NMX gives the health of {node} as {tray.health}"
            found.append(Finding("NodeUnhealthy", WARNING, tray.where, (node,), message))
    return nodes
