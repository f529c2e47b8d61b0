"""How calls end: deadlines, cancellation, wrong requests, a view that cannot be trusted, health."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from scheduler import whatif
from scheduler.model import InvalidField, InvalidInput
from scheduler.placement.problem import Limits
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.refusals import FAULTS_KEY
from scheduler.rpc.server import LARGEST_REQUEST, listening
from tests.builders import members
from tests.rpc.running import Running, run
from tests.rpc.test_answers import gang, manifest

Code = grpc.StatusCode


def plan(*gangs: list[dict[str, Any]]) -> pb.PlanRequest:
    return pb.PlanRequest(manifests=json.dumps([pod for one in gangs for pod in one]).encode())


class Held:
    """Stands in front of the solver: notes the limits, and holds every decision until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[Limits] = []
        self.notices = True
        self.started, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()
        self._place = whatif.place
        monkeypatch.setattr(whatif, "place", self.place)

    def place(self, problem: Any, *, limits: Limits) -> Any:
        self.seen.append(limits)
        self.started.set()
        try:
            while not self.go.wait(0.002) and not (self.notices and limits.abandoned()):
                pass
            return self._place(problem, limits=limits)
        finally:
            self.ended.set()

    @staticmethod
    async def happened(event: threading.Event) -> None:
        assert await asyncio.to_thread(event.wait, 20)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    one = Held(monkeypatch)
    yield one
    one.go.set()


def test_a_deadline_limits_the_solver(held: Held) -> None:
    async def test(running: Running) -> None:
        held.go.set()
        await running.stub.Plan(plan(gang("a", 2)))
        await running.stub.Plan(plan(gang("a", 2)), timeout=3600)
        await running.stub.Plan(plan(gang("a", 2)), timeout=1.5)
        own = [(limits.deterministic_s, limits.refine_s) for limits in held.seen]
        assert own[:2] == [(10, 2), (10, 2)]
        assert own[2][0] == own[2][1]
        assert 0 < own[2][0] < 2  # the wire rounds a deadline up

    run(test)


def test_when_the_deadline_passes_the_work_is_abandoned(held: Held) -> None:
    async def test(running: Running) -> None:
        call = running.stub.Plan(plan(gang("a", 2), gang("b", 2)), timeout=0.3)
        assert (await running.status(call))[0] is Code.DEADLINE_EXCEEDED
        await held.happened(held.ended)
        assert held.seen[0].abandoned()
        held.go.set()
        await running.stub.Plan(plan(gang("c", 2)))
        assert len(held.seen) == 2, "gang b was never tried"

    run(test)


def test_a_cancelled_call_is_abandoned_and_a_waiting_one_gives_up_its_turn(held: Held) -> None:
    async def test(running: Running) -> None:
        first = running.stub.Plan(plan(gang("a", 2), gang("b", 2)))
        await held.happened(held.started)
        second, third = running.stub.Plan(plan(gang("c", 2))), running.stub.Plan(plan(gang("d", 2)))
        await running.still_answers()
        second.cancel()
        first.cancel()
        for call in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await call
        await held.happened(held.ended)
        held.go.set()
        assert [one.gang for one in (await third).gangs] == ["default/d"]
        assert len(held.seen) == 2, "neither b nor c was tried"

    run(test)


def test_work_that_is_slow_to_notice_keeps_the_others_waiting_without_a_copy(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.notices = False

    async def test(running: Running) -> None:
        world, copies = running.service.engine.world, []
        clone = world.clone
        monkeypatch.setattr(world, "clone", lambda: copies.append(1) or clone())
        first = running.stub.Plan(plan(gang("a", 2)))
        await held.happened(held.started)
        for _ in range(5):
            waiting = running.stub.Plan(plan(gang("b", 2)), timeout=0.05)
            assert (await running.status(waiting))[0] is Code.DEADLINE_EXCEEDED
        first.cancel()
        last = running.stub.Plan(plan(gang("c", 2)))
        await running.still_answers()
        assert len(copies) == 1
        held.go.set()
        assert [one.gang for one in (await last).gangs] == ["default/c"]
        assert len(copies) == 2

    run(test)


def test_while_a_plan_is_worked_on_everything_else_answers(held: Held) -> None:
    async def test(running: Running) -> None:
        call = running.stub.Plan(plan(gang("a", 2)))
        await held.happened(held.started)
        await running.still_answers()
        await running.stub.GetTopology(pb.GetTopologyRequest())
        held.go.set()
        assert (await call).gangs[0].verdict == pb.VERDICT_PLACED

    run(test)


def test_no_more_wait_than_there_is_patience_for(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.rpc.calls.MOST_ASKING", 2)

    async def test(running: Running) -> None:
        calls = [running.stub.Plan(plan(gang("a", 1))) for _ in range(3)]
        codes = []
        for ended in asyncio.as_completed([running.status(call) for call in calls]):
            codes.append((await ended)[0])
            held.go.set()
        assert codes == [Code.RESOURCE_EXHAUSTED, Code.OK, Code.OK]

    run(test)


def test_an_explanation_under_a_short_deadline_is_not_kept_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []

    def explained(problem: Any, refusal: Any, around: Any, *, limits: Limits) -> Any:
        asked.append(limits.deterministic_s)
        return refusal

    monkeypatch.setattr("scheduler.questions.explain", explained)

    async def test(running: Running) -> None:
        running.see(*members("g", 9))
        await running.until("default/g", "blocked")
        request = pb.ExplainRequest(namespace="default", name="g")
        await running.stub.Explain(request, timeout=5)
        await running.stub.Explain(request)
        await running.stub.Explain(request, timeout=60)
        await running.get("/v1/gangs/default/g")
        assert (asked[0] < 10, asked[1:]) == (True, [10])

    run(test)


def faults_of(error: grpc.aio.AioRpcError) -> list[tuple[str, str, str, str]]:
    metadata = dict(error.trailing_metadata() or ())
    faults = pb.Faults.FromString(metadata[FAULTS_KEY]).faults  # type: ignore[arg-type]
    return [(fault.object, fault.field, fault.value, fault.wanted) for fault in faults]


WRONG = {
    "no manifests": (b"", "plan request", "body", "", "manifests as JSON or YAML"),
    "broken JSON": (b'{"kind": ', "plan request:1", "file", '{"kind":', "YAML or JSON"),
    "no object": (b"[3]", "plan request, document 1", "document", "3", "object"),
    "no text": (b"\xff\xfe\xfd", "plan request", "file", "", "YAML or JSON"),
    "nested": (b"[" * 100_000, "plan request:1", "file", "[[[[", "nesting of at most 100 levels"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_plan_names_the_field_its_value_and_what_would_be_right(case: str) -> None:
    manifests, *told = WRONG[case]

    async def test(running: Running) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.Plan(pb.PlanRequest(manifests=manifests))
        assert caught.value.code() is Code.INVALID_ARGUMENT
        (fault,) = faults_of(caught.value)
        for given, wanted in zip(fault, told, strict=True):
            assert wanted in given
        details = caught.value.details() or ""
        assert all(text in details for text in (fault[0], fault[1], fault[3]))
        await running.still_answers()

    run(test)


def test_wrong_requests_of_the_other_calls() -> None:
    async def test(running: Running) -> None:
        code, told = await running.status(running.stub.Explain(pb.ExplainRequest()))
        assert code is Code.INVALID_ARGUMENT
        assert "namespace is ''" in told and "name is ''" in told
        call = running.stub.Explain(pb.ExplainRequest(namespace="default", name="nobody"))
        assert await running.status(call) == (Code.NOT_FOUND, "gang default/nobody is not known")
        watch = running.stub.WatchGangs(pb.WatchGangsRequest(after_version=-1))
        code, told = await running.status(watch.read())
        assert (code, "after_version is '-1'" in told) == (Code.INVALID_ARGUMENT, True)

    run(test)


@pytest.mark.parametrize("letter", ["x", "%", "é", "\n", "\ud800", "🦆"])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_many_and_long_faults_are_cut_to_what_a_client_takes(
    letter: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [InvalidField(f"pod {at}", "field", letter * 10_000, "less") for at in range(count)]

    async def wrong(*_: object, **__: object) -> None:
        raise InvalidInput(*faults)

    async def test(running: Running) -> None:
        monkeypatch.setattr(running.service, "plan", wrong)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.Plan(pb.PlanRequest())
        assert caught.value.code() is Code.INVALID_ARGUMENT
        told, details = faults_of(caught.value), caught.value.details() or ""
        assert told[0][:2] == ("pod 0", "field")
        assert details.startswith("pod 0: field is ")
        assert ("more" in details) == (count == 1000)
        if letter == "x":
            assert told[0] == ("pod 0", "field", "x" * 200, "less")

    run(test)


@pytest.mark.parametrize("letter", ["x", "é", "\ud800"])
def test_a_long_value_of_a_manifest_comes_back_in_the_decision(letter: str) -> None:
    async def test(running: Running) -> None:
        wrong = [manifest("p", "g", 1, tensor_parallel=letter * 5000)]
        answer = await running.stub.Plan(plan(wrong))
        assert answer.gangs[0].verdict == pb.VERDICT_INVALID
        assert repr(letter * 5000) in answer.gangs[0].reason.message

    run(test)


def test_no_answer_from_half_a_cluster_or_an_old_one() -> None:
    async def test(running: Running) -> None:
        stub = running.stub
        for waiting, old in (["Pods are not read yet"], ""), ([], "the watch of Pods has been down for 31 s"):
            running.cluster.waiting, running.cluster.old = waiting, old
            for call in (
                stub.Plan(plan(gang("a", 1))),
                stub.Explain(pb.ExplainRequest(namespace="a", name="b")),
                stub.ListGangs(pb.ListGangsRequest()),
                stub.WatchGangs(pb.WatchGangsRequest()).read(),
                stub.GetTopology(pb.GetTopologyRequest()),
                stub.Snapshot(pb.SnapshotRequest()),
            ):
                code, told = await running.status(call)
                assert code is Code.UNAVAILABLE
                assert (waiting or [old])[0] in told

    run(test)


def test_a_bug_of_ours_is_told_and_costs_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(running: Running) -> None:
        def broken() -> Any:
            raise ZeroDivisionError("no")

        monkeypatch.setattr(running.service, "topology", broken)
        code, told = await running.status(running.stub.GetTopology(pb.GetTopologyRequest()))
        assert code is Code.INTERNAL
        assert "ZeroDivisionError: no" in told
        await running.still_answers()

    run(test)


def test_a_request_that_is_too_large_is_refused() -> None:
    async def test(running: Running) -> None:
        call = running.stub.Plan(pb.PlanRequest(manifests=b"#" * LARGEST_REQUEST))
        assert (await running.status(call))[0] is Code.RESOURCE_EXHAUSTED
        await running.still_answers()

    run(test)


def test_health_says_what_readyz_says() -> None:
    async def test(running: Running) -> None:
        health = health_pb2_grpc.HealthStub(running.channel)
        states = health_pb2.HealthCheckResponse

        async def status(service: str) -> int:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            return int(answer.status)

        watch = health.Watch(health_pb2.HealthCheckRequest(service="lockstep.v1.Lockstep"))
        assert (await watch.read()).status == states.SERVING
        for waiting, state in (["Pods are not read yet"], states.NOT_SERVING), ([], states.SERVING):
            running.cluster.waiting = waiting
            async with running.session.get(f"{running.url}/readyz") as reply:
                assert (reply.status == 200) == (state == states.SERVING)
            for service in ("", "lockstep.v1.Lockstep"):
                assert await status(service) == state
            assert (await watch.read()).status == state
        watch.cancel()
        unknown = health.Check(health_pb2.HealthCheckRequest(service="nobody"))
        assert (await running.status(unknown))[0] is Code.NOT_FOUND

    run(test)


def test_reflection_lists_the_services_and_gives_their_file() -> None:
    async def test(running: Running) -> None:
        stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="lockstep.v1.Lockstep"),
        ]
        listed, file = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
        names = {service.name for service in listed.list_services_response.service}
        assert names == {
            "lockstep.v1.Lockstep",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        assert pb.DESCRIPTOR.serialized_pb in file.file_descriptor_response.file_descriptor_proto

    run(test)


def test_an_address_that_is_taken_is_told() -> None:
    async def test(running: Running) -> None:
        with pytest.raises(InvalidInput) as caught:
            async with listening(running.service, running.address):
                pass
        (fault,) = caught.value.faults
        assert (fault.field, fault.value) == ("service.grpc", running.address)

    run(test)


def test_without_an_address_nothing_listens() -> None:
    async def test(running: Running) -> None:
        async with listening(running.service, "") as address:
            assert address == ""

    run(test)
