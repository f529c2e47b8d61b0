"""How much memory this process has, and whether that is about to end.

A container that asks for more than its limit is killed without a word; this says so before.
Sources: proc(5) for what is resident, cgroups(7) for the limit (`memory.max` of version 2,
`memory.limit_in_bytes` of version 1).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_MIB = 2**20
_TIGHT = 0.9
"""Share of the limit from which it is told."""
_LOOK_S = 5.0
_UNLIMITED = 2**60
"""Version 1 writes a number near 2^63 where there is no limit."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that are resident, and the limit; None where there is none."""

    resident: int
    limit: int | None = None

    def tight(self) -> str:
        """What is to be said when little is left; empty otherwise."""
        if self.limit is None or self.resident < _TIGHT * self.limit:
            return ""
        return (
            f"{self.resident // _MIB} MiB of memory are in use and the limit is {self.limit // _MIB} MiB: "
            "beyond it this process is killed; raise the limit"
        )


def look(proc: Path = Path("/proc/self"), cgroups: Path = Path("/sys/fs/cgroup")) -> Memory:
    """As the kernel tells it; nothing where it tells nothing."""
    try:
        resident = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return Memory(0)
    limits = [limit for path in _limit_files(proc, cgroups) if (limit := _limit(path)) is not None]
    return Memory(resident, min(limits, default=None))


def _limit_files(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Of our own group as seen from the host, and as seen from inside a container."""
    yield cgroups / "memory.max"
    yield cgroups / "memory" / "memory.limit_in_bytes"
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield cgroups / path.lstrip("/") / "memory.max"
        elif "memory" in controllers.split(","):
            yield cgroups / "memory" / path.lstrip("/") / "memory.limit_in_bytes"


def _limit(path: Path) -> int | None:
    try:
        found = path.read_text().strip()
    except OSError:
        return None
    return int(found) if found.isdecimal() and int(found) < _UNLIMITED else None


class MemoryWatch:
    """Looks now and then; says in the log when memory becomes tight and when it no longer is."""

    def __init__(self, look: Callable[[], Memory] = look) -> None:
        self._look, self._last = look, Memory(0)

    @property
    def tight(self) -> str:
        """What was to be said at the last look."""
        return self._last.tight()

    def once(self) -> Memory:
        """Look now."""
        before, self._last = self.tight, self._look()
        if self.tight and not before:
            log.warning("degraded: %s", self.tight)
        elif before and not self.tight:
            log.info("there is memory enough again")
        return self._last

    async def run(self) -> None:
        """Look every some seconds; until cancelled."""
        while True:
            self.once()
            await asyncio.sleep(_LOOK_S)
