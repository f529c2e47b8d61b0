"""Traces that are one comma-separated table with times in seconds: Kalos, Philly, openb, plain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.simulate.traces.job import Job, invalid, per_node
from benchmarks.simulate.traces.table import Row, rows

_GB = 10**9
_MIB = 1 << 20

PLAIN_NEEDS = ("id", "submit_s", "duration_s", "pods", "gpus_per_pod")
PLAIN_MORE = ("gpu_milli", "cpu_millis", "memory_bytes", "tenant", "priority", "products")
"""The plain format: a CSV with these columns; the second row of them may be absent or empty.
`products` holds GPU models with `|` between them."""


def kalos_rows(path: Path) -> Iterator[Row]:
    """Rows of the Acme Kalos table."""
    more = ("type", "cpu_per_gpu", "mem_gb_per_pod")
    return rows(path, needs=("job_id", "submit_s", "duration_s", "nodes", "gpus_per_node"), optional=more)


def kalos_job(row: Row) -> Job:
    """One Kalos job: nodes are pods; CPU per GPU; memory in GB per pod; the type is the tenant."""
    gpus = row.whole("gpus_per_node", least=1)
    return Job(
        f"job-{row.text('job_id')}",
        row.number("submit_s"),
        row.number("duration_s"),
        row.whole("nodes", least=1),
        gpus,
        cpu_millis=int(row.number("cpu_per_gpu", default=0) * gpus * 1000),
        memory_bytes=int(row.number("mem_gb_per_pod", default=0) * _GB),
        tenant=row.text("type"),
        where=row.where,
    )


def philly_rows(path: Path) -> Iterator[Row]:
    """Rows of the Philly table."""
    return rows(path, needs=("job_id", "submit_s", "duration_s", "gpus"), optional=("vc",))


def philly_job(row: Row) -> Job:
    """One Philly job: up to 8 GPUs are one pod, more are equal pods of at most 8; the virtual
    cluster is the tenant."""
    pods, each = per_node(row.whole("gpus", least=1))
    return Job(
        f"job-{row.text('job_id')}",
        row.number("submit_s"),
        row.number("duration_s"),
        pods,
        each,
        tenant=row.text("vc"),
        where=row.where,
    )


def openb_rows(path: Path) -> Iterator[Row]:
    """Rows of the openb pods table."""
    needs = ("pod", "num_gpu", "gpu_milli", "create_s", "scheduled_s", "delete_s")
    return rows(path, needs=needs, optional=("cpu_milli", "memory_mib", "gpu_spec", "qos"))


def openb_job(row: Row) -> Job:
    """One openb pod: a gang of one, that ran from its scheduling to its deletion."""
    if not row.text("scheduled_s"):
        raise invalid(row.where, "scheduled_s", "", "a time: this pod never ran, so nothing says how long")
    return openb_demand(row, duration_s=row.number("delete_s") - row.number("scheduled_s"))


def openb_demand(row: Row, *, duration_s: float = 0.0) -> Job:
    """What one openb pod asks for, whether or not it ever ran."""
    gpus = row.whole("num_gpu")
    share = row.whole("gpu_milli", default=1000)
    if share > 1000 or (gpus > 0 and share == 0):
        raise invalid(row.where, "gpu_milli", share, "1 to 1000")
    return Job(
        row.text("pod"),
        row.number("create_s"),
        duration_s,
        1,
        gpus,
        gpu_milli=share if gpus else 0,
        cpu_millis=row.whole("cpu_milli", default=0),
        memory_bytes=row.whole("memory_mib", default=0) * _MIB,
        tenant=row.text("qos"),
        products=_several(row.text("gpu_spec")),
        where=row.where,
    )


def plain_rows(path: Path) -> Iterator[Row]:
    """Rows of the plain format."""
    return rows(path, needs=PLAIN_NEEDS, optional=PLAIN_MORE)


def plain_job(row: Row) -> Job:
    """One job of the plain format."""
    return Job(
        row.text("id"),
        row.number("submit_s"),
        row.number("duration_s"),
        row.whole("pods", least=1),
        row.whole("gpus_per_pod"),
        gpu_milli=row.whole("gpu_milli", default=1000),
        cpu_millis=row.whole("cpu_millis", default=0),
        memory_bytes=row.whole("memory_bytes", default=0),
        tenant=row.text("tenant"),
        priority=row.whole("priority", default=0, least=-(1 << 31)),
        products=_several(row.text("products")),
        where=row.where,
    )


def _several(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("|") if part)
