"""The OpenAPI 3.1 document of the HTTP API: `python -m scheduler.extender.openapi [FILE]` writes it.

Bodies and answers are the types of the package `schemas`; the table here holds paths, parameters
and statuses.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from scheduler.extender import wire
from scheduler.extender.schemas import plans, readings, verbs

FILE = "docs/openapi.json"
PATH = "/openapi.json"
"""Where the service serves it, on the port of the API."""

JSON, YAML, TEXT = "application/json", "application/yaml", "text/plain"
_REF = "#/components/schemas/{name}"
Json = dict[str, Any]

_ABOUT = """\
What a Lockstep service answers over HTTP. The tag of an operation is the port that answers it; without \
ports of their own for metrics and API the scheduler's port answers all. Fields are only added, never renamed.

kube-scheduler's verbs follow `v1` of its extender API, which tells refusals in the answer itself."""

_WHY = {
    400: "The request is wrong; every fault is named with its field, its value and what would be right.",
    401: "A bearer token is needed that the API server knows.",
    403: "Known, and without the right, or with a client certificate of another name.",
    404: "Not known.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    429: "Too many ask; come back.",
    503: "Not ready; the text says what is waited for.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One path and method. `answer`: what 200 holds, None for text; `errors`: other statuses, as JSON."""

    method: str
    path: str
    name: str
    about: str
    tag: str
    answer: Any = None
    body: Any = None
    errors: tuple[int, ...] = ()
    queries: tuple[tuple[str, str, Json], ...] = ()


_ASKER, _BODY, _PINNED = (401, 403, 429), (408, 413), (403, 408, 413)
_YES_NO: Json = {"enum": ["true", "false", "1", "0"]}
_SWITCHES = (
    ("jointly", "Place all gangs as one batch, whatever their order.", _YES_NO),
    ("evict", "Of a refusal name the fewest victims, too. Nobody is evicted.", _YES_NO),
    ("defragment", "Of a refusal tell who would have to move. Nothing is moved.", _YES_NO),
)
_NAMESPACE = ("namespace", "Only the gangs of one namespace.", {"type": "string"})


def _verb(name: str, about: str, body: Any, answer: Any, errors: tuple[int, ...] = _PINNED) -> Operation:
    return Operation("post", f"/extender/{name}", name, about, "scheduler", answer, body, errors)


def _reading(path: str, name: str, about: str, answer: Any, errors: tuple[int, ...] = _ASKER) -> Operation:
    return Operation("get", path, name, about, "api", answer, errors=errors)


_FREE_NODES = "The planned node of a gang's member; for other pods the nodes without what gangs hold."
_ONE_GANG = "Everything about one gang; of one that is blocked, what blocks it and what would help."

OPERATIONS = (
    Operation("get", "/healthz", "health", "Whether the process runs.", "every port"),
    Operation("get", "/readyz", "ready", "Whether to ask here, and what is degraded.", "every port"),
    _verb("filter", _FREE_NODES, verbs.FilterRequest, verbs.FilterResult),
    _verb(
        "prioritize",
        "Scores of nodes; none for a request that is refused.",
        verbs.FilterRequest,
        list[verbs.HostPriority],
    ),
    _verb("bind", "Bind a pod; members of a gang wait here for each other.", wire.BindArgs, verbs.BindResult),
    _verb(
        "preempt",
        "The candidates for preemption that break no gang.",
        verbs.PreemptRequest,
        verbs.PreemptResult,
        (400, *_PINNED, 503),
    ),
    Operation("get", "/metrics", "metrics", "Metrics as Prometheus reads them.", "metrics", errors=_ASKER),
    _reading("/version", "version", "The version of the service.", readings.Version, (401, 429)),
    _reading(PATH, "openapi", "This document.", dict[str, Any], (401, 429)),
    replace(
        _reading("/v1/gangs", "listGangs", "One line about every gang.", readings.Gangs),
        queries=(_NAMESPACE,),
    ),
    _reading("/v1/gangs/{namespace}/{name}", "explainGang", _ONE_GANG, readings.Gang, (404, *_ASKER)),
    _reading(
        "/v1/gangs/{namespace}/{name}/decision",
        "recordOfDecision",
        "The record of the last decision about a gang, for `lockstep replay`.",
        readings.Record,
        (404, *_ASKER),
    ),
    _reading("/v1/topology", "topology", "The fabric with its capacity.", readings.Topology),
    Operation(
        "post",
        "/v1/plan",
        "plan",
        "Where the gangs of some manifests would go now; changes nothing.",
        "api",
        plans.Plan,
        (plans.PodManifest, plans.Manifest),
        (400, 401, *_BODY, 429),
        _SWITCHES,
    ),
)


@cache
def document() -> bytes:
    """The whole document, the same bytes every time."""
    refs, components = _components()
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _told(operation, refs)
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "Lockstep",
            "version": "v1",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "every port"},
            {"name": "scheduler", "description": "The verbs of kube-scheduler."},
            {"name": "metrics"},
            {"name": "api", "description": "For people and their programs; changes nothing."},
        ],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }
    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"


_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token that the API server knows; asked for with `service.auth: tokens`.",
    },
    "certificate": {
        "type": "mutualTLS",
        "description": "kube-scheduler's client certificate; asked for with `service.tls.clientCA`.",
    },
}
_SECURITY: dict[str, list[Json]] = {
    "scheduler": [{}, {"certificate": []}],
    "metrics": [{}, {"token": []}],
    "api": [{}, {"token": []}],
    "every port": [],
}


def _components() -> tuple[Mapping[Any, Json], Json]:
    """The schema of every type that the operations name, and the components that these refer to."""
    types = list(dict.fromkeys(_types()))
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    _add_rules(components)
    return dict(zip(types, found, strict=True)), dict(sorted(components.items()))


def _types() -> Iterator[Any]:
    for operation in OPERATIONS:
        yield from _listed(operation.body)
        yield from () if operation.answer is None else (operation.answer,)
    yield from (readings.Error, readings.PlanError)


def _listed(body: Any) -> Sequence[Any]:
    """The types of the objects that a body may be."""
    if isinstance(body, tuple):
        return body
    return () if body is None else (body,)


def _add_rules(components: Json) -> None:
    """What the readers ask for and no type can say: nodes in one of two ways, an object's name likewise."""
    items = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array"}}}
    components["FilterRequest"]["anyOf"] = [
        {"required": ["NodeNames"], "properties": {"NodeNames": {"type": "array"}}},
        {"required": ["Nodes"], "properties": {"Nodes": items}},
    ]
    for one in ("ObjectMeta", "PodMeta"):
        components[one]["anyOf"] = [
            {"required": [key], "properties": {key: {"type": "string", "minLength": 1}}}
            for key in ("name", "generateName")
        ]


def _told(operation: Operation, refs: Mapping[Any, Json]) -> Json:
    found: Json = {
        "operationId": operation.name,
        "summary": operation.about,
        "tags": [operation.tag],
        "security": _SECURITY[operation.tag],
    }
    if parameters := list(_parameters(operation)):
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _asked(operation, refs)}
    return {**found, "responses": dict(_responses(operation, refs))}


def _parameters(operation: Operation) -> Iterator[Json]:
    for name in ("namespace", "name"):
        if f"{{{name}}}" in operation.path:
            schema = {"type": "string", "minLength": 1}
            about = f"The gang's {name}."
            yield {"name": name, "in": "path", "required": True, "description": about, "schema": schema}
    for name, about, schema in operation.queries:
        yield {"name": name, "in": "query", "description": about, "schema": schema}


def _asked(operation: Operation, refs: Mapping[Any, Json]) -> Json:
    """A body by its media type; manifests may be several, and YAML."""
    schemas_of = [refs[one] for one in _listed(operation.body)]
    if len(schemas_of) == 1:
        return {JSON: {"schema": schemas_of[0]}}
    one = {"anyOf": schemas_of}
    several = {"anyOf": [*schemas_of, {"type": "array", "items": one}]}
    return {kind: {"schema": several, "examples": {"gang": {"value": _EXAMPLE}}} for kind in (JSON, YAML)}


_EXAMPLE = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"llama-{at}",
            "annotations": {"lockstep.scheduling/gang": "llama", "lockstep.scheduling/gang-size": "2"},
        },
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "8"}}}]},
    }
    for at in range(2)
]


def _responses(operation: Operation, refs: Mapping[Any, Json]) -> Iterator[tuple[str, Json]]:
    text = {TEXT: {"schema": {"type": "string"}}}
    content = text if operation.answer is None else {JSON: {"schema": refs[operation.answer]}}
    yield "200", {"description": "The answer.", "content": content}
    if operation.path == "/readyz":
        yield "503", {"description": _WHY[503], "content": text}
    for status in sorted(operation.errors):
        faulty = readings.PlanError if (status, operation.name) == (400, "plan") else readings.Error
        yield str(status), {"description": _WHY[status], "content": {JSON: {"schema": refs[faulty]}}}


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else FILE).write_bytes(document())
