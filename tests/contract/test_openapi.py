"""The document of the HTTP API: made anew it is the same, and what is asked and answered is as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from aiohttp import web

from scheduler.engine.facts import NodesSeen
from scheduler.extender import openapi
from scheduler.extender.server import Part, application
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.messages import enum_name
from scheduler.viewers import Viewer, shown_to
from tests.builders import node, pod
from tests.contract import test_extender_server as extender
from tests.contract.test_recorded import FILES
from tests.rpc.running import Running, run
from tests.rpc.test_answers import PLANS, STATES, gang, several

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads(openapi.document())
COMPONENTS = DOCUMENT["components"]["schemas"]


@cache
def validator(schema: str) -> jsonschema.Draft202012Validator:
    """Of one component, or of a schema in JSON."""
    given = {"$ref": f"#/components/schemas/{schema}"} if schema in COMPONENTS else json.loads(schema)
    return jsonschema.Draft202012Validator({**given, "components": DOCUMENT["components"]})


def conforms(schema: str, value: Any) -> None:
    error = jsonschema.exceptions.best_match(validator(schema).iter_errors(value))
    assert error is None, f"{schema}: {error.json_path}: {error.message}"


def test_making_the_document_again_gives_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scheduler.extender.openapi", str(tmp_path / "made")]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "made").read_bytes() == (ROOT / openapi.FILE).read_bytes(), "make openapi"


def test_the_document_is_an_openapi_document_with_every_reference_in_it() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    used = {ref.rpartition("/")[2] for ref in references(DOCUMENT)}
    assert used == set(COMPONENTS)
    for schema in COMPONENTS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


@pytest.mark.parametrize("part", list(Part))
def test_every_route_of_a_port_is_in_the_document(part: Part) -> None:
    app = application(None, (part,))  # type: ignore[arg-type]  # nothing is asked
    routes = {(r.method.lower(), resource(r)) for r in app.router.routes() if r.method != "HEAD"}
    told = {
        (method, path)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if set(operation["tags"]) & {part.value, "every port"}
    }
    assert routes == told


def resource(route: web.AbstractRoute) -> str:
    assert route.resource is not None
    return route.resource.canonical


@pytest.mark.parametrize(
    ("enum", "words"),
    [
        ("Verdict", set(COMPONENTS["Plan"]["properties"]["gangs"]["items"]["discriminator"]["mapping"])),
        ("ReasonCode", set(COMPONENTS["Code"]["enum"])),
        ("BlockingKind", set(COMPONENTS["Blocking"]["properties"]["kind"]["enum"])),
        ("FixKind", set(COMPONENTS["Fix"]["properties"]["kind"]["enum"])),
        ("GangState", set(COMPONENTS["State"]["enum"])),
        (
            "Proof",
            set(COMPONENTS["Placed"]["properties"]["proof"]["enum"])
            | set(COMPONENTS["Blocked"]["properties"]["proof"]["enum"]),
        ),
    ],
)
def test_the_words_are_those_of_grpc(enum: str, words: set[str]) -> None:
    known = {value.name for value in pb.DESCRIPTOR.enum_types_by_name[enum].values if value.number}
    assert {enum_name(enum, word) for word in words} == known


def test_the_service_serves_it() -> None:
    async def test(running: Running) -> None:
        assert await running.get(openapi.PATH) == DOCUMENT

    run(test)


@pytest.mark.parametrize("case", PLANS)
def test_plans_are_as_told(case: str) -> None:
    manifests, jointly, verdicts = PLANS[case]

    async def test(running: Running) -> None:
        query = f"/v1/plan?evict=1&defragment=true&jointly={jointly}".lower()
        told = await running.post(query, json.dumps(manifests).encode())
        assert [one["verdict"] for one in told["gangs"]] == verdicts
        conforms("Plan", told)
        seldom = Viewer("team", all_pods=False, nodes=False)
        conforms("Plan", shown_to(seldom, told, domains=running.service.domains()))

    run(test)


def test_a_plan_with_everything_that_helps_is_as_told() -> None:
    async def test(running: Running) -> None:
        for at in range(6):
            spare = {"gang": f"low-{at}", "size": 1, "on": f"n{at + 1 + at // 3}", "phase": "Running"}
            running.see(replace(pod(f"low-{at}-0", **spare), priority=1))
        running.service.observe(NodesSeen((node("n8", leaf="l2", unschedulable=True),)))
        manifests = gang("a", 2, required="gang=leaf")
        for one in manifests:
            one["spec"]["priority"] = 5
        told = await running.post("/v1/plan?evict=1&defragment=1", json.dumps(manifests).encode())
        assert len({fix["kind"] for fix in told["gangs"][0]["reason"]["fixes"]}) > 3
        conforms("Plan", told)
        error = await running.post("/v1/plan?perhaps=1&evict=2", b"[]")
        conforms("PlanError", error)

    run(test)


def test_gangs_in_every_state_and_the_fabric_are_as_told() -> None:
    async def test(running: Running) -> None:
        several(running)
        for name, state in STATES.items():
            await running.until(f"default/{name}", state)
        await running.until("other/lone", "reserved")
        bare = node("bare")
        bare.labels.clear()
        running.service.observe(NodesSeen((bare,)))
        for stale in ("", "the watch of Pods is 31 s old"):
            running.cluster.old = stale
            conforms("Gangs", await running.get("/v1/gangs"))
            topology = await running.get("/v1/topology")
            assert topology["warnings"] and ("stale" in topology) == bool(stale)
            conforms("Topology", topology)
            for name in STATES:
                conforms("Gang", await running.get(f"/v1/gangs/default/{name}"))
        conforms("Record", await running.get("/v1/gangs/default/large/decision"))
        conforms("Record", await running.get("/v1/gangs/default/placed/decision"))
        conforms("Version", await running.get("/version"))

    run(test)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_real_schedulers_ask_is_as_told_and_so_is_the_answer(file: Path) -> None:
    async def test(running: extender.Running) -> None:
        for call in json.loads(file.read_text(encoding="utf-8"))["calls"]:
            operation = DOCUMENT["paths"][f"/extender/{call['verb']}"]["post"]
            content = operation["requestBody"]["content"]["application/json"]
            conforms(json.dumps(content["schema"]), json.loads(call["body"]))
            answer = operation["responses"]["200"]["content"]["application/json"]
            conforms(json.dumps(answer["schema"]), await running.post(call["verb"], call["body"].encode()))

    extender.run(test)


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("bind", {"PodName": "p", "PodNamespace": "d", "PodUID": "u", "Node": ""}),
        ("bind", {"PodName": "", "PodNamespace": "d", "PodUID": "u", "Node": "n1"}),
        ("bind", {"PodName": "p", "PodNamespace": "d", "Node": "n1"}),
        ("filter", {"Pod": {"metadata": {"name": "p", "uid": "u"}}, "Nodes": {"items": None}}),
        ("filter", {"Pod": {"metadata": {"name": "p", "uid": None}}, "NodeNames": ["n1"]}),
        ("filter", {"Pod": {"metadata": {"name": "p", "uid": "u"}}, "NodeNames": [1]}),
        ("filter", {"Pod": {"spec": {}}, "NodeNames": ["n1"]}),
        ("preempt", {"Pod": {"metadata": {"name": 3}}}),
        ("preempt", {"Pod": {"metadata": {"name": "p"}}, "NodeNameToMetaVictims": {"n1": {"Pods": {}}}}),
    ],
)
def test_what_the_document_forbids_is_refused(verb: str, body: Any, seen: bool) -> None:
    operation = DOCUMENT["paths"][f"/extender/{verb}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert not validator(json.dumps(schema)).is_valid(body)

    async def test(running: extender.Running) -> None:
        if seen:
            await running.planned(pod("p", gang="g", size=1, uid="u"))
        reply = await running.post(verb, body)
        error = reply.get("error") or reply.get("Error")
        assert error.startswith((f"{verb} request", "object request"))

    extender.run(test)


def test_a_wrong_answer_is_found() -> None:
    """Every key of a plan may be taken away, changed or misspelt, and each is a fault."""

    async def test(running: Running) -> None:
        manifests = [*gang("a", 2), *gang("b", 9), *gang("c", 2, tensor_parallel="x")]
        told = await running.post("/v1/plan", json.dumps(manifests).encode())
        assert [one["verdict"] for one in told["gangs"]] == ["placed", "impossible", "invalid"]
        conforms("Plan", told)
        tried = 0
        for broken in damaged(told):
            assert not validator("Plan").is_valid(broken), broken
            tried += 1
        assert tried > 100

    run(test)


OPEN = ("domains", "levels", "sources", "detail")
"""Objects whose keys are the cluster's."""


def damaged(value: Any, key: str = "") -> Iterator[Any]:
    """The value with one thing wrong in it: every key gone, misspelt, or of another type."""
    if isinstance(value, dict) and key != "detail":
        for name, one in value.items():
            rest = {other: kept for other, kept in value.items() if other != name}
            if key not in OPEN:
                yield rest
                yield {**rest, name + "s": one}
            yield {**rest, name: object()}
            for worse in damaged(one, name):
                yield {**rest, name: worse}
    elif isinstance(value, list) and value:
        for worse in damaged(value[0]):
            yield [worse, *value[1:]]
        yield [*value, object()]
