"""What Lockstep writes to the API server: the plan into pods, and Bindings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from scheduler.kube.client import ApiClient, Reply, Unclear
from scheduler.kube.objects import pod_from_bytes
from scheduler.model import (
    ANNOTATION_NODE,
    ANNOTATION_PLAN,
    ANNOTATION_RANK,
    GATE,
    InvalidInput,
    NodeName,
    PodKey,
)

_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Place:
    """Where one member goes, under which plan and as which rank."""

    pod: PodKey
    uid: str
    node: NodeName
    plan: str
    rank: int

    @property
    def annotations(self) -> dict[str, str]:
        """The plan as it stands on the pod."""
        return {
            ANNOTATION_PLAN: self.plan,
            ANNOTATION_NODE: self.node,
            ANNOTATION_RANK: str(self.rank),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write: `done`, or why not; `final` when trying again cannot help."""

    done: bool
    final: bool = False
    message: str = ""


async def let_through(client: ApiClient, place: Place, *, gated: bool, nominate: bool) -> Outcome:
    """Nominate the node, then write the plan and lift the gate in one patch.

    In this order: once the gate is gone the scheduler looks at the nominated node
    alone, and counts the pod there for everybody else.
    """
    path = f"/api/v1/namespaces/{place.pod.namespace}/pods/{place.pod.name}"
    if nominate:
        status = {"metadata": {"uid": place.uid}, "status": {"nominatedNodeName": place.node}}
        outcome = await _patch(client, path + "/status", status, _MERGE)
        if not outcome.done:
            return outcome
    patch: dict[str, Any] = {"metadata": {"uid": place.uid, "annotations": place.annotations}}
    if gated:
        patch["spec"] = {"schedulingGates": [{"name": GATE, "$patch": "delete"}]}
    return await _patch(client, path, patch, _STRATEGIC)


async def bind(client: ApiClient, place: Place | None, *, pod: PodKey, uid: str, node: NodeName) -> Outcome:
    """Write one Binding under the pod's uid, the plan in the same call; an unclear outcome is read back."""
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.name, "uid": uid, "annotations": place.annotations if place else {}},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
    try:
        reply = await client.request("POST", path + "/binding", body=_encode(body), timeout_s=8)
    except Unclear as error:
        return await _read_back(client, path, uid, node, str(error))
    if reply.ok:
        return Outcome(True)
    if reply.status == HTTPStatus.CONFLICT:
        return await _read_back(client, path, uid, node, _message(reply))
    return Outcome(False, _final(reply.status), _message(reply))


async def _read_back(client: ApiClient, path: str, uid: str, node: NodeName, why: str) -> Outcome:
    """Whether a pod whose Binding went unanswered, or was refused as a second one, is where it should be."""
    try:
        reply = await client.request("GET", path, timeout_s=5)
        if reply.status == HTTPStatus.NOT_FOUND:
            return Outcome(False, True, "the pod is gone")
        pod = pod_from_bytes(reply.body)
    except (Unclear, InvalidInput) as error:
        return Outcome(False, False, f"{why}; {error}")
    if pod.uid != uid:
        return Outcome(False, True, "another pod has this name now")
    if pod.node == node:
        return Outcome(True)
    if pod.node is not None:
        return Outcome(False, True, f"the pod is already bound to {pod.node}")
    return Outcome(False, pod.deleting, why)


async def _patch(client: ApiClient, path: str, patch: dict[str, Any], content_type: str) -> Outcome:
    try:
        reply = await client.request("PATCH", path, body=_encode(patch), content_type=content_type)
    except Unclear as error:
        return Outcome(False, False, str(error))
    return Outcome(True) if reply.ok else Outcome(False, _final(reply.status), _message(reply))


def _final(status: int) -> bool:
    """Whether the same request would be refused again."""
    busy = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in busy


def _message(reply: Reply) -> str:
    try:
        return str(msgspec.json.decode(reply.body).get("message", "")) or str(reply.status)
    except (msgspec.DecodeError, AttributeError):
        return f"{reply.status}"


async def repeat(attempt: Any, *, tries: int = 5, first_pause_s: float = 0.1) -> Outcome:
    """Call `attempt` (an async function of nothing) until it is done, final, or out of tries."""
    pause = first_pause_s
    outcome = Outcome(False)
    for left in range(tries - 1, -1, -1):
        outcome = await attempt()
        if outcome.done or outcome.final or not left:
            break
        await asyncio.sleep(pause)
        pause *= 2
    return outcome
