"""An API server, a kube-scheduler and a clock of ours, for what the real ones do not do on demand.

Everything runs on one event loop whose time is virtual: waiting costs nothing, so thousands of
histories with a crash in each pass in a minute, and a seed tells each of them again.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scheduler.kube.client import Reply, Unclear, WatchRefused
from tests.builders import GPU

T = TypeVar("T")
Object = dict[str, Any]

GATE = "lockstep.scheduling/gang"
POD_ROOT = "/api/v1/namespaces/default/pods"


class _NoWait(selectors.SelectSelector):
    """Instead of waiting, time goes on."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is left that could happen")
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due."""

    def __init__(self) -> None:
        selector = _NoWait()
        selector.loop = self
        self.now_s = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def virtually(test: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(test())


def now_s() -> float:
    """The clock that everything under test is given."""
    return asyncio.get_running_loop().time()


class Inline(Executor):
    """Computes at once, on the calling thread: a solver that takes no virtual time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Died(asyncio.CancelledError):
    """The process that made this request was killed."""


@dataclass
class Faults:
    """What goes wrong: a seeded die for every request.

    `slow_s`: longest time a request takes; `lose`: share of writes whose answer is lost; `busy`:
    share of requests refused with 429; `broken`: share of writes answered with 500 that took effect
    all the same; `stall`: watches bring nothing until it ends.
    """

    slow_s: float = 0.02
    lose: float = 0.0
    busy: float = 0.0
    broken: float = 0.0
    away: bool = False
    stall: bool = False


@dataclass
class FakeApi:
    """Pods, nodes, leases and their versions, under the API server's own rules for writing them."""

    dice: random.Random
    asides: random.Random = field(default_factory=lambda: random.Random(0))
    faults: Faults = field(default_factory=Faults)
    version: int = 10
    objects: dict[str, Object] = field(default_factory=dict)
    history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    oldest: int = 0
    writes: list[tuple[str, str]] = field(default_factory=list)
    after_write: list[Callable[[], None]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    # -- what the test does ------------------------------------------------------------------

    def add_node(self, name: str, *, gpus: int = 8, labels: Mapping[str, str] | None = None) -> None:
        allocatable = {"cpu": "64", "memory": "1Ti", "pods": "110", GPU: str(gpus)}
        condition = {"type": "Ready", "status": "True"}
        self._store(
            f"/api/v1/nodes/{name}",
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
                "spec": {},
                "status": {"allocatable": allocatable, "conditions": [condition]},
            },
        )

    def add_pod(self, name: str, *, gpus: int, annotations: Mapping[str, str], gated: bool = True) -> None:
        resources = {"limits": {GPU: str(gpus)}}
        self._store(
            f"{POD_ROOT}/{name}",
            {
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "uid": f"uid-{name}-{self.version}",
                    "annotations": dict(annotations),
                    "creationTimestamp": f"2026-01-01T00:00:{self.version % 60:02d}Z",
                },
                "spec": {
                    "containers": [{"name": "main", "resources": resources}],
                    **({"schedulingGates": [{"name": GATE}]} if gated else {}),
                },
                "status": {"phase": "Pending"},
            },
        )

    def remove(self, path: str) -> None:
        obj = self.objects.pop(path, None)
        if obj is not None:
            self._note("DELETED", path, obj)

    def change(self, path: str, change: Callable[[Object], None]) -> None:
        obj = copy.deepcopy(self.objects[path])
        change(obj)
        self._store(path, obj)

    def forget_history(self) -> None:
        """As after a compaction: watches from earlier versions are refused with 410."""
        self.oldest = self.version

    def pods(self) -> list[Object]:
        return [obj for path, obj in sorted(self.objects.items()) if path.startswith(POD_ROOT)]

    def used(self) -> dict[str, int]:
        """GPUs taken on each node by pods that are bound."""
        found: dict[str, int] = {}
        for pod in self.pods():
            node = pod["spec"].get("nodeName")
            if node and pod["status"]["phase"] not in ("Succeeded", "Failed"):
                found[node] = found.get(node, 0) + gpus_of(pod)
        return found

    def overfull(self) -> list[str]:
        """Nodes with more promised than they have: always empty, or S1 is broken."""
        total = {
            obj["metadata"]["name"]: int(obj["status"]["allocatable"][GPU])
            for path, obj in self.objects.items()
            if path.startswith("/api/v1/nodes/")
        }
        return [node for node, used in sorted(self.used().items()) if used > total.get(node, 0)]

    # -- what the API server does ------------------------------------------------------------

    def answer(self, method: str, path: str, body: Any, content_type: str) -> tuple[int, Object]:
        """One request, at one moment."""
        if method == "GET":
            return self._get(path)
        if path.endswith("/binding"):
            return self._bind(path.removesuffix("/binding"), body)
        if path.endswith("/eviction"):
            return self._evict(path.removesuffix("/eviction"), body)
        if method == "PATCH":
            return self._patch(path.removesuffix("/status"), body)
        if path.endswith("accessreviews"):
            return 201, {**body, "status": {"allowed": True}}
        if method == "POST":
            return self._create(path, body)
        assert method == "PUT"
        return self._replace(path, body)

    def _get(self, path: str) -> tuple[int, Object]:
        if path == "/readyz":
            return 200, {}
        if path in ("/api/v1/pods", "/api/v1/nodes"):
            prefix = POD_ROOT + "/" if path.endswith("pods") else "/api/v1/nodes/"
            items = [obj for at, obj in sorted(self.objects.items()) if at.startswith(prefix)]
            return 200, {"metadata": {"resourceVersion": str(self.version)}, "items": items}
        found = self.objects.get(path)
        return (200, found) if found is not None else (404, {"message": f"{path} not found"})

    def _bind(self, path: str, body: Any) -> tuple[int, Object]:
        pod = self.objects.get(path)
        if pod is None:
            return 404, {"message": "not found"}
        wrong = _precondition(pod, body["metadata"])
        if wrong or pod["spec"].get("nodeName") or pod["spec"].get("schedulingGates"):
            return 409, {"message": wrong or "already assigned or gated"}
        made = copy.deepcopy(pod)
        made["spec"]["nodeName"] = body["target"]["name"]
        made["metadata"].setdefault("annotations", {}).update(body["metadata"].get("annotations") or {})
        self._store(path, made)
        return 201, {"status": "Success"}

    def _evict(self, path: str, body: Any) -> tuple[int, Object]:
        pod = self.objects.get(path)
        wanted = body["deleteOptions"]["preconditions"]
        if pod is None or pod["metadata"]["uid"] != wanted["uid"]:
            return (404, {}) if pod is None else (409, {})
        self.remove(path)
        return 201, {}

    def _patch(self, path: str, body: Any) -> tuple[int, Object]:
        obj = self.objects.get(path)
        if obj is None:
            return 404, {"message": "not found"}
        wrong = _precondition(obj, body.get("metadata", {}))
        if wrong:
            return 409, {"message": wrong}
        made = copy.deepcopy(obj)
        made["metadata"].setdefault("annotations", {}).update(body["metadata"].get("annotations", {}))
        made["status"].update(body.get("status", {}))
        if body.get("spec", {}).get("schedulingGates"):
            made["spec"].pop("schedulingGates", None)
        if made != obj:
            self._store(path, made)
        return 200, self.objects[path]

    def _create(self, path: str, body: Any) -> tuple[int, Object]:
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            return 409, {"message": "already exists"}
        self._store(at, body)
        return 201, self.objects[at]

    def _replace(self, path: str, body: Any) -> tuple[int, Object]:
        obj = self.objects.get(path)
        if obj is None:
            return 404, {}
        wrong = _precondition(obj, {"resourceVersion": body["metadata"]["resourceVersion"]})
        if wrong:
            return 409, {"message": wrong}
        self._store(path, body)
        return 200, self.objects[path]

    def _store(self, path: str, obj: Object) -> None:
        kind = "MODIFIED" if path in self.objects else "ADDED"
        made = copy.deepcopy(obj)
        self.objects[path] = made
        self._note(kind, path, made)

    def _note(self, kind: str, path: str, obj: Object) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, kind, path, obj))
        self._news.set()
        self._news = asyncio.Event()

    # -- watching -------------------------------------------------------------------------------

    async def watch(self, path: str, since: int, *, lasts_s: float) -> AsyncIterator[bytes]:
        """Everything after a version, in order; each event after the delay of a real watch.

        Ends after so long, as it was asked to, unless it stalls.
        """
        prefix = POD_ROOT + "/" if path.endswith("pods") else "/api/v1/nodes/"
        ends_s = now_s() + lasts_s
        at = next((n for n, one in enumerate(self.history) if one[0] > since), len(self.history))
        while True:
            news = self._news
            while at < len(self.history) and not self.faults.stall:
                _, kind, where, obj = self.history[at]
                at += 1
                if where.startswith(prefix):
                    yield json.dumps({"type": kind, "object": obj}).encode()
            try:
                async with asyncio.timeout_at(None if self.faults.stall else ends_s):
                    await news.wait()
            except TimeoutError:
                if not self.faults.stall:
                    return
            await asyncio.sleep(self.dice.uniform(0, self.faults.slow_s))


def _precondition(obj: Object, wanted: Mapping[str, Any]) -> str:
    for key in ("uid", "resourceVersion"):
        if key in wanted and wanted[key] != obj["metadata"].get(key):
            return f"the object has been modified: {key} is {obj['metadata'].get(key)}"
    return ""


def gpus_of(pod: Object) -> int:
    return int(pod["spec"]["containers"][0]["resources"]["limits"][GPU])


class FakeClient:
    """The connection of one process to the API. `kill_at`: the write that is this process's last.

    When a process dies, the requests it has sent may still arrive: some at once, some later.
    """

    def __init__(self, api: FakeApi, *, kill_at: int = 0, on_death: Callable[[], None] | None = None) -> None:
        self._api, self._kill_at, self._on_death = api, kill_at, on_death
        self.answer = api.answer
        self.awake = asyncio.Event()
        self.awake.set()
        self.sent = 0
        self.dead = False
        self.cut = False

    def die(self) -> None:
        self.dead = True
        if self._on_death is not None:
            self._on_death()

    def kill_after(self, writes: int) -> None:
        """Die at the write that many from now; with 0 at none."""
        self._kill_at = self.sent + writes if writes else 0

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
        asks = path.endswith("accessreviews")  # how many rights there are must not tell another story
        dice, faults = self._api.asides if asks else self._api.dice, self._api.faults
        self._alive()
        if path.startswith("/apis/scheduling"):
            return Reply(404, b"{}")
        document = json.loads(body) if body is not None else None
        writes = method != "GET" and "/leases" not in path and not asks
        if writes:
            self.sent += 1
            if self.sent == self._kill_at:
                self._last_words(method, path, document, content_type)
        await asyncio.sleep(dice.uniform(0, faults.slow_s))
        await self.awake.wait()
        self._alive()
        if faults.away or self.cut:
            raise Unclear("connection refused")
        if dice.random() < faults.busy:
            return Reply(429, b'{"message": "too many requests"}', 1.0)
        status, found = self.answer(method, path, document, content_type)
        if writes:
            self._noted(method, path, status)
        encoded = json.dumps(found).encode()
        await asyncio.sleep(dice.uniform(0, faults.slow_s))
        await self.awake.wait()
        self._alive()
        if writes and dice.random() < faults.lose:
            raise Unclear("the connection was reset")
        if writes and dice.random() < faults.broken:
            return Reply(500, b'{"message": "etcdserver: request timed out"}')
        return Reply(status, encoded)

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        self._alive()
        if self._api.faults.away or self.cut:
            raise Unclear("connection refused")
        since = int(query["resourceVersion"])
        if since < self._api.oldest:
            raise WatchRefused(410, "too old resource version")
        yield self._batches(path, since, lasts_s=float(query["timeoutSeconds"]))

    async def _batches(self, path: str, since: int, *, lasts_s: float) -> AsyncIterator[list[bytes]]:
        async for line in self._api.watch(path, since, lasts_s=lasts_s):
            await self.awake.wait()
            self._alive()
            if self._api.faults.away or self.cut:
                raise Unclear("connection reset")
            yield [line]

    def _last_words(self, method: str, path: str, body: Any, content_type: str) -> None:
        """The process is killed as it sends this: it arrives at once, later, or never."""
        fate = self._api.dice.choice(("at once", "later", "never"))
        if fate == "at once":
            self._arrive(method, path, body, content_type)
        elif fate == "later":
            delay_s = self._api.dice.uniform(0, 3)
            asyncio.get_running_loop().call_later(delay_s, self._arrive, method, path, body, content_type)
        self.die()
        raise Died

    def _arrive(self, method: str, path: str, body: Any, content_type: str) -> None:
        status, _ = self._api.answer(method, path, body, content_type)
        self._noted(method, path, status)

    def _noted(self, method: str, path: str, status: int) -> None:
        if status < 300:
            self._api.writes.append((method, path))
        for check in self._api.after_write:
            check()

    def _alive(self) -> None:
        if self.dead:
            raise Died


class FakeScheduler:
    """kube-scheduler as far as an extender sees it: queue with backoff, filter, assume, concurrent binds.

    `ask(verb, body)` reaches the extender, or raises ConnectionError.
    """

    def __init__(
        self,
        api: FakeApi,
        ask: Callable[[str, bytes], Coroutine[Any, Any, Any]],
        *,
        timeout_s: float = 20.0,
        pause_s: float = 0.02,
    ) -> None:
        self._pause_s = pause_s
        self._api, self._ask, self._timeout_s = api, ask, timeout_s
        self._assumed: dict[str, str] = {}
        self._not_before: dict[str, float] = {}
        self._binds: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            for pod in self._api.pods():
                await self._try(pod)
            await asyncio.sleep(self._pause_s)

    async def _try(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        waits = not pod["spec"].get("nodeName") and not pod["spec"].get("schedulingGates")
        if not waits or uid in self._assumed or now_s() < self._not_before.get(uid, 0):
            return
        names = self._feasible(gpus_of(pod))
        body = json.dumps({"Pod": pod, "Nodes": None, "NodeNames": names}).encode()
        try:
            reply = await asyncio.wait_for(self._ask("filter", body), self._timeout_s) if names else {}
        except (ConnectionError, TimeoutError):
            reply = {"Error": "unreachable"}
        kept = reply.get("NodeNames") or []
        assert set(kept) <= set(names), "S7: filter invented a node"
        if not kept or reply.get("Error"):
            self._not_before[uid] = now_s() + self._api.dice.uniform(0.1, 1.0)
            return
        self._assumed[uid] = kept[0]
        task = asyncio.get_running_loop().create_task(self._bind(pod, kept[0]))
        self._binds.add(task)
        task.add_done_callback(self._binds.discard)

    async def _bind(self, pod: Object, node: str) -> None:
        meta = pod["metadata"]
        body = {
            "PodName": meta["name"],
            "PodNamespace": meta["namespace"],
            "PodUID": meta["uid"],
            "Node": node,
        }
        try:
            reply = await asyncio.wait_for(self._ask("bind", json.dumps(body).encode()), self._timeout_s)
            error = reply["Error"]
        except (ConnectionError, TimeoutError) as failed:
            error = str(failed) or "timed out"
        if error:
            self._not_before[meta["uid"]] = now_s() + self._api.dice.uniform(0.5, 2.0)
        self._assumed.pop(meta["uid"], None)

    def _feasible(self, gpus: int) -> list[str]:
        used = self._api.used()
        by_uid = {pod["metadata"]["uid"]: pod for pod in self._api.pods()}
        for uid, node in self._assumed.items():
            pod = by_uid.get(uid)
            if pod is not None and not pod["spec"].get("nodeName"):
                used[node] = used.get(node, 0) + gpus_of(pod)
        return [
            obj["metadata"]["name"]
            for path, obj in sorted(self._api.objects.items())
            if path.startswith("/api/v1/nodes/")
            and not obj["spec"].get("unschedulable")
            and used.get(obj["metadata"]["name"], 0) + gpus <= int(obj["status"]["allocatable"][GPU])
        ]
