"""From a pod's spec to its shape: what it asks of a node, counted as kube-scheduler counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from scheduler import quantity
from scheduler.kube.structs import Amounts, ContainerSpec, Expression, PodSpec, Resources
from scheduler.model import InvalidField, InvalidInput, NodeTerm, PodShape, Requirement, Toleration

GANG_MARKER = "lockstep.scheduling/gang"

_POD_LEVEL = ("cpu", "memory", "hugepages-")
"""Resources that a pod may request as a whole (spec.resources); all others are per container."""


@lru_cache(maxsize=16384)
def interned(shape: PodShape) -> PodShape:
    """One object for all equal shapes, as long as it is among the recently used ones."""
    return shape


def shape_of(spec: PodSpec, *, owner: str) -> PodShape:
    """The shape of one pod; raises InvalidInput naming `owner` and the field of a bad amount."""
    return interned(
        PodShape(
            requests=tuple(sorted(_requests(spec, owner=owner).items())),
            node_selector=tuple(sorted((spec.node_selector or {}).items())),
            affinity=_affinity(spec),
            tolerations=_tolerations(spec),
            host_ports=_host_ports(spec),
        )
    )


def amounts(given: Amounts | None, *, owner: str, field: str) -> dict[str, int]:
    """Quantities in base units; raises InvalidInput with every malformed one."""
    found: dict[str, int] = {}
    faults: list[InvalidField] = []
    for resource, text in (given or {}).items():
        try:
            found[resource] = quantity.parse(resource, str(text))
        except ValueError:
            faults.append(InvalidField(owner, f"{field}[{resource}]", str(text), quantity.WANTED))
    if faults:
        raise InvalidInput(*faults)
    return found


def _requests(spec: PodSpec, *, owner: str) -> dict[str, int]:
    total = _containers_total(spec, owner=owner)
    pod_level = _effective(spec.resources, owner=owner, field="spec.resources", inner=total)
    total |= {name: amount for name, amount in pod_level.items() if name.startswith(_POD_LEVEL)}
    _add(total, amounts(spec.overhead, owner=owner, field="spec.overhead"))
    total.pop(GANG_MARKER, None)  # kube-scheduler's reason to ask us; no node has it
    total["pods"] = total.get("pods", 0) + 1
    return {name: min(amount, quantity.MAX) for name, amount in total.items() if amount}


def _containers_total(spec: PodSpec, *, owner: str) -> dict[str, int]:
    """Containers and sidecars run together; each init container beside the sidecars started before it."""
    total: dict[str, int] = {}
    for index, container in enumerate(spec.containers or ()):
        field = f"spec.containers[{index}].resources"
        _add(total, _effective(container.resources, owner=owner, field=field))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for index, container in enumerate(spec.init_containers or ()):
        field = f"spec.initContainers[{index}].resources"
        own = _effective(container.resources, owner=owner, field=field)
        if container.restart_policy == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = sidecars
        else:
            _add(own, sidecars)
        _raise_to(peak, own)
    _raise_to(total, peak)
    return total


def _effective(
    resources: Resources | None, *, owner: str, field: str, inner: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Requests, with limits standing in for those not stated here nor (pod level) by the containers."""
    if resources is None:
        return {}
    found = amounts(resources.requests, owner=owner, field=f"{field}.requests")
    limits = amounts(resources.limits, owner=owner, field=f"{field}.limits")
    stated = found.keys() | (inner or {}).keys()
    return {name: amount for name, amount in limits.items() if name not in stated} | found


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise_to(total: dict[str, int], least: Mapping[str, int]) -> None:
    for name, amount in least.items():
        total[name] = max(total.get(name, 0), amount)


def _affinity(spec: PodSpec) -> tuple[NodeTerm, ...] | None:
    node = spec.affinity.node_affinity if spec.affinity else None
    if node is None or node.required is None:
        return None
    return tuple(
        NodeTerm(_requirements(term.match_expressions), _requirements(term.match_fields))
        for term in node.required.node_selector_terms or ()
    )


def _requirements(expressions: Iterable[Expression] | None) -> tuple[Requirement, ...]:
    return tuple(Requirement(one.key, one.operator, tuple(one.values or ())) for one in expressions or ())


def _tolerations(spec: PodSpec) -> tuple[Toleration, ...]:
    return tuple(
        Toleration(one.key or "", one.operator or "Equal", one.value or "", one.effect or "")
        for one in spec.tolerations or ()
    )


def _host_ports(spec: PodSpec) -> tuple[str, ...]:
    """Ports taken on the node by containers and sidecars; with hostNetwork every container port is one."""
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    return tuple(sorted(set(_ports([*(spec.containers or ()), *sidecars], host=bool(spec.host_network)))))


def _ports(containers: Iterable[ContainerSpec], *, host: bool) -> Iterable[str]:
    for container in containers:
        for port in container.ports or ():
            number = port.host_port or (port.container_port if host else 0)
            if number > 0:
                yield f"{port.protocol or 'TCP'}/{number}"
