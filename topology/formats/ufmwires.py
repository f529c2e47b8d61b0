"""Cables from UFM's records: which end is a host, which a switch, and each cable once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topology.formats.cabling import Cabling, HostLink, SwitchInfo, SwitchLink, counted
from topology.formats.hostnames import Adapter, HostNames, is_aggregation
from topology.formats.jsontext import Records, word
from topology.formats.overlap import switch_key
from topology.reading import ERROR, NOTE, WARNING, Finding, natural

_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})")
_DOWN = frozenset(("down", "link down", "disabled", "polling"))


@dataclass(frozen=True, slots=True)
class _Host:
    """A host end: its name as it is written in the cluster, and the adapter."""

    name: str
    device: str
    adapter: str


End = _Host | str
"""One end of a cable: a host, or the key of a switch."""


class Wires:
    """Collects systems and ports first, then cables between them."""

    def __init__(self, names: HostNames, name: str, records: Records) -> None:
        self._names, self._file, self._records = names, name, records
        self._switches: dict[str, tuple[str, str]] = {}
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._hosts: dict[str, str] = {}
        self._on: dict[str, set[str]] = defaultdict(set)
        self._cables: dict[frozenset[str], HostLink | SwitchLink | None] = {}
        self._unmapped: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._unknown: dict[str, str] = {}

    def note_system(self, system: Mapping[str, Any], where: str) -> None:
        """Learn whether a system is a switch or a host."""
        guid, title = _guid(word(system, "system_guid", "guid")), word(system, "system_name", "name")
        kind = word(system, "type").lower()
        if kind == "switch":
            self._note_switch(guid, title, where)
        elif kind == "host" and guid:
            self._hosts[guid] = title
        elif kind not in ("gateway", "router"):
            self._records.odd(where, "type switch, host, gateway or router", *filter(None, [title]))

    def note_port(self, port: Mapping[str, Any], where: str) -> None:
        """Learn from a port whether its system is a switch; a host's peer is one in any case."""
        guid, title = _guid(word(port, "systemID", "system_guid")), word(port, "system_name")
        text = word(port, "description").lower()
        if "switch" in text and "computer" not in text:
            self._note_switch(guid, title, where)
        elif "computer" in text and not is_aggregation(title) and self._peer(port) is None:
            self._note_switch(
                _guid(word(port, "peer_node_guid", "peer_guid")), word(port, "peer_node_name"), where
            )

    def add_port(self, port: Mapping[str, Any], where: str) -> None:
        """Add the cable in a port, when there is one."""
        if word(port, "logical_state").lower() in _DOWN or word(port, "physical_state").lower() in _DOWN:
            return
        if not word(port, "peer", "peer_node_name", "peer_node_guid", "peer_guid"):
            return
        number = word(port, "number", "external_number", "dname")
        mine = word(port, "name") or f"{word(port, 'systemID', 'system_name')}_{number}"
        theirs = word(port, "peer") or f"{mine} peer"
        ends = (self._own(port, where), self._peer(port) or self._peer_host(port))
        self._add(*ends, frozenset((mine, theirs)), _speed(port), where)

    def add_link(self, link: Mapping[str, Any], where: str) -> None:
        """Add a link; its ends are told by the systems, else by their descriptions."""
        ends: list[End | None] = []
        keys: list[str] = []
        for side in ("source", "destination"):
            guid = _guid(word(link, f"{side}_guid"))
            keys.append(f"{guid}_{word(link, f'{side}_port')}")
            ends.append(self._link_end(guid, word(link, f"{side}_port_node_description"), where))
        self._add(ends[0], ends[1], frozenset(keys), "", where)

    def cabling(self, source: str) -> Cabling:
        """All that was added."""
        self._report()
        found = [cable for cable in self._cables.values() if cable is not None]
        host_links = tuple(cable for cable in found if isinstance(cable, HostLink))
        switch_links = tuple(cable for cable in found if isinstance(cable, SwitchLink))
        switches = {
            key: SwitchInfo(*self._switches[key], len(self._on.get(key, ())))
            for key in sorted(self._switches, key=switch_key)
        }
        hosts = self._names.all_hosts(link.host for link in host_links)
        findings = tuple(self._records.findings)
        return Cabling(source, self._file, hosts, switches, host_links, switch_links, findings)

    def _note_switch(self, guid: str, title: str, where: str) -> None:
        if not guid and len(self._by_name.get(title, ())) == 1:
            return
        key = guid or title
        if key:
            self._switches.setdefault(key, (title, f"{self._file} {where}"))
            self._by_name[title].add(key)

    def _switch(self, guid: str, title: str) -> str | None:
        """The key of a switch by its GUID, else by its name where that is unique."""
        if guid in self._switches:
            return guid
        named = self._by_name.get(title, set())
        return next(iter(named)) if len(named) == 1 and title else None

    def _own(self, port: Mapping[str, Any], where: str) -> End | None:
        title, text = word(port, "system_name"), word(port, "node_description")
        guid = _guid(word(port, "systemID", "system_guid"))
        switch = self._switch(guid, title)
        if switch is not None:
            return switch
        if is_aggregation(title) or is_aggregation(text):
            return None
        label = _guid(word(port, "guid")) or guid or title or where
        adapter = self._names.adapter(text)
        said = "computer" in word(port, "description").lower() or guid in self._hosts
        if not said and adapter is None and self._names.member(title) is None:
            self._unknown[title or label] = where
            return None
        host = self._names.host(title) or (adapter.host if adapter else None)
        if host is None:
            self._unmapped[label] = where
            return _Host("", "", label)
        return _Host(host, adapter.device if adapter else word(port, "dname"), label)

    def _peer_host(self, port: Mapping[str, Any]) -> _Host | None:
        """The host at the far end, if its name is of the cluster or its description says an adapter."""
        title = word(port, "peer_node_name")
        adapter = self._names.adapter(word(port, "peer_node_description"))
        host = self._names.member(title) or (adapter.host if adapter else None)
        label = _guid(word(port, "peer_guid", "peer_node_guid")) or title
        return None if host is None else _Host(host, adapter.device if adapter else "", label)

    def _peer(self, port: Mapping[str, Any]) -> str | None:
        title = word(port, "peer_node_name")
        for guid in (_guid(word(port, "peer_node_guid")), _guid(word(port, "peer_guid"))):
            if guid in self._switches:
                return guid
        return self._switch("", title)

    def _link_end(self, guid: str, text: str, where: str) -> End | None:
        switch = self._switch(guid, text.partition(":")[0])
        if switch is not None:
            return switch
        if is_aggregation(text):
            return None
        host = self._names.host(self._hosts[guid]) if guid in self._hosts else None
        adapter = self._names.adapter(text) or (Adapter(host, "") if host else None)
        if adapter is not None:
            return _Host(adapter.host, adapter.device, guid)
        if ":" in text:
            self._note_switch(guid, text.partition(":")[0], where)
            return guid or text.partition(":")[0]
        self._unknown[guid or text or where] = where
        return None

    def _add(self, one: End | None, other: End | None, key: frozenset[str], speed: str, where: str) -> None:
        """Keep a cable between a host and a switch or two switches, once; two hosts make none."""
        place = f"{self._file} {where}"
        if isinstance(one, str) and isinstance(other, str):
            if one == other:
                message = f"a cable joins two ports of {one}"
                self._records.findings.append(Finding("LoopbackCable", WARNING, place, (one,), message))
            else:
                self._cables.setdefault(key, SwitchLink(one, other, speed, place))
            return
        host, switch = (one, other) if isinstance(one, _Host) else (other, one)
        if not isinstance(host, _Host) or not isinstance(switch, str):
            return
        self._on[switch].add(host.adapter or host.name)
        if host.name and not self._names.wanted(host.name):
            self._strangers.add(host.name)
        elif host.name:
            link = HostLink(host.name, host.device, host.adapter, switch, speed, place)
            known = self._cables.get(key)
            if isinstance(known, HostLink) and (known.host, known.switch) != (link.host, link.switch):
                names = natural((known.host, link.host, known.switch, link.switch))
                message = f"one cable is told as {known.host}'s and as {link.host}'s; the first counts"
                self._records.findings.append(Finding("TwoPeers", ERROR, place, names, message))
            self._cables.setdefault(key, link)

    def _report(self) -> None:
        found = self._records.findings
        if self._unmapped:
            count = counted(len(self._unmapped), "adapter")
            message = f"{count} left out: neither system nor description names a host"
            place = f"{self._file} {next(iter(self._unmapped.values()))}"
            found.append(Finding("UnmappedAdapter", WARNING, place, natural(self._unmapped), message))
        if self._unknown:
            count = counted(len(self._unknown), "system")
            message = f"{count} left out: neither host nor switch by anything said here"
            place = f"{self._file} {next(iter(self._unknown.values()))}"
            found.append(Finding("UnknownSystem", WARNING, place, natural(self._unknown), message))
        if self._strangers:
            message = f"{counted(len(self._strangers), 'host')} left aside that are no nodes of the cluster"
            found.append(Finding("NotInCluster", NOTE, self._file, natural(self._strangers), message))


def _guid(text: str) -> str:
    """A GUID as 16 hexadecimal digits in lower case; other text as it is."""
    found = _HEX.fullmatch(text)
    return found[1].lower().rjust(16, "0") if found else text


def _speed(port: Mapping[str, Any]) -> str:
    """Width and speed in ibnetdiscover's form, such as "4xNDR"; empty when either is not said."""
    width, speed = word(port, "active_width").lower().removeprefix("ib_"), word(port, "active_speed")
    return f"{width}{speed.upper()}" if re.fullmatch(r"[0-9]{1,2}x", width) and speed else ""
