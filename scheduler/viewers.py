"""Who asks, and what an answer may name to them: nobody learns another tenant's objects from a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user, with the rights that decide what answers may name.

    `pods`: may list pods in the namespace that is asked about; `all_pods`: in every one;
    `nodes`: may list nodes.
    """

    user: str
    pods: bool = True
    all_pods: bool = True
    nodes: bool = True


ANYBODY = Viewer("")
"""Who asks where no token is asked for."""


class Unknown(Exception):
    """No token, or one that the API server does not know."""


class Overloaded(Exception):
    """So many tokens are being checked that this one has to wait; the asker should come back."""


class Doorkeeper(Protocol):
    """Knows askers by their bearer token; methods raise Unknown and Overloaded."""

    async def viewer(self, token: str, *, namespace: str) -> Viewer:
        """Who that is; `namespace` is the one asked about, empty for all."""

    async def may_scrape(self, token: str) -> bool:
        """Whether that user may read /metrics."""


class Open:
    """Lets everybody in: for ports that only the own pod or a network policy reaches."""

    async def viewer(self, token: str, *, namespace: str) -> Viewer:
        return ANYBODY

    async def may_scrape(self, token: str) -> bool:
        return True


def bearer(header: str) -> str:
    """The token of an Authorization header; raises Unknown without one."""
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Unknown
    return token.strip()


def shown_to(viewer: Viewer, document: Document, *, domains: Mapping[str, int]) -> Document:
    """A gang's document, or a plan's, without what this viewer may not see.

    `domains`: how many there are by level. Reasons keep their code and their numbers; a sentence that
    could name a node or somebody's pod becomes one that counts.
    """
    if viewer.nodes and viewer.all_pods:
        return document
    if "gangs" in document:
        shown = [shown_to(viewer, one, domains=domains) for one in document["gangs"]]
        return {**document, "gangs": shown}
    if isinstance(document.get("decision"), dict):
        found = {**document, "decision": shown_to(viewer, document["decision"], domains=domains)}
        told = found["decision"].get("reason", {}).get("message")
        return {**found, "reason": told} if told and found.get("reason") else found
    if "reason" not in document or document.get("verdict") == "invalid":
        return document
    return {**document, "reason": _reason(document["reason"], domains)}


def _reason(reason: Document, domains: Mapping[str, int]) -> Document:
    return {
        **reason,
        "message": counted(reason, domains),
        "blocking": [],
        "fixes": [],
        "hidden": "what blocks and what would help name nodes or pods that you may not list",
    }


def counted(reason: Document, domains: Mapping[str, int]) -> str:
    """One sentence without a name: "none of 3 domains at rack level fits: the best is short by 2"."""
    level, needed, best = reason.get("level", ""), int(reason.get("needed", 0)), int(reason.get("best", 0))
    short = max(needed - best, 0)
    count = domains.get(level, 0)
    if not level or not count:
        return f"{needed} pods are needed, the cluster has room for {best}" if short else "it does not fit"
    noun = f"{count} domain{'s' if count != 1 else ''} at {level} level"
    return f"{noun} {'are' if count != 1 else 'is'} short by at least {short} of {needed} pods"
