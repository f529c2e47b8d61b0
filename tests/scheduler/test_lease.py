"""Leadership on a clock of ours: one at a time, handed over at once, never judged by a lease's own times."""

from __future__ import annotations

import asyncio
import random

from scheduler.kube.lease import Elector
from tests.fakes import FakeApi, FakeClient, now_s, virtually

LEASE = "/apis/coordination.k8s.io/v1/namespaces/lockstep-system/leases/lockstep"


def elector(api: FakeApi, identity: str, *, follow: bool = False) -> tuple[Elector, FakeClient]:
    client = FakeClient(api)
    made = Elector(
        client,
        namespace="lockstep-system",
        name="lockstep",
        identity=identity,
        follow=follow,
        clock=now_s,
    )
    return made, client


async def until(condition: object, *, within_s: float) -> float:
    began = now_s()
    while not condition():  # type: ignore[operator]
        assert now_s() - began < within_s, f"not within {within_s} s"
        await asyncio.sleep(0.05)
    return now_s() - began


def test_one_leads_and_the_other_says_who() -> None:
    async def test() -> None:
        api = FakeApi(random.Random(1))
        (a, _), (b, _) = elector(api, "a"), elector(api, "b")
        tasks = [asyncio.create_task(one.run()) for one in (a, b)]
        for _ in range(600):
            await asyncio.sleep(0.1)
            assert not (a.leading() and b.leading())
        leader, other = (a, b) if a.leading() else (b, a)
        assert leader.leading()
        assert f"held by {'a' if leader is a else 'b'}" in other.why_not()
        [task.cancel() for task in tasks]

    virtually(test)


def test_who_resigns_is_followed_within_two_seconds_and_who_dies_within_seventeen() -> None:
    async def test() -> None:
        api = FakeApi(random.Random(2))
        (a, _), (b, dying), (c, _) = elector(api, "a"), elector(api, "b"), elector(api, "c")
        tasks = [asyncio.create_task(a.run())]
        await until(a.leading, within_s=1)
        tasks.append(asyncio.create_task(b.run()))
        await asyncio.sleep(5)
        await a.resign()
        assert not a.leading()
        assert await until(b.leading, within_s=2) < 2
        tasks.append(asyncio.create_task(c.run()))
        await asyncio.sleep(5)
        dying.cut = True
        assert await until(lambda: not b.leading(), within_s=11) > 7.9
        assert not c.leading(), "who cannot renew stops before another begins"
        await until(c.leading, within_s=8)
        [task.cancel() for task in tasks]

    virtually(test)


def test_the_times_in_a_lease_are_not_believed() -> None:
    """A holder whose clock is an hour wrong, or frozen, is alive as long as its lease changes."""

    async def test() -> None:
        api = FakeApi(random.Random(3))
        a, _ = elector(api, "a")
        task = asyncio.create_task(a.run())
        spec = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "1999-01-01T00:00:00.0Z"}
        api.answer("POST", LEASE.rpartition("/")[0], {"metadata": {"name": "lockstep"}, "spec": spec}, "")
        for beat in range(30):
            await asyncio.sleep(1.0)
            api.change(LEASE, lambda lease, beat=beat: lease["spec"].update(beat=beat))  # type: ignore[misc]
            assert not a.leading()
        assert 14 < await until(a.leading, within_s=17) < 16
        task.cancel()

    virtually(test)


def test_a_sidecar_leads_while_its_own_scheduler_holds_the_lease() -> None:
    async def test() -> None:
        api = FakeApi(random.Random(4))
        a, _ = elector(api, "pod-1", follow=True)
        task = asyncio.create_task(a.run())
        spec = {"holderIdentity": "pod-1_6b1f", "leaseDurationSeconds": 15}
        api.answer("POST", LEASE.rpartition("/")[0], {"metadata": {"name": "lockstep"}, "spec": spec}, "")
        await until(a.leading, within_s=2)
        api.change(LEASE, lambda lease: lease["spec"].update(holderIdentity="pod-10_77aa"))
        await until(lambda: not a.leading(), within_s=2)
        assert "pod-10_77aa" in a.why_not()
        task.cancel()

    virtually(test)
