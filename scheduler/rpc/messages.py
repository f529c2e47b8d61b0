"""Documents into messages: the JSON that HTTP answers with, field by field, under the same names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|-")


def message_of(kind: type[M], document: Mapping[str, Any]) -> M:
    """A document as a message of a kind.

    None leaves a field absent. A key that the message has no field for is left out, and a word
    that its enum does not have becomes UNSPECIFIED: documents may grow before the API does.
    """
    shaped = _shaped(kind.DESCRIPTOR, document)
    made: M
    try:
        made = kind(**shaped)
    except UnicodeEncodeError:
        made = kind(**_encodable(shaped))
    return made


def enum_name(enum: str, word: str) -> str:
    """The value of an enum that stands for a word: ("FixKind", "add-nodes") gives FIX_KIND_ADD_NODES."""
    return f"{_snake(enum)}_{_snake(word)}"


def _snake(word: str) -> str:
    return _BOUNDARY.sub("_", word).upper()


def _shaped(kind: Descriptor, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor of a message takes: only fields that exist, words as the names of enum values."""
    fields, special = _fields_of(kind)
    found = {key: value for key, value in document.items() if key in fields and value is not None}
    for name in special:
        if name in found:
            found[name] = _value(fields[name], found[name])
    return found


@cache
def _fields_of(kind: Descriptor) -> tuple[dict[str, FieldDescriptor], tuple[str, ...]]:
    """The fields of a message by name, and the names of those whose values need a change."""
    fields = {field.name: field for field in kind.fields}
    return fields, tuple(name for name, field in fields.items() if _needs_change(field))


def _needs_change(field: FieldDescriptor) -> bool:
    if field.enum_type is not None:
        return True
    inner = field.message_type
    return inner is not None and inner.full_name != "google.protobuf.Struct" and not _map_of_scalars(inner)


def _map_of_scalars(kind: Descriptor) -> bool:
    return bool(kind.GetOptions().map_entry) and kind.fields_by_name["value"].message_type is None


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _number(field.enum_type, value)
    inner = field.message_type
    if inner.GetOptions().map_entry:
        of = inner.fields_by_name["value"].message_type
        return {key: _shaped(of, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shaped(inner, one) for one in value]
    return _shaped(inner, value)


def _number(enum: EnumDescriptor, word: str) -> int:
    found = enum.values_by_name.get(enum_name(enum.name, word))
    return found.number if found else 0


def _encodable(value: Any) -> Any:
    """The same with a question mark for whatever is not text: half of a surrogate pair, say."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    return value
