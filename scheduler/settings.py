"""Environment that a pod takes from ConfigMaps, where those are among the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.workloads.templates import Find


def with_settings(pod: dict[str, Any], find: Find) -> dict[str, Any]:
    """The pod with `envFrom` and `configMapKeyRef` replaced by what they stand for, as far as it is known."""
    spec = pod.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    if not isinstance(containers, list) or not any(_refers(one) for one in containers):
        return pod
    namespace = str(pod["metadata"].get("namespace") or "default")
    filled = [_filled(one, namespace, find) if _refers(one) else one for one in containers]
    return {**pod, "spec": {**pod["spec"], "containers": filled}}


def _refers(container: object) -> bool:
    if not isinstance(container, Mapping):
        return False
    env = container.get("env")
    keyed = isinstance(env, list) and any(isinstance(one, Mapping) and "valueFrom" in one for one in env)
    return keyed or isinstance(container.get("envFrom"), list)


def _filled(container: Mapping[str, Any], namespace: str, find: Find) -> dict[str, Any]:
    """What is named one by one counts more than what comes with a whole ConfigMap."""
    whole: dict[str, str] = {}
    left: list[Any] = []
    for source in container.get("envFrom") or ():
        if isinstance(source, Mapping) and isinstance(source.get("configMapRef"), Mapping):
            prefix = source.get("prefix") or ""
            data = _data(source["configMapRef"].get("name"), namespace, find)
            whole |= {f"{prefix}{key}": value for key, value in data.items()}
            left += [] if data else [source]
        else:
            left.append(source)
    given = container.get("env") if isinstance(container.get("env"), list) else []
    own = [_resolved(one, namespace, find) for one in given or ()]
    named = {one.get("name") for one in own if isinstance(one, Mapping)}
    more = [{"name": key, "value": value} for key, value in whole.items() if key not in named]
    return {**container, "env": [*more, *own], "envFrom": left}


def _resolved(variable: Any, namespace: str, find: Find) -> Any:
    source = variable.get("valueFrom") if isinstance(variable, Mapping) else None
    reference = source.get("configMapKeyRef") if isinstance(source, Mapping) else None
    if not isinstance(reference, Mapping):
        return variable
    value = _data(reference.get("name"), namespace, find).get(str(reference.get("key")))
    return variable if value is None else {"name": variable.get("name"), "value": value}


def _data(name: object, namespace: str, find: Find) -> dict[str, str]:
    found = find("ConfigMap", namespace, name) if isinstance(name, str) else None
    data = found.get("data") if found is not None else None
    return {str(k): v for k, v in data.items() if isinstance(v, str)} if isinstance(data, Mapping) else {}
