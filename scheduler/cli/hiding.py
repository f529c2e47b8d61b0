"""A snapshot without its names: every word of a name becomes a random one, the same everywhere in the file.

Names are hidden word by word (a word is a run of letters), so that what hangs on their make-up goes on:
pods are numbered, begin with the name of their owner, and sort as before among their like. Words that
say what something is ("worker", "rack") and words of the API stay. Label keys stay: they are not names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scheduler.workloads.keys import KEPT_PREFIXES

_WORD = re.compile(r"[^\W\d_]+")
_LETTERS = 10
"""Of a hidden word: more than 40 bits, so that two of a hundred thousand words hardly ever meet."""

_NAMES = frozenset(
    {
        *("generateName", "groupName", "hostname", "jobName", "name", "namespace", "nodeName"),
        *("nominatedNodeName", "podGroup", "podGroupName", "serviceAccountName", "serviceName", "subdomain"),
    }
)
"""Fields that hold a name, in any object."""

_LABELS = frozenset({"labels", "matchLabels", "nodeSelector"})

_AS_THEY_ARE = frozenset(
    {
        *("allocatable", "apiVersion", "capacity", "creationTimestamp", "deletionTimestamp", "effect"),
        *("key", "kind", "lastHeartbeatTime", "lastProbeTime", "lastTransitionTime", "limits", "operator"),
        *("overhead", "phase", "reason", "requests", "resourceVersion", "schedulerName", "startTime"),
        *("topologyKey", "nodeLabel", "type", "uid"),
    }
)
"""Fields without names, in any object."""

_LEFT_OUT = frozenset(
    {
        *("addresses", "containerID", "externalID", "hostIP", "hostIPs", "machineID", "message", "nodeInfo"),
        *("podCIDR", "podCIDRs", "podIP", "podIPs", "providerID", "selfLink", "volumesAttached"),
        "volumesInUse",
    }
)
"""Addresses, identities and sentences: nothing is decided on them."""

_PRODUCTS = ("nvidia.com/gpu.", "amd.com/gpu.", "feature.node.kubernetes.io/", "node.kubernetes.io/")
_PLAIN_KEYS = frozenset({"kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch"})
_CLIQUE = "nvidia.com/gpu.clique"

_KNOWN = frozenset(
    {
        *("allow", "block", "chief", "cliq", "clique", "cluster", "coordinator", "core"),
        *("critical", "data", "decode", "decoder", "default", "deployment", "domain", "driver"),
        *("encode", "encoder", "evaluator", "executor", "expert", "fabric", "false", "forbid"),
        *("gang", "gpu", "group", "groups", "head", "job", "jobs", "jobset", "kube", "launcher"),
        *("leader", "leaf", "level", "lockstep", "master", "members", "model", "name", "namespace"),
        *("node", "nodes", "none", "nvlink", "pack", "pool", "pp", "preferred", "prefill"),
        *("preset", "ps", "public", "rack", "rank", "ray", "replica", "replicas", "required"),
        *("role", "roles", "router", "server", "set", "spine", "spread", "standalone", "superpod"),
        *("switch", "system", "task", "tasks", "tier", "tp", "trainer", "true", "worker"),
        *("workers", "zone"),
    }
)
"""Words that say what something is; hidden, families and levels would not be known again."""


class Names:
    """Hides names under one key. `levels`: names and labels of the fabric's levels, which stay."""

    def __init__(self, key: bytes, *, levels: Iterable[str] = ()) -> None:
        self._key = key
        self._stay = set(levels)
        self._hidden: set[str] = set()
        self._parts = _WORD

    def hidden(self, objects: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The objects without names. What stands in a name or a label of one is hidden in all of them."""
        objects = list(objects)
        for one in objects:
            if one.get("kind") == "Node":
                self._stay.update((one.get("metadata") or {}).get("labels") or {})
            for text in _named(one):
                self._hidden.update(word for word in _WORD.findall(text) if word not in _KNOWN)
        stay = "|".join(map(re.escape, sorted(self._stay, key=lambda text: (-len(text), text))))
        self._parts = re.compile(rf"(?<![\w./-])(?:{stay})(?![\w./-])|{_WORD.pattern}") if stay else _WORD
        return [self._object(one) for one in objects]

    def _object(self, value: Any, field: str = "") -> Any:
        if field in _AS_THEY_ARE:
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._object(one, field) for one in value]
        if not isinstance(value, Mapping):
            return value
        if field == "annotations":
            return {key: self._text(one) for key, one in value.items() if _is_read(key)}
        if field in _LABELS:
            return {key: one if _is_plain(key) else self._text(one) for key, one in value.items()}
        return {key: self._object(one, key) for key, one in value.items() if key not in _LEFT_OUT}

    def _text(self, text: Any) -> Any:
        return self._parts.sub(self._word, text) if isinstance(text, str) else text

    def _word(self, found: re.Match[str]) -> str:
        word = found.group()
        if word in self._stay or word not in self._hidden:
            return word
        digest = hashlib.blake2b(word.encode(), key=self._key, digest_size=8).digest()
        return base64.b32encode(digest).decode().lower().translate(_DIGITS)[:_LETTERS]


_DIGITS = str.maketrans("234567", "aeiouy")
"""Base 32 without digits: a number in a name stays the only one there."""


def _named(value: Any, field: str = "") -> Iterator[str]:
    """The texts that are names, or values of labels."""
    if isinstance(value, Mapping):
        if field in _LABELS:
            yield from (one for key, one in value.items() if isinstance(one, str) and not _is_plain(key))
            return
        for key, one in value.items():
            if key not in _AS_THEY_ARE and key not in _LEFT_OUT and key != "annotations":
                yield from _named(one, key)
            elif key == "annotations" and isinstance(one, Mapping):
                yield from (text for name, text in one.items() if _names_a_gang(name))
    elif isinstance(value, list):
        for one in value:
            yield from _named(one, field)
    elif isinstance(value, str) and field in _NAMES:
        yield value


def _names_a_gang(key: str) -> bool:
    return key.rpartition("/")[2].endswith(("gang", "group", "group-name", "name"))


def _is_plain(key: str) -> bool:
    """Whether the values of a label are of the vendor's making: products, sizes, versions."""
    return key in _PLAIN_KEYS or (key.startswith(_PRODUCTS) and key != _CLIQUE)


def _is_read(key: str) -> bool:
    """Whether an annotation may be read by anybody; the others go."""
    return key.startswith(KEPT_PREFIXES) or "topology" in key
