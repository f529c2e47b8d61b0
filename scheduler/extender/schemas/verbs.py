"""What kube-scheduler asks and is answered (v1 of its extender API)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from scheduler.extender import wire
from scheduler.extender.schemas.base import Answer
from scheduler.kube import structs


class AskedMeta(structs.Meta):
    """Which pod that is; the extender verbs take no null for these."""

    namespace: str = "default"
    uid: str = ""


class AskedPod(structs.PodObject, kw_only=True):
    """The pod that is to be placed, as far as it is read."""

    metadata: AskedMeta


class FilterRequest(wire.FilterArgs):
    """ExtenderArgs of kube-scheduler: a pod, and the candidates either by name or as whole nodes."""

    pod: AskedPod  # type: ignore[assignment]  # raw until somebody needs more than its uid
    nodes: AskedNodes | None = None


class AskedNodes(wire.NodeItems):
    """A NodeList; only the names of its items are read."""

    items: list[wire.NamedObject] | None = None  # type: ignore[assignment]  # raw, to be given back


class PreemptRequest(wire.PreemptArgs):
    """ExtenderPreemptionArgs of kube-scheduler."""

    pod: wire.NamedObject  # type: ignore[assignment]  # raw until its uid is read


class FilterResult(Answer, kw_only=True):
    """ExtenderFilterResult; `Error` is the protocol's own place for a refused request, under status 200."""

    nodes: KeptNodes | None = msgspec.field(name="Nodes")
    node_names: list[str] | None = msgspec.field(name="NodeNames")
    failed: dict[str, str] = msgspec.field(name="FailedNodes")
    unresolvable: dict[str, str] | UnsetType = msgspec.field(name="FailedAndUnresolvableNodes", default=UNSET)
    error: str = msgspec.field(name="Error")


class KeptNodes(Answer):
    """Those of the nodes in the request that may be used, as they came."""

    metadata: dict[str, Any]
    items: list[wire.NamedObject]


class HostPriority(Answer):
    """The score of one node."""

    host: str = msgspec.field(name="Host")
    score: Annotated[int, Meta(ge=0, le=10)] = msgspec.field(name="Score")


class BindResult(Answer):
    """ExtenderBindingResult; empty for success, and only after the API server confirmed the Binding."""

    error: str = msgspec.field(name="Error")


class Victim(Answer):
    """MetaPod."""

    uid: str = msgspec.field(name="UID")


class Victims(Answer):
    """MetaVictims: the pods to evict from one node."""

    pods: list[Victim] = msgspec.field(name="Pods")
    violations: int = msgspec.field(name="NumPDBViolations")


class PreemptResult(Answer):
    """ExtenderPreemptionResult: the candidates that break no gang; none at all is a valid answer."""

    victims: dict[str, Victims] = msgspec.field(name="NodeNameToMetaVictims")
