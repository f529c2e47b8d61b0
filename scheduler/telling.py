"""Tells the owners of gangs in the cluster itself: an Event per gang when what is to be said of it changes,
and, where that is asked for, a condition on the members that wait.

Nothing is written for a gang that goes straight to its nodes but one Event. A text names no node and
nobody's pod but the gang's own place: whoever may read the namespace may read it.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from scheduler.engine.engine import Engine
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.kube.outcomes import Outcome
from scheduler.kube.telling import Note
from scheduler.metrics import Metrics
from scheduler.model import PLACED, PREFIX, RELEASED, Code, GangKey, Pod
from scheduler.show import reason_text, where_of
from scheduler.texts import capped, clean
from scheduler.viewers import counted
from topology.naming import natural_key

log = logging.getLogger(__name__)

LOOK_S = 1.0
PATIENCE_S = 4.0
"""How long members of a gang may keep coming before it is told that the others are missing."""

AGAIN_S = 60.0
"""How often the text of one and the same reason may change."""

_IN_FLIGHT = 4
_STEP = 8
"""Gangs that are looked at before others may run."""
_MOST_BYTES = 900
"""Of a note; the API server takes 1,024."""

_PLANNED = (State.RESERVED, State.COMMITTING, State.BOUND)

Write = Callable[[], Awaitable[Outcome]]
Work = tuple[str, Write]
"""Its kind, event or condition, and the write itself."""


class Ear(Protocol):
    """Who carries it to the API server."""

    def term(self) -> str: ...

    def tell(self, note: Note, count: int) -> Awaitable[Outcome]: ...

    def say(self, pod: Pod, *, status: str, reason: str, text: str) -> Awaitable[Outcome]: ...


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be said of a gang at a moment."""

    placed: bool
    reason: str
    text: str

    @property
    def status(self) -> str:
        return "True" if self.placed else "False"


@dataclass(slots=True)
class _Told:
    """What was said of a gang last, when, and how often each Event was written."""

    said: Said
    at_s: float
    counts: dict[str, int] = field(default_factory=dict)


def said_of(record: GangRecord, engine: Engine, domains: Mapping[str, int], now_s: float) -> Said | None:
    """What is to be said of a gang now; None while that is about to change, or not worth a word."""
    match record.state:
        case State.BLOCKED if record.rejection is not None and record.report is not None:
            reason = record.report["reason"]
            text = f"{record.report['verdict']}: {counted(reason, domains)}"
            return Said(False, str(record.rejection.code), _more(text, record.key))
        case State.INVALID:
            return Said(False, Code.INVALID.value, _text(f"invalid: {reason_text(record)}"))
        case State.FORMING | State.DEGRADED if now_s - record.since_s >= PATIENCE_S:
            return Said(False, Code.WAITING_FOR_MEMBERS.value, _text(f"waiting: {reason_text(record)}"))
        case _ if record.state in _PLANNED:
            place = where_of(record, engine.world.fabric)
            return Said(
                True,
                PLACED,
                _text(f"placed: {len(record.pods)} pod{'s' if len(record.pods) > 1 else ''} on {place}"),
            )
        case _:
            return None


def _more(text: str, key: GangKey) -> str:
    return _text(f"{text}; `kubectl lockstep explain {key}` says more")


def _text(text: str) -> str:
    return capped(clean(text), _MOST_BYTES)


class Teller:
    """Looks at every gang now and then, and writes what has changed; only while this replica leads."""

    def __init__(
        self,
        engine: Engine,
        ear: Ear,
        metrics: Metrics,
        *,
        domains: Callable[[], Mapping[str, int]],
        clock: Callable[[], float],
        conditions: bool,
    ) -> None:
        self._engine, self._ear, self._metrics = engine, ear, metrics
        self._domains, self._clock, self._conditions = domains, clock, conditions
        self._told: dict[GangKey, _Told] = {}
        self._tried: dict[str, tuple[str, str]] = {}
        self._term = ""

    async def run(self) -> None:
        """Look and write; until cancelled."""
        in_flight = asyncio.Semaphore(_IN_FLIGHT)

        async def one(kind: str, write: Write) -> None:
            async with in_flight:
                outcome = await write()
            self._metrics.told.labels(kind, "done" if outcome.done else "failed").inc()
            if not outcome.done and not outcome.conflict:
                log.warning("a gang's owner was not told (%s): %s", kind, outcome.message)

        while True:
            due: list[Work] = []
            for at, works in enumerate(self.look(), start=1):
                due += works
                if at % _STEP == 0:
                    await asyncio.sleep(0)
            await asyncio.gather(*itertools.starmap(one, due))
            await asyncio.sleep(LOOK_S)

    def look(self) -> Iterator[list[Work]]:
        """What is to be written now, gang by gang: kind, and the write itself. Others may run between two."""
        term = self._ear.term()
        first, self._term = term != self._term, term
        if not term or self._engine.term != term:
            self._told.clear()
            self._term = ""
            return
        now_s, domains = self._clock(), self._domains()
        there = [record for record in self._engine.gangs.values() if record.pods]
        self._forget(self._told.keys() - {record.key for record in there})
        for record in there:
            if record.pods:  # without any there is nobody whom an Event could be about
                yield self._works(record, domains, now_s, quiet=first)

    def _works(
        self, record: GangRecord, domains: Mapping[str, int], now_s: float, *, quiet: bool
    ) -> list[Work]:
        """What is to be written of one gang."""
        said = said_of(record, self._engine, domains, now_s)
        found: list[Work] = [
            ("event", partial(self._ear.tell, *self._note(record, one)))
            for one in self._due(record, said, now_s, quiet=quiet)
        ]
        if said is not None and self._conditions:
            found += [("condition", write) for write in self._sayings(record, said)]
        return found

    def _due(self, record: GangRecord, said: Said | None, now_s: float, *, quiet: bool) -> list[Said]:
        """What is to be told of a gang now. `quiet`: what is placed was told in an earlier term."""
        told = self._told.get(record.key)
        due: list[Said] = []
        if told is not None and told.said.placed and record.state not in _PLANNED and not record.bound:
            due.append(_text_of_release(record.key))
        last = due[-1] if due else told.said if told else None
        if said is not None and (last is None or _differs(said, last, now_s - (told.at_s if told else 0))):
            due.append(said)
        if due and told is None:
            self._told[record.key] = _Told(due[-1], now_s)
            return [] if quiet and due[-1].placed else due
        if due and told is not None:
            told.said, told.at_s = due[-1], now_s
        return due

    def _note(self, record: GangRecord, said: Said) -> tuple[Note, int]:
        """The Event about the gang's first member, and how often it was written with this one."""
        pod = min(record.pods.values(), key=lambda pod: natural_key(pod.key.name))
        alike = hashlib.blake2b("\n".join((pod.uid, said.reason, said.text)).encode(), digest_size=8)
        name = f"{pod.key.name[:200]}.{alike.hexdigest()}"
        counts = self._told[record.key].counts
        counts[name] = counts.get(name, 0) + 1
        marks = ((PREFIX + "gang", record.key.name), (PREFIX + "generation", str(record.tried[1])))
        return Note(name, pod, said.reason, said.text, not said.placed, marks), counts[name]

    def _sayings(self, record: GangRecord, said: Said) -> Iterator[Write]:
        """The conditions that are not as they should be. A plan that is written turns its own pod's."""
        wanted = f"{said.status}/{said.reason}"
        spoken = said.reason == Code.WAITING_FOR_MEMBERS or record.state is State.BOUND
        for uid, pod in record.pods.items():
            tried = (wanted, pod.resource_version)
            if pod.told == wanted or self._tried.get(uid) == tried:
                continue
            if (spoken and not pod.told) or (said.placed and record.state is not State.BOUND):
                continue
            if pod.node is not None and not said.placed:
                continue
            self._tried[uid] = tried
            yield partial(self._ear.say, pod, status=said.status, reason=said.reason, text=said.text)

    def _forget(self, gone: set[GangKey]) -> None:
        for key in gone:
            del self._told[key]
        if gone:
            here = {uid for record in self._engine.gangs.values() for uid in record.pods}
            self._tried = {uid: tried for uid, tried in self._tried.items() if uid in here}


def _text_of_release(key: GangKey) -> Said:
    return Said(False, RELEASED, _text(f"released: the plan was given up; gang {key} waits as a whole again"))


def _differs(said: Said, last: Said, after_s: float) -> bool:
    """Whether it must be told: another reason at once, another text of the same one now and then."""
    if (said.placed, said.reason) != (last.placed, last.reason):
        return True
    return said.text != last.text and (said.placed or after_s >= AGAIN_S)
