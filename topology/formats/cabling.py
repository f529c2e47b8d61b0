"""Cables between hosts and switches, in one form for every discovery tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from topology.reading import Finding

LANE_MBPS = {
    "SDR": 2_500,
    "DDR": 5_000,
    "QDR": 10_000,
    "FDR10": 10_313,
    "FDR": 14_063,
    "EDR": 25_781,
    "HDR": 53_125,
    "NDR": 106_250,
    "XDR": 212_500,
}
"""Signalling rate of one InfiniBand lane, in Mbit/s."""

_SPEED = re.compile(r"([0-9]{1,2})x([A-Z]{3}(?:10)?)")


@dataclass(frozen=True, slots=True)
class HostLink:
    """One cable from a host's adapter to a switch; `speed` such as "4xNDR", empty when not known."""

    host: str
    device: str
    adapter: str
    switch: str
    speed: str
    where: str


@dataclass(frozen=True, slots=True)
class SwitchLink:
    """One cable between two different switches."""

    one: str
    other: str
    speed: str
    where: str


@dataclass(frozen=True, slots=True)
class SwitchInfo:
    """What a source says about a switch itself; `adapters` counts all adapters on it, of hosts or not."""

    title: str
    where: str
    adapters: int = 0


@dataclass(frozen=True, slots=True)
class Cabling:
    """What a discovery tool saw, with adapters already given to hosts of the cluster.

    `hosts` are all hosts to place, those without any cable too. Switches are
    identified by GUID, or by name where the tool gives none.
    """

    source: str
    where: str
    hosts: tuple[str, ...]
    switches: Mapping[str, SwitchInfo]
    host_links: tuple[HostLink, ...]
    switch_links: tuple[SwitchLink, ...]
    findings: tuple[Finding, ...] = ()

    def title(self, switch: str) -> str:
        """A switch as people know it: its id and what it calls itself."""
        title = self.switches[switch].title
        return f"{switch} ({title})" if title and title != switch else switch


def link_mbps(speed: str) -> int | None:
    """The rate of a link such as "4xNDR" in Mbit/s; None when the text is not understood."""
    found = _SPEED.fullmatch(speed)
    if found is None or found[2] not in LANE_MBPS:
        return None
    return int(found[1]) * LANE_MBPS[found[2]]


def counted(number: int, noun: str) -> str:
    """A number with its noun, as in "1 adapter" and "2 adapters"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('ch') else 's'}"
