"""Leadership by a Lease (coordination.k8s.io), judged by what this process observes on its own clock.

The times that stand in the lease are never compared with ours: a holder counts as alive for as long
after we saw its lease *change* as the lease says. All waiting is on a monotonic clock, so a jump of
the wall clock changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec

from scheduler.kube.client import Unclear
from scheduler.kube.writes import Client

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a lease lasts unrenewed, how long a holder goes on without a renewal, how often it
    renews, and how often others look (seconds). A holder must stop before others may begin."""

    duration_s: float = 15.0
    deadline_s: float = 10.0
    renew_s: float = 2.0
    look_s: float = 1.0


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Lease(msgspec.Struct):
    metadata: _Meta
    spec: _Spec = field(default_factory=_Spec)


_LEASE = msgspec.json.Decoder(_Lease)


class Elector:
    """Holds a lease when it can. `leading()` is true only while it certainly does.

    `term` names this time of leading, empty while we do not; `since_s`: when it began.

    `follow`: never take the lease; lead while its holder's identity begins with `identity` and an
    underscore, as kube-scheduler in the same pod names itself. So a sidecar acts exactly when its
    scheduler does.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        follow: bool = False,
        times: LeaseTimes = LeaseTimes(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.term, self.since_s = "", float("-inf")
        self.changed = asyncio.Event()
        self.holder = ""
        self.error = ""
        self._client, self._identity, self._follow = client, identity, follow
        self._times, self._clock = times, clock
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._seen: tuple[str, float] = ("", 0.0)
        self._lasts_s = times.duration_s
        self._until_s = float("-inf")
        self._resigned = False

    def leading(self) -> bool:
        """Whether the lease is ours at this moment, by our own clock."""
        return bool(self.term) and self._clock() < self._until_s

    def why_not(self) -> str:
        """Why this replica does not lead; empty while it does."""
        if self.leading():
            return ""
        trouble = f": {self.error}" if self.error else ""
        return f"not the leader; the lease {self._name} is held by {self.holder or 'nobody'}{trouble}"

    async def run(self) -> None:
        """Take the lease when it is free and keep it; until cancelled."""
        while not self._resigned:
            started = self._clock()
            try:
                await self._turn(started)
                self.error = ""
            except (Unclear, msgspec.DecodeError) as error:
                self.error = str(error)
            if self.term and not self.leading():
                self._lose()
            await asyncio.sleep(self._pause(started))

    async def resign(self) -> None:
        """Give the lease back at once, for the next one to take it; nothing is written by us any more."""
        held, self._resigned = self.leading(), True
        self._lose()
        if not held or self._follow:
            return
        try:
            lease = await self._read()
            if lease is not None and lease.spec.holder_identity == self._identity:
                spec = _Spec("", 1, lease.spec.acquire_time, _now(), lease.spec.lease_transitions)
                await self._write(lease, spec)
        except (Unclear, msgspec.DecodeError) as error:
            log.warning("the lease could not be given back: %s", error)

    def _pause(self, started: float) -> float:
        """Until the next renewal, or until the lease we look at would be over, whichever is sooner."""
        if self.leading() and not self._follow:
            return max(self._times.renew_s - (self._clock() - started), 0.1)
        over = self._seen[1] + self._lasts_s - self._clock()
        return max(min(self._times.look_s, over) if over > 0 else self._times.look_s, 0.05)

    async def _turn(self, started: float) -> None:
        lease = await self._read()
        if lease is None:
            if not self._follow:
                await self._create(started)
            return
        self._observe(lease)
        if self._follow:
            alive = self._clock() - self._seen[1] < self._lasts_s
            if alive and self.holder.startswith(self._identity + "_"):
                self._lead(self._seen[1], lease.spec.lease_transitions or 0, until_s=self._lasts_s)
            elif self.term:
                self._lose()
            return
        mine = self.holder == self._identity
        free = not self.holder or self._clock() - self._seen[1] >= self._lasts_s
        if mine and self.term:
            await self._renew(lease, started)
        elif free:
            await self._take(lease, started)

    def _observe(self, lease: _Lease) -> None:
        self.holder = lease.spec.holder_identity or ""
        if lease.metadata.resource_version != self._seen[0]:
            self._seen = lease.metadata.resource_version, self._clock()
        self._lasts_s = float(lease.spec.lease_duration_seconds or self._times.duration_s)

    async def _renew(self, lease: _Lease, started: float) -> None:
        spec = msgspec.structs.replace(lease.spec, renew_time=_now())
        if await self._write(lease, spec):
            self._until_s = started + self._times.deadline_s

    async def _take(self, lease: _Lease, started: float) -> None:
        count = (lease.spec.lease_transitions or 0) + 1
        spec = _Spec(self._identity, int(self._times.duration_s), _now(), _now(), count)
        if await self._write(lease, spec):
            self._lead(started, count, until_s=self._times.deadline_s)

    async def _create(self, started: float) -> None:
        spec = _Spec(self._identity, int(self._times.duration_s), _now(), _now(), 0)
        document = {**self._document(spec), "metadata": {"name": self._name}}
        reply = await self._client.request("POST", self._collection, body=_encode(document), timeout_s=5)
        if reply.ok:
            self._lead(started, 0, until_s=self._times.deadline_s)
        elif reply.status != HTTPStatus.CONFLICT:
            raise Unclear(f"the lease cannot be created: {reply.status} {_text(reply.body)}")

    async def _read(self) -> _Lease | None:
        reply = await self._client.request("GET", f"{self._collection}/{self._name}", timeout_s=5)
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        if not reply.ok:
            raise Unclear(f"the lease cannot be read: {reply.status} {_text(reply.body)}")
        return _LEASE.decode(reply.body)

    async def _write(self, lease: _Lease, spec: _Spec) -> bool:
        """Replace the lease if nobody else has since; False when somebody was faster."""
        meta = {"name": self._name, "resourceVersion": lease.metadata.resource_version}
        document = {**self._document(spec), "metadata": meta}
        path = f"{self._collection}/{self._name}"
        reply = await self._client.request("PUT", path, body=_encode(document), timeout_s=5)
        if reply.ok:
            self._observe(_LEASE.decode(reply.body))
            return True
        if reply.status == HTTPStatus.CONFLICT:
            return False
        raise Unclear(f"the lease cannot be written: {reply.status} {_text(reply.body)}")

    @staticmethod
    def _document(spec: _Spec) -> dict[str, object]:
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}

    def _lead(self, since_s: float, transitions: int, *, until_s: float) -> None:
        self._until_s = since_s + until_s
        if not self.term:
            self.since_s = self._clock()
            self.term = f"{transitions}-{secrets.token_hex(4)}"
            self.holder = self.holder or self._identity
            log.info("leading, term %s, as %s", self.term, self._identity)
            self.changed.set()

    def _lose(self) -> None:
        if self.term:
            log.warning("not leading any more, after term %s", self.term)
        self.term, self._until_s = "", float("-inf")
        self.changed.set()


class Alone:
    """Leadership where nobody else is: one replica, which leads for as long as it runs."""

    def __init__(self) -> None:
        self.term, self.since_s = f"0-{secrets.token_hex(4)}", float("-inf")
        self.changed = asyncio.Event()

    def leading(self) -> bool:
        return bool(self.term)

    def why_not(self) -> str:
        return "" if self.term else "stopping"

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def resign(self) -> None:
        self.term = ""
        self.changed.set()


def _now() -> str:
    """The wall clock, for people who look at the lease; nothing is decided by it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(body: bytes) -> str:
    return body[:200].decode(errors="replace")
