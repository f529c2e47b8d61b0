"""`lockstep serve`: builds the real collaborators and runs them together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from importlib import import_module
from importlib.util import find_spec

from scheduler.cluster import LiveCluster
from scheduler.config import Config
from scheduler.doorkeeper import Tokens
from scheduler.engine.facts import FabricSeen
from scheduler.extender.tls import Files
from scheduler.fabrics import resources_of
from scheduler.kube.client import Access, ApiClient
from scheduler.kube.reviews import Reviewer
from scheduler.metrics import Metrics
from scheduler.model import InvalidField, InvalidInput
from scheduler.objectfeed import ObjectFeed, Objects
from scheduler.placement import kernels
from scheduler.ports import listening
from scheduler.rpc import server as rpc
from scheduler.service import Service
from scheduler.telling import Teller
from scheduler.tracing import NoTracer, Tracer, tracer_to
from scheduler.viewers import Doorkeeper, Open

log = logging.getLogger(__name__)

_DRAIN_S = 8.0
"""Well inside the 30 s that Kubernetes leaves a pod between SIGTERM and SIGKILL."""

_SWITCH_S = 0.0005
"""How long a solve that runs Python may keep the event loop waiting; the interpreter's own 5 ms come
several times in one request."""

_READING, _SERVING = (50_000, 20, 100), (5_000, 4, 5_000)
"""When garbage is looked for. While tens of thousands of pods are read hardly anything is garbage; later a
look at 50,000 objects at once would keep everybody waiting for 40 to 100 ms."""


def _keep_for_good() -> None:
    """What has been read when a term begins lives long: looking through it for garbage again and again
    would stop everything for 0.1 s and more. What comes from now on is looked through in small pieces."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SERVING)


async def serve(config: Config, access: Access) -> None:
    """Run until SIGTERM or SIGINT; every task's failure ends the service."""
    gc.set_threshold(*_READING)
    warm_up(config)
    async with contextlib.AsyncExitStack() as open_ones:
        metrics = Metrics()
        service = Service(config, metrics=metrics, tracer=_tracer(config, open_ones))
        client = await open_ones.enter_async_context(ApiClient(access))
        doorkeeper: Doorkeeper = Tokens(Reviewer(client)) if config.service.auth == "tokens" else Open()
        http = listening(service, config.service, doorkeeper=doorkeeper)
        addresses = await open_ones.enter_async_context(http)
        rpc_address = await open_ones.enter_async_context(
            rpc.listening(service, config.service.grpc, doorkeeper=doorkeeper, tls=_files(config))
        )
        cluster = LiveCluster(client, service, config=config)
        service.connect(cluster)
        service.lacking, service.watch_age_s = cluster.lacking, cluster.watch_age_s
        service.settled, service.engine.heard.filled = _keep_for_good, cluster.maps.filled
        told = ", ".join(addresses)
        log.info("listening on %s, gRPC on %s, reading %s", told, rpc_address or "nothing", access.url)
        sys.setswitchinterval(_SWITCH_S)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        feeds = await _object_feeds(client, config, service)
        running = (cluster.run(), service.run(), service.progress.run(), service.memory.run())
        tasks = [asyncio.create_task(one) for one in running]
        tasks.append(asyncio.create_task(_until(stop, service)))
        tasks += [asyncio.create_task(one.run()) for one in feeds]
        if config.service.tell != "none":
            tasks.append(asyncio.create_task(_teller(config, service, cluster, metrics).run()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def warm_up(config: Config) -> None:
    """Load and compile what no request shall wait for. Raises InvalidInput without the extra `fast`."""
    import_module("scheduler.placement.model")  # CP-SAT: loading it later would hold everybody up for 0.1 s
    if not config.service.compiled:
        return
    if find_spec("numba") is None:
        wanted = "false, or an installation with the extra: pip install 'lockstep[fast]'"
        raise InvalidInput(InvalidField("configuration", "service.compiled", "true", wanted))
    if kernels.warm_up():
        log.info("large gangs are decided by compiled loops")
    else:
        log.warning(
            "large gangs are decided by array operations: numba has no folder for its cache "
            "(NUMBA_CACHE_DIR names one)"
        )


def _tracer(config: Config, open_ones: contextlib.AsyncExitStack) -> Tracer:
    if not config.service.tracing:
        return NoTracer()
    tracer = tracer_to(config.service.tracing)
    open_ones.callback(tracer.close)
    return tracer


def _teller(config: Config, service: Service, cluster: LiveCluster, metrics: Metrics) -> Teller:
    return Teller(
        service.engine,
        cluster,
        metrics,
        domains=service.domains,
        clock=time.monotonic,
        conditions=config.service.tell == "conditions",
    )


def _files(config: Config) -> Files | None:
    tls = config.service.tls
    return Files(tls.cert_file, tls.key_file) if tls else None


async def _object_feeds(client: ApiClient, config: Config, service: Service) -> tuple[ObjectFeed, ...]:
    """Who reads the objects among the fabric's sources; they were read once before anything is planned."""

    def tell(objects: Objects) -> None:
        service.observe(FabricSeen(objects))
        service.wake()

    resources = resources_of(config.sources)
    if not resources:
        return ()
    feed = ObjectFeed(client, resources, tell)
    await feed.look()
    return (feed,)


async def _until(stop: asyncio.Event, service: Service) -> None:
    """Once told to stop: finish what is being written and hand over, within the time that is left."""
    await stop.wait()
    log.info("stopping")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(service.drain(), _DRAIN_S)
