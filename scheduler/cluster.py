"""The API server as the service uses it: watches for reading, leadership, and fenced writes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

from scheduler.config import Config
from scheduler.engine.plans import Slot
from scheduler.engine.replies import Write
from scheduler.feeds import ClassFeed, GroupFeed, NodeFeed, PodFeed, Receiver, WorkloadFeed
from scheduler.kube import telling, writes
from scheduler.kube.client import ApiClient, Unclear
from scheduler.kube.lease import Alone, Elector
from scheduler.kube.outcomes import NOT_LEADING, Holds, Outcome, repeat
from scheduler.kube.reflector import CLASSES, Reflector
from scheduler.kube.reviews import own_rights
from scheduler.kube.turns import Turns
from scheduler.mapfeed import MapFeed
from scheduler.model import PLACED, NodeName, Pod, PodKey
from scheduler.rights import Need, missing, needed

log = logging.getLogger(__name__)

_PULSE_S = 5.0
_OWNERS_S = 2.0
"""How long pods wait at the start for the objects that own them."""
_RIGHTS_S = 15.0
_PLACED_TEXT = "a plan for the whole gang exists and its room is held"


class LiveCluster:
    """An API server: reflectors for reading, a lease or none, and the writes of a leader."""

    def __init__(
        self,
        client: ApiClient,
        receiver: Receiver,
        *,
        config: Config,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._stale_s = client, config.service.stale_s
        self._plans, self._bindings = (Turns(config.service.writes_in_flight) for _ in range(2))
        self._clock, self._answered_s, self._trouble = clock, clock(), ""
        self._instance = identity_of(config)
        self._needs, self._lacking = needed(config), tuple[Need, ...]()
        self.leadership = leadership_of(client, config, clock=clock)
        self.maps = MapFeed(client, receiver, allowed=config.config_maps, clock=clock)
        reflector = partial(Reflector, client, quiet_s=config.service.stale_s, clock=clock)
        self.reflectors = (
            reflector("Node", NodeFeed(receiver)),
            reflector("PodGroup", GroupFeed(receiver), optional=True),
            reflector("Pod", PodFeed(self.maps)),
        )
        self.classes = reflector(
            "Other", ClassFeed(receiver), optional=True, paths=(CLASSES,), name="PriorityClass"
        )
        self.owners = tuple(
            reflector("Other", WorkloadFeed(receiver, kind), optional=True, paths=kind.paths, name=kind.kind)
            for kind in config.kinds
            if kind.facts is not None
        )

    async def run(self) -> None:
        """Read, stand for election, and feel the server's pulse; until cancelled, or one of these breaks."""
        async with asyncio.TaskGroup() as group:
            for one in (*self.reflectors[:2], self.classes, *self.owners):
                group.create_task(one.run())
            group.create_task(self._read_pods())
            group.create_task(self.maps.run())
            group.create_task(self.leadership.run())
            group.create_task(self._feel_pulse())
            group.create_task(self._check_rights())

    async def _check_rights(self) -> None:
        """Ask now and then which of our rights are missing; what fails is asked again."""
        while True:
            try:
                held = await own_rights(self._client, tuple(need.act for need in self._needs))
            except Unclear as error:
                log.warning("our rights cannot be checked: %s", error)
            else:
                lacking = missing(self._needs, held)
                for need in lacking:
                    if need not in self._lacking:
                        log.warning("%s", need)
                self._lacking = lacking
            await asyncio.sleep(_RIGHTS_S)

    async def _read_pods(self) -> None:
        """Pods are read once it is known what their owners say of them, or that these cannot be read now."""
        waits = [asyncio.create_task(one.synced.wait()) for one in self.owners]
        if waits:
            _, late = await asyncio.wait(waits, timeout=_OWNERS_S)
            for one in late:
                one.cancel()
        await self.reflectors[2].run()

    async def _feel_pulse(self) -> None:
        """An open watch that brings nothing proves nothing; an answer does."""
        while True:
            try:
                reply = await self._client.request("GET", "/readyz", timeout_s=_PULSE_S)
                if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    self._answered_s = self._clock()
                    self._trouble = ""
                else:
                    self._trouble = f"it says {reply.status}"
            except Unclear as error:
                self._trouble = str(error)
            await asyncio.sleep(_PULSE_S)

    def not_ready(self) -> list[str]:
        """One sentence per kind that has not been read yet, and per missing right that is needed for all."""
        unread = [
            f"{one.kind}s are not read yet{': ' + one.error if one.error else ''}"
            for one in self.reflectors
            if not one.synced.is_set()
        ]
        return [*unread, *(str(need) for need in self._lacking if need.essential)]

    def lacking(self) -> list[str]:
        """One sentence per missing right that gangs are placed without."""
        return [str(need) for need in self._lacking if not need.essential]

    def watch_age_s(self) -> dict[str, float]:
        """How old the view of each kind may be: since the server answered last, or its watch proved it."""
        answered_s = self._clock() - self._answered_s
        return {one.kind: max(one.silent_s(), answered_s) for one in self.reflectors if one.synced.is_set()}

    def stale(self) -> str:
        """What has been silent for how long, once that is too long."""
        silent_s = self._clock() - self._answered_s
        if silent_s > self._stale_s:
            return f"the API server has not answered for {silent_s:.0f} s: {self._trouble}"
        for one in self.reflectors:
            if one.synced.is_set() and one.silent_s() > self._stale_s and not one.absent:
                why = f": {one.error}" if one.error else ", not even its end"
                return f"the watch of {one.kind}s has brought nothing for {one.silent_s():.0f} s{why}"
        return ""

    # -- leadership -------------------------------------------------------------------------

    def term(self) -> str:
        """The term in which this replica leads; empty while it does not."""
        return self.leadership.term if self.leadership.leading() else ""

    def why_not(self) -> str:
        return self.leadership.why_not()

    async def changed(self) -> None:
        """Return when leadership may have changed."""
        await self.leadership.changed.wait()
        self.leadership.changed.clear()

    async def resign(self) -> None:
        await self.leadership.resign()

    async def read_again(self) -> None:
        """List the pods anew: what an earlier leader wrote last may not have come by the watch yet."""
        pods = self.reflectors[2]
        if pods.listed_s <= self.leadership.since_s:
            pods.again()
            await pods.synced.wait()
        await self.maps.settled()

    async def claim(self, pods: Sequence[Pod], term: str) -> str:
        """Put our term on every one of these pods; empty when that is done, else what hinders it."""

        async def one(pod: Pod) -> Outcome:
            async with self._plans.of(term):
                attempt = partial(writes.claim, self._client, pod, term)
                return await repeat(attempt, may=self._while(term))

        outcomes = await asyncio.gather(*map(one, pods))
        return next((outcome.message for outcome in outcomes if not outcome.done), "")

    # -- writes -----------------------------------------------------------------------------

    async def let_through(self, write: Write) -> Outcome:
        """Nominate, annotate and lift the gate of one member."""
        place = _place(write.slot, write.plan, write.term)
        attempt = partial(
            writes.let_through,
            self._client,
            place,
            gated=write.gated,
            nominate=write.nominate,
            version=write.version,
            seen=write.seen,
            said=telling.condition("True", PLACED, _PLACED_TEXT, write.generation) if write.refused else None,
        )
        async with self._plans.of(write.plan):
            return await repeat(attempt, may=self._while(write.term))

    async def bind(
        self, *, pod: PodKey, uid: str, node: NodeName, slot: Slot | None, plan: str, version: str = ""
    ) -> Outcome:
        """Write one Binding until its outcome is certain. A pod of no gang waits for no gang."""
        term = self.leadership.term
        place = _place(slot, plan, term) if slot else None
        async with self._bindings.of(plan) if slot else contextlib.nullcontext():
            return await writes.bind(
                self._client, place, pod=pod, uid=uid, node=node, version=version, may=self._while(term)
            )

    async def evict(self, pod: Pod) -> Outcome:
        """Ask for the eviction of a member of a start that was broken off."""
        may = self._while(self.leadership.term)
        return await repeat(partial(writes.evict, self._client, pod), may=may)

    async def tell(self, note: telling.Note, count: int) -> Outcome:
        """Write an Event for the first or the `count`th time; not at all when we do not lead."""
        if not self.term():
            return NOT_LEADING
        if count == 1:
            return await telling.tell(self._client, note, instance=self._instance)
        return await telling.tell_again(self._client, note, count=count, instance=self._instance)

    async def say(self, pod: Pod, *, status: str, reason: str, text: str) -> Outcome:
        """Put our condition on a pod."""
        if not self.term():
            return NOT_LEADING
        return await telling.say(self._client, pod, status=status, reason=reason, text=text)

    def _while(self, term: str) -> Holds:
        """Whether this one term goes on: what was decided in it is not written in another."""
        return lambda: bool(term) and self.leadership.leading() and self.leadership.term == term


def leadership_of(client: ApiClient, config: Config, *, clock: Callable[[], float]) -> Elector | Alone:
    """By lease when one is configured; else this replica is the only one."""
    lease = config.service.leadership
    if lease is None:
        return Alone()
    return Elector(
        client,
        namespace=lease.namespace,
        name=lease.name,
        identity=identity_of(config),
        follow=lease.follow,
        clock=clock,
    )


def identity_of(config: Config) -> str:
    """Who we are among replicas."""
    lease = config.service.leadership
    return (lease.identity if lease else "") or socket.gethostname()


def _place(slot: Slot, plan: str, term: str) -> writes.Place:
    return writes.Place(slot.pod, slot.uid, slot.node, plan, slot.rank, term)
