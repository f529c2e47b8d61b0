"""ConfigMaps that pods name: asked for one by one, remembered for a while, in nobody's way for long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler.engine.facts import Fact, NodeGone, PodGone, PodSeen
from scheduler.kube.client import Access, ApiClient, Reply, Unclear
from scheduler.kube.objects import from_dict
from scheduler.mapfeed import KEPT_S, LONGEST_S, MISSED_S, MOST, MapFeed
from scheduler.model import ANNOTATION_PLAN, InvalidField, NodeName, Pod
from scheduler.workloads.elsewhere import unknown_of
from scheduler.workloads.parallelism import of_pod
from tests.fakes import now_s, virtually

TP = "NIM_TENSOR_PARALLEL_SIZE"
NIM = "nvcr.io/nim/meta/llama3-70b:1.8"


class Server(ApiClient):
    """An API server that has ConfigMaps, or says something else; `asked` in order."""

    def __init__(self) -> None:
        super().__init__(Access("http://none"))
        self.maps: dict[str, Mapping[str, Any]] = {}
        self.status, self.silent_s, self.asked = 0, 0.0, list[str]()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Reply:
        assert method == "GET" and query is None
        self.asked.append(path)
        await asyncio.sleep(self.silent_s)
        if self.status < 0:
            raise Unclear("the connection broke")
        if self.status:
            return Reply(self.status, b"{}")
        name = path.removeprefix("/api/v1/namespaces/d/configmaps/")
        found = self.maps.get(name)
        return Reply(404, b"{}") if found is None else Reply(200, json.dumps({"data": found}).encode())


@dataclass
class Told:
    """Who is told of pods."""

    facts: list[Fact] = field(default_factory=list)
    woken: int = 0

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)

    def wake(self) -> None:
        self.woken += 1

    def unreadable(self, fault: InvalidField) -> None: ...

    @property
    def tensors(self) -> list[int | None]:
        return [of_pod(fact.pod).tensor for fact in self.facts if isinstance(fact, PodSeen)]

    @property
    def unread(self) -> list[str]:
        last = next(fact.pod for fact in reversed(self.facts) if isinstance(fact, PodSeen))
        return [one.rpartition(": ")[2].partition(", so")[0] for one in unknown_of(last, of_pod(last))]


def pod(name: str = "p", *maps: str, gpus: int = 8, optional: bool = False) -> Pod:
    limits = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    sources = [{"configMapRef": {"name": one, "optional": optional}} for one in maps or ("sizes",)]
    container = {"name": "main", "image": NIM, "resources": limits, "envFrom": sources}
    metadata = {"name": name, "namespace": "d", "uid": f"u-{name}"}
    spec = {"containers": [container]}
    one = from_dict("Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert isinstance(one, Pod)
    return one


def run(
    story: Callable[[Server, MapFeed, Told], Coroutine[Any, Any, None]], *, allowed: bool = True
) -> tuple[Server, Told]:
    """A story while the feed runs, in virtual time."""
    server, told = Server(), Told()

    async def whole() -> None:
        feed = MapFeed(server, told, allowed=allowed, clock=now_s)
        task = asyncio.create_task(feed.run())
        await story(server, feed, told)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    virtually(whole)
    return server, told


def test_a_pod_comes_with_what_its_config_map_says() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.maps["sizes"] = {TP: "16"}
        for name in ("a", "b"):
            feed.observe(PodSeen(pod(name)))
        assert told.facts == []
        await feed.settled()
        assert told.tensors == [16, 16] and told.woken == 1
        first, second = (fact.pod for fact in told.facts if isinstance(fact, PodSeen))
        assert first.containers[0] is second.containers[0]
        feed.observe(PodSeen(pod("c")))
        assert told.tensors == [16, 16, 16]
        assert feed.filled(pod("unseen")).containers == first.containers

    server, _ = run(story)
    assert server.asked == ["/api/v1/namespaces/d/configmaps/sizes"]


def test_pods_that_need_nothing_and_other_facts_pass_at_once() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        feed.observe(PodSeen(pod(gpus=0)))
        feed.observe(NodeGone(NodeName("n")))
        feed.observe(PodGone(pod().key))
        assert len(told.facts) == 3

    server, _ = run(story)
    assert server.asked == []


def test_what_runs_or_carries_a_plan_is_counted_at_once_and_filled_in_later() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.maps["sizes"] = {TP: "16"}
        feed.observe(PodSeen(replace(pod("a"), node=NodeName("n"))))
        feed.observe(PodSeen(replace(pod("b"), annotations={ANNOTATION_PLAN: "x"})))
        assert told.tensors == [None, None]
        await feed.settled()
        assert told.tensors == [None, None, 16, 16]

    run(story)


def test_a_change_comes_to_all_who_wait_when_the_time_of_the_answer_is_over() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.maps["sizes"] = {TP: "16"}
        feed.observe(PodSeen(pod("a")))
        feed.observe(PodSeen(pod("b")))
        await feed.settled()
        server.maps["sizes"] = {TP: "8"}
        await asyncio.sleep(KEPT_S - 1)
        assert told.tensors == [16, 16]
        await asyncio.sleep(3)
        assert told.tensors == [16, 16, 8, 8] and len(server.asked) == 2
        for name in ("a", "b"):
            feed.observe(PodSeen(replace(pod(name), node=NodeName("n"))))
        await asyncio.sleep(10 * KEPT_S)
        assert len(server.asked) == 2, "nobody waits: nobody asks"
        server.maps["sizes"] = {TP: "4"}
        feed.observe(PodSeen(pod("c")))
        assert told.tensors[-1] == 8, "an old answer is no answer for a new pod"
        await asyncio.sleep(0.1)
        assert told.tensors[-3:] == [4, 4, 4] and len(told.facts) == 9

    run(story)


def test_one_that_comes_later_is_seen_and_its_absence_told() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        feed.observe(PodSeen(pod()))
        await feed.settled()
        assert told.unread == ["envFrom ConfigMap sizes is not read (there is none)"]
        server.maps["sizes"] = {TP: "16"}
        await asyncio.sleep(MISSED_S + 2)
        assert told.tensors == [None, 16] and told.unread == []

    run(story)


def test_an_optional_one_that_is_not_there_is_nothing_to_tell() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        feed.observe(PodSeen(pod(optional=True)))
        await feed.settled()
        assert told.tensors == [None] and told.unread == []

    run(story)


def test_a_right_that_is_missing_is_named_and_one_that_is_given_later_used() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.status = 403
        feed.observe(PodSeen(pod()))
        await feed.settled()
        assert told.unread == [
            "envFrom ConfigMap sizes is not read (the right to `get` configmaps is missing)"
        ]
        server.status, server.maps["sizes"] = 0, {TP: "16"}
        await asyncio.sleep(MISSED_S + 2)
        assert told.tensors[-1] == 16

    run(story)


def test_without_the_setting_nobody_asks_and_the_reason_is_told() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        feed.observe(PodSeen(pod()))
        assert told.unread == ["envFrom ConfigMap sizes is not read (`workloads.configMaps` is false)"]
        await asyncio.sleep(MISSED_S)

    server, _ = run(story, allowed=False)
    assert server.asked == []


def test_a_server_that_is_silent_holds_a_pod_for_a_bounded_time() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.silent_s = 1000.0
        for at in range(20):
            feed.observe(PodSeen(pod(f"p{at}", f"sizes-{at}")))
        await asyncio.sleep(LONGEST_S + 0.1)
        assert told.tensors == [None] * 20
        assert "no answer in 2 s" in told.unread[0]

    run(story)


def test_what_was_read_last_counts_while_nothing_can_be_read() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.maps["sizes"] = {TP: "16"}
        feed.observe(PodSeen(pod("a")))
        await feed.settled()
        for server.status in (-1, 500):
            await asyncio.sleep(KEPT_S + 2)
        feed.observe(PodSeen(pod("b")))
        await asyncio.sleep(LONGEST_S)
        assert told.tensors == [16, 16]

    run(story)


def test_a_pod_that_is_gone_or_replaced_before_the_answer_is_not_told() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        server.maps |= {"sizes": {TP: "16"}, "other": {TP: "4"}}
        server.silent_s = 0.5
        for name in ("a", "b"):
            feed.observe(PodSeen(pod(name)))
        await asyncio.sleep(0.1)
        feed.observe(PodGone(pod("a").key))
        feed.observe(PodSeen(replace(pod("b", "other"), uid="another")))
        await feed.settled()
        assert told.tensors == [4] and isinstance(told.facts[0], PodGone)

    run(story)


def test_names_that_no_config_map_can_have_are_not_asked_for() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        for at, name in enumerate(("../secrets/s", "..", "A", "x" * 300, "a?b")):
            feed.observe(PodSeen(pod(f"p{at}", name)))
        await feed.settled()
        assert len(told.facts) == 5 and "no ConfigMap can have that name" in told.unread[0]

    server, _ = run(story)
    assert server.asked == []


def test_at_most_so_many_are_known_and_room_comes_with_pods_that_go() -> None:
    async def story(server: Server, feed: MapFeed, told: Told) -> None:
        for at in range(MOST):
            feed.observe(PodSeen(pod(f"p{at}", f"m{at}")))
        feed.observe(PodSeen(pod("more", "sizes")))
        assert f"more than {MOST} ConfigMaps" in told.unread[0]
        await feed.settled()
        feed.observe(PodGone(pod("p0").key))
        server.maps["sizes"] = {TP: "16"}
        feed.observe(PodSeen(pod("more", "sizes")))
        await asyncio.sleep(0.1)
        assert told.tensors[-1] == 16

    run(story)
