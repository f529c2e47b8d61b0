"""Manifests and snapshots: files in, nodes and pods out, every fault with the place it stands at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scheduler.files import parse, texts
from scheduler.kube.objects import from_dict
from scheduler.model import InvalidField, InvalidInput, Node, Pod, PodGroup
from scheduler.workloads import builtin, leaderworkerset

Expand = Callable[..., list[dict[str, Any]]]
WORKLOADS: dict[str, Expand] = {
    "LeaderWorkerSet": leaderworkerset.expand,
    "StatefulSet": builtin.expand_stateful_set,
    "Job": builtin.expand_job,
    "Deployment": builtin.expand_replicas,
    "ReplicaSet": builtin.expand_replicas,
}
"""The kinds that are expanded into pods, and by whom."""

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
    )
)
"""Kinds that manifests of a workload often come with and that need no room."""

_RANDOM_NAMES = ("Job", "Deployment", "ReplicaSet")
"""Kinds whose pods really have random suffixes."""

_GROUPS = {
    "Node": "",
    "Pod": "",
    "PodGroup": "scheduling.k8s.io",
    "LeaderWorkerSet": "leaderworkerset.x-k8s.io",
    "StatefulSet": "apps",
    "Job": "batch",
    "Deployment": "apps",
    "ReplicaSet": "apps",
}
"""The API group of each kind: Volcano has a Job and a PodGroup of its own."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object and where it stands: the file and its number in it. With a `fault` it is no object."""

    place: str
    object: Mapping[str, Any]
    fault: InvalidField | None = None

    @property
    def kind(self) -> str:
        return str(self.object.get("kind", ""))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A cluster at one moment; `ignored` counts objects of other kinds."""

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    pod_groups: tuple[PodGroup, ...]
    faults: tuple[InvalidField, ...]
    ignored: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Expanded:
    """The pods that manifests amount to, in document order."""

    pods: tuple[Pod, ...]
    pod_groups: tuple[PodGroup, ...]
    faults: tuple[InvalidField, ...]
    warnings: tuple[str, ...] = ()


def load(paths: Sequence[str]) -> list[Document]:
    """All objects of some files, folders, or standard input (-); raises InvalidInput."""
    found: list[Document] = []
    for path in paths:
        for name, data in texts(path):
            found += documents(parse(name, data), name=name)
    return found


def documents(objects: Iterable[Any], *, name: str) -> list[Document]:
    """Objects with the place they stand at; a List is its items, and a bad item costs only itself.

    Raises InvalidInput for a document that is no object at all: that is the wrong file.
    """
    found: list[Document] = []
    for at, one in enumerate(objects):
        if one is None:
            continue
        place = f"{name}, document {at + 1}"
        if not isinstance(one, Mapping):
            raise InvalidInput(_no_object(place, one))
        kind, items = one.get("kind"), one.get("items")
        if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
            found += _items_of(kind.removesuffix("List"), items, f"{place}, item")
        else:
            found.append(_document(place, one))
    return found


def _items_of(kind: str, items: list[Any], place: str) -> Iterator[Document]:
    """Items of a List, and of a PodList or NodeList, whose items do not repeat their kind."""
    for at, item in enumerate(items):
        if kind and isinstance(item, Mapping) and "kind" not in item:
            yield _document(f"{place} {at + 1}", {"kind": kind, **item})
        else:
            yield _document(f"{place} {at + 1}", item)


def _document(place: str, one: Any) -> Document:
    if not isinstance(one, Mapping):
        return Document(place, {}, _no_object(place, one))
    if not isinstance(one.get("kind"), str) or not one["kind"]:
        wanted = "a kind such as Pod or LeaderWorkerSet"
        return Document(place, one, InvalidField(place, "kind", _shown(one.get("kind")), wanted))
    if not isinstance(one.get("metadata"), Mapping):
        wanted = "an object with a name"
        return Document(place, one, InvalidField(place, "metadata", _shown(one.get("metadata")), wanted))
    return Document(place, one)


def _no_object(place: str, one: object) -> InvalidField:
    return InvalidField(place, "document", _shown(one), "a Kubernetes object with kind and metadata")


def _shown(value: object) -> str:
    return "" if value is None else str(value)[:60]


def snapshot(given: Iterable[Document]) -> Snapshot:
    """Nodes, pods and pod groups of a snapshot; a bad object is a fault and the rest is read."""
    items: list[Node | Pod | PodGroup] = []
    faults: list[InvalidField] = []
    ignored: Counter[str] = Counter()
    for document in given:
        if document.fault is not None:
            faults.append(document.fault)
        elif document.kind not in ("Node", "Pod", "PodGroup") or _foreign(document):
            ignored[document.kind] += 1
        else:
            try:
                items.append(from_dict(document.kind, document.object))
            except InvalidInput as error:
                faults += error.faults
    return Snapshot(
        nodes=tuple(item for item in items if isinstance(item, Node)),
        pods=tuple(item for item in items if isinstance(item, Pod)),
        pod_groups=tuple(item for item in items if isinstance(item, PodGroup)),
        faults=tuple(faults),
        ignored=ignored,
    )


def _foreign(document: Document) -> bool:
    """Whether another API group has a kind of this name; without an apiVersion it is the one we know."""
    version = document.object.get("apiVersion")
    known = _GROUPS.get(document.kind)
    if not isinstance(version, str) or known is None:
        return False
    return version.rpartition("/")[0] != known


@dataclass(slots=True)
class _Expansion:
    """What is gathered of manifests; `seen` says where each object stands."""

    namespace: str
    pods: list[Pod] = field(default_factory=list)
    groups: list[PodGroup] = field(default_factory=list)
    faults: list[InvalidField] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, document: Document) -> None:
        """The pods or the pod group of one document; raises InvalidInput."""
        if document.fault is not None:
            raise InvalidInput(document.fault)
        if document.kind in _WITHOUT_PODS:
            self.warnings.append(f"{document.place}: a {document.kind} makes no pods and was left out")
            return
        if document.kind not in ("Pod", "PodGroup", *WORKLOADS):
            known = ", ".join(("Pod", "PodGroup", *WORKLOADS))
            raise InvalidInput(InvalidField(document.place, "kind", document.kind, f"one of {known}"))
        obj = _with_namespace(document, self.namespace)
        owner = f"{document.kind.lower()} {obj['metadata']['namespace']}/{obj['metadata']['name']}"
        if _foreign(document):
            wanted = f"a version of {_GROUPS[document.kind] or 'v1'}; another {document.kind} is not known"
            raise InvalidInput(InvalidField(owner, "apiVersion", str(obj["apiVersion"]), wanted))
        self._once(document.kind, obj["metadata"], document.place)
        expand = WORKLOADS.get(document.kind)
        if expand is None:
            self._take(from_dict(document.kind, obj))
            return
        made = expand(obj, owner=owner)
        for pod in made:
            self._once("Pod", pod["metadata"], document.place)
        for item in [from_dict("Pod", pod) for pod in made]:
            self._take(item)
        if made and document.kind in _RANDOM_NAMES:
            self.warnings.append(f"{owner}: its real pods have a random suffix in place of {_suffixes(made)}")

    def _take(self, item: Node | Pod | PodGroup) -> None:
        if isinstance(item, Pod):
            self.pods.append(item)
        elif isinstance(item, PodGroup):
            self.groups.append(item)

    def _once(self, kind: str, metadata: Mapping[str, Any], place: str) -> None:
        key = (kind, metadata["namespace"], metadata["name"])
        if key in self.seen:
            owner = f"{kind.lower()} {key[1]}/{key[2]} ({place})"
            wanted = f"another name: {self.seen[key]} has the same object"
            raise InvalidInput(InvalidField(owner, "metadata.name", key[2], wanted))
        self.seen[key] = place


def _suffixes(made: Sequence[Mapping[str, Any]]) -> str:
    names = [f"-{pod['metadata']['name'].rpartition('-')[2]}" for pod in made]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def workloads(given: Iterable[Document], *, namespace: str = "default") -> Expanded:
    """The pods of pods and workloads, named as their controllers would name them; faults are collected."""
    found = _Expansion(namespace)
    for document in given:
        try:
            found.add(document)
        except InvalidInput as error:
            found.faults += error.faults
    return Expanded(tuple(found.pods), tuple(found.groups), tuple(found.faults), tuple(found.warnings))


def _with_namespace(document: Document, namespace: str) -> dict[str, Any]:
    metadata = dict(document.object["metadata"])
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str) or not name:
        raise InvalidInput(InvalidField(document.place, "metadata.name", str(name or ""), "a name"))
    given = metadata.get("namespace") or namespace
    if not isinstance(given, str):
        wanted = "the name of a namespace, as text"
        raise InvalidInput(InvalidField(document.place, "metadata.namespace", _shown(given), wanted))
    metadata["name"], metadata["namespace"] = name, given
    metadata["uid"] = metadata.get("uid") or f"manifest/{metadata['namespace']}/{name}"
    return {**document.object, "metadata": metadata}
