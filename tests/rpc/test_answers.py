"""Every operation gives what HTTP gives for the same state, field by field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from scheduler.engine.facts import NodesSeen
from scheduler.model import PREFIX, Owner
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from tests.builders import members, node, pod
from tests.rpc.documents import document_of, timeless
from tests.rpc.running import Running, run


def manifest(name: str, gang: str, size: int, *, gpus: int = 8, **annotations: str) -> dict[str, Any]:
    own = {PREFIX + key.replace("_", "-"): value for key, value in annotations.items()}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {PREFIX + "gang": gang, PREFIX + "gang-size": str(size), **own},
        },
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}]},
    }


def gang(name: str, size: int, **kwargs: Any) -> list[dict[str, Any]]:
    return [manifest(f"{name}-{at}", name, size, **kwargs) for at in range(size)]


SERVER = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "llm", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "template": {
            "metadata": {"annotations": {PREFIX + "gang": "llm", PREFIX + "gang-size": "2"}},
            "spec": {
                "containers": [
                    {
                        "name": "vllm",
                        "image": "vllm/vllm-openai",
                        "args": ["--tensor-parallel-size=8", "--pipeline-parallel-size=2"],
                        "resources": {"limits": {"nvidia.com/gpu": "8"}},
                    }
                ]
            },
        },
    },
}

PLANS = {
    "placed": (gang("a", 4), False, ["placed"]),
    "tensor and pipeline parallel": ([SERVER], False, ["placed"]),
    "one after another": (
        [*gang("a", 3), *gang("b", 5), *gang("c", 2)],
        False,
        ["placed", "placed", "blocked"],
    ),
    "jointly": ([*gang("a", 3), *gang("b", 3)], True, ["placed", "placed"]),
    "too many jointly": ([*gang("a", 6), *gang("b", 6)], True, ["placed", "blocked"]),
    "blocked": (gang("a", 4, required="gang=leaf", gpus=8), False, ["placed"]),
    "impossible": (gang("a", 5, required="gang=leaf"), False, ["impossible"]),
    "never": (gang("a", 20), False, ["impossible"]),
    "invalid": (gang("a", 2, tensor_parallel="x"), False, ["invalid"]),
    "incomplete": (gang("a", 4)[:2], False, ["blocked"]),
    "unknown level": (gang("a", 2, required="gang=shelf"), False, ["invalid"]),
    "nothing": ([], False, []),
}


@pytest.mark.parametrize("case", PLANS)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_plan(case: str, form: str) -> None:
    manifests, jointly, verdicts = PLANS[case]
    listed = json.dumps(manifests).encode()
    sent = listed if form == "json" else yaml.safe_dump_all(manifests).encode()
    if not manifests:
        sent = listed

    async def test(running: Running) -> None:
        answer = await running.stub.Plan(pb.PlanRequest(manifests=sent, jointly=jointly))
        told = await running.post(f"/v1/plan?jointly={jointly}".lower(), sent)
        assert [one["verdict"] for one in told["gangs"]] == verdicts
        assert timeless(document_of(answer)) == timeless(told)
        assert running.service.engine.gangs == {}

    run(test)


def test_a_plan_against_what_runs_and_what_is_cordoned() -> None:
    async def test(running: Running) -> None:
        running.see(*(pod(f"busy-{at}", on=f"n{at}", phase="Running") for at in (1, 2, 5, 6)))
        running.service.observe(NodesSeen((node("n3", unschedulable=True),)))
        sent = json.dumps(gang("a", 4, required="gang=leaf")).encode()
        answer = await running.stub.Plan(pb.PlanRequest(manifests=sent))
        assert timeless(document_of(answer)) == timeless(await running.post("/v1/plan", sent))
        (decision,) = answer.gangs
        assert decision.verdict == pb.VERDICT_BLOCKED
        assert all(fix.verified for fix in decision.reason.fixes)
        wait = next(fix for fix in decision.reason.fixes if fix.kind == pb.FIX_KIND_WAIT)
        assert list(wait.detail["until_gone"])

    run(test)


def test_a_plan_that_would_evict_or_move() -> None:
    """One node per leaf is left; gangs of one node each run in both leaves, more important ones in one."""

    async def test(running: Running) -> None:
        for at in range(6):
            spare = {"gang": f"low-{at}", "size": 1, "on": f"n{at + 1 + at // 3}", "phase": "Running"}
            running.see(replace(pod(f"low-{at}-0", **spare), priority=10 if at < 3 else 1))
        important = gang("a", 2, required="gang=leaf")
        for one in important:
            one["spec"]["priority"] = 5
        sent = json.dumps(important).encode()
        request = pb.PlanRequest(manifests=sent, evict=True, defragment=True)
        answer = await running.stub.Plan(request)
        told = await running.post("/v1/plan?evict=true&defragment=1", sent)
        assert timeless(document_of(answer)) == timeless(told)
        fixes = {fix["kind"]: fix for fix in told["gangs"][0]["reason"]["fixes"]}
        assert fixes["evict"]["detail"]["victims"] == ["default/low-3"]
        assert fixes["evict"]["detail"]["proof"] == "optimal"
        assert fixes["move"]["detail"]["amount"] == 8
        plain = await running.post("/v1/plan", sent)
        assert not {"evict", "move"} & {fix["kind"] for fix in plain["gangs"][0]["reason"]["fixes"]}

    run(test)


def test_a_pod_of_no_gang_may_be_asked_to_move_unless_it_belongs_to_its_node() -> None:
    """Three nodes of each leaf are busy: in one leaf by a plain pod among them, in the other not."""

    async def test(running: Running) -> None:
        own = Owner("apps/v1", "DaemonSet", "d", "u")
        for at in (1, 2, 5, 6):
            running.see(replace(pod(f"kept-{at}", on=f"n{at}", phase="Running"), owner=own))
        running.see(pod("plain", on="n7", phase="Running"))
        sent = json.dumps(gang("a", 2, required="gang=leaf")).encode()
        running.see(replace(pod("kept-3", on="n3", phase="Running"), owner=own))
        request = pb.PlanRequest(manifests=sent, defragment=True)
        answer = await running.stub.Plan(request)
        told = await running.post("/v1/plan?defragment=1", sent)
        assert timeless(document_of(answer)) == timeless(told)
        (fix,) = [fix for fix in told["gangs"][0]["reason"]["fixes"] if fix["kind"] == "move"]
        (step,) = fix["detail"]["steps"]
        assert (step["move"], step["kind"], step["from"], step["to"]) == (
            "default/plain",
            "pod",
            ["n7"],
            ["n4"],
        )

    run(test)


@pytest.mark.parametrize("query", ["evict=perhaps", "evicted=true"])
def test_a_switch_that_is_none_is_told(query: str) -> None:
    async def test(running: Running) -> None:
        sent = json.dumps(gang("a", 2)).encode()
        async with running.session.post(f"{running.url}/v1/plan?{query}", data=sent) as reply:
            assert reply.status == 400
            (fault,) = (await reply.json())["faults"]
            assert fault["object"] == "/v1/plan"
            assert fault["wanted"]

    run(test)


def several(running: Running) -> None:
    """Gangs in many states: reserved, blocked, forming, invalid, bound, and pods without one."""
    running.see(pod("busy", on="n8", phase="Running"))
    running.see(*members("placed", 4))
    running.see(*members("large", 6))
    running.see(*members("young", 3)[:2])
    running.see(*members("wrong", 2, tensor_parallel="x"))
    running.see(
        *(pod(f"runs-{at}", gang="runs", size=2, on=f"n{at + 5}", phase="Running") for at in range(2))
    )
    running.see(pod("lone", gang="lone", size=1, namespace="other"))


STATES = {
    "placed": "reserved",
    "large": "blocked",
    "young": "forming",
    "wrong": "invalid",
    "runs": "bound",
}


def test_gangs_and_each_of_them() -> None:
    async def test(running: Running) -> None:
        several(running)
        for name, state in STATES.items():
            await running.until(f"default/{name}", state)
        await running.until("other/lone", "reserved")
        answer = document_of(await running.stub.ListGangs(pb.ListGangsRequest()))
        assert answer.pop("version") > 0
        told = await running.get("/v1/gangs")
        assert timeless(answer) == timeless(told)
        states = {row["gang"]: row["state"] for row in answer["gangs"]}
        assert {name: states[f"default/{name}"] for name in STATES} == STATES
        for name in STATES:
            one = await running.stub.Explain(pb.ExplainRequest(namespace="default", name=name))
            detail = await running.get(f"/v1/gangs/default/{name}")
            assert timeless(document_of(one)) == timeless(detail)
            assert one.HasField("decision") == (detail["decision"] is not None)

    run(test)


def test_gangs_of_one_namespace() -> None:
    async def test(running: Running) -> None:
        several(running)
        answer = await running.stub.ListGangs(pb.ListGangsRequest(namespace="other"))
        assert [row.gang for row in answer.gangs] == ["other/lone"]

    run(test)


def test_topology_and_snapshot() -> None:
    async def test(running: Running) -> None:
        several(running)
        await running.until("default/large", "blocked")
        await running.until("other/lone", "reserved")
        bare = node("bare")
        bare.labels.clear()
        running.service.observe(NodesSeen((bare,)))
        topology = document_of(await running.stub.GetTopology(pb.GetTopologyRequest()))
        told = await running.get("/v1/topology")
        assert told["warnings"]
        assert topology == told
        snapshot = await running.stub.Snapshot(pb.SnapshotRequest())
        given = document_of(snapshot)
        assert given["topology"] == told
        assert timeless(given["gangs"]) == timeless((await running.get("/v1/gangs"))["gangs"])
        assert given["service"] == (await running.get("/version"))["version"]
        plan = await running.post("/v1/plan", b"[]")
        assert given["snapshot"] == plan["snapshot"]
        assert snapshot.version == (await running.stub.ListGangs(pb.ListGangsRequest())).version

    run(test)
