"""What a live API server has: nodes, pods, their owners, and the objects that tell of the fabric."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from scheduler.classes import PriorityClass, class_of
from scheduler.cli.access import Asked
from scheduler.kube.client import Access, ApiClient, NoAccess, Unclear
from scheduler.kube.objects import Item, Other, decode_list
from scheduler.kube.objects import Kind as ObjectKind
from scheduler.kube.reflector import CLASSES, PATHS
from scheduler.model import InvalidField, InvalidInput
from scheduler.objectfeed import Objects, read_objects
from scheduler.owners import of_kind
from scheduler.workloads.kinds import Kind
from scheduler.workloads.known import Workload

_Live = tuple[
    tuple[Item, ...], tuple[Workload, ...], tuple[InvalidField, ...], Objects, dict[str, PriorityClass]
]


def read_all(asked: Asked, kinds: Sequence[Kind], resources: Sequence[str], *, pods: str) -> _Live:
    """What can be read, and what was left out; raises InvalidInput when no cluster answers.

    `resources`: paths of the objects that tell of the fabric; `pods`: a label selector.
    """
    try:
        return asyncio.run(_list_all(asked.load(), kinds, resources, pods=pods))
    except (NoAccess, Unclear) as error:
        wanted = "a cluster that answers, or --snapshot FILE"
        raise InvalidInput(InvalidField("cluster", "kubeconfig", str(error), wanted)) from error


async def _list_all(access: Access, owners: Sequence[Kind], resources: Sequence[str], *, pods: str) -> _Live:
    items: list[Item] = []
    faults: list[InvalidField] = []
    kinds: tuple[ObjectKind, ...] = ("Node", "Pod", "PodGroup")
    async with ApiClient(access) as client:
        for kind in kinds:
            query = {"labelSelector": pods} if pods and kind == "Pod" else None
            reply = await client.request("GET", PATHS[kind], query=query, timeout_s=120)
            if reply.status in (403, 404) and kind == "PodGroup":
                continue
            if not reply.ok:
                text = reply.body.decode(errors="replace")[:200]
                raise Unclear(f"GET {PATHS[kind]}: {reply.status} {text}")
            found = decode_list(reply.body, kind)
            items += found.items
            faults += found.faults
        workloads = [one for kind in owners for one in await _owners(client, kind, faults)]
        objects = await read_objects(client, resources)
        classes = await _classes(client)
    return tuple(items), tuple(workloads), tuple(faults), objects, classes


async def _classes(client: ApiClient) -> dict[str, PriorityClass]:
    """The cluster's priority classes by name; none where they may not be read."""
    reply = await client.request("GET", CLASSES, timeout_s=120)
    items = decode_list(reply.body, "Other").items if reply.ok else ()
    given = (class_of(item.document) for item in items if isinstance(item, Other))
    return {found.name: found for found in given if found is not None}


async def _owners(client: ApiClient, kind: Kind, faults: list[InvalidField]) -> list[Workload]:
    """What the objects of one kind say of their pods; none where the cluster does not have or show them."""
    found: list[Workload] = []
    for path in kind.paths if kind.facts is not None else ():
        reply = await client.request("GET", path, timeout_s=120)
        if not reply.ok:
            continue
        for item in decode_list(reply.body, "Other").items:
            try:
                said = of_kind(kind, item.document) if isinstance(item, Other) else None
            except InvalidInput as error:
                faults += error.faults
                continue
            found += [said] if said is not None else []
        break
    return found
