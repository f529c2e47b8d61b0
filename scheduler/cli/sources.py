"""Where a command reads the cluster from: snapshot files, or a live API server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler import manifests
from scheduler.cli.access import Asked
from scheduler.cli.output import remark
from scheduler.config import Config, load_config
from scheduler.fabrics import resources_of
from scheduler.kube.objects import Item
from scheduler.model import InvalidField, Node, Pod, PodGroup
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
            from scheduler.cli.live import read_all  # noqa: PLC0415  (loads the client, a quarter of a second)

            asked = Asked(self.kubeconfig, self.context, self.user)
            items, workloads, faults, objects, classes = read_all(
                asked, configured.kinds, resources_of(configured.sources), pods=self.pods
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
