"""The bind verb: the barrier of a gang, and the Bindings of everybody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from scheduler.engine.engine import Engine
from scheduler.engine.facts import PodSeen
from scheduler.engine.plans import Slot
from scheduler.engine.replies import Reason
from scheduler.extender.wire import BindArgs
from scheduler.model import GangKey, NodeName, PodKey

log = logging.getLogger(__name__)


class Outcome(Protocol):
    """What became of a Binding."""

    @property
    def done(self) -> bool: ...

    @property
    def message(self) -> str: ...


class WriteBinding(Protocol):
    """Writes one Binding and says what became of it; `slot` and `plan` for a gang member."""

    def __call__(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str
    ) -> Awaitable[Outcome]: ...


REMEMBERED = 6
"""For how many times `hold_s` it counts that a member was sent to its node by its scheduler."""


@dataclass(slots=True)
class _Barrier:
    """Members of one plan whose schedulers wait for an answer.

    `asked_s`: when those asked that could not be kept until the last was there. They count as long as
    somebody waits here: a gang of thousands takes longer to arrive than a caller may be kept.
    """

    gang: GangKey
    plan: str
    waiting: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    asked_s: dict[str, float] = field(default_factory=dict)
    opened: bool = False


class Binder:
    """Holds the Bindings of a gang until all members are there, then writes them all at once.

    `hold_s`: how long a caller is kept before the barrier opens; it must be well below
    the scheduler's own time-out, after which it would give the node away. A caller who
    asks again is given the same outcome. One who could not be kept, because its gang arrives more slowly
    than that, is bound with the others: its room is held, and is looked at once more before.
    """

    def __init__(
        self, engine: Engine, write: WriteBinding, *, hold_s: float, clock: Callable[[], float]
    ) -> None:
        self._engine, self._write, self._hold_s, self._clock = engine, write, hold_s, clock
        self._barriers: dict[GangKey, _Barrier] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: set[str] = set()
        self._closed = ""

    def close(self, why: str) -> None:
        """Begin no more commits: who waits for the rest of a gang is sent away."""
        self._closed = why
        for key, barrier in tuple(self._barriers.items()):
            if not barrier.opened:
                del self._barriers[key]
                _answer_all(barrier, why)

    async def finish(self) -> None:
        """Wait until every Binding that is being written has its outcome."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def stop(self, why: str) -> None:
        """The term is over: answer everybody; what is on its way is fenced."""
        for barrier in self._barriers.values():
            _answer_all(barrier, why)
        self._barriers.clear()

    async def bind(self, args: BindArgs) -> str:
        """Empty once the API server has the Binding, else why not."""
        key, uid = PodKey(args.pod_namespace, args.pod_name), args.pod_u_i_d
        heard = self._engine.heard.take(uid)
        if heard is not None and self._engine.pod(uid) is None:
            self._engine.observe(PodSeen(heard))  # it is bound, so it exists
            self._engine.refresh(self._clock())
        known = self._engine.pod(uid)
        if known is not None and known.node == args.node and uid not in self._in_flight:
            return ""
        gang = self._engine.gang_of(uid)
        if gang is None:
            return await self._bind_alone(key, uid, NodeName(args.node))
        slot = self._engine.slot(uid)
        if isinstance(slot, Reason):
            return str(slot)
        if self._closed:
            return self._closed
        if slot.node != args.node:
            return f"the gang's plan puts this pod on {slot.node}"
        self._engine.renew(gang, self._clock())
        return await self._join(gang, slot)

    async def _bind_alone(self, key: PodKey, uid: str, node: NodeName) -> str:
        pod = self._engine.pod(uid)
        if pod is not None and self._engine.world.ledger.only_held([node], pod.shape):
            return str(Reason.HELD)
        if pod is not None and pod.node is None:
            self._engine.bound(uid, node)  # from now on no plan may count on this room
        outcome = await self._write(pod=key, uid=uid, node=node, slot=None, plan="")
        if not outcome.done and pod is not None:
            self._engine.unbound(uid)
        return "" if outcome.done else outcome.message

    async def _join(self, gang: GangKey, slot: Slot) -> str:
        barrier = self._barrier_of(gang)
        future = barrier.waiting.get(slot.uid)
        if future is None:
            future = barrier.waiting[slot.uid] = asyncio.get_running_loop().create_future()
        if barrier.opened:
            self._write_one(barrier, slot.uid)
        else:
            self._open_if_complete(barrier)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._hold_s)
        except TimeoutError:
            pass
        if barrier.opened:  # Bindings are being written: the outcome is what counts
            return await future
        barrier.waiting.pop(slot.uid, None)
        if barrier.waiting:
            barrier.asked_s[slot.uid] = self._clock()
        else:  # nobody comes any more: the next round begins anew
            barrier.asked_s.clear()
        return "the rest of the gang did not come in time"

    def _barrier_of(self, gang: GangKey) -> _Barrier:
        plan = self._engine.gangs[gang].plan
        assert plan is not None
        barrier = self._barriers.get(gang)
        if barrier is None or barrier.plan != plan.id:
            if barrier is not None and not barrier.opened:
                _answer_all(barrier, "the gang was planned again")
            barrier = self._barriers[gang] = _Barrier(gang, plan.id)
        return barrier

    def _open_if_complete(self, barrier: _Barrier) -> None:
        """Write everything once every member is bound already or waits here."""
        record = self._engine.gangs[barrier.gang]
        if len(barrier.waiting) + len(barrier.asked_s) < len(record.pods) - record.bound:
            return
        oldest_s = self._clock() - REMEMBERED * self._hold_s
        asked = {uid for uid, asked_s in barrier.asked_s.items() if asked_s >= oldest_s}
        coming = [uid for uid, pod in record.pods.items() if pod.node is None and uid not in barrier.waiting]
        if not asked.issuperset(coming):
            return
        wrong = self._engine.begin_commit(barrier.gang, self._clock())
        if wrong:
            log.info("gang %s: not bound, planned again: %s", barrier.gang, wrong[0].message)
            del self._barriers[barrier.gang]
            _answer_all(barrier, f"the plan no longer holds: {wrong[0].message}")
            return
        barrier.opened = True
        barrier.waiting |= {uid: asyncio.get_running_loop().create_future() for uid in coming}
        for uid in barrier.waiting:
            self._write_one(barrier, uid)

    def _write_one(self, barrier: _Barrier, uid: str) -> None:
        """A task for a waiting member; one that asks a second time joins the first's outcome."""
        plan, future = self._engine.gangs[barrier.gang].plan, barrier.waiting[uid]
        slot = plan.slots.get(uid) if plan else None
        if slot is None or future.done() or uid in self._in_flight:
            return
        self._in_flight.add(uid)
        self._engine.writing(uid)
        task = asyncio.get_running_loop().create_task(self._bind_member(barrier, slot, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind_member(self, barrier: _Barrier, slot: Slot, future: asyncio.Future[str]) -> None:
        try:
            outcome = await self._write(
                pod=slot.pod, uid=slot.uid, node=slot.node, slot=slot, plan=barrier.plan
            )
        finally:
            self._in_flight.discard(slot.uid)
        now_s = self._clock()
        if outcome.done:
            self._engine.bound(slot.uid, slot.node)
        else:
            log.warning("gang %s: pod %s was not bound: %s", barrier.gang, slot.pod, outcome.message)
            barrier.waiting.pop(slot.uid, None)
            self._engine.give_up(barrier.gang, now_s)
            self._engine.not_bound(slot.uid)
        if not future.done():
            future.set_result("" if outcome.done else outcome.message)
        if (
            all(one.done() for one in barrier.waiting.values())
            and self._barriers.get(barrier.gang) is barrier
        ):
            del self._barriers[barrier.gang]


def _answer_all(barrier: _Barrier, message: str) -> None:
    for future in barrier.waiting.values():
        if not future.done():
            future.set_result(message)
