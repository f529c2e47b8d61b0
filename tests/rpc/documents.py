"""Messages back into documents, by a table of words of its own."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from scheduler.engine.states import State
from scheduler.model import Code

WORDS = {
    "Verdict": ("placed", "blocked", "impossible", "invalid"),
    "Proof": ("optimal", "gap", "timed_out", "proven"),
    "ReasonCode": tuple(Code),
    "BlockingKind": ("pod", "node", "constraint", "taint", "selector", "resource", "label"),
    "FixKind": ("wait", "evict", "relax", "uncordon", "add-nodes", "resize", "move"),
    "GangState": tuple(State),
    "ChangeKind": ("reset", "added", "changed", "deleted", "synced"),
}
"""The words of the documents by the enum that stands for them."""

_LONG = {"nodes", "ready", "usable", "gpus", "free_gpus", "value", "bound", "version"}
"""Fields of 64 bits, which the JSON form of protobuf writes as text."""

_ABSENT: dict[str, tuple[str, ...]] = {
    "placed": ("reason",),
    "blocked": ("pods", "levels", "objective", "method"),
    "impossible": ("pods", "levels", "objective", "method"),
    "invalid": ("pods", "levels", "objective", "method", "source", "notes"),
}
"""Keys that a decision's document does not have, by verdict; as lists and texts they are empty here."""

_WORD_OF = {
    (enum + word).replace("-", "").replace("_", "").lower(): str(word)
    for enum, words in WORDS.items()
    for word in words
}


def document_of(message: Message) -> Any:
    """The document that a message stands for, with the keys that HTTP gives."""
    given = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _plain(given)


def _plain(value: Any, key: str = "") -> Any:
    if key in ("sources", "domains", "detail"):
        return value  # their keys are not ours
    if isinstance(value, dict):
        found = {name: _plain(one, name) for name, one in value.items()}
        if "verdict" in found:
            for name in _ABSENT[found["verdict"]]:
                assert not found.pop(name, None), name
        return found
    if key == "groups":
        return [_group(one) for one in value]
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, str) and key in _LONG:
        return int(value)
    if isinstance(value, str) and key in ("verdict", "proof", "code", "kind", "state"):
        return _WORD_OF.get(value.replace("_", "").lower(), value)
    return value


def _group(given: dict[str, Any]) -> dict[str, Any]:
    """A group says where its sizes were read only when it has sizes of its own."""
    own = any(size in given for size in ("tp", "pp", "dp", "ep"))
    return {key: value for key, value in given.items() if key != "sources" or own}


def timeless(document: Any) -> Any:
    """The same without what passes between two questions: since_s and time_ms; None is absent."""
    if isinstance(document, dict):
        kept = {k: timeless(v) for k, v in document.items() if v is not None}
        return {k: 0 if k in ("since_s", "time_ms") else v for k, v in kept.items()}
    return [timeless(one) for one in document] if isinstance(document, list) else document
