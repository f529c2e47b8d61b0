"""What `ibnetdiscover` printed, as leaf groups, spine groups and cores.

Switches are told apart by GUID, never by description: one chassis may be
several units. SHARP aggregation nodes are left aside. An adapter whose
description names no host is reported and never guessed at.

The form of the lines was read in the sample that ships with topograph
(tests/output/ibnetdiscover) and in ibnetdiscover(8) of infiniband-diags.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from topology.formats.cabling import Cabling, HostLink, SwitchInfo, SwitchLink, counted
from topology.formats.gather import read_cabling
from topology.formats.hostnames import Adapter, HostNames, is_aggregation
from topology.formats.ibtext import ADAPTER, SWITCH, Listing, Section, looks_like_ibnetdiscover, parse_listing
from topology.formats.overlap import switch_key
from topology.reading import ERROR, NOTE, WARNING, Finding, Reading, invalid, natural

__all__ = ["ibnetdiscover_cabling", "looks_like_ibnetdiscover", "read_ibnetdiscover"]

SOURCE = "ibnetdiscover"
_SHOWN = 3

End = tuple[str, int]
"""A GUID and a port number."""


def read_ibnetdiscover(
    text: str, *, name: str, hosts: Iterable[str] | None = None, names: Mapping[str, str] | None = None
) -> Reading:
    """Levels leaf, spine, core and up as far as switches join anything.

    `name` is the file's, for messages. `hosts` are the names of the cluster's
    nodes: adapters of other machines are then left aside first, which keeps
    management hosts from bending the groups. `names` are descriptions by GUID
    in place of those in the text, see `read_name_map`; there a host's name
    alone will do. Raises InvalidSource when the text is no such output, or
    names no switch with a cable.
    """
    return read_cabling(ibnetdiscover_cabling(text, name=name, hosts=hosts, names=names))


def ibnetdiscover_cabling(
    text: str, *, name: str, hosts: Iterable[str] | None = None, names: Mapping[str, str] | None = None
) -> Cabling:
    """The cables that the text tells of; raises InvalidSource."""
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise invalid(
            f"{name}:{line}", "file", "\0", "text; this is a binary file, or UTF-16: convert it to UTF-8"
        )
    listing = parse_listing(text)
    if not listing.sections:
        raise invalid(
            name, "file", text[:40], 'the output of ibnetdiscover, with lines such as Switch 65 "S-<guid>"'
        )
    if not any(section.kind == SWITCH for section in listing.sections):
        first = listing.sections[0]
        wanted = "at least one switch; the tool ran on a host whose port has no link"
        raise invalid(f"{name}:{first.line}", "sections", f"adapter {first.guid} alone", wanted)
    return _Wiring(listing, HostNames(hosts), names or {}, name).cabling()


@dataclass(frozen=True, slots=True)
class _Cable:
    """A cable as one of its ends tells it."""

    one: End
    other: End
    speed: str
    line: int


class _Wiring:
    """Puts a listing together: which adapter is whose, which cable is where, and what contradicts itself."""

    def __init__(self, listing: Listing, names: HostNames, given: Mapping[str, str], name: str) -> None:
        self._listing, self._names, self._given, self._file = listing, names, given, name
        self._findings: list[Finding] = []
        self._titles: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._described: dict[str, str] = {}

    def cabling(self) -> Cabling:
        """Everything in the listing; findings stand in the order they were met."""
        self._report_unknown()
        self._note_sections()
        self._note_peers()
        cables = self._cables()
        links, seen = self._host_links(cables)
        fabric = [
            cable for cable in cables if cable.one[0] in self._titles and cable.other[0] in self._titles
        ]
        switch_links = tuple(
            SwitchLink(cable.one[0], cable.other[0], cable.speed, self._at(cable.line)) for cable in fabric
        )
        hosts = self._names.all_hosts(link.host for link in links)
        return Cabling(
            SOURCE, self._file, hosts, self._switches(seen), tuple(links), switch_links, tuple(self._findings)
        )

    def _at(self, line: int) -> str:
        return f"{self._file}:{line}"

    def _report(self, code: str, severity: str, line: int, names: Iterable[str], message: str) -> None:
        self._findings.append(Finding(code, severity, self._at(line), natural(names), message))

    def _report_unknown(self) -> None:
        unknown = self._listing.unknown
        if unknown:
            shown = "; ".join(f"line {number}: {line[:60]!r}" for number, line in unknown[:_SHOWN])
            more = "" if len(unknown) <= _SHOWN else f" and {len(unknown) - _SHOWN} more"
            message = f"{counted(len(unknown), 'line')} of no known form left out: {shown}{more}"
            self._report("UnknownLine", WARNING, unknown[0][0], (), message)

    def _note_sections(self) -> None:
        """Titles of switches and adapters from their own headers; a second header for a GUID is reported."""
        first: dict[str, Section] = {}
        for section in self._listing.sections:
            if section.guid in first:
                message = (
                    f"GUID {section.guid} has a section at line {first[section.guid].line} already; "
                    "the ports of both count"
                )
                self._report("DuplicateGuid", ERROR, section.line, (section.guid,), message)
                continue
            first[section.guid] = section
            self._lines[section.guid] = section.line
            if section.kind == SWITCH:
                self._titles[section.guid] = self._given.get(section.guid, section.description)
            elif section.kind == ADAPTER:
                self._described[section.guid] = self._given.get(section.guid, section.description)

    def _note_peers(self) -> None:
        """Switches and adapters that only port lines mention; a switch without a section is reported."""
        missing: dict[str, int] = {}
        for section in self._listing.sections:
            for port in section.ports:
                if port.kind == ADAPTER:
                    if not self._described.get(port.peer):
                        self._described[port.peer] = self._given.get(port.peer, port.description)
                        self._lines.setdefault(port.peer, port.line)
                elif port.kind == SWITCH and port.peer not in self._titles:
                    missing[port.peer] = port.line
                    self._titles[port.peer] = self._given.get(port.peer, port.description)
                    self._lines[port.peer] = port.line
        if missing:
            message = (
                f"{counted(len(missing), 'switch')} named as peers without a section: the file is cut short, "
                "or discovery failed there"
            )
            self._report("MissingSection", ERROR, min(missing.values()), missing, message)

    def _cables(self) -> list[_Cable]:
        """Each cable once, whichever of its ends tell of it; loops and ports with two peers are reported."""
        peer_of: dict[End, End] = {}
        cables: dict[frozenset[End], _Cable] = {}
        for section in self._listing.sections:
            for port in section.ports:
                one, other = (section.guid, port.number), (port.peer, port.peer_port)
                if section.guid == port.peer:
                    message = (
                        f"ports {port.number} and {port.peer_port} of {section.guid} are cabled to each other"
                    )
                    self._report("LoopbackCable", WARNING, port.line, (section.guid,), message)
                    continue
                for end, peer in ((one, other), (other, one)):
                    if peer_of.setdefault(end, peer) != peer:
                        message = (
                            f"port {end[1]} of {end[0]} has two peers, {peer_of[end][0]} and {peer[0]}: "
                            "a GUID is used twice, or the file mixes two runs"
                        )
                        self._report(
                            "TwoPeers", ERROR, port.line, (end[0], peer_of[end][0], peer[0]), message
                        )
                known = cables.get(frozenset((one, other)))
                if known is None or (port.speed and not known.speed):
                    cables[frozenset((one, other))] = _Cable(one, other, port.speed, port.line)
        return list(cables.values())

    def _host_links(self, cables: Iterable[_Cable]) -> tuple[list[HostLink], Counter[str]]:
        """Cables of the cluster's hosts, and the number of adapters on each switch whoever's they are."""
        links: list[HostLink] = []
        seen: Counter[str] = Counter()
        unmapped: dict[str, dict[str, int]] = defaultdict(dict)
        strangers: dict[str, int] = {}
        for cable, guid, switch in self._adapter_ends(cables):
            if is_aggregation(self._described[guid]):
                continue
            seen[switch] += 1
            adapter = self._adapter(guid)
            if adapter is None:
                unmapped[switch][guid] = cable.line
            elif self._names.wanted(adapter.host):
                where = self._at(cable.line)
                links.append(HostLink(adapter.host, adapter.device, guid, switch, cable.speed, where))
            else:
                strangers.setdefault(adapter.host, cable.line)
        self._report_unmapped(unmapped)
        self._report_namesakes(links)
        if strangers:
            message = f"{counted(len(strangers), 'host')} left aside that are no nodes of the cluster"
            where = self._at(min(strangers.values()))
            self._findings.append(Finding("NotInCluster", NOTE, where, natural(strangers), message))
        return links, seen

    def _adapter(self, guid: str) -> Adapter | None:
        """Whose adapter this is; a name that the caller gave may be a host's alone."""
        adapter = self._names.adapter(self._described[guid])
        if adapter is not None or guid not in self._given:
            return adapter
        host = self._names.host(self._given[guid])
        return None if host is None else Adapter(host, "")

    def _adapter_ends(self, cables: Iterable[_Cable]) -> Iterator[tuple[_Cable, str, str]]:
        """Cables between an adapter and a switch, with the GUIDs of both."""
        for cable in cables:
            ends = (cable.one[0], cable.other[0])
            for guid, switch in (ends, ends[::-1]):
                if guid in self._described and switch in self._titles:
                    yield cable, guid, switch
                    break

    def _report_unmapped(self, unmapped: Mapping[str, Mapping[str, int]]) -> None:
        for switch in sorted(unmapped, key=switch_key):
            lines = unmapped[switch]
            texts = ", ".join(sorted({repr(self._described[guid]) for guid in lines}))
            message = (
                f"{counted(len(lines), 'adapter')} on switch {switch} ({self._titles[switch]}) left out: "
                f"the description {texts} names no host"
            )
            self._report("UnmappedAdapter", WARNING, min(lines.values()), lines, message)

    def _report_namesakes(self, links: Iterable[HostLink]) -> None:
        """Hosts with two adapters of one name: two machines may share a host name."""
        adapters: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for link in links:
            if link.device:
                adapters[link.host, link.device][link.adapter] = link.where
        for (host, device), found in adapters.items():
            if len(found) > 1:
                message = (
                    f"{len(found)} adapters are called {host} {device}: several machines may have this name"
                )
                where = next(iter(found.values()))
                self._findings.append(
                    Finding("DuplicateName", WARNING, where, natural((host, *found)), message)
                )

    def _switches(self, seen: Mapping[str, int]) -> dict[str, SwitchInfo]:
        return {
            switch: SwitchInfo(self._titles[switch], self._at(self._lines[switch]), seen.get(switch, 0))
            for switch in sorted(self._titles, key=switch_key)
        }
