"""What NVIDIA UFM's REST interface says: ports, or links, with systems to tell hosts from switches.

Accepted are the answers of `resources/ports` and `resources/links` as they
come, and one object {"systems": [...], "ports": [...], "links": [...]} that
holds several answers. Read for this: the Links and Systems pages of the UFM
Enterprise REST API guide (6.11 to 6.20: source_guid, source_port,
destination_guid, destination_port, *_node_description, width; type, role,
system_name), Volcano's UFM discovery (ports with system_name, peer_node_name
and a description such as "Computer IB Port"), and a public Go client of
`resources/ports` (systemID, peer, peer_node_guid, active_speed, active_width,
logical_state). No live UFM was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from topology.formats.cabling import Cabling
from topology.formats.gather import read_cabling
from topology.formats.hostnames import HostNames
from topology.formats.jsontext import Records, load_json, looks_like_json, word
from topology.formats.ufmwires import Wires
from topology.reading import Reading, invalid

SOURCE = "ufm"

_WANTED = "UFM's ports or links, or an object with lists of systems, ports or links"


def looks_like_ufm(text: str) -> bool:
    """True for lists of ports or links, and for an object that holds them."""
    if not looks_like_json(text):
        return False
    ports = '"peer_node_name"' in text or '"peer_node_guid"' in text
    return ports or ('"source_guid"' in text and '"destination_guid"' in text)


def read_ufm(text: str, *, name: str, hosts: Iterable[str] | None = None) -> Reading:
    """Levels leaf, spine, core from ports, or from links when there are no ports.

    `hosts` are the names of the cluster's nodes; other machines are then left
    aside. Raises InvalidSource when no host has a cable, or the text is none
    of the answers above.
    """
    return read_cabling(ufm_cabling(load_json(text, name=name), name=name, names=HostNames(hosts)))


def ufm_cabling(document: object, *, name: str, names: HostNames) -> Cabling:
    """The cables that a parsed answer tells of; raises InvalidSource."""
    records = Records(name)
    parts = _parts(document, name)
    listed = {key: list(records.each(parts[key], key)) for key in ("systems", "ports", "links")}
    if not listed["ports"] and not listed["links"]:
        raise invalid(name, "ports and links", "none", "either; systems alone name no cable")
    wires = Wires(names, name, records)
    for where, system in listed["systems"]:
        wires.note_system(system, where)
    for where, port in listed["ports"]:
        wires.note_port(port, where)
    for where, port in listed["ports"]:
        wires.add_port(port, where)
    for where, link in listed["links"] if not listed["ports"] else ():
        wires.add_link(link, where)
    return wires.cabling(SOURCE)


def _parts(document: object, name: str) -> dict[str, list[Any]]:
    """The lists of a document by what they hold."""
    parts: dict[str, list[Any]] = {"systems": [], "ports": [], "links": []}
    if isinstance(document, Mapping):
        known = {key: document[key] for key in parts if document.get(key) is not None}
        for key, value in known.items():
            if not isinstance(value, list):
                raise invalid(name, key, value, "a list of objects")
            parts[key] = value
        if known:
            return parts
    elif isinstance(document, list):
        first = next((one for one in document if isinstance(one, Mapping)), None)
        if first is not None:
            parts[_kind(first, name)] = document
            return parts
    raise invalid(name, "document", type(document).__name__, _WANTED)


def _kind(record: Mapping[str, Any], name: str) -> str:
    """What a list holds, by its first record."""
    if "source_guid" in record or "destination_guid" in record:
        return "links"
    if "peer_node_name" in record or "peer_node_guid" in record or "peer" in record or "systemID" in record:
        return "ports"
    if word(record, "system_name"):
        return "systems"
    raise invalid(name, "first record", sorted(map(str, record))[:5], _WANTED)
