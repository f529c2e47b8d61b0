"""Manifests and snapshots: files in, nodes and pods out, every fault with the place it stands at."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from scheduler.kube.objects import from_dict
from scheduler.model import InvalidField, InvalidInput, Node, Pod, PodGroup
from scheduler.workloads import builtin, leaderworkerset

_SUFFIXES = (".yaml", ".yml", ".json")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Expand = Callable[..., list[dict[str, Any]]]
WORKLOADS: dict[str, Expand] = {
    "LeaderWorkerSet": leaderworkerset.expand,
    "StatefulSet": builtin.expand_stateful_set,
    "Job": builtin.expand_job,
    "Deployment": builtin.expand_replicas,
    "ReplicaSet": builtin.expand_replicas,
}
"""The kinds that are expanded into pods, and by whom."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object and the file it stands in."""

    place: str
    object: Mapping[str, Any]

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
        for name, data in _texts(path):
            found += documents(_parse(name, data), name=name)
    return found


def documents(objects: Iterable[Any], *, name: str) -> list[Document]:
    """Objects with the place they stand at; a List is its items. Raises InvalidInput."""
    found: list[Document] = []
    for at, one in enumerate(objects):
        place = f"{name}, document {at + 1}"
        if one is None:
            continue
        if not isinstance(one, Mapping):
            raise InvalidInput(
                InvalidField(place, "document", str(one)[:60], "an object with kind and metadata")
            )
        if str(one.get("kind", "")).endswith("List") and isinstance(one.get("items"), list):
            found += documents(one["items"], name=f"{name}, items")
        elif not isinstance(one.get("kind"), str) or not isinstance(one.get("metadata"), Mapping):
            missing = "kind" if not isinstance(one.get("kind"), str) else "metadata"
            shown = str(one.get(missing, ""))[:60]
            raise InvalidInput(
                InvalidField(place, missing, shown, "a Kubernetes object has both kind and metadata")
            )
        else:
            found.append(Document(place, one))
    return found


def snapshot(given: Iterable[Document]) -> Snapshot:
    """Nodes, pods and pod groups of a snapshot; a bad object is a fault and the rest is read."""
    items: list[Node | Pod | PodGroup] = []
    faults: list[InvalidField] = []
    ignored: Counter[str] = Counter()
    for document in given:
        if document.kind not in ("Node", "Pod", "PodGroup"):
            ignored[document.kind] += 1
            continue
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


def workloads(given: Iterable[Document], *, namespace: str = "default") -> Expanded:
    """The pods of pods and workloads, named as their controllers would name them; faults are collected."""
    pods: list[Pod] = []
    groups: list[PodGroup] = []
    faults: list[InvalidField] = []
    seen: dict[tuple[str, str, str], str] = {}
    for document in given:
        try:
            for item in _items(document, namespace, seen):
                if isinstance(item, Pod):
                    pods.append(item)
                elif isinstance(item, PodGroup):
                    groups.append(item)
        except InvalidInput as error:
            faults += error.faults
    return Expanded(tuple(pods), tuple(groups), tuple(faults))


def pod_documents(given: Iterable[Document], *, namespace: str = "default") -> list[dict[str, Any]]:
    """The pods of pods and workloads as manifests; raises InvalidInput."""
    seen: dict[tuple[str, str, str], str] = {}
    return [pod for document in given for pod in _objects(document, namespace, seen) if pod["kind"] == "Pod"]


def _items(
    document: Document, namespace: str, seen: dict[tuple[str, str, str], str]
) -> Iterator[Node | Pod | PodGroup]:
    for obj in _objects(document, namespace, seen):
        yield from_dict(str(obj["kind"]), obj)


def _objects(
    document: Document, namespace: str, seen: dict[tuple[str, str, str], str]
) -> Sequence[dict[str, Any]]:
    """A pod or pod group as it is, a workload as its pods."""
    obj = _with_namespace(document, namespace)
    metadata = obj["metadata"]
    identity = (document.kind, metadata["namespace"], metadata["name"])
    owner = f"{document.kind.lower()} {metadata['namespace']}/{metadata['name']}"
    if identity in seen:
        wanted = f"another name: {seen[identity]} has the same object"
        raise InvalidInput(InvalidField(f"{owner} ({document.place})", "metadata.name", identity[2], wanted))
    seen[identity] = document.place
    if document.kind in ("Pod", "PodGroup"):
        return [obj]
    expand = WORKLOADS.get(document.kind)
    if expand is None:
        known = ", ".join(("Pod", "PodGroup", *WORKLOADS))
        raise InvalidInput(InvalidField(document.place, "kind", document.kind, f"one of {known}"))
    return expand(obj, owner=owner)


def _with_namespace(document: Document, namespace: str) -> dict[str, Any]:
    metadata = dict(document.object["metadata"])
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str) or not name:
        raise InvalidInput(InvalidField(document.place, "metadata.name", str(name or ""), "a name"))
    metadata["name"] = name
    metadata["namespace"] = str(metadata.get("namespace") or namespace)
    metadata.setdefault("uid", f"manifest/{metadata['namespace']}/{name}")
    return {**document.object, "metadata": metadata}


def _texts(path: str) -> Iterator[tuple[str, bytes]]:
    if path == "-":
        yield "standard input", sys.stdin.buffer.read()
        return
    try:
        if Path(path).is_dir():
            files = sorted(f for f in Path(path).iterdir() if f.suffix in _SUFFIXES)
            if not files:
                wanted = f"a folder with {', '.join(_SUFFIXES)} files"
                raise InvalidInput(InvalidField(path, "folder", path, wanted))
            for file in files:
                yield str(file), file.read_bytes()
        else:
            yield path, Path(path).read_bytes()
    except OSError as error:
        wanted = f"a file that can be read ({error.strerror})"
        raise InvalidInput(InvalidField(path, "file", path, wanted)) from error


def _parse(name: str, data: bytes) -> list[Any]:
    """JSON where it is JSON, which is fast; else YAML, several documents."""
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            found = msgspec.json.decode(data)
            return found if isinstance(found, list) else [found]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if name.endswith(".json"):
                wanted = f"JSON ({error})"
                raise InvalidInput(InvalidField(name, "file", _start(data), wanted)) from error
    try:
        return list(yaml.load_all(data, Loader=_LOADER))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InvalidInput(InvalidField(where, "file", _start(data), f"YAML or JSON ({problem})")) from error


def _start(data: bytes) -> str:
    return data[:40].decode(errors="replace").split("\n", maxsplit=1)[0]
