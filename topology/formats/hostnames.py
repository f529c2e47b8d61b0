"""Which host an adapter belongs to, by its description; what does not say so is not guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from topology.reading import natural

_DEVICE = re.compile(
    r"(?:mlx[45]_\w+|HCA-\d+\w*|(?:ib|roce)\w*\d\w*|hfi1_\d+|(?:mthca|qib|irdma|bnxt_re|cxgb4_|hns_)\d+)(?:/\d+)?"
)
_HOST = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_NOBODY = re.compile(r"MT\d+|ConnectX\w*|localhost(?:\..*)?", re.IGNORECASE)
_LONGEST = 300  # a node description has 64 bytes, a DNS name 253
_AGGREGATION = re.compile(r"aggregation\s+node", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A described adapter: the host as the cluster calls it, and the device on it."""

    host: str
    device: str


def is_aggregation(description: str) -> bool:
    """True for a SHARP aggregation node, which sits inside a switch and is no host."""
    return _AGGREGATION.search(description) is not None


class HostNames:
    """Names of the hosts to look for; any well-formed name when the cluster is not known.

    With a cluster, names are compared as they stand, then without regard to
    case, then by their first label ("n1" for "n1.example.com"), where that
    means one host only.
    """

    def __init__(self, hosts: Iterable[str] | None) -> None:
        self.known = None if hosts is None else frozenset(hosts)
        self._alike: dict[str, set[str]] = {}
        for host in self.known or ():
            for key in {host.lower(), host.lower().partition(".")[0]}:
                self._alike.setdefault(key, set()).add(host)

    def adapter(self, description: str) -> Adapter | None:
        """The host and device that a description such as "n1 mlx5_0" names; None when it names none.

        A host that is not of the cluster is given back as it is written.
        """
        if len(description) > _LONGEST:
            return None
        words = description.split()
        if len(words) == 1 and (known := self.member(words[0])) is not None:
            return Adapter(known, "")
        if len(words) != 2 or not _DEVICE.fullmatch(words[1]):
            return None
        host = self.host(words[0])
        return None if host is None else Adapter(host, words[1])

    def member(self, name: str) -> str | None:
        """The host of the cluster that this name means; None when there is none, or several."""
        if self.known is None:
            return None
        if name in self.known:
            return name
        for key in (name.lower(), name.lower().partition(".")[0]):
            if len(self._alike.get(key, ())) == 1:
                return next(iter(self._alike[key]))
        return None

    def all_hosts(self, seen: Iterable[str]) -> tuple[str, ...]:
        """The cluster's hosts, in natural order; those that were seen when it is not known."""
        return natural(seen if self.known is None else self.known)

    def host(self, name: str) -> str | None:
        """A host by its plain name, as the cluster calls it; None for what can be no host's name."""
        if len(name) > _LONGEST:
            return None
        if self.member(name) is None and (not _HOST.fullmatch(name) or _NOBODY.fullmatch(name)):
            return None
        return self.member(name) or name

    def wanted(self, host: str) -> bool:
        """True for a host of the cluster, and for every host when the cluster is not known."""
        return self.known is None or host in self.known
