"""NVIDIA Dynamo: a DynamoGraphDeployment becomes a PodCliqueSet of Grove, or LeaderWorkerSets without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.workloads.keys import DYNAMO
from scheduler.workloads.templates import (
    Document,
    Find,
    annotations_of,
    child,
    listed,
    mapping,
    number,
    optional,
    text,
    within,
)

_GRAPH, _COMPONENT = DYNAMO + "graph-deployment-name", DYNAMO + "component"
_WITHOUT_GROVE = "nvidia.com/enable-grove"


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """What the operator makes of the graph: Grove's set, or by its annotation LeaderWorkerSets and pods."""
    parts = [_Component(document, owner, *one) for one in _components(document, owner)]
    if str(annotations_of(document, owner=owner).get(_WITHOUT_GROVE, "true")).lower() == "false":
        return [_leader_worker_set(document, part) for part in parts]
    return [_clique_set(document, parts, owner)]


def _components(document: Document, owner: str) -> Iterator[tuple[str, Document, str]]:
    """Name, entry and place of every component: a map in v1alpha1, a list in v1beta1."""
    spec = mapping(document, "spec", owner=owner)
    services = optional(spec, "services", owner=owner, field="spec.services")
    for name in services:
        yield (
            name,
            mapping(services, name, owner=owner, field=f"spec.services.{name}"),
            f"spec.services.{name}",
        )
    for at, entry in enumerate(listed(spec, "components", owner=owner, field="spec.components")):
        name = text(entry, "name", owner=owner, field=f"spec.components[{at}].name")
        yield name, entry, f"spec.components[{at}]"


class _Component:
    """One component of the graph: how many replicas, on how many nodes each, and their pods."""

    def __init__(self, document: Document, owner: str, name: str, entry: Document, place: str) -> None:
        self.name, self.entry, self.place, self.owner = name.lower(), entry, place, owner
        self.replicas = number(entry, "replicas", owner=owner, field=f"{place}.replicas", least=0, default=1)
        multinode = optional(entry, "multinode", owner=owner, field=f"{place}.multinode")
        field = f"{place}.multinode.nodeCount"
        self.nodes = number(multinode, "nodeCount", owner=owner, field=field, least=1, default=1)
        kind = entry.get("type") or entry.get("componentType") or ""
        self.labels = {_GRAPH: str(document["metadata"]["name"]), _COMPONENT: name}
        self.labels |= {_COMPONENT + "-type": str(kind)} if kind else {}

    def pod_spec(self) -> Document:
        """The pod of the component, with its main container's image, command, resources and environment."""
        place = self.place
        if self.entry.get("podTemplate") is not None:
            template = mapping(self.entry, "podTemplate", owner=self.owner, field=f"{place}.podTemplate")
            return optional(template, "spec", owner=self.owner, field=f"{place}.podTemplate.spec")
        extra = optional(self.entry, "extraPodSpec", owner=self.owner, field=f"{place}.extraPodSpec")
        main = dict(
            optional(extra, "mainContainer", owner=self.owner, field=f"{place}.extraPodSpec.mainContainer")
        )
        main.setdefault("name", "main")
        main.setdefault("resources", self._resources())
        own = self.entry.get("envs")
        if isinstance(own, list):
            given = main.get("env")
            main["env"] = [*own, *(given if isinstance(given, list) else [])]
        others = extra.get("containers")
        rest = {key: value for key, value in extra.items() if key not in ("mainContainer", "containers")}
        return {**rest, "containers": [main, *(others if isinstance(others, list) else [])]}

    def _resources(self) -> Mapping[str, Any]:
        """Dynamo's own form of resources: `gpu` stands for nvidia.com/gpu."""
        found = {}
        for word in ("requests", "limits"):
            given = within(self.entry, f"resources.{word}", owner=self.owner)
            plain = {key: value for key, value in given.items() if key in ("cpu", "memory")}
            if given.get("gpu"):
                plain[str(given.get("gpuType") or "nvidia.com/gpu")] = given["gpu"]
            plain |= optional(given, "custom", owner=self.owner, field=f"resources.{word}.custom")
            found[word] = plain
        return found


def _constraint(entry: Document, owner: str) -> dict[str, Any]:
    """Dynamo's constraint is required; its domain is a name of the cluster's topology."""
    domain = within(entry, "topologyConstraint", owner=owner).get("packDomain")
    return {"topologyConstraint": {"pack": {"required": domain}}} if domain else {}


def _clique_set(document: Document, parts: list[_Component], owner: str) -> dict[str, Any]:
    """A multi-node component is a scaling group of a leader and workers, another a clique of its own."""
    cliques, groups = [], []
    for part in parts:
        pod = part.pod_spec()
        constraint = _constraint(part.entry, owner)
        if part.nodes == 1:
            cliques.append(_clique(part, part.name, part.replicas, pod, constraint))
            continue
        names = [f"{part.name}-ldr", f"{part.name}-wkr"]
        cliques.append(_clique(part, names[0], 1, pod, {}))
        cliques.append(_clique(part, names[1], part.nodes - 1, pod, {}))
        groups.append({"name": part.name, "cliqueNames": names, "replicas": part.replicas, **constraint})
    template = {
        "cliques": cliques,
        "podCliqueScalingGroups": groups,
        **_constraint(document["spec"], owner),
    }
    return child(
        document,
        api_version="grove.io/v1alpha1",
        kind="PodCliqueSet",
        name=str(document["metadata"]["name"]),
        spec={"replicas": 1, "template": template},
    )


def _clique(
    part: _Component, name: str, replicas: int, pod: Document, constraint: dict[str, Any]
) -> dict[str, Any]:
    spec = {"roleName": name, "replicas": replicas, "podSpec": pod}
    return {"name": name, "labels": part.labels, "spec": spec, **constraint}


def _leader_worker_set(document: Document, part: _Component) -> dict[str, Any]:
    """A LeaderWorkerSet for a component of several nodes, a Deployment for another."""
    template = {"metadata": {"labels": part.labels}, "spec": part.pod_spec()}
    name = f"{document['metadata']['name']}-{part.name}"
    if part.nodes == 1:
        spec = {"replicas": part.replicas, "template": template}
        return child(document, api_version="apps/v1", kind="Deployment", name=name, spec=spec)
    inner = {"size": part.nodes, "workerTemplate": template}
    spec = {"replicas": part.replicas, "leaderWorkerTemplate": inner}
    return child(
        document, api_version="leaderworkerset.x-k8s.io/v1", kind="LeaderWorkerSet", name=name, spec=spec
    )
