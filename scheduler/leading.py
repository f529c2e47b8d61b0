"""What leading takes: a cluster that says who leads, and the first act of every term."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from scheduler.engine.engine import Engine
from scheduler.engine.takeover import carriers
from scheduler.model import ANNOTATION_TERM, Pod
from scheduler.writing import Target

_AGAIN_S = 1.0
_LOOK_S = 0.02


class Cluster(Target, Protocol):
    """What the service needs of the API server: how fresh our view is, who leads, and the writes."""

    def not_ready(self) -> list[str]:
        """Why the view of the cluster is not complete; empty once it is."""

    def stale(self) -> str:
        """Why the view is too old to plan on; empty while it is fresh."""

    def term(self) -> str:
        """The term in which this replica leads; empty while it does not."""

    def why_not(self) -> str:
        """Why it does not lead; empty while it does."""

    def changed(self) -> Awaitable[None]:
        """Returns when leadership may have changed."""

    def read_again(self) -> Awaitable[None]:
        """Returns when our view holds everything that was written before the term began."""

    def claim(self, pods: Sequence[Pod], term: str) -> Awaitable[str]:
        """Put the term on pods, so that writes of earlier terms fail; empty, or what hinders it."""

    def resign(self) -> Awaitable[None]:
        """Lead no more, and let another begin at once."""


async def claimed(cluster: Cluster, engine: Engine, term: str, *, tell: Callable[[str], None]) -> bool:
    """Put our term on every waiting pod that carries a plan, and see it there; False: the term ended.

    From then on no write of an earlier term can take effect on them. `tell` hears what hinders it.
    """
    done: set[str] = set()
    while cluster.term() == term:
        waiting = carriers(engine.gangs.values())
        old = [pod for pod in waiting if pod.annotations.get(ANNOTATION_TERM) != term]
        if not old:
            return True
        trouble = await cluster.claim([pod for pod in old if pod.uid not in done], term)
        if trouble:
            tell(f"plans of an earlier term cannot be claimed: {trouble}")
        else:
            done.update(pod.uid for pod in old)
        await asyncio.sleep(_AGAIN_S if trouble else _LOOK_S)
    return False


async def within(awaitable: Awaitable[object], *, timeout_s: float) -> None:
    """Wait, but not for ever. (`wait_for` loses a cancellation that comes together with the result.)"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await awaitable
