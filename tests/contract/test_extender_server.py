"""The extender protocol over a real socket, with a cluster that answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from scheduler.config import Config, ServiceConfig
from scheduler.engine.facts import NodesSeen, PodSeen
from scheduler.engine.plans import Slot
from scheduler.engine.replies import Write
from scheduler.extender.server import application
from scheduler.kube.outcomes import Outcome
from scheduler.model import NodeName, Pod, PodKey
from scheduler.service import Service
from scheduler.tracing import Tracer
from tests.builders import members, pod, two_leaves


@dataclass
class FakeCluster:
    """Records what is written; `refuse` names pods whose Binding fails."""

    bound: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    old: str = ""

    def not_ready(self) -> list[str]:
        return self.waiting

    def stale(self) -> str:
        return self.old

    async def let_through(self, write: Write) -> Outcome:
        self.written[write.slot.pod.name] = write.slot.node
        return Outcome(True)

    def term(self) -> str:
        return "term-1"

    def why_not(self) -> str:
        return ""

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def read_again(self) -> None:
        pass

    async def claim(self, pods: Sequence[Pod], term: str) -> str:
        return ""

    async def resign(self) -> None:
        pass

    async def evict(self, pod: Pod) -> Outcome:
        return Outcome(True)

    async def bind(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str, version: str
    ) -> Outcome:
        await asyncio.sleep(0)
        if pod.name in self.refuse:
            return Outcome(False, True, "the pod is gone")
        self.bound[pod.name] = node
        return Outcome(True)


@dataclass
class Running:
    """A service on a socket, and a client of it."""

    service: Service
    cluster: FakeCluster
    url: str
    session: aiohttp.ClientSession

    async def post(self, verb: str, body: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(f"{self.url}/extender/{verb}", data=data) as reply:
            assert "Content-Length" in reply.headers
            return await reply.json()

    async def planned(self, *pods: Pod) -> None:
        for one in pods:
            self.service.observe(PodSeen(one))
        self.service.wake()
        while len(self.cluster.written) < len(pods):
            await asyncio.sleep(0.005)


def run(test: Callable[[Running], Awaitable[None]], *, hold_s: int = 2, tracer: Tracer | None = None) -> None:
    async def inside() -> None:
        service = Service(Config(service=ServiceConfig(http_timeout_s=hold_s)), tracer=tracer)
        cluster = FakeCluster()
        service.connect(cluster)
        service.observe(NodesSeen(two_leaves()))
        runner = web.AppRunner(application(service))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        loop = asyncio.create_task(service.run())
        while service.not_ready():
            await asyncio.sleep(0)
        try:
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                await test(Running(service, cluster, url, session))
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            await runner.cleanup()

    asyncio.run(inside())


NAMES = [f"n{at + 1}" for at in range(8)]


def wire_pod(one: Pod) -> dict[str, Any]:
    resources = {"limits": {name: str(n) for name, n in one.shape.requests if name not in ("cpu", "pods")}}
    return {
        "metadata": {
            "name": one.key.name,
            "namespace": one.key.namespace,
            "uid": one.uid,
            "annotations": one.annotations,
        },
        "spec": {"containers": [{"name": "main", "resources": resources}]},
    }


def asked(one: Pod, names: list[str] | None = None) -> dict[str, Any]:
    return {"Pod": wire_pod(one), "Nodes": None, "NodeNames": NAMES if names is None else names}


def bind_body(one: Pod, node: str) -> dict[str, str]:
    return {"PodName": one.key.name, "PodNamespace": "default", "PodUID": one.uid, "Node": node}


def test_filter_answers_the_planned_node_every_time() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 4)
        await running.planned(*pods)
        for one in [*pods, *pods]:
            reply = await running.post("filter", asked(one))
            assert reply["NodeNames"] == [running.cluster.written[one.key.name]]
            assert reply["Error"] == ""

    run(test)


def test_a_list_without_the_planned_node_changes_nothing() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 2)
        await running.planned(*pods)
        node = running.cluster.written["g-0"]
        other = next(name for name in NAMES if name != node)
        reply = await running.post("filter", asked(pods[0], [other]))
        assert reply["NodeNames"] == []
        assert set(reply["FailedAndUnresolvableNodes"]) == {other}
        assert (await running.post("filter", asked(pods[0])))["NodeNames"] == [node]

    run(test)


def test_members_without_a_plan_are_refused_with_one_constant_reason() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 4)
        replies = [await running.post("filter", asked(one)) for one in pods[:3]]
        reasons = {reason for reply in replies for reason in reply["FailedAndUnresolvableNodes"].values()}
        assert reasons == {"the gang is not complete yet"}
        assert all(reply["FailedNodes"] == {} and reply["NodeNames"] == [] for reply in replies)

    run(test)


def test_full_node_objects_are_answered_with_node_objects() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 2)
        await running.planned(*pods)
        items = [{"metadata": {"name": name}, "status": {}} for name in NAMES]
        body = {"Pod": wire_pod(pods[0]), "Nodes": {"metadata": {}, "items": items}, "NodeNames": None}
        reply = await running.post("filter", body)
        assert reply["NodeNames"] is None
        assert [item["metadata"]["name"] for item in reply["Nodes"]["items"]] == [
            running.cluster.written["g-0"]
        ]

    run(test)


def test_pods_without_a_gang_keep_away_from_what_is_held() -> None:
    async def test(running: Running) -> None:
        await running.planned(*members("g", 4))
        held = set(running.cluster.written.values())
        plain = pod("plain", gpus=1)
        reply = await running.post("filter", asked(plain))
        assert set(reply["NodeNames"]) == set(NAMES) - held
        assert set(reply["FailedAndUnresolvableNodes"]) == held
        refused = await running.post("bind", bind_body(plain, held.pop()))
        assert refused["Error"] == "room here is held for a gang"
        assert running.cluster.bound == {}
        free = reply["NodeNames"][0]
        assert (await running.post("bind", bind_body(plain, free)))["Error"] == ""
        assert running.cluster.bound == {"plain": free}

    run(test)


def test_bindings_wait_for_the_last_member_and_are_then_all_written() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 4)
        await running.planned(*pods)
        node = running.cluster.written
        calls = [
            asyncio.create_task(running.post("bind", bind_body(one, node[one.key.name]))) for one in pods[:3]
        ]
        await asyncio.sleep(0.1)
        assert running.cluster.bound == {}
        replies = [await running.post("bind", bind_body(pods[3], node["g-3"])), *await asyncio.gather(*calls)]
        assert [reply["Error"] for reply in replies] == [""] * 4
        assert running.cluster.bound == node
        again = await running.post("bind", bind_body(pods[0], node["g-0"]))
        assert again["Error"] == "", "asked twice, the same answer"

    run(test)


def test_a_barrier_that_does_not_fill_lets_its_callers_go_unbound() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 2)
        await running.planned(*pods)
        reply = await running.post("bind", bind_body(pods[0], running.cluster.written["g-0"]))
        assert reply["Error"] == "the rest of the gang did not come in time"
        assert running.cluster.bound == {}

    run(test, hold_s=1)


def test_a_gang_that_takes_longer_to_arrive_than_a_caller_is_kept_is_bound_whole() -> None:
    """Six members, one every 0.4 s, each kept for one second: never more than three wait at once."""

    async def test(running: Running) -> None:
        pods = members("g", 6)
        await running.planned(*pods)
        node = dict(running.cluster.written)
        calls = []
        for one in pods:
            assert running.cluster.bound == {}
            calls.append(asyncio.create_task(running.post("bind", bind_body(one, node[one.key.name]))))
            await asyncio.sleep(0.4)
        told = [reply["Error"] for reply in await asyncio.gather(*calls)]
        assert told[:3] == ["the rest of the gang did not come in time"] * 3 and told[3:] == [""] * 3
        assert running.cluster.bound == node
        again = await running.post("bind", bind_body(pods[0], node["g-0"]))
        assert again["Error"] == ""

    run(test)


def test_who_asked_in_an_earlier_round_counts_for_nothing_in_the_next() -> None:
    """All but one ask and leave; when the last comes alone, nothing is bound."""

    async def test(running: Running) -> None:
        pods = members("g", 3)
        await running.planned(*pods)
        node = running.cluster.written
        await asyncio.gather(*(running.post("bind", bind_body(one, node[one.key.name])) for one in pods[:2]))
        reply = await running.post("bind", bind_body(pods[2], node["g-2"]))
        assert reply["Error"] == "the rest of the gang did not come in time"
        assert running.cluster.bound == {}

    run(test)


def test_after_the_first_binding_it_only_goes_forward() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 3)
        await running.planned(*pods)
        running.cluster.refuse.add("g-1")
        node = dict(running.cluster.written)
        replies = await asyncio.gather(
            *(running.post("bind", bind_body(one, node[one.key.name])) for one in pods)
        )
        assert [bool(reply["Error"]) for reply in replies] == [False, True, False]
        assert set(running.cluster.bound) == {"g-0", "g-2"}

    run(test)


def test_bind_to_another_node_than_planned_is_refused() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 2)
        await running.planned(*pods)
        other = next(name for name in NAMES if name != running.cluster.written["g-0"])
        reply = await running.post("bind", bind_body(pods[0], other))
        assert running.cluster.written["g-0"] in reply["Error"]

    run(test)


def test_preemption_never_works_for_or_against_a_gang() -> None:
    async def test(running: Running) -> None:
        pods = members("g", 2)
        await running.planned(*pods)
        victims = {
            "n1": {"Pods": [{"UID": pods[0].uid}], "NumPDBViolations": 0},
            "n2": {"Pods": [{"UID": "x"}]},
        }
        body = {"Pod": wire_pod(pods[0]), "NodeNameToVictims": None, "NodeNameToMetaVictims": victims}
        assert await running.post("preempt", body) == {"NodeNameToMetaVictims": {}}
        body["Pod"] = wire_pod(pod("plain"))
        body["NodeNameToMetaVictims"] = victims | {"n3": {"Pods": []}}
        reply = await running.post("preempt", body)
        assert reply == {"NodeNameToMetaVictims": {"n2": {"Pods": [{"UID": "x"}], "NumPDBViolations": 0}}}

    run(test)


def test_scores_are_whole_numbers() -> None:
    async def test(running: Running) -> None:
        running.service.observe(PodSeen(pod("busy", gpus=4, on="n1")))
        reply = await running.post("prioritize", asked(pod("plain", gpus=1)))
        assert reply[0] == {"Host": "n1", "Score": 5}
        assert reply[1] == {"Host": "n2", "Score": 0}

    run(test)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b"[]",
        b'{"Pod": 3}',
        b'{"Pod": {}}',
        b'{"Pod": {}, "NodeNames": "n1"}',
        b"\xff\xfe",
    ],
)
def test_broken_bodies_are_told_in_the_protocols_own_form(body: bytes) -> None:
    async def test(running: Running) -> None:
        await running.planned(*members("g", 2))
        holds = dict(running.service.engine.world.ledger.holds)
        reply = await running.post("filter", body)
        assert "filter request" in reply["Error"] or "pod" in reply["Error"].lower()
        assert "%" not in reply["Error"]
        assert (await running.post("bind", body))["Error"]
        async with running.session.post(f"{running.url}/extender/preempt", data=body) as answer:
            assert answer.status == 400
        assert await running.post("prioritize", body) == []
        assert running.service.engine.world.ledger.holds == holds
        good = await running.post("filter", asked(members("g", 2)[0]))
        assert len(good["NodeNames"]) == 1

    run(test)


def test_health_readiness_metrics_version_and_gangs() -> None:
    async def test(running: Running) -> None:
        async def get(path: str) -> tuple[int, str]:
            async with running.session.get(running.url + path) as reply:
                return reply.status, await reply.text()

        await running.planned(*members("g", 2))
        assert await get("/healthz") == (200, "ok\n")
        assert await get("/readyz") == (200, "ok\n")
        running.cluster.waiting = ["Pods are not read yet"]
        assert await get("/readyz") == (503, "Pods are not read yet\n")
        assert "not ready" in (await running.post("filter", asked(pod("p"))))["Error"]
        running.cluster.waiting = []
        status, text = await get("/metrics")
        assert status == 200
        assert 'lockstep_gangs{reason="",state="reserved"} 1.0' in text
        assert 'lockstep_decisions_total{outcome="placed",proof="optimal"} 1.0' in text
        gangs = json.loads((await get("/v1/gangs"))[1])["gangs"]
        assert [(row["gang"], row["state"]) for row in gangs] == [("default/g", "reserved")]
        detail = json.loads((await get("/v1/gangs/default/g"))[1])
        assert detail["decision"]["verdict"] == "placed"
        assert (await get("/v1/gangs/default/nobody"))[0] == 404
        topology = json.loads((await get("/v1/topology"))[1])
        assert topology["summary"] == {"nodes": 8, "usable": 8, "gpus": 64, "free_gpus": 48}
        assert "version" in json.loads((await get("/version"))[1])

    run(test)


def test_what_if_over_http_changes_nothing() -> None:
    async def test(running: Running) -> None:
        manifest = {"apiVersion": "v1", "kind": "Pod", **wire_pod(pod("x", gang="w", size=1))}
        async with running.session.post(f"{running.url}/v1/plan", json=manifest) as reply:
            answer = await reply.json()
        assert [gang["verdict"] for gang in answer["gangs"]] == ["placed"]
        assert running.service.engine.gangs == {}
        async with running.session.post(f"{running.url}/v1/plan", data=b"{") as reply:
            assert reply.status == 400
            assert (await reply.json())["faults"][0]["object"].startswith("plan request:")

    run(test)


def test_a_gang_that_breaks_the_solver_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from scheduler import decide as module
    from scheduler.placement import batch, rounds

    solve = module.place

    def broken(problem: Any, **kwargs: Any) -> Any:
        if problem.gang == "default/bad":
            raise ZeroDivisionError("no")
        return solve(problem, **kwargs)

    monkeypatch.setattr(module, "place", broken)
    monkeypatch.setattr(batch, "place", broken)
    monkeypatch.setattr(rounds, "place", broken)

    async def test(running: Running) -> None:
        for one in members("bad", 2):
            running.service.observe(PodSeen(one))
        await running.planned(*members("good", 2))
        async with running.session.get(f"{running.url}/v1/gangs/default/bad") as reply:
            told = await reply.json()
        assert told["decision"]["reason"]["code"] == "InternalError"
        assert "ZeroDivisionError" in told["decision"]["reason"]["message"]

    run(test)


def test_answers_say_when_the_view_of_the_cluster_is_old_or_not_whole() -> None:
    async def test(running: Running) -> None:
        await running.planned(*members("g", 2))

        async def get(path: str) -> Any:
            async with running.session.get(f"{running.url}{path}") as reply:
                return await reply.json()

        paths = ("/v1/gangs", "/v1/gangs/default/g", "/v1/topology")
        assert [("stale" in await get(path)) for path in paths] == [False] * 3
        running.cluster.old = "the watch of Pods has been down for 40 s"
        assert {(await get(path))["stale"] for path in paths} == {running.cluster.old}
        async with running.session.get(f"{running.url}/metrics") as reply:
            assert 'lockstep_degraded{cause="stale"} 1.0' in await reply.text()
        async with running.session.get(f"{running.url}/readyz") as reply:
            assert (reply.status, "degraded: nothing new is planned" in await reply.text()) == (200, True)
        running.cluster.old, running.cluster.waiting = "", ["Pods are not read yet"]
        assert "Pods are not read yet" in (await get("/v1/gangs"))["stale"]

    run(test)
