"""ConfigMaps that pods with GPUs may take their sizes from, each read by its name: no list, and no watch.

They are read while a pod that names them waits for a node, for what a container is started with stays as
it was. A pod comes to the engine once they were answered for, or cannot be read now.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import NamedTuple

from scheduler.containers import ConfigMap, Container, filled
from scheduler.engine.facts import Fact, PodGone, PodSeen
from scheduler.feeds import Receiver
from scheduler.kube.client import ApiClient, Unclear
from scheduler.model import ANNOTATION_PLAN, InvalidField, Pod, PodKey
from scheduler.settings import config_map_of
from scheduler.workloads.elsewhere import maps_of

MOST = 1024
"""ConfigMaps that are known at a time, those that pods name."""

KEPT_S = 60.0
MISSED_S = 15.0
"""How long an answer counts; and that there is none, or that it cannot be read."""

LONGEST_S = 2.0
"""How long a pod waits for an answer."""

_AT_ONCE = 4
_LOOK_S = 1.0
_STEP = 50
"""Pods that are told before others may run: some milliseconds."""

_MOST_SHARED = 4096
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_FORBIDDEN = "the right to `get` configmaps is missing"
_OFF = "`workloads.configMaps` is false"


class _Key(NamedTuple):
    namespace: str
    name: str


@dataclass(slots=True)
class _Entry:
    """`found` is None until there is an answer, which counts until `until_s`; `pods`: who names it."""

    found: ConfigMap | None = None
    until_s: float = 0.0
    asking: bool = False
    pods: dict[PodKey, None] = field(default_factory=dict)


class MapFeed:
    """Stands between the feed of pods and their receiver, and fills in what ConfigMaps say."""

    def __init__(
        self,
        client: ApiClient,
        receiver: Receiver,
        *,
        allowed: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._receiver, self._allowed, self._clock = client, receiver, allowed, clock
        self._entries: dict[_Key, _Entry] = {}
        self._pods: dict[PodKey, tuple[Pod, frozenset[_Key]]] = {}
        self._held: set[PodKey] = set()
        self._shared: dict[tuple[str, Container], Container] = {}
        self._at_once, self._news = asyncio.Semaphore(_AT_ONCE), asyncio.Event()

    # -- between feed and receiver ------------------------------------------------------------

    def observe(self, fact: Fact) -> None:
        match fact:
            case PodSeen(pod):
                self._seen(pod)
            case PodGone(key):
                self._forget(key)
                self._receiver.observe(fact)
            case _:
                self._receiver.observe(fact)

    def wake(self) -> None:
        self._receiver.wake()

    def unreadable(self, fault: InvalidField) -> None:
        self._receiver.unreadable(fault)

    def filled(self, pod: Pod) -> Pod:
        """The pod with what is known of the ConfigMaps that it names; nothing is asked for."""
        if not any(True for _ in maps_of(pod)):
            return pod
        containers = tuple(self._container(pod.key.namespace, one) for one in pod.containers)
        return replace(pod, containers=containers)

    def _container(self, namespace: str, container: Container) -> Container:
        """Equal containers share what was filled in: a thousand pods do not keep a thousand copies."""
        found = self._shared.get((namespace, container))
        if found is None:
            found = filled(container, lambda name: self._known(_Key(namespace, name)))
            if len(self._shared) >= _MOST_SHARED:
                self._shared.clear()
            self._shared[namespace, container] = found
        return found

    def _known(self, key: _Key) -> ConfigMap | None:
        if not self._allowed:
            return ConfigMap(why=_OFF)
        entry = self._entries.get(key)
        if entry is None and len(self._entries) >= MOST:
            return ConfigMap(why=f"pods name more than {MOST} ConfigMaps")
        return entry.found if entry is not None else None

    def _seen(self, pod: Pod) -> None:
        before = self._pods.get(pod.key)
        if before is not None and before[0].uid != pod.uid:
            self._forget(pod.key)
        new = pod.key not in self._pods
        self._name(pod)
        waits = pod.node is None and not pod.finished and ANNOTATION_PLAN not in pod.annotations
        if waits and (new or pod.key in self._held) and self._unanswered(pod.key):
            self._held.add(pod.key)
            self._news.set()
            return
        self._tell(pod)
        if pod.finished:
            self._forget(pod.key)

    def _name(self, pod: Pod) -> None:
        """Note which ConfigMaps a pod names now."""
        named = {_Key(pod.key.namespace, name) for name in maps_of(pod)} if self._allowed else set()
        keys = frozenset(key for key in named if key in self._entries or self._open(key))
        if pod.key not in self._pods and not keys:
            return
        for key in self._pods.get(pod.key, (pod, frozenset[_Key]()))[1] - keys:
            self._drop(key, pod.key)
        self._pods[pod.key] = pod, keys
        for key in sorted(keys):
            self._entries[key].pods[pod.key] = None

    def _open(self, key: _Key) -> bool:
        if len(self._entries) >= MOST:
            return False
        self._entries[key] = _Entry()
        self._shared.clear()
        self._news.set()
        return True

    def _unanswered(self, key: PodKey) -> bool:
        if key not in self._pods:
            return False
        now_s = self._clock()
        return any(self._entries[one].until_s <= now_s for one in self._pods[key][1])

    def _tell(self, pod: Pod) -> None:
        self._held.discard(pod.key)
        self._receiver.observe(PodSeen(self.filled(pod)))

    def _forget(self, key: PodKey) -> None:
        self._held.discard(key)
        _, keys = self._pods.pop(key, (None, frozenset[_Key]()))
        for one in keys:
            self._drop(one, key)

    def _drop(self, key: _Key, pod: PodKey) -> None:
        pods = self._entries[key].pods
        pods.pop(pod, None)
        if not pods:
            del self._entries[key]
            self._shared.clear()

    # -- asking -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask for what pods that wait name, now and when its time is over; until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                for key, entry in self._due():
                    entry.asking = True
                    group.create_task(self._ask(key, entry))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._news.wait()

    async def settled(self) -> None:
        """Return when every ConfigMap was answered for once, or no pod waits for it any longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                while any(entry.found is None for entry in self._entries.values()):
                    await asyncio.sleep(0.02)

    def _due(self) -> list[tuple[_Key, _Entry]]:
        now_s = self._clock()
        return [
            (key, entry)
            for key, entry in self._entries.items()
            if not entry.asking
            and entry.until_s <= now_s
            and (entry.found is None or any(self._pods[pod][0].node is None for pod in entry.pods))
        ]

    async def _ask(self, key: _Key, entry: _Entry) -> None:
        try:
            found = await self._read(key)
            lasts_s = MISSED_S if found.data is None else KEPT_S
        except Unclear as error:
            known = entry.found if entry.found is not None and not entry.found.why else None
            found, lasts_s = known or ConfigMap(why=str(error)), MISSED_S  # what was read last counts
        entry.asking = False
        if self._entries.get(key) is not entry:
            return
        first, changed = entry.found is None, found != entry.found
        entry.found, entry.until_s = found, self._clock() + lasts_s
        if changed:
            self._shared.clear()
        for at, named in enumerate(tuple(entry.pods), start=1):
            self._answered(named, changed=changed)
            if first and at % _STEP == 0:
                await asyncio.sleep(0)  # a change comes to all at once: the members of a gang agree
        self._receiver.wake()

    def _answered(self, key: PodKey, *, changed: bool) -> None:
        held = key in self._held
        if key in self._pods and (changed or held) and not (held and self._unanswered(key)):
            self._tell(self._pods[key][0])

    async def _read(self, key: _Key) -> ConfigMap:
        """What a ConfigMap says, or why that cannot be known; raises Unclear when no answer came in time."""
        if not _NAME.fullmatch(key.name):
            return ConfigMap(why="no ConfigMap can have that name")
        path = f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}"
        try:
            async with asyncio.timeout(LONGEST_S), self._at_once:
                reply = await self._client.request("GET", path, timeout_s=LONGEST_S)
        except TimeoutError as error:
            raise Unclear(f"the API server gave no answer in {LONGEST_S:g} s") from error
        if reply.status == HTTPStatus.NOT_FOUND:
            return ConfigMap()
        if reply.status == HTTPStatus.FORBIDDEN:
            return ConfigMap(why=_FORBIDDEN)
        if not reply.ok:
            raise Unclear(f"the API server answered {reply.status}")
        try:
            document = json.loads(reply.body)
        except ValueError:
            return ConfigMap(why="the answer is no JSON")
        return config_map_of(document) if isinstance(document, dict) else ConfigMap(why="it is no object")
