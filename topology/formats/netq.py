"""What NVIDIA NetQ says: its topology graph (switches and hosts), and NMX's compute nodes (NVLink domains).

The graph is the answer of NetQ's `telemetry/v1/object/topologygraph/
fetch-topology`: devices under `nodes[].compounded_nodes[]` with a tier (-1 for
what is no switch), and links whose id joins two device ids by "-*-", with
their cables under `compounded_links[]`. The compute nodes are the answer of
NMX's `nmx/v1/compute-nodes`: a list with Name, DomainUUID and LocationInfo.
Both shapes were read in topograph's NetQ provider and its two fixtures
(tests/output/netq); no other fields are relied on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from topology.formats.cabling import Cabling, HostLink, SwitchInfo, SwitchLink, counted
from topology.formats.gather import read_cabling
from topology.formats.hostnames import HostNames
from topology.formats.jsontext import Records, load_json, looks_like_json, word
from topology.formats.nmx import looks_like_nmx, read_nmx
from topology.formats.overlap import switch_key
from topology.reading import ERROR, NOTE, WARNING, Finding, Reading, invalid, natural

SOURCE = "netq"

_BETWEEN = "-*-"
_NO_TIER = "-1"


@dataclass(frozen=True, slots=True)
class _Device:
    """A device of the graph."""

    id: str
    name: str
    is_switch: bool
    where: str


def looks_like_netq(text: str) -> bool:
    """True for the topology graph and for NMX's compute nodes."""
    return looks_like_json(text) and ('"compounded_nodes"' in text or looks_like_nmx(text))


def read_netq(text: str, *, name: str, hosts: Iterable[str] | None = None) -> Reading:
    """Levels from the graph, or the partition "nvlink" from compute nodes.

    `hosts` are the names of the cluster's nodes; other machines are then left
    aside. Raises InvalidSource when the text is neither document.
    """
    document = load_json(text, name=name)
    if looks_like_nmx(text):
        return read_nmx(document, name=name, names=HostNames(hosts))
    graphs = document if isinstance(document, list) else [document]
    if len(graphs) != 1 or not isinstance(graphs[0], Mapping) or "nodes" not in graphs[0]:
        wanted = "one topology graph with nodes and links, or a list of NMX compute nodes"
        raise invalid(name, "document", type(document).__name__, wanted)
    return read_cabling(_Graph(graphs[0], HostNames(hosts), name).cabling())


class _Graph:
    """The graph as cables between hosts and switches."""

    def __init__(self, graph: Mapping[str, Any], names: HostNames, name: str) -> None:
        self._graph, self._names, self._file = graph, names, name
        self._records = Records(name)
        self._findings: list[Finding] = []
        self._devices: dict[str, _Device] = {}
        self._key: dict[str, str] = {}

    def cabling(self) -> Cabling:
        """Everything in the graph."""
        self._note_devices()
        host_links: list[HostLink] = []
        switch_links: list[SwitchLink] = []
        on: dict[str, set[str]] = defaultdict(set)
        strangers: set[str] = set()
        for where, one, other in self._cables():
            (first, _), (second, _) = ends = (one, other)
            if first.is_switch and second.is_switch:
                switch_links.append(SwitchLink(self._key[first.id], self._key[second.id], "", where))
            elif first.is_switch != second.is_switch:
                (host, port), (switch, _) = ends if second.is_switch else ends[::-1]
                on[switch.id].add(host.id)
                node = self._names.member(host.name) or host.name
                if self._names.wanted(node):
                    adapter = f"{host.id}:{port}"
                    host_links.append(HostLink(node, port, adapter, self._key[switch.id], "", where))
                else:
                    strangers.add(node)
        if strangers:
            message = f"{counted(len(strangers), 'host')} left aside that are no nodes of the cluster"
            self._findings.append(Finding("NotInCluster", NOTE, self._file, natural(strangers), message))
        return Cabling(
            SOURCE,
            self._file,
            self._names.all_hosts(link.host for link in host_links),
            self._switches(on),
            tuple(host_links),
            tuple(switch_links),
            (*self._records.findings, *self._findings),
        )

    def _note_devices(self) -> None:
        for device in self._listed():
            known = self._devices.setdefault(device.id, device)
            if (known.name, known.is_switch) != (device.name, device.is_switch):
                message = (
                    f"id {device.id} is listed twice, as {known.name} and {device.name}; the first counts"
                )
                names = natural((known.name, device.name))
                self._findings.append(Finding("DuplicateDevice", ERROR, device.where, names, message))
        self._name_switches()

    def _listed(self) -> Iterator[_Device]:
        """Devices; a node without compounded ones is a device itself."""
        for where, node in self._records.under(self._graph, "nodes", ""):
            inside = list(self._records.under(node, "compounded_nodes", f"{where}."))
            for place, record in inside or [(where, node)]:
                if word(record, "node_type") == "tier":
                    continue
                device = _device(record, f"{self._file} {place}")
                if device is None:
                    self._records.odd(
                        place, "id, and tier or device_type", *filter(None, [word(record, "name")])
                    )
                else:
                    yield device

    def _name_switches(self) -> None:
        """Switches are told by name where that is unique, else by id."""
        names = Counter(device.name for device in self._devices.values() if device.is_switch)
        for device in self._devices.values():
            if device.is_switch:
                self._key[device.id] = device.name if names[device.name] == 1 else device.id

    def _switches(self, on: Mapping[str, set[str]]) -> dict[str, SwitchInfo]:
        made = {
            self._key[device.id]: SwitchInfo(device.name, device.where, len(on.get(device.id, ())))
            for device in self._devices.values()
            if device.is_switch
        }
        return {key: made[key] for key in sorted(made, key=switch_key)}

    def _cables(self) -> Iterator[tuple[str, tuple[_Device, str], tuple[_Device, str]]]:
        """Cables once each: place, and per end the device and its interface."""
        seen: set[frozenset[tuple[str, str]]] = set()
        unknown: dict[str, str] = {}
        for where, link in self._records.under(self._graph, "links", ""):
            ends = word(link, "id").split(_BETWEEN)
            if len(ends) != 2 or ends[0] == ends[1]:
                self._records.odd(where, f"an id of two devices, such as node1{_BETWEEN}node2")
                continue
            missing = [end for end in ends if end not in self._devices]
            unknown.update((end, where) for end in missing)
            if missing:
                continue
            one, other = self._devices[ends[0]], self._devices[ends[1]]
            inside = list(self._records.under(link, "compounded_links", f"{where}."))
            for place, cable in inside or [(where, link)]:
                ports = _ports(self._records, cable, place)
                pair = ((one, ports.get(one.id, "")), (other, ports.get(other.id, "")))
                key = frozenset((device.id, port) for device, port in pair)
                if key not in seen:
                    seen.add(key)
                    yield f"{self._file} {place}", *pair
        if unknown:
            message = (
                f"{counted(len(unknown), 'device')} named by links but not listed; those links are left out"
            )
            place = f"{self._file} {next(iter(unknown.values()))}"
            self._findings.append(Finding("UnknownDevice", WARNING, place, natural(unknown), message))


def _device(record: Mapping[str, Any], where: str) -> _Device | None:
    """A device; a switch by its type or, where that does not say, by having a tier."""
    key, tier, kind = word(record, "id"), word(record, "tier"), word(record, "device_type")
    if not key or not (tier or kind):
        return None
    is_switch = "switch" in kind.lower() or tier not in ("", _NO_TIER)
    return _Device(key, word(record, "name") or key, is_switch, where)


def _ports(records: Records, cable: Mapping[str, Any], place: str) -> dict[str, str]:
    """Interface names by device id."""
    return {
        word(end, "node"): word(end, "interface")
        for _, end in records.under(cable, "interfaces", f"{place}.")
        if word(end, "node")
    }
