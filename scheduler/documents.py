"""Objects of files, each with the place it stands at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.files import parse, texts
from scheduler.model import InvalidField, InvalidInput


@dataclass(frozen=True, slots=True)
class Document:
    """One object and where it stands: the file and its number in it. With a `fault` it is no object."""

    place: str
    object: Mapping[str, Any]
    fault: InvalidField | None = None

    @property
    def kind(self) -> str:
        return str(self.object.get("kind", ""))


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
        return Document(place, one, InvalidField(place, "kind", shown(one.get("kind")), wanted))
    if not isinstance(one.get("metadata"), Mapping):
        wanted = "an object with a name"
        return Document(place, one, InvalidField(place, "metadata", shown(one.get("metadata")), wanted))
    return Document(place, one, _no_text(place, one))


def _no_text(place: str, one: Mapping[str, Any]) -> InvalidField | None:
    """The first of the fields that say which object it is that is given and no text."""
    given = {"apiVersion": one.get("apiVersion")}
    given |= {f"metadata.{key}": one["metadata"].get(key) for key in ("namespace", "uid")}
    wanted = {"apiVersion": "a group and version such as v1 or apps/v1, as text"}
    for path, value in given.items():
        if value is not None and not isinstance(value, str):
            return InvalidField(place, path, shown(value), wanted.get(path, "a name as text, or nothing"))
    return None


def _no_object(place: str, one: object) -> InvalidField:
    return InvalidField(place, "document", shown(one), "a Kubernetes object with kind and metadata")


def shown(value: object) -> str:
    """A value as it stands in an error."""
    return "" if value is None else str(value)[:60]
