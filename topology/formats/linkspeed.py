"""Links that are slower than their peers, by the speed that discovery saw."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from topology.formats.cabling import Cabling, HostLink, SwitchLink, counted, link_mbps
from topology.formats.overlap import switch_key
from topology.formats.tiers import Tiers
from topology.reading import NOTE, WARNING, Finding, natural

Link = HostLink | SwitchLink


def speed_findings(cabling: Cabling, tiers: Tiers) -> Iterator[Finding]:
    """SlowLink per link below the usual speed of its peers; UnknownSpeed once for what is not understood.

    Peers of a host's link are all host links of the same leaf group, peers of
    a link between switches all uplinks of the same lower group.
    """
    for peers in _peers(cabling, tiers):
        yield from _slow(peers, cabling)
    links: tuple[Link, ...] = (*cabling.host_links, *cabling.switch_links)
    unknown = Counter(link.speed for link in links if link.speed and link_mbps(link.speed) is None)
    if unknown:
        message = f"{counted(unknown.total(), 'link')} not compared: the speed is not understood"
        yield Finding("UnknownSpeed", NOTE, cabling.where, natural(unknown), message)


def _peers(cabling: Cabling, tiers: Tiers) -> Iterator[Sequence[Link]]:
    groups = {switch: name for tier in tiers.tiers for switch, name in tier.group_of_switch().items()}
    down: dict[str, list[Link]] = defaultdict(list)
    up: dict[str, list[Link]] = defaultdict(list)
    for host_link in cabling.host_links:
        down[groups.get(host_link.switch, host_link.switch)].append(host_link)
    for link in cabling.switch_links:
        lower = min(
            (link.one, link.other),
            key=lambda switch: (tiers.number.get(switch, len(groups)), switch_key(switch)),
        )
        up[groups.get(lower, lower)].append(link)
    for by_group in (down, up):
        for name in natural(by_group):
            yield by_group[name]


def _slow(links: Sequence[Link], cabling: Cabling) -> Iterator[Finding]:
    rates = [link_mbps(link.speed) for link in links]
    counts = Counter((rate, link.speed) for rate, link in zip(rates, links, strict=True) if rate is not None)
    if len(counts) < 2:
        return
    usual, text = max(counts, key=lambda found: (counts[found], found))
    for rate, link in zip(rates, links, strict=True):
        if rate is not None and rate < usual:
            ends = _ends(link)
            shown = " and ".join(cabling.title(end) if end in cabling.switches else end for end in ends)
            message = f"the link between {shown} runs at {link.speed}, its peers at {text}"
            yield Finding("SlowLink", WARNING, link.where, natural(ends), message)


def _ends(link: Link) -> tuple[str, str]:
    if isinstance(link, HostLink):
        return link.host, link.switch
    one, other = sorted((link.one, link.other), key=switch_key)
    return one, other
