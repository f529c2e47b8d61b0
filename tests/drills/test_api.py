"""Drill H: schemathesis asks a service on a real port for whatever its OpenAPI document allows, and forbids.

`LOCKSTEP_DRILLS` set: more than 10,000 requests, other ones every time; else some hundreds, always the same.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
from schemathesis.checks import negative_data_rejection
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth

from scheduler.extender import openapi
from scheduler.files import parse
from scheduler.model import InvalidInput
from scheduler.viewers import Viewer
from tests.contract.serving import SETTLED, inhabitants, serving
from tests.contract.test_ports import Keeper

DRILL = bool(os.environ.get("LOCKSTEP_DRILLS"))
EXAMPLES = 1_500 if DRILL else 25
WORDS = {
    "namespaces": ["default", "other"],
    "gangs": [*SETTLED, "lone"],
    "pods": [one.key.name for one in inhabitants()],
    "uids": [one.uid for one in inhabitants()],
    "nodes": [f"n{at + 1}" for at in range(8)],
}
"""What exists: without it every question would be about strangers."""

BINDINGS = {
    "path.namespace": ("namespaces", 0.8),
    "path.name": ("gangs", 0.8),
    "query.namespace": ("namespaces", 0.5),
    "body.Pod.metadata.uid": ("uids", 0.5),
    "body.Pod.metadata.name": ("pods", 0.5),
    "body.NodeNames[*]": ("nodes", 0.7),
    "body.Nodes.items[*].metadata.name": ("nodes", 0.7),
    "body.PodName": ("pods", 0.5),
    "body.PodUID": ("uids", 0.1),  # members of a gang wait for the others
    "body.PodNamespace": ("namespaces", 0.5),
    "body.Node": ("nodes", 0.5),
}

DOCUMENT = json.loads(openapi.document())
schema = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig.from_dict(
        {
            "dictionaries": {name: {"values": values} for name, values in WORDS.items()},
            "generation": {"deterministic": not DRILL, "max-examples": EXAMPLES},
            "parameters": {
                key: {"dictionary": name, "probability": share} for key, (name, share) in BINDINGS.items()
            },
        }
    ),
)
asked: Counter[int] = Counter()
tokens: Counter[int] = Counter()
wrong_ones: Counter[str] = Counter()


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, requests.Session]]:
    with serving() as url, requests.Session() as session:
        yield url, session
    told = ", ".join(f"{count} with status {status}" for status, count in sorted(asked.items()))
    print(f"figure: {sum(asked.values())} requests: {told}; {sum(wrong_ones.values())} wrong bodies refused")


@schema.parametrize()
def test_whatever_is_asked_the_answer_is_as_the_document_says(
    case: schemathesis.Case, service: tuple[str, requests.Session]
) -> None:
    url, session = service
    reply = case.call(base_url=url, session=session)
    asked[reply.status_code] += 1
    own = case.operation.path in REFUSED
    excluded = [negative_data_rejection] if own else []
    case.validate_response(reply, excluded_checks=excluded)
    if own and case.method == "POST" and reply.status_code == 200:
        body = reply.request.body or b""
        if wrong(case.operation.path, body.encode() if isinstance(body, str) else body):
            wrong_ones[case.operation.path] += 1
            assert REFUSED[case.operation.path](reply.json()), f"taken, although it is wrong: {body!r}"


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, requests.Session]]:
    """The same service where tokens are asked for: an administrator's, and one of a tenant next door."""
    keeper = Keeper({"admin": Viewer("admin"), "other": Viewer("other", False, False, nodes=False)})
    with serving(keeper) as url, requests.Session() as session:
        yield url, session
    print(
        f"figure: {sum(tokens.values())} requests with and without tokens, {tokens[401]} of them turned away"
    )


@pytest.mark.parametrize("token", ["", "stranger", "other", "admin"])
@schema.include(tag="api").parametrize()
def test_whoever_asks_the_answer_is_as_told_and_names_nothing_of_others(
    case: schemathesis.Case, token: str, guarded: tuple[str, requests.Session]
) -> None:
    url, session = guarded
    reply = case.call(base_url=url, session=session, headers={"Authorization": f"Bearer {token}"})
    tokens[reply.status_code] += 1
    known = token in ("other", "admin")
    assert (reply.status_code == 401) is not known or reply.status_code in (400, 405, 408, 413)
    case.validate_response(reply, excluded_checks=[negative_data_rejection, ignored_auth])
    if token == "other":
        asked_for = f"{case.formatted_path} {case.query} {reply.request.body!r}"
        told = {name for name in FOREIGN if name in reply.text and name not in asked_for}
        assert not told, f"{case.formatted_path} names {sorted(told)}"


FOREIGN = [
    *(f"default/{gang}" for gang in SETTLED),
    *(one.key.name for one in inhabitants() if one.key.namespace == "default"),
]
"""Gangs and pods of the namespace next door."""


REFUSED: dict[str, Callable[[Any], bool]] = {
    "/extender/filter": lambda answer: bool(answer["Error"]),
    "/extender/prioritize": lambda answer: answer == [],
    "/extender/bind": lambda answer: bool(answer["Error"]),
    "/v1/plan": lambda answer: any(one["verdict"] == "invalid" for one in answer["gangs"]),
}
"""How a wrong body is refused under status 200: kube-scheduler's protocol says so, and one manifest of
several costs only itself."""


def wrong(path: str, body: bytes) -> bool:
    """Whether the document forbids this body."""
    try:
        given = parse("body.json", body) if path == "/v1/plan" else [json.loads(body)]
    except (InvalidInput, ValueError):
        return True
    if path == "/v1/plan":
        return not all(validator(path).is_valid(one) for one in given if one is not None)
    (asked_for,) = given
    if isinstance(asked_for, dict) and uid_of(asked_for) in WORDS["uids"]:
        asked_for = {**asked_for, "Pod": {"metadata": {"uid": "known"}}}  # nothing else of it is read
    if isinstance(asked_for, dict) and isinstance(asked_for.get("NodeNames"), list):
        asked_for = {
            key: value for key, value in asked_for.items() if key != "Nodes"
        }  # they are not read then
    return not validator(path).is_valid(asked_for)


def uid_of(body: dict[str, Any]) -> Any:
    pod = body.get("Pod")
    metadata = pod.get("metadata") if isinstance(pod, dict) else None
    return metadata.get("uid") if isinstance(metadata, dict) else None


@cache
def validator(path: str) -> jsonschema.Draft202012Validator:
    """Of the body of an operation; of one manifest where there may be several."""
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    one = content["anyOf"][-1]["items"] if "anyOf" in content else content
    return jsonschema.Draft202012Validator({**one, "components": DOCUMENT["components"]})
