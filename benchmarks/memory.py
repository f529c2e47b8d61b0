"""What one decision adds to the memory of a process, each measured in a process of its own.

In a process that has decided before, freed memory that the allocator keeps would be used again
and a decision would seem to cost nothing.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from benchmarks import instances
from benchmarks.figures import Figure
from scheduler.placement import kernels
from scheduler.placement.place import place
from scheduler.placement.problem import PlacementProblem

_NODES = 25_000

_CASES: tuple[tuple[str, Callable[[], PlacementProblem]], ...] = (
    ("1,024 pods NVL72", lambda: instances.tensor_pairs(instances.nvl72(_NODES, 0.5, 0), 1024, 4)),
    ("1,024 pods HGX", lambda: instances.tensor_pairs(instances.hgx(_NODES, 0.5, 0), 1024, 8)),
    ("900 pods, leaf preferred", lambda: instances.preferred_rack(instances.nvl72(_NODES, 0.3, 0), 900)),
    ("four pod shapes, by the model", lambda: instances.pod_shapes(_NODES // 18, 4, 6, 0)),
)


def memory_of_decisions(tell: Callable[[str], None]) -> Figure:
    """The most that any of these decisions adds, in MiB; raises RuntimeError where nothing was seen."""
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        added = pool.map(_added_kibibytes, range(len(_CASES)), chunksize=1)
    if min(added) <= 0:
        raise RuntimeError(f"the peak was not seen: {added} KiB")
    told = ", ".join(f"{name} {one / 1024:.1f}" for (name, _), one in zip(_CASES, added, strict=True))
    tell(f"memory of a decision, MiB: {told}")
    return Figure(
        "memory of one decision, 25,000 nodes", max(added) / 1024, "MiB", 200, f"peak over idle: {told}"
    )


def _added_kibibytes(case: int) -> int:
    """Peak resident memory during one decision, less what was resident before it."""
    kernels.warm_up()
    place(instances.pod_shapes(8, 4, 2, 0))  # loads what an idle service has loaded already
    problem = _CASES[case][1]()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again from here
    before = _kibibytes("VmRSS")
    place(problem)
    return _kibibytes("VmHWM") - before


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
