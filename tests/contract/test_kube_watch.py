"""List and watch against a scripted API server: what a reflector makes of every kind of stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from scheduler.engine.facts import Fact, NodeGone, NodesSeen, PodGone, PodSeen, PodUnreadable
from scheduler.feeds import NodeFeed, PodFeed
from scheduler.kube.client import Access, ApiClient
from scheduler.kube.reflector import Reflector
from scheduler.kube.writes import Place, bind, let_through
from scheduler.model import InvalidField, NodeName, PodKey


def pod(name: str, *, version: str = "1", uid: str = "", node: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c"}]} | ({"nodeName": node} if node else {})
    metadata = {"name": name, "namespace": "default", "uid": uid or f"u-{name}", "resourceVersion": version}
    return {"kind": "Pod", "metadata": metadata, "spec": spec}


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


BOOKMARK = event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "50"}})
EXPIRED = event("ERROR", {"kind": "Status", "code": 410, "message": "too old"})


@dataclass
class Script:
    """What the server answers: lists one after another, and the chunks of every watch."""

    lists: list[Any]
    watches: list[list[bytes | float]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
            if isinstance(found, int):
                return web.Response(status=found)
            return web.json_response({"kind": "List", "metadata": {"resourceVersion": "10"}, "items": found})
        self.asked.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in self.watches.pop(0) if self.watches else [30.0]:
            if isinstance(chunk, float):
                await asyncio.sleep(chunk)
            else:
                await response.write(chunk)
        return response


@dataclass
class Told:
    """Collects what the feed tells."""

    facts: list[Fact] = field(default_factory=list)
    faults: list[InvalidField] = field(default_factory=list)
    woken: int = 0

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def wake(self) -> None:
        self.woken += 1

    def unreadable(self, fault: InvalidField) -> None:
        self.faults.append(fault)

    def names(self) -> list[str]:
        """The facts in short: + for seen, - for gone, ? for unreadable."""
        return [_short(fact) for fact in self.facts]


def _short(fact: Fact) -> str:
    match fact:
        case PodSeen(one):
            return f"+{one.key.name}"
        case PodGone(key):
            return f"-{key.name}"
        case PodUnreadable(key):
            return f"?{key.name}"
        case NodesSeen(nodes):
            return "+" + ",".join(node.name for node in nodes)
        case NodeGone(name):
            return f"-{name}"
        case _:
            raise AssertionError(fact)


async def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def told_of(script: Script, wanted: int, *, kind: str = "Pod") -> Told:
    """What is told until so many facts have come."""

    async def inside() -> Told:
        runner, url = await serving(script.handle)
        told = Told()
        async with ApiClient(Access(url)) as client:
            feed = PodFeed(told) if kind == "Pod" else NodeFeed(told)
            reflector = Reflector(client, kind, feed)  # type: ignore[arg-type]
            task = asyncio.create_task(reflector.run())
            for _ in range(800):
                if len(told.facts) >= wanted:
                    break
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await runner.cleanup()
        return told

    return asyncio.run(inside())


def test_a_list_and_then_every_change_in_order() -> None:
    script = Script(
        [[pod("a")]],
        [[event("ADDED", pod("b")), event("MODIFIED", pod("a", version="3")), event("DELETED", pod("b"))]],
    )
    assert told_of(script, 4).names() == ["+a", "+b", "+a", "-b"]


def test_lines_may_come_in_any_pieces() -> None:
    stream = event("ADDED", pod("b")) + BOOKMARK + event("ADDED", pod("c"))
    pieces: list[bytes | float] = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    assert told_of(Script([[]], [pieces]), 2).names() == ["+b", "+c"]


def test_a_watch_that_ends_goes_on_from_the_last_version() -> None:
    script = Script(
        [[pod("a")]], [[BOOKMARK], [event("ADDED", pod("b", version="51"))], [event("ADDED", pod("c"))]]
    )
    assert told_of(script, 3).names() == ["+a", "+b", "+c"]
    assert script.asked[:3] == ["10", "50", "51"]


def test_an_expired_version_lists_again_and_notices_who_is_gone() -> None:
    script = Script([[pod("a"), pod("b")], [pod("b"), pod("c")]], [[EXPIRED]])
    assert told_of(script, 5).names() == ["+a", "+b", "-a", "+b", "+c"]


def test_a_server_that_is_away_is_asked_again() -> None:
    assert told_of(Script([500, 503, [pod("a")]]), 1).names() == ["+a"]


def test_what_cannot_be_read_is_told_and_left_out() -> None:
    broken = pod("x") | {"spec": {"containers": "none"}}
    script = Script([[pod("a"), broken]], [[event("MODIFIED", broken), b"not json\n"]])
    told = told_of(script, 3)
    assert told.names()[:2] == ["+a", "?x"]
    assert told.faults[0].object == "pod default/x"
    assert told.faults[0].field == "spec.containers"


def test_a_pod_deleted_and_made_again_under_its_name() -> None:
    script = Script(
        [[pod("a", uid="one")]],
        [[event("DELETED", pod("a", uid="one")), event("ADDED", pod("a", uid="two"))]],
    )
    told = told_of(script, 3)
    assert told.names() == ["+a", "-a", "+a"]
    assert [fact.pod.uid for fact in told.facts if isinstance(fact, PodSeen)] == ["one", "two"]


def test_a_node_that_loses_its_capacity_is_gone() -> None:
    node = {
        "kind": "Node",
        "metadata": {"name": "n", "resourceVersion": "1"},
        "status": {"allocatable": {"cpu": "8"}},
    }
    bare = node | {"status": {}}
    assert told_of(Script([[node]], [[event("MODIFIED", bare)]]), 2, kind="Node").names() == ["+n", "-n"]


async def followed(reflector: Reflector, seconds: float) -> None:
    """Let it run for so long."""
    task = asyncio.create_task(reflector.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def proof_of(script: Script, seconds: float, *, quiet_s: float) -> tuple[float, list[str]]:
    """After so many seconds: how long after its list the view was proven last, and from where was watched."""

    async def inside() -> float:
        runner, url = await serving(script.handle)
        async with ApiClient(Access(url)) as client:
            reflector = Reflector(client, "Pod", PodFeed(Told()), quiet_s=quiet_s)
            await followed(reflector, seconds)
        await runner.cleanup()
        return reflector.heard_s - reflector.listed_s

    return asyncio.run(inside()), script.asked


def test_an_open_watch_that_brings_nothing_proves_nothing() -> None:
    proven_s, _ = proof_of(Script([[pod("a")]]), 1.0, quiet_s=60)
    assert proven_s == 0


def test_a_watch_that_ends_as_asked_or_brings_news_proves_that_we_are_in_step() -> None:
    ending = Script([[pod("a")]], [[0.6], [0.2], [BOOKMARK, 30.0]])
    proven_s, asked = proof_of(ending, 1.5, quiet_s=60)
    assert proven_s >= 0.8
    assert asked == ["10", "10", "10"]


def test_a_watch_that_does_not_end_when_it_should_is_dropped_and_taken_up_again() -> None:
    stalled = Script([[pod("a")]], [[BOOKMARK, 30.0], [30.0], [0.1], [30.0]])
    _, asked = proof_of(stalled, 3.0, quiet_s=1.0)
    assert asked[:3] == ["10", "50", "50"]


PLACE = Place(PodKey("default", "p"), "u", NodeName("n1"), "plan", 3)


def written(answers: list[Any], *, verb: str) -> tuple[Any, list[tuple[str, str, Any]]]:
    """The outcome of a write, and the requests it took; answers are (status, body), or None to hang up."""
    requests: list[tuple[str, str, Any]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        requests.append((request.method, request.path, json.loads(body) if body else None))
        answer = answers.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.json_response(answer[1], status=answer[0])

    async def inside() -> Any:
        runner, url = await serving(handle)
        async with ApiClient(Access(url)) as client:
            if verb == "bind":
                found = await bind(client, PLACE, pod=PLACE.pod, uid="u", node=PLACE.node)
            else:
                found = await let_through(client, PLACE, gated=True, nominate=True)
        await runner.cleanup()
        return found

    return asyncio.run(inside()), requests


def test_a_binding_carries_uid_and_plan() -> None:
    outcome, requests = written([(201, {"status": "Success"})], verb="bind")
    assert outcome.done
    ((method, path, body),) = requests
    assert (method, path) == ("POST", "/api/v1/namespaces/default/pods/p/binding")
    assert body["metadata"]["uid"] == "u"
    assert body["metadata"]["annotations"]["lockstep.scheduling/assigned-rank"] == "3"
    assert body["target"]["name"] == "n1"


def test_an_unclear_binding_is_read_back() -> None:
    bound = pod("p", uid="u", node="n1")
    assert written([None, (200, bound)], verb="bind")[0].done
    assert written([(409, {"message": "already"}), (200, bound)], verb="bind")[0].done
    elsewhere = written([(409, {}), (200, pod("p", uid="u", node="n2"))], verb="bind")[0]
    assert (elsewhere.done, elsewhere.final) == (False, True)
    other = written([None, (200, pod("p", uid="v"))], verb="bind")[0]
    assert (other.done, other.final) == (False, True)
    gone = written([None, (404, {})], verb="bind")[0]
    assert (gone.done, gone.final) == (False, True)


def test_a_binding_is_written_again_until_it_is_certain_what_became_of_it() -> None:
    unbound, later = pod("p", uid="u"), pod("p", uid="u", version="7")
    outcome, requests = written([None, (200, unbound), (500, {}), (200, later), (201, {})], verb="bind")
    assert outcome.done
    versions = [body["metadata"].get("resourceVersion") for method, _, body in requests if method == "POST"]
    assert versions == [None, "1", "7"]


def test_a_pod_that_another_term_has_claimed_is_left_alone() -> None:
    claimed = pod("p", uid="u")
    claimed["metadata"]["annotations"] = {"lockstep.scheduling/term": "2-b"}
    outcome, requests = written([(409, {}), (200, claimed)], verb="bind")
    assert (outcome.done, outcome.final) == (False, True)
    assert "another term" in outcome.message
    assert len(requests) == 2


def test_the_node_is_nominated_before_the_gate_is_lifted() -> None:
    outcome, requests = written([(200, {}), (200, {})], verb="let_through")
    assert outcome.done
    assert [path for _, path, _ in requests] == [
        "/api/v1/namespaces/default/pods/p/status",
        "/api/v1/namespaces/default/pods/p",
    ]
    assert requests[0][2]["status"] == {"nominatedNodeName": "n1"}
    assert requests[1][2]["spec"]["schedulingGates"] == [
        {"name": "lockstep.scheduling/gang", "$patch": "delete"}
    ]
    refused, requests = written([(404, {"message": "no such pod"})], verb="let_through")
    assert (refused.done, refused.final, len(requests)) == (False, True, 1)
