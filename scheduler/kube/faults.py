"""Turns a decoding error into a fault that names the object, the field, its value and what would be right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from scheduler.model import InvalidField

_LONGEST = 120
_MISFIT = re.compile(r"Expected `(?P<wanted>[^`]+)`(?:, got `(?P<got>[^`]+)`)?(?: - at `(?P<path>[^`]+)`)?")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")
_WORDS = {
    "str": "text (numbers in quotes)",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "nothing",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float,),
    "bool": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def undecodable(owner: str, data: bytes, error: Exception) -> InvalidField:
    """The fault of bytes that are not what they should be as a whole."""
    text = data[:_LONGEST].decode("utf-8", errors="replace")
    return InvalidField(owner, "body", text, f"JSON of this kind ({error})")


def of_bytes(kind: str, data: bytes | msgspec.Raw, error: Exception) -> InvalidField:
    """The fault of one object's bytes: by field when it is JSON, else as a whole."""
    plain = bytes(data)
    try:
        obj = json.loads(plain)
    except (ValueError, RecursionError):
        return undecodable(kind.lower(), plain, error)
    return misfit(kind, obj, error)


def misfit(kind: str, obj: object, error: Exception) -> InvalidField:
    """The fault that msgspec reports with a path, read back from the object itself."""
    match = _MISFIT.match(str(error))
    if match is None:
        return InvalidField(_owner(kind, obj), "object", "", str(error))
    path, value = _find(obj, match["path"] or "$", match["got"] or "")
    types = [name.strip() for name in match["wanted"].split("|")]
    wanted = " or ".join(_WORDS.get(name, name) for name in types if name != "null" or len(types) == 1)
    return InvalidField(_owner(kind, obj), path, value, wanted)


def _owner(kind: str, obj: object) -> str:
    meta = obj.get("metadata") if isinstance(obj, Mapping) else None
    if not isinstance(meta, Mapping):
        return kind.lower()
    name, namespace = meta.get("name", "without a name"), meta.get("namespace") or "default"
    return f"{kind.lower()} {name}" if kind == "Node" else f"{kind.lower()} {namespace}/{name}"


def _find(obj: object, path: str, got: str) -> tuple[str, str]:
    """The field and its value; `[...]` in the path stands for whichever key holds the wrong type."""
    field, here = "", obj
    for match in _STEP.finditer(path.removeprefix("$")):
        step, index = match[1], match[2]
        if index == "...":
            key = _culprit(here, got)
            field, here = f"{field}[{key}]", here.get(key) if isinstance(here, Mapping) else None
        elif index is not None:
            field = f"{field}[{index}]"
            here = here[int(index)] if isinstance(here, list) and int(index) < len(here) else None
        else:
            field = f"{field}.{step}" if field else step
            here = here.get(step) if isinstance(here, Mapping) else None
    return field or "object", _shown(here)


def _culprit(here: object, got: str) -> str:
    entries: Mapping[Any, Any] = here if isinstance(here, Mapping) else {}
    types = _TYPES.get(got, ())
    return next((str(key) for key, value in entries.items() if type(value) in types), "...")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
