"""The rights that a configuration needs, each with what does not work without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.config import Config
from scheduler.fabrics import resources_of
from scheduler.kube.reviews import Act
from scheduler.workloads.kinds import rights


@dataclass(frozen=True, slots=True)
class Need:
    """One right. `essential`: without it no gang is placed; else something less stops, as `why` says."""

    act: Act
    why: str
    essential: bool = True

    def __str__(self) -> str:
        return f"the right to {named(self.act)} is missing: {self.why}"


def named(act: Act) -> str:
    """A right as people write it: `list` nodes, `create` pods/binding."""
    if act.path:
        return f"`{act.verb}` the path {act.path}"
    resource = f"{act.resource}/{act.subresource}" if act.subresource else act.resource
    group = f".{act.group}" if act.group else ""
    where = f" in namespace {act.namespace}" if act.namespace else ""
    return f"`{act.verb}` {resource}{group}{where}"


def needed(config: Config) -> tuple[Need, ...]:
    """Every right of the service, those first without which nothing is placed."""
    found = [
        *(Need(Act(verb, "nodes"), "the cluster cannot be read") for verb in ("list", "watch")),
        *(Need(Act(verb, "pods"), "the cluster cannot be read") for verb in ("list", "watch")),
        Need(Act("patch", "pods"), "no plan can be written and no gate lifted"),
        Need(Act("create", "pods", subresource="binding"), "no pod can be bound"),
        Need(Act("patch", "pods", subresource="status"), "no node is nominated: plans take longer", False),
        Need(Act("get", "pods"), "a Binding whose answer was lost cannot be checked", False),
        Need(Act("create", "pods", subresource="eviction"), "half a gang cannot be released", False),
    ]
    for group, resource in (("scheduling.k8s.io", "podgroups"), *rights(kinds=config.kinds)):
        found += [
            Need(Act(verb, resource, group), f"gangs of {resource} are not known", False)
            for verb in ("get", "list", "watch")
        ]
    why = "priorities of what is only asked about are unknown"
    found += [
        Need(Act(verb, "priorityclasses", "scheduling.k8s.io"), why, False)
        for verb in ("get", "list", "watch")
    ]
    if config.config_maps:
        why = "parallel sizes that stand in ConfigMaps are not known"
        found.append(Need(Act("get", "configmaps"), why, False))
    for path in resources_of(config.sources):
        group, _, resource = path.split("/")
        found.append(Need(Act("list", resource, group), "this source of the fabric cannot be read", False))
    if config.service.tell != "none":
        why = "no Event says why a gang waits"
        found += [Need(Act(verb, "events", "events.k8s.io"), why, False) for verb in ("create", "patch")]
    if config.service.auth == "tokens":
        why = "nobody is let in to metrics, API and gRPC"
        found.append(Need(Act("create", "tokenreviews", "authentication.k8s.io"), why, False))
        found.append(Need(Act("create", "subjectaccessreviews", "authorization.k8s.io"), why, False))
    leadership = config.service.leadership
    if leadership is not None:
        why = "no replica knows whether it may lead"
        group, namespace = "coordination.k8s.io", leadership.namespace
        verbs = ("get",) if leadership.follow else ("get", "create", "update")
        found += [Need(Act(verb, "leases", group, namespace), why) for verb in verbs]
    return tuple(found)


def missing(needs: Sequence[Need], held: Mapping[Act, bool]) -> tuple[Need, ...]:
    """Those needs that the API server said no to; what it did not answer counts as held."""
    return tuple(need for need in needs if not held.get(need.act, True))
