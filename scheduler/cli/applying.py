"""`lockstep topology import --apply`: what the nodes' labels would become, and then are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.cli.exits import OUR_ERROR, YES
from scheduler.cli.output import clean, complain
from scheduler.kube.client import Access, ApiClient, Unclear
from scheduler.kube.reflector import PATHS
from topology.formats.labels import write
from topology.reading import Reading, label_key, natural

_IN_FLIGHT = 16
_TRIES = 4
_BUSY = (409, 429, 500, 502, 503, 504)

Labels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """One label of one node: what it is and what it becomes, None where it is not there."""

    node: str
    key: str
    old: str | None
    new: str | None

    def line(self) -> str:
        """The change as a line of a difference."""
        if self.old is None:
            return f"  + {self.key}={self.new}"
        return (
            f"  - {self.key}={self.old}" if self.new is None else f"  ~ {self.key}={self.old} -> {self.new}"
        )


def cluster_labels(access: Access) -> dict[str, dict[str, str]]:
    """The labels of all nodes of the cluster; raises Unclear when it does not answer."""
    return asyncio.run(_labels(access))


def changes(reading: Reading, present: Labels) -> tuple[Change, ...]:
    """What must change so that the nodes carry what the reading says.

    A label of a level that the reading has, on a node that it knows and that is
    in no domain there, goes: it is what an earlier import left.
    """
    keys = [label_key(level) for level in (*reading.levels, *reading.partitions)]
    document = write(reading).document
    assert not isinstance(document, str | Mapping)
    wanted = {one["name"]: one["labels"] for one in document}
    return tuple(
        Change(node, key, old, new)
        for node in natural(wanted)
        if node in present
        for key in keys
        if (old := present[node].get(key)) != (new := wanted[node].get(key))
    )


def show(found: Sequence[Change], reading: Reading, present: Labels) -> None:
    """Print the difference, and who is missing on either side."""
    before = None
    for change in found:
        if change.node != before:
            print(f"node {clean(change.node)}")
            before = change.node
        print(clean(change.line()))
    added, gone = (sum(getattr(one, side) is None for one in found) for side in ("old", "new"))
    nodes = len({change.node for change in found})
    print(
        f"{nodes} of {len(present)} nodes to change: {added} labels to add, "
        f"{len(found) - added - gone} to replace, {gone} to remove"
    )
    for words, names in (
        ("of the cluster are not in the source", set(present) - set(reading.nodes)),
        ("of the source are not in the cluster", set(reading.nodes) - set(present)),
    ):
        if names:
            listed = natural(names)
            more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
            print(clean(f"{len(listed)} nodes {words}: {', '.join(listed[:8])}{more}"))


def apply(found: Sequence[Change], access: Access) -> int:
    """Write the changes, a patch per node; failures are told by node. The exit code."""
    patches: dict[str, dict[str, str | None]] = {}
    for change in found:
        patches.setdefault(change.node, {})[change.key] = change.new
    failed = [fault for fault in asyncio.run(_patch_all(patches, access)) if fault]
    for fault in failed:
        complain(clean(fault))
    print(f"{len(patches) - len(failed)} nodes written")
    return OUR_ERROR if failed else YES


async def _labels(access: Access) -> dict[str, dict[str, str]]:
    async with ApiClient(access) as client:
        reply = await client.request("GET", PATHS["Node"], timeout_s=120)
        if not reply.ok:
            raise Unclear(f"GET {PATHS['Node']}: {reply.status} {reply.body.decode(errors='replace')[:200]}")
    return dict(_named(json.loads(reply.body)))


def _named(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for one in document.get("items") or ():
        yield one["metadata"]["name"], one["metadata"].get("labels") or {}


async def _patch_all(patches: Mapping[str, Mapping[str, str | None]], access: Access) -> list[str]:
    """Per node "" or what went wrong."""
    turn = asyncio.Semaphore(_IN_FLIGHT)
    async with ApiClient(access) as client:

        async def one(node: str, labels: Mapping[str, str | None]) -> str:
            async with turn:
                return await _patch(client, node, json.dumps({"metadata": {"labels": labels}}).encode())

        return list(await asyncio.gather(*(one(node, labels) for node, labels in patches.items())))


async def _patch(client: ApiClient, node: str, body: bytes) -> str:
    fault = ""
    for attempt in range(_TRIES):
        await asyncio.sleep(0.2 * attempt)
        try:
            reply = await client.request(
                "PATCH", f"{PATHS['Node']}/{node}", body=body, content_type="application/merge-patch+json"
            )
        except Unclear as error:
            fault = f"node {node}: {error}"
            continue
        if reply.ok:
            return ""
        fault = f"node {node}: {reply.status} {_reason(reply.body)}"
        if reply.status not in _BUSY:
            break
    return fault


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body).get("message", ""))[:300]
    except (ValueError, AttributeError):
        return body.decode(errors="replace")[:300]
