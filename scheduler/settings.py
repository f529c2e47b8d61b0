"""Environment that a pod takes from ConfigMaps, where those are among the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scheduler.containers import ConfigMap, filled
from scheduler.model import Pod
from scheduler.workloads.templates import Find

_LONGEST_VALUE = 1024
"""Bytes of a value that is kept; files in a ConfigMap are longer, sizes and flags are not."""

_MOST_BYTES = 64 << 10
"""Bytes of keys and values that are kept of one ConfigMap."""


def with_settings(pod: Pod, find: Find) -> Pod:
    """The pod with `envFrom` and `configMapKeyRef` read, as far as the input holds those ConfigMaps."""
    if not any(one.references for one in pod.containers):
        return pod

    def look(name: str) -> ConfigMap | None:
        document = find("ConfigMap", pod.key.namespace, name)
        return config_map_of(document) if document is not None else None

    return replace(pod, containers=tuple(filled(one, look) for one in pod.containers))


def config_map_of(document: Mapping[str, Any]) -> ConfigMap:
    """What a ConfigMap says in text that can be the value of a variable."""
    data = document.get("data")
    if data is None:
        return ConfigMap({})
    if not isinstance(data, Mapping):
        return ConfigMap(why="its data is no mapping")
    kept = {
        str(key): value
        for key, value in data.items()
        if isinstance(value, str) and len(value) <= _LONGEST_VALUE
    }
    if sum(len(key) + len(value) for key, value in kept.items()) > _MOST_BYTES:
        return ConfigMap(why=f"its short values are more than {_MOST_BYTES >> 10} KiB")
    return ConfigMap(kept)
