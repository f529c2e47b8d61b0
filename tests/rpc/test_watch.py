"""Watching the list of gangs: from the beginning, from a version, and too slowly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import pytest

from scheduler.engine.facts import PodGone
from scheduler.model import PodKey
from scheduler.rpc.lockstep.v1 import lockstep_pb2 as pb
from scheduler.rpc.refusals import Refused
from scheduler.rpc.watching import Watchers
from tests.builders import members, pod
from tests.rpc.running import Running, run

KINDS = {value: name.removeprefix("CHANGE_KIND_").lower() for name, value in pb.ChangeKind.items()}
STATES = {value: name.removeprefix("GANG_STATE_").lower() for name, value in pb.GangState.items()}


@dataclass
class Seen:
    """One watch and everything it has told."""

    call: Any
    told: list[tuple[str, str, str]] = field(default_factory=list)
    version: int = 0

    async def until(self, kind: str, gang: str = "", state: str = "") -> pb.Gang:
        """Read up to a message of this kind (about this gang, in this state)."""
        while True:
            message = await asyncio.wait_for(self.call.read(), 20)
            assert message is not grpc.aio.EOF, self.told
            self.version = message.version or self.version
            told = KINDS[message.kind], message.gang.gang, STATES[message.gang.state]
            self.told.append(told)
            if told[0] == kind and told[1] == gang and state in ("", told[2]):
                return message.gang  # type: ignore[no-any-return]


def watch(running: Running, **request: Any) -> Seen:
    return Seen(running.stub.WatchGangs(pb.WatchGangsRequest(**request)))


def leave(running: Running, gang: str, size: int, namespace: str = "default") -> None:
    for at in range(size):
        running.service.observe(PodGone(PodKey(namespace, f"{gang}-{at}")))
    running.service.wake()


def test_a_watch_tells_the_list_and_then_what_is_created_placed_and_deleted() -> None:
    async def test(running: Running) -> None:
        running.see(*members("old", 2))
        await running.until("default/old", "reserved")
        seen = watch(running)
        await seen.until("synced")
        assert seen.told == [
            ("reset", "", "unspecified"),
            ("added", "default/old", "reserved"),
            ("synced", "", "unspecified"),
        ]
        pods = members("new", 2)
        running.see(pods[0])
        await seen.until("added", "default/new", "forming")
        running.see(pods[1])
        placed = await seen.until("changed", "default/new", "reserved")
        assert placed.where == "leaf l1, 2 nodes"
        assert placed.pods == pb.PodCounts(present=2, wanted=2, bound=0)
        leave(running, "new", 2)
        await seen.until("deleted", "default/new")
        seen.call.cancel()

    run(test)


def test_a_watch_goes_on_where_the_last_one_or_a_list_ended() -> None:
    async def test(running: Running) -> None:
        first = watch(running)
        await first.until("synced")
        listed = await running.stub.ListGangs(pb.ListGangsRequest())
        assert listed.version == first.version
        running.see(pod("g-0", gang="g", size=2))
        await first.until("added", "default/g")
        first.call.cancel()
        leave(running, "g", 1)
        running.see(pod("h-0", gang="h", size=2))
        second = watch(running, after_version=first.version)
        await second.until("synced")
        assert [told[:2] for told in second.told] == [
            ("deleted", "default/g"),
            ("added", "default/h"),
            ("synced", ""),
        ]
        third = watch(running, after_version=listed.version)
        await third.until("synced")
        assert [told[:2] for told in third.told] == [("added", "default/g"), *(t[:2] for t in second.told)]
        assert third.version == second.version

    run(test)


@pytest.mark.parametrize("version", [1, 2**62])
def test_a_version_of_another_run_gives_the_list_again(version: int) -> None:
    async def test(running: Running) -> None:
        running.see(pod("g-0", gang="g", size=2))
        seen = watch(running, after_version=version)
        await seen.until("synced")
        assert [told[:2] for told in seen.told] == [("reset", ""), ("added", "default/g"), ("synced", "")]

    run(test)


def test_a_watch_of_one_namespace() -> None:
    async def test(running: Running) -> None:
        for name in "ab":
            running.see(pod("g-0", gang="g", size=2, namespace=name))
        seen = watch(running, namespace="b")
        await seen.until("synced")
        for name in "ab":
            leave(running, "g", 1, namespace=name)
        await seen.until("deleted", "b/g")
        assert {told[1] for told in seen.told} == {"", "b/g"}

    run(test)


def test_several_watch_and_one_that_leaves_disturbs_nobody() -> None:
    async def test(running: Running) -> None:
        watches = [watch(running) for _ in range(5)]
        for seen in watches:
            await seen.until("synced")
        watches[0].call.cancel()
        running.see(pod("g-0", gang="g", size=2))
        for seen in watches[1:]:
            await seen.until("added", "default/g")

    run(test)


def test_no_more_watchers_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.rpc.watching.MOST_WATCHERS", 1)

    async def test(running: Running) -> None:
        first = watch(running)
        await first.until("synced")
        code, _ = await running.status(watch(running).call.read())
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.call.cancel()
        again = watch(running)
        while (await running.status(again.call.read()))[0] is not grpc.StatusCode.OK:
            again = watch(running)

    run(test)


def test_a_caller_that_does_not_read_is_dropped_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scheduler.rpc.server.Watchers", partial(Watchers, patience_s=0.1))
    long = {"gang": "default/g", "state": "invalid", "reason": "x" * 100_000}

    async def test(running: Running) -> None:
        monkeypatch.setattr(running.service, "gangs", lambda: [long] * 500)  # 50 MB
        asleep = watch(running)
        await asleep.until("reset")
        monkeypatch.undo()
        other = watch(running)
        await other.until("synced")
        running.see(*members("g", 2))
        await running.until("default/g", "reserved")
        await asyncio.sleep(0.5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asleep.until("synced")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "this watcher reads too slowly"
        assert len(asleep.told) < 500

    run(test)


@dataclass
class Row:
    version: int
    kind: str = "changed"
    row: dict[str, Any] = field(default_factory=lambda: {"gang": "a/b", "state": "bound"})


@dataclass
class Scripted:
    """A journal that keeps two changes, and the caller of a stream that reads when it is told to."""

    version: int = 10
    written: list[pb.WatchGangsResponse] = field(default_factory=list)
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    def gangs(self) -> list[dict[str, Any]]:
        return []

    def journal(self) -> Scripted:
        return self

    def since(self, version: int) -> list[Row] | None:
        return None if version < self.version - 2 else [Row(v) for v in range(version + 1, self.version + 1)]

    async def write(self, message: pb.WatchGangsResponse) -> None:
        await self.reads.wait()
        self.written.append(message)


def test_a_watcher_that_falls_behind_what_is_kept_is_dropped() -> None:
    async def test() -> None:
        scripted = Scripted()
        scripted.reads.set()
        watchers = Watchers(scripted)
        stream = asyncio.create_task(watchers.follow(pb.WatchGangsRequest(), scripted))
        while len(scripted.written) < 2:
            await asyncio.sleep(0)
        scripted.version = 12
        watchers.pulse()
        while len(scripted.written) < 4:
            await asyncio.sleep(0)
        assert [message.version for message in scripted.written] == [0, 10, 11, 12]
        scripted.reads.clear()
        scripted.version = 13
        watchers.pulse()
        for _ in range(5):
            await asyncio.sleep(0)
        scripted.version = 20
        watchers.pulse()
        scripted.reads.set()
        with pytest.raises(Refused) as caught:
            await stream
        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert [message.version for message in scripted.written][4:] == [13]

    asyncio.run(test())


def test_streams_end_with_the_service() -> None:
    async def test() -> None:
        scripted = Scripted()
        scripted.reads.set()
        watchers = Watchers(scripted)
        stream = asyncio.create_task(watchers.follow(pb.WatchGangsRequest(), scripted))
        while len(scripted.written) < 2:
            await asyncio.sleep(0)
        watchers.close()
        with pytest.raises(Refused) as caught:
            await stream
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE

    asyncio.run(test())
