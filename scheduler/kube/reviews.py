"""Who a bearer token belongs to and what that user may do, as the API server says; remembered briefly.

Answers are kept for seconds and in bounded number, wrong tokens too, and only a few questions are
under way at a time: whoever sends many tokens here sends few requests to the API server.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from scheduler.kube.client import ApiClient, Unclear

KEPT_S = 10.0
MOST_KEPT = 2048
MOST_UNDER_WAY = 8
MOST_WAITING = 64

_encode = msgspec.json.Encoder().encode
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class User:
    """Who the API server says a token belongs to."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody would do: a verb on a resource (empty namespace: everywhere), or on a path."""

    verb: str
    resource: str = ""
    group: str = ""
    namespace: str = ""
    path: str = ""
    subresource: str = ""

    @property
    def attributes(self) -> dict[str, Any]:
        """As reviews ask about it."""
        if self.path:
            return {"nonResourceAttributes": {"verb": self.verb, "path": self.path}}
        asked = {
            "verb": self.verb,
            "resource": self.resource,
            "group": self.group,
            "namespace": self.namespace,
            "subresource": self.subresource,
        }
        return {"resourceAttributes": {key: value for key, value in asked.items() if value}}


class TooManyReviews(RuntimeError):
    """So many reviews wait for the API server that this one is refused."""


class Reviewer:
    """TokenReview and SubjectAccessReview with short memories; raises Unclear and TooManyReviews."""

    def __init__(self, client: ApiClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._users: _Memory[User | None] = _Memory(clock)
        self._rights: _Memory[bool] = _Memory(clock)
        self._under_way = asyncio.Semaphore(MOST_UNDER_WAY)
        self._waiting = 0

    async def user(self, token: str) -> User | None:
        """Whose token that is; None for one that the API server does not know."""
        key = hashlib.sha256(token.encode(errors="replace")).digest()
        return await self._users.of(key, lambda: self._authenticate(token))

    async def may(self, user: User, act: Act) -> bool:
        """Whether that user may do that."""
        return await self._rights.of((user, act), lambda: self._authorize(user, act))

    async def _authenticate(self, token: str) -> User | None:
        status = await self._review("authentication.k8s.io", "TokenReview", {"token": token})
        found = status.get("user") or {}
        if not status.get("authenticated") or not found.get("username"):
            return None
        extra = tuple((key, tuple(values)) for key, values in sorted((found.get("extra") or {}).items()))
        return User(found["username"], found.get("uid", ""), tuple(found.get("groups") or ()), extra)

    async def _authorize(self, user: User, act: Act) -> bool:
        asked = {"user": user.name, "uid": user.uid, "groups": list(user.groups), **act.attributes}
        if user.extra:
            asked["extra"] = {key: list(values) for key, values in user.extra}
        status = await self._review("authorization.k8s.io", "SubjectAccessReview", asked)
        return status.get("allowed") is True

    async def _review(self, group: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        if self._waiting >= MOST_WAITING:
            raise TooManyReviews(f"{self._waiting} reviews wait already")
        self._waiting += 1
        try:
            async with self._under_way:
                return await review(self._client, group, kind, spec)
        finally:
            self._waiting -= 1


async def review(client: ApiClient, group: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The status of one review; raises Unclear when the API server does not give one."""
    body = _encode({"apiVersion": f"{group}/v1", "kind": kind, "spec": spec})
    reply = await client.request("POST", f"/apis/{group}/v1/{kind.lower()}s", body=body, timeout_s=5)
    if not reply.ok:
        raise Unclear(f"{kind}: {reply.status} {reply.body[:200].decode(errors='replace')}")
    try:
        found: dict[str, Any] = msgspec.json.decode(reply.body)["status"]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise Unclear(f"{kind}: an answer that is none") from error
    return found


async def own_rights(client: ApiClient, acts: tuple[Act, ...]) -> dict[Act, bool]:
    """Which of these we may do ourselves; raises Unclear."""

    async def ask(act: Act) -> bool:
        status = await review(client, "authorization.k8s.io", "SelfSubjectAccessReview", act.attributes)
        return status.get("allowed") is True

    answers = await asyncio.gather(*(ask(act) for act in acts))
    return dict(zip(acts, answers, strict=True))


class _Memory(Generic[V]):
    """Answers by question, each for KEPT_S, the oldest out first; one asks for all who wait for the same."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[V]] = {}

    async def of(self, key: Hashable, ask: Callable[[], Awaitable[V]]) -> V:
        known = self._kept.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._ask(key, ask))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: Hashable, done: asyncio.Task[V]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # told to whoever still waits; nobody may

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[V]]) -> V:
        value = await ask()
        self._kept.pop(key, None)
        self._kept[key] = (self._clock() + KEPT_S, value)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return value
