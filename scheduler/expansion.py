"""From manifests to the pods that controllers would make of them, named as they would name them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scheduler.documents import Document, shown
from scheduler.kube.objects import Item, from_dict
from scheduler.model import InvalidField, InvalidInput, Pod, PodGroup
from scheduler.owners import named, workload_of
from scheduler.settings import with_settings
from scheduler.workloads.family import LARGEST
from scheduler.workloads.kinds import KINDS, Kind, kind_of
from scheduler.workloads.known import Workload

Object = dict[str, Any]

_WITHOUT_PODS = frozenset(
    (
        "ConfigMap",
        "Secret",
        "Service",
        "ServiceAccount",
        "Namespace",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "StorageClass",
        "PriorityClass",
        "ResourceClaimTemplate",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "ServiceMonitor",
        "PodMonitor",
        "ServingRuntime",
        "ClusterServingRuntime",
        "LocalQueue",
        "ClusterQueue",
        "ResourceFlavor",
        "Topology",
        "NIMCache",
        "InferencePool",
        "HTTPRoute",
        "Gateway",
        "ComputeDomain",
        "ResourceClaim",
        "ResourceQuota",
        "LimitRange",
        "CustomResourceDefinition",
        "Certificate",
        "ExternalSecret",
        "ScaledObject",
    )
)
"""Kinds that manifests of a workload often come with and that need no room."""

_NAMESAKES = frozenset((("Service", "serving.knative.dev"),))
"""Kinds of the same name in another API group, which do make pods."""

_CORE = {"Pod": "", "PodGroup": "scheduling.k8s.io"}
"""The API group of the kinds that are no workloads."""

_DEEPEST = 4
"""A workload makes workloads that make workloads: so many times, in what is known."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """The pods that manifests amount to, in document order, and what their owners say of them."""

    pods: tuple[Pod, ...]
    pod_groups: tuple[PodGroup, ...]
    faults: tuple[InvalidField, ...]
    warnings: tuple[str, ...] = ()
    workloads: tuple[Workload, ...] = ()


class Lookup:
    """Objects by kind, namespace and name, for those that others refer to."""

    def __init__(self, documents: Iterable[Document], namespace: str) -> None:
        self._namespace = namespace
        self._found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for document in documents:
            if document.fault is None:
                metadata = document.object["metadata"]
                key = (document.kind, str(metadata.get("namespace") or ""), str(metadata.get("name")))
                self._found.setdefault(key, document.object)

    def __call__(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The object, None when it is not there; one without a namespace is in the one that is asked for."""
        found = self._found.get((kind, namespace, name))
        return found if found is not None else self._found.get((kind, "", name))


@dataclass(slots=True)
class _Expansion:
    """What is gathered of manifests; `seen` says where each object stands."""

    namespace: str
    find: Lookup
    kinds: Sequence[Kind]
    pods: list[Pod] = field(default_factory=list)
    groups: list[PodGroup] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    faults: list[InvalidField] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, document: Document) -> None:
        """The pods or the pod group of one document; raises InvalidInput, and then has taken nothing."""
        if document.fault is not None:
            raise InvalidInput(document.fault)
        namesake = (document.kind, _group_of(document.object)) in _NAMESAKES
        if document.kind in _WITHOUT_PODS and not namesake:
            if document.kind != "PriorityClass":  # read elsewhere
                self.warnings.append(f"{document.place}: a {document.kind} makes no pods and was left out")
            return
        core = _CORE.get(document.kind) in (None, _group_of(document.object))
        if document.kind in _CORE and (core or "apiVersion" not in document.object):
            self._take(document, [_with_namespace(document, self.namespace)], [])
            return
        kind = self._kind(document)
        obj = _with_namespace(document, self.namespace)
        pods, owners = self._made(kind, obj)
        self._take(document, pods, owners)
        owner = named(obj)
        if kind.expand is None and kind.facts is None:
            self.warnings.append(
                f"{document.place}: a {kind.kind} makes no pods itself and was only looked up"
            )
        version = str(obj.get("apiVersion", "")).rpartition("/")[2]
        if version and version not in kind.versions:
            known = ", ".join(kind.versions)
            self.warnings.append(f"{owner}: its version {version} is not known; it was read like {known}")
        if pods and kind.suffixed:
            self.warnings.append(f"{owner}: its real pods have a random suffix in place of {_suffixes(pods)}")

    def _kind(self, document: Document) -> Kind:
        version = document.object.get("apiVersion")
        kind = kind_of(version if isinstance(version, str) else None, document.kind, self.kinds)
        if kind is not None:
            return kind
        same = [one for one in self.kinds if one.kind == document.kind]
        if not same and document.kind not in _CORE:
            known = ", ".join(
                dict.fromkeys(("Pod", "PodGroup", *(one.kind for one in self.kinds if one.expand)))
            )
            raise InvalidInput(InvalidField(document.place, "kind", document.kind, f"one of {known}"))
        obj = _with_namespace(document, self.namespace)
        groups = [one.group for one in same] or [_CORE[document.kind] or "v1"]
        wanted = f"a version of {' or of '.join(groups)}; another {document.kind} is not known"
        raise InvalidInput(InvalidField(named(obj), "apiVersion", shown(version), wanted))

    def _made(self, kind: Kind, obj: Object) -> tuple[list[Object], list[Workload]]:
        """The pods of a workload, through the workloads that it makes, and what all of these say."""
        pods: list[Object] = []
        owners: list[Workload] = []
        waiting = deque([(kind, obj, 0)])
        while waiting:
            kind, one, depth = waiting.popleft()
            owner = named(one)
            told = workload_of(kind, one)
            owners += [told] if told is not None else []
            made = kind.expand(one, owner=owner, find=self.find) if kind.expand is not None else []
            for child in made:
                if child["kind"] == "Pod":
                    pods.append(child)
                    continue
                below = kind_of(child["apiVersion"], child["kind"], self.kinds)
                if below is not None and depth < _DEEPEST:
                    waiting.append((below, child, depth + 1))
            if len(pods) > LARGEST:
                raise InvalidInput(InvalidField(owner, "pods", str(len(pods)), f"at most {LARGEST} pods"))
        return pods, owners

    def _take(self, document: Document, objects: Sequence[Object], owners: Sequence[Workload]) -> None:
        """Take all that one document amounts to, or nothing of it; raises InvalidInput."""
        own = _with_namespace(document, self.namespace)
        keys: dict[tuple[str, str, str], str] = {}
        for one in [own, *objects]:
            if one is own and objects and one["kind"] == objects[0]["kind"]:
                continue  # a pod or a pod group that stands for itself
            kind = one["kind"] if one["kind"] == "Pod" else f"{one['kind']}.{_group_of(one)}"
            key = (kind, one["metadata"]["namespace"], one["metadata"]["name"])
            if key in self.seen or key in keys:
                owner = f"{named(one)} ({document.place})"
                wanted = f"another name: {self.seen.get(key, document.place)} has the same object"
                raise InvalidInput(InvalidField(owner, "metadata.name", key[2], wanted))
            keys[key] = document.place
        items = [from_dict("Pod" if one["kind"] == "Pod" else "PodGroup", one) for one in objects]
        self.seen |= keys
        self.workloads += owners
        for item in items:
            self._sort(item)

    def _sort(self, item: Item) -> None:
        if isinstance(item, Pod):
            self.pods.append(with_settings(item, self.find))
        elif isinstance(item, PodGroup):
            self.groups.append(item)


def _group_of(obj: Mapping[str, Any]) -> str:
    version = obj.get("apiVersion")
    return version.rpartition("/")[0] if isinstance(version, str) else ""


def _suffixes(made: Sequence[Mapping[str, Any]]) -> str:
    names = [f"-{pod['metadata']['name'].rpartition('-')[2]}" for pod in made]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def workloads(
    given: Iterable[Document],
    *,
    namespace: str = "default",
    context: Iterable[Document] = (),
    kinds: Sequence[Kind] = KINDS,
) -> Expanded:
    """The pods of pods and workloads, named as their controllers would name them; faults are collected.

    `context` are objects that the manifests may refer to, such as those of a snapshot.
    """
    documents = list(given)
    found = _Expansion(namespace, Lookup([*documents, *context], namespace), kinds)
    for document in documents:
        try:
            found.add(document)
        except InvalidInput as error:
            found.faults += error.faults
    return Expanded(
        tuple(found.pods),
        tuple(found.groups),
        tuple(found.faults),
        tuple(found.warnings),
        tuple(found.workloads),
    )


def pod_manifests(given: Iterable[Document], *, namespace: str = "default") -> list[Object]:
    """The same pods as manifests, without what says who made them; raises InvalidInput."""
    documents = list(given)
    expansion = _Expansion(namespace, Lookup(documents, namespace), KINDS)
    made = []
    for document in documents:
        obj = _with_namespace(document, namespace)
        pods, _ = expansion._made(expansion._kind(document), obj)
        for pod in pods:
            metadata = {k: v for k, v in pod["metadata"].items() if k not in ("uid", "ownerReferences")}
            made.append({**pod, "metadata": metadata})
    return made


def _with_namespace(document: Document, namespace: str) -> Object:
    metadata = dict(document.object["metadata"])
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str) or not name:
        raise InvalidInput(InvalidField(document.place, "metadata.name", str(name or ""), "a name"))
    metadata["name"], metadata["namespace"] = name, metadata.get("namespace") or namespace
    metadata["uid"] = metadata.get("uid") or f"manifest/{metadata['namespace']}/{name}"
    return {**document.object, "metadata": metadata}
