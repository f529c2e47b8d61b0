"""Where a command reads the cluster from: snapshot files, or a live API server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler import manifests
from scheduler.classes import PriorityClass, class_of
from scheduler.cli.output import remark
from scheduler.config import Config, load_config
from scheduler.fabrics import resources_of
from scheduler.kube.client import Access, ApiClient, NoAccess, Unclear, load_access
from scheduler.kube.objects import Item, Other, decode_list
from scheduler.kube.objects import Kind as ObjectKind
from scheduler.kube.reflector import CLASSES, PATHS
from scheduler.model import InvalidField, InvalidInput, Node, Pod, PodGroup
from scheduler.objectfeed import Objects, read_objects
from scheduler.owners import of_kind
from scheduler.priorities import classes_of
from scheduler.workloads.kinds import KINDS, Kind
from scheduler.workloads.known import Workload
from scheduler.world import World
from scheduler.worlds import world_of


@dataclass(frozen=True, slots=True)
class Reading:
    """A cluster at one moment, and what of it could not be read."""

    world: World
    pods: tuple[Pod, ...]
    groups: tuple[PodGroup, ...]
    faults: tuple[InvalidField, ...]
    workloads: tuple[Workload, ...] = ()
    documents: tuple[manifests.Document, ...] = ()
    kinds: tuple[Kind, ...] = KINDS


@dataclass(frozen=True, slots=True)
class Source:
    """Snapshot files, else the cluster of a kubeconfig; `pods`: a label selector for its pods."""

    snapshots: Sequence[str]
    config: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None
    pods: str = ""

    def configured(self) -> Config:
        """The configuration; raises InvalidInput."""
        return load_config(self.config)

    def read(self) -> Reading:
        """Nodes, pods and pod groups as a world; raises InvalidInput, also when there is no cluster."""
        configured = self.configured()
        documents: tuple[manifests.Document, ...] = ()
        workloads: tuple[Workload, ...] = ()
        if self.snapshots:
            documents = tuple(manifests.load(self.snapshots))
            found, classes = manifests.snapshot(documents, configured.kinds), classes_of(documents)
            items: tuple[Item, ...] = (*found.nodes, *found.pods, *found.pod_groups)
            faults, workloads = tuple(found.faults), found.workloads
            objects: Sequence[object] = [one.object for one in documents if one.fault is None]
        else:
            items, workloads, faults, objects, classes = self._live(
                configured.kinds, resources_of(configured.sources)
            )
        pods = tuple(item for item in items if isinstance(item, Pod))
        world = world_of(configured, objects)
        world.classes = {**world.classes, **classes}
        world.upsert_nodes(item for item in items if isinstance(item, Node))
        for pod in pods:
            world.ledger.observe_pod(pod)
        for fault in faults:
            remark(f"left out: {fault}")
        groups = tuple(item for item in items if isinstance(item, PodGroup))
        return Reading(world, pods, groups, faults, workloads, documents, configured.kinds)

    def _live(self, kinds: Sequence[Kind], resources: Sequence[str]) -> _Live:
        try:
            access = load_access(kubeconfig=self.kubeconfig, context=self.context, user=self.user)
            return asyncio.run(_list_all(access, kinds, resources, pods=self.pods))
        except (NoAccess, Unclear) as error:
            wanted = "a cluster that answers, or --snapshot FILE"
            raise InvalidInput(InvalidField("cluster", "kubeconfig", str(error), wanted)) from error


_Live = tuple[
    tuple[Item, ...], tuple[Workload, ...], tuple[InvalidField, ...], Objects, dict[str, PriorityClass]
]


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
