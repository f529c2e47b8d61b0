"""One job of a trace: a gang of equal pods that come at a time and run for a while."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from scheduler.model import InvalidField, InvalidInput, NodeTerm, PodShape, Requirement

GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"


@dataclass(frozen=True, slots=True)
class Job:
    """A gang as a trace tells of it.

    Times in seconds; `submit_s` counts from the first job of the trace. `gpu_milli` is the share
    of each GPU that is asked for (1000: whole GPUs). `cpu_millis` and `memory_bytes` are per pod,
    0 where the trace does not say. `products`: GPU models that will do, any when empty. `where`
    names file and line, for messages.
    """

    id: str
    submit_s: float
    duration_s: float
    pods: int
    gpus_per_pod: int
    gpu_milli: int = 1000
    cpu_millis: int = 0
    memory_bytes: int = 0
    tenant: str = ""
    priority: int = 0
    products: tuple[str, ...] = ()
    where: str = ""

    @property
    def gpus(self) -> int:
        """GPUs of the whole gang; a share of a GPU counts as one."""
        return self.pods * self.gpus_per_pod

    def shape(self) -> PodShape:
        """What one pod asks of a node; a share of a GPU takes a whole one here."""
        asked = {"cpu": self.cpu_millis, "memory": self.memory_bytes, GPU: self.gpus_per_pod}
        requests = {name: amount for name, amount in asked.items() if amount} | {"pods": 1}
        return PodShape(tuple(sorted(requests.items())), affinity=_affinity(self.products))


def _affinity(products: tuple[str, ...]) -> tuple[NodeTerm, ...] | None:
    return (NodeTerm((Requirement(PRODUCT, "In", products),)),) if products else None


@lru_cache(maxsize=1024)
def per_node(gpus: int, *, largest: int = 8) -> tuple[int, int]:
    """(pods, GPUs per pod) of a job that only says how many GPUs: the fewest equal pods of at
    most `largest` GPUs."""
    each = next(size for size in range(max(min(gpus, largest), 1), 0, -1) if gpus % size == 0)
    return max(gpus // each, 1), min(each, gpus)


def invalid(where: str, column: str, value: object, wanted: str) -> InvalidInput:
    """The error for one cell of a trace."""
    return InvalidInput(InvalidField(where, column, str(value), wanted))
