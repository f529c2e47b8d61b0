"""What Lockstep writes to the API server: the plan into pods, Bindings, and evictions.

Every write of a plan is fenced: it names the pod's uid and the resource version that it was decided
on. A leader's first act is to write its own term into every waiting pod that carries a plan
(`claim`), so what an earlier leader still has on its way is refused from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from scheduler.kube.client import Reply, Unclear
from scheduler.kube.objects import pod_from_bytes
from scheduler.kube.outcomes import FENCED, LONGEST_ASKED_PAUSE_S, NOT_LEADING, Holds, Outcome, later_term
from scheduler.model import (
    ANNOTATION_NODE,
    ANNOTATION_PLAN,
    ANNOTATION_RANK,
    ANNOTATION_TERM,
    GATE,
    InvalidInput,
    NodeName,
    Pod,
    PodKey,
)

_MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_LONGEST_PAUSE_S = 2.0
_encode = msgspec.json.Encoder().encode


class Client(Protocol):
    """The part of the API client that writing needs."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = 30.0,
    ) -> Awaitable[Reply]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where one member goes, under which plan, as which rank, and in which term of leadership."""

    pod: PodKey
    uid: str
    node: NodeName
    plan: str
    rank: int
    term: str = ""

    @property
    def annotations(self) -> dict[str, str]:
        """The plan as it stands on the pod."""
        return {
            ANNOTATION_PLAN: self.plan,
            ANNOTATION_NODE: self.node,
            ANNOTATION_RANK: str(self.rank),
            ANNOTATION_TERM: self.term,
        }


Document = dict[str, Any]
_Patched = tuple[Outcome, str]
"""The outcome of a patch, and the object's version after it."""


class _Patch(Protocol):
    def __call__(self, *, uid: str, version: str) -> Awaitable[_Patched]: ...


def path_of(pod: PodKey) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


async def let_through(
    client: Client,
    place: Place,
    *,
    gated: bool,
    nominate: bool,
    version: str = "",
    seen: str = "",
    said: Document | None = None,
) -> Outcome:
    """Nominate the node, then write the plan and lift the gate in one patch.

    In this order: once the gate is gone the scheduler looks at the nominated node
    alone, and counts the pod there for everybody else. `version` and `seen`: the pod's version and
    the term that stood on it when this was decided; a pod of a later term is left alone. `said`:
    our own condition, for a pod that says it is refused.
    """
    if nominate:
        outcome, newest = await _nominate(client, place, version=version, seen=seen, said=said)
        if not outcome.done:
            return outcome
        version = newest or version  # never without one: it may be a later term that has bound the pod there
    patch: dict[str, Any] = {"metadata": {"annotations": place.annotations}}
    if gated:
        patch["spec"] = {"schedulingGates": [{"name": GATE, "$patch": "delete"}]}
    written = partial(patch_pod, client, path_of(place.pod), patch, STRATEGIC)
    return (await _fenced(client, place, written, version=version, seen=seen))[0]


async def _nominate(
    client: Client, place: Place, *, version: str, seen: str, said: Document | None
) -> tuple[Outcome, str]:
    status: Document = {"nominatedNodeName": place.node, **({"conditions": [said]} if said else {})}
    kind = STRATEGIC if said else _MERGE  # which of the two leaves the other conditions as they are
    written = partial(patch_pod, client, path_of(place.pod) + "/status", {"status": status}, kind)
    return await _fenced(client, place, written, version=version, seen=seen)


async def _fenced(client: Client, place: Place, patch: _Patch, *, version: str, seen: str) -> _Patched:
    """Patch the pod as it was seen; or as it is now, if no other term has claimed it since."""
    outcome, newest = await patch(uid=place.uid, version=version)
    if outcome.done or not outcome.conflict or not version:
        return outcome, newest
    read, pod = await _read_back(client, path_of(place.pod), place.uid, place.node, outcome.message)
    if pod is None or pod.uid != place.uid or pod.node is not None:
        return read, ""
    if pod.annotations.get(ANNOTATION_TERM, "") not in (seen, place.term):
        return FENCED, ""
    return await patch(uid=place.uid, version=pod.resource_version)


async def claim(client: Client, pod: Pod, term: str) -> Outcome:
    """Write the term into a waiting pod: its version rises, so that older writes are refused.

    A claim is fenced itself: it names the version that was seen, so that one which was on its way while
    a later term began undoes nothing. A pod that is gone, bound, or another one by now needs none.
    """
    patch = {"metadata": {"annotations": {ANNOTATION_TERM: term}}}
    path, found = path_of(pod.key), pod
    for _ in range(2):
        if later_term(found.annotations.get(ANNOTATION_TERM, ""), term):
            return FENCED
        outcome, _newest = await patch_pod(
            client, path, patch, STRATEGIC, uid=pod.uid, version=found.resource_version
        )
        if outcome.done or not outcome.conflict:
            return outcome
        read, now = await _read_back(client, path, pod.uid, NodeName(""), outcome.message)
        if now is None:
            return Outcome(read.final, read.final, read.message)
        if now.uid != pod.uid or now.node is not None:
            return Outcome(True, message=read.message)
        found = now
    return replace(outcome, final=False)


async def evict(client: Client, pod: Pod) -> Outcome:
    """Ask for the eviction of one pod, under its uid; disruption budgets are respected."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.key.name, "namespace": pod.key.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    try:
        reply = await client.request("POST", path_of(pod.key) + "/eviction", body=_encode(body))
    except Unclear as error:
        return Outcome(False, False, str(error))
    if reply.ok or reply.status == HTTPStatus.NOT_FOUND:
        return Outcome(True)
    return refused(reply)


async def bind(
    client: Client,
    place: Place | None,
    *,
    pod: PodKey,
    uid: str,
    node: NodeName,
    version: str = "",
    may: Holds = lambda: True,
) -> Outcome:
    """Write one Binding under the pod's uid and version, the plan in the same call.

    Not done means: certainly not, now and later. As long as that is unclear the pod is read again, and
    the Binding written again under its newest version, which an earlier one on its way cannot survive.
    """
    pause_s, unclear, tries = 0.1, False, 5
    while may():
        outcome, found = await _bind_once(client, place, pod=pod, uid=uid, node=node, version=version)
        if outcome.done or outcome.final:
            return outcome
        if (
            found is not None
            and place is not None
            and found.annotations.get(ANNOTATION_TERM, "") != place.term
        ):
            return FENCED
        version = found.resource_version if found else version
        unclear, tries = unclear or outcome.unclear, tries - 1
        if not unclear and tries == 0:
            return outcome
        await asyncio.sleep(min(max(pause_s, outcome.pause_s), LONGEST_ASKED_PAUSE_S))
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    return NOT_LEADING


async def _bind_once(
    client: Client, place: Place | None, *, pod: PodKey, uid: str, node: NodeName, version: str
) -> tuple[Outcome, Pod | None]:
    """One Binding, and the pod as it was read back when the answer left a question."""
    meta: dict[str, Any] = {"name": pod.name, "uid": uid}
    meta |= {"annotations": place.annotations} if place else {}
    meta |= {"resourceVersion": version} if version else {}
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
    try:
        reply = await client.request("POST", path_of(pod) + "/binding", body=_encode(body), timeout_s=8)
    except Unclear as error:
        outcome, found = await _read_back(client, path_of(pod), uid, node, str(error))
        return replace(outcome, unclear=True), found
    if reply.ok:
        return Outcome(True), None
    if reply.status == HTTPStatus.CONFLICT:
        outcome, found = await _read_back(client, path_of(pod), uid, node, _message(reply))
        return replace(outcome, conflict=True), found
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        outcome, found = await _read_back(client, path_of(pod), uid, node, _message(reply))
        return replace(outcome, unclear=True), found
    return refused(reply), None


async def _read_back(
    client: Client, path: str, uid: str, node: NodeName, why: str
) -> tuple[Outcome, Pod | None]:
    """Whether a pod whose Binding went unanswered, or was refused as a second one, is where it should be."""
    try:
        reply = await client.request("GET", path, timeout_s=5)
        if reply.status == HTTPStatus.NOT_FOUND:
            return Outcome(False, True, "the pod is gone"), None
        pod = pod_from_bytes(reply.body)
    except (Unclear, InvalidInput) as error:
        return Outcome(False, False, f"{why}; {error}"), None
    if pod.uid != uid:
        return Outcome(False, True, "another pod has this name now"), pod
    if pod.node == node:
        return Outcome(True), pod
    if pod.node is not None:
        return Outcome(False, True, f"the pod is already bound to {pod.node}"), pod
    return Outcome(False, pod.deleting or GATE in pod.gates, why), pod


async def patch_pod(
    client: Client, path: str, patch: Document, content_type: str, *, uid: str, version: str
) -> _Patched:
    """The outcome, and the version of the object after it; `version` may be empty for any."""
    meta = {**patch.get("metadata", {}), "uid": uid, **({"resourceVersion": version} if version else {})}
    body = _encode({**patch, "metadata": meta})
    try:
        reply = await client.request("PATCH", path, body=body, content_type=content_type)
    except Unclear as error:
        return Outcome(False, False, str(error)), ""
    if not reply.ok:
        return refused(reply), ""
    try:
        return Outcome(True), pod_from_bytes(reply.body).resource_version
    except InvalidInput:
        return Outcome(True), ""


def refused(reply: Reply) -> Outcome:
    conflict = reply.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)
    return Outcome(False, _final(reply.status), _message(reply), reply.retry_after_s, conflict=conflict)


def _final(status: int) -> bool:
    """Whether the same request would be refused again."""
    busy = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in busy


def _message(reply: Reply) -> str:
    try:
        return str(msgspec.json.decode(reply.body).get("message", "")) or str(reply.status)
    except (msgspec.DecodeError, AttributeError):
        return f"{reply.status}"
