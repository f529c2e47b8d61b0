"""May this pod run on this node, capacity aside? The rules of kube-scheduler, with the reason for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scheduler.model import Node, NodeTerm, PodShape, Requirement, Taint, Toleration

_NODE_TAINTS = "node.kubernetes.io/"
_TRANSIENT_TAINTS = frozenset(
    _NODE_TAINTS + name
    for name in (
        "unschedulable",
        "not-ready",
        "unreachable",
        "memory-pressure",
        "disk-pressure",
        "pid-pressure",
        "network-unavailable",
        "out-of-service",
    )
)
_REPELLING = ("NoSchedule", "NoExecute")
_CORDON = Taint(_NODE_TAINTS + "unschedulable", "", "NoSchedule")
_NOT_READY = tuple(Taint(_NODE_TAINTS + name, "", "NoSchedule") for name in ("not-ready", "unreachable"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def ineligible(shape: PodShape, node: Node, *, transient: bool = True) -> str | None:
    """None when a pod of this shape may run on the node, else a short reason.

    With `transient=False`, states that pass by themselves or by an
    administrator's hand do not count: cordoned, not ready, under pressure.
    Host ports and amounts are capacity and not looked at here.
    """
    if transient and (node.unschedulable or not node.ready) and (reason := _out_of_use(shape, node)):
        return reason
    if node.taints and (reason := _repelled(shape, node, transient=transient)):
        return reason
    if shape.node_selector and (reason := _not_selected(shape, node)):
        return reason
    return None if shape.affinity is None else _not_matched(shape.affinity, node)


def barriers(shape: PodShape, node: Node) -> tuple[tuple[str, str], ...]:
    """Everything that keeps a pod of this shape off a node for as long as nobody changes the pod or the
    node, as (kind, words): kind `taint` or `selector`. Empty exactly where it may run once all is well."""
    found = [("taint", _written(one)) for one in _repelling_taints(shape, node, transient=False)]
    for key, value in shape.node_selector:
        if node.labels.get(key) != value:
            found.append(("selector", f"{key}={value}"))
    if shape.affinity is not None and _not_matched(shape.affinity, node):
        only = shape.affinity[0] if len(shape.affinity) == 1 else None
        unmet = [one for one in only.expressions if not _holds(one, node.labels)] if only else []
        found += [("selector", f"{one.key} {one.operator} {', '.join(one.values)}".strip()) for one in unmet]
        found += [("selector", "the required node affinity")] if not unmet else []
    return tuple(found)


def _out_of_use(shape: PodShape, node: Node) -> str | None:
    if node.unschedulable and not _tolerated(_CORDON, shape):
        return "cordoned"
    if not node.ready and not any(_tolerated(taint, shape) for taint in _NOT_READY):
        return "not ready"
    return None


def _repelled(shape: PodShape, node: Node, *, transient: bool) -> str | None:
    for taint in _repelling_taints(shape, node, transient=transient):
        return f"taint {_written(taint)} is not tolerated"
    return None


def _repelling_taints(shape: PodShape, node: Node, *, transient: bool) -> Iterator[Taint]:
    for taint in node.taints:
        if taint.effect not in _REPELLING or (not transient and taint.key in _TRANSIENT_TAINTS):
            continue
        if not _tolerated(taint, shape):
            yield taint


def _written(taint: Taint) -> str:
    value = f"={taint.value}" if taint.value else ""
    return f"{taint.key}{value}:{taint.effect}"


def _tolerated(taint: Taint, shape: PodShape) -> bool:
    return any(_tolerates(one, taint) for one in shape.tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def _not_selected(shape: PodShape, node: Node) -> str | None:
    for key, value in shape.node_selector:
        if node.labels.get(key) != value:
            return _reason(Requirement(key, "In", (value,)), node.labels, what="label")
    return None


def _not_matched(terms: tuple[NodeTerm, ...], node: Node) -> str | None:
    """Terms are ORed; the reason given is that of the first one that could match some node."""
    reasons: list[str] = []
    for term in terms:
        if not term.expressions and not term.fields:
            continue
        reason = _term_reason(term, node)
        if reason is None:
            return None
        reasons.append(reason)
    return reasons[0] if reasons else "required node affinity matches no node"


def _term_reason(term: NodeTerm, node: Node) -> str | None:
    fields = {"metadata.name": str(node.name)}
    for requirement in term.expressions:
        if not _holds(requirement, node.labels):
            return _reason(requirement, node.labels, what="label")
    for requirement in term.fields:
        if not _holds(requirement, fields):
            return _reason(requirement, fields, what="field")
    return None


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(requirement, value)
        case _:  # the API server refuses other operators; such a term matches nothing
            return False


def _compares(requirement: Requirement, value: str | None) -> bool:
    """Whole numbers only, on both sides, as kube-scheduler reads them."""
    if value is None or len(requirement.values) != 1:
        return False
    (bound,) = requirement.values
    if not _INTEGER.fullmatch(value) or not _INTEGER.fullmatch(bound):
        return False
    return int(value) > int(bound) if requirement.operator == "Gt" else int(value) < int(bound)


def _reason(requirement: Requirement, found: Mapping[str, str], *, what: str) -> str:
    value = found.get(requirement.key)
    stands = "missing" if value is None else repr(value)
    return f"{what} {requirement.key} is {stands}, wanted {_wanted(requirement, missing=value is None)}"


def _wanted(requirement: Requirement, *, missing: bool) -> str:
    values = ", ".join(repr(value) for value in requirement.values)
    match requirement.operator:
        case "In":
            return values if missing and len(requirement.values) == 1 else f"one of {values}"
        case "NotIn":
            return f"none of {values}"
        case "Exists":
            return "any value"
        case "DoesNotExist":
            return "no such label"
        case "Gt":
            return f"a number above {values}"
        case "Lt":
            return f"a number below {values}"
        case other:
            return f"{other} {values}, an operator that is not known"
