"""What owners of gangs read in the cluster itself: Events, and a condition of ours on waiting members."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from scheduler.kube.client import Unclear
from scheduler.kube.outcomes import Outcome
from scheduler.kube.writes import STRATEGIC, Client, Document, patch_pod, path_of, refused
from scheduler.model import CONDITION, Pod

REPORTER = "lockstep"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Note:
    """One Event about a gang. `about`: a member, `name`: of the Event object, alike for what is alike;
    `warning` or not; `annotations` say on which state of the cluster it is true."""

    name: str
    about: Pod
    reason: str
    text: str
    warning: bool
    annotations: tuple[tuple[str, str], ...] = ()


async def tell(client: Client, note: Note, *, instance: str) -> Outcome:
    """Write an Event; one of that name that is there already says the same."""
    namespace, pod = note.about.key.namespace, note.about
    owner = pod.owner
    related = (
        {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        if (owner)
        else None
    )
    document = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": note.name, "namespace": namespace, "annotations": dict(note.annotations)},
        "eventTime": _now(),
        "reportingController": REPORTER,
        "reportingInstance": instance,
        "action": "Plan",
        "reason": note.reason,
        "note": note.text,
        "type": "Warning" if note.warning else "Normal",
        "regarding": _reference(pod),
        **({"related": {**related, "namespace": namespace}} if related else {}),
    }
    return await _sent(client, "POST", _events(namespace), document, fine=HTTPStatus.CONFLICT)


async def tell_again(client: Client, note: Note, *, count: int, instance: str) -> Outcome:
    """The same thing once more: a longer series of the Event that is there, else a new one."""
    path = f"{_events(note.about.key.namespace)}/{note.name}"
    outcome = await _sent(
        client, "PATCH", path, {"series": {"count": count, "lastObservedTime": _now()}}, fine=None
    )
    return await tell(client, note, instance=instance) if outcome.conflict else outcome


async def say(client: Client, pod: Pod, *, status: str, reason: str, text: str) -> Outcome:
    """Put our condition on a pod as it was seen; one that has changed meanwhile is looked at again."""
    patch: Document = {"status": {"conditions": [condition(status, reason, text, pod.generation)]}}
    path = path_of(pod.key) + "/status"
    outcome, _ = await patch_pod(client, path, patch, STRATEGIC, uid=pod.uid, version=pod.resource_version)
    return outcome


def condition(status: str, reason: str, text: str, generation: int) -> Document:
    """Our condition, decided at this moment on a pod of that generation."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    observed = {"observedGeneration": generation} if generation else {}
    return {
        "type": CONDITION,
        "status": status,
        "reason": reason,
        "message": text,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        **observed,
    }


async def _sent(
    client: Client, method: str, path: str, document: Document, *, fine: HTTPStatus | None
) -> Outcome:
    kind = "application/json" if method == "POST" else "application/merge-patch+json"
    try:
        reply = await client.request(method, path, body=_encode(document), content_type=kind)
    except Unclear as error:
        return Outcome(False, False, str(error))
    return Outcome(True) if reply.ok or reply.status == fine else refused(reply)


def _reference(pod: Pod) -> dict[str, Any]:
    key = pod.key
    return {"apiVersion": "v1", "kind": "Pod", "namespace": key.namespace, "name": key.name, "uid": pod.uid}


def _events(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def _now() -> str:
    """As MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
