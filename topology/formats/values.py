"""Reading parsed YAML or JSON without surprises: every value checked where it stands, every error named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from topology.reading import fnv_hash, invalid

LONGEST_NAME = 253
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def mapping(value: object, *, where: str, field: str) -> Mapping[str, Any]:
    """An object with text keys; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(where, field, value, "an object")
    for key in value:
        if not isinstance(key, str):
            raise invalid(where, field, key, "keys that are text")
    return value


def items(value: object, *, where: str, field: str) -> Sequence[Any]:
    """A list; None is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise invalid(where, field, value, "a list")
    return value


def text(value: object, *, where: str, field: str) -> str:
    """Text that is not empty; a whole number counts, since YAML reads an unquoted name such as 12 as one."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return str(value)
    if not isinstance(value, str) or not value:
        raise invalid(where, field, value, "text that is not empty")
    if not value.isprintable():
        raise invalid(where, field, value, "text without control characters")
    return value


def number(value: object, *, where: str, field: str, least: int, most: int) -> int:
    """A whole number in these bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(where, field, value, f"a whole number from {least} to {most}")
    return value


def texts(value: object, *, where: str, field: str) -> tuple[str, ...]:
    """A list of texts, or one text alone."""
    if isinstance(value, str):
        return (text(value, where=where, field=field),)
    found = items(value, where=where, field=field)
    return tuple(text(one, where=where, field=f"{field}[{at}]") for at, one in enumerate(found))


def labels(value: object, *, where: str, field: str) -> dict[str, str]:
    """Labels or annotations: text to text; an empty value stays one."""
    found = {}
    for key, one in mapping(value, where=where, field=field).items():
        found[key] = "" if one == "" else text(one, where=where, field=f"{field}[{key}]")
    return found


def kind_of(document: object) -> tuple[str, str, str]:
    """API group, version and kind of an object; empty text where it does not say."""
    if not isinstance(document, Mapping):
        return "", "", ""
    kind, api = document.get("kind"), document.get("apiVersion")
    group, _, version = api.rpartition("/") if isinstance(api, str) else ("", "", "")
    return group, version, kind if isinstance(kind, str) else ""


def objects(documents: Sequence[object]) -> Iterator[Mapping[str, Any]]:
    """The objects among some documents. A List is its items; those of a NodeList need not say their kind."""
    for document in documents:
        if isinstance(document, Mapping):
            group, version, kind = kind_of(document)
            inside = document.get("items")
            if not kind.endswith("List"):
                yield document
            elif isinstance(inside, list | tuple):
                typed = (
                    {"kind": kind[:-4], "apiVersion": f"{group}/{version}".strip("/")} if kind[:-4] else {}
                )
                yield from ({**typed, **one} for one in inside if isinstance(one, Mapping))


def name_of(document: Mapping[str, Any], *, kind: str) -> str:
    """The name of an object; raises InvalidSource when it has none."""
    metadata = mapping(document.get("metadata"), where=kind, field="metadata")
    return text(metadata.get("name"), where=kind, field="metadata.name")


def check_version(document: Mapping[str, Any], *, known: Sequence[str], where: str) -> None:
    """Raises InvalidSource for an API version that we do not read, and says whether it is newer than ours."""
    group, version, _ = kind_of(document)
    if version in known:
        return
    kind = "a later version than we read; " if _age(version) > max(map(_age, known)) else ""
    wanted = f"{kind}{' or '.join(f'{group}/{one}' for one in known)}"
    raise invalid(where, "apiVersion", f"{group}/{version}", wanted)


def _age(version: str) -> tuple[int, int, int]:
    """Order of API versions: v1alpha1 before v1beta1 before v1 before v2alpha1."""
    found = re.fullmatch(r"v([0-9]{1,6})(?:(alpha|beta)([0-9]{1,6}))?", version)
    if found is None:
        return (0, 0, 0)
    return int(found[1]), {"alpha": 0, "beta": 1, None: 2}[found[2]], int(found[3] or 0)


def object_name(name: str) -> str:
    """A domain's name as an object's name: itself where it may be one, else made plain, with its hash."""
    if len(name) <= LONGEST_NAME and _OBJECT_NAME.fullmatch(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return f"{plain or 'domain'}-{fnv_hash(name)}"
