"""History from `kubectl get pods -A -o json`: pods that have run, and the gangs they were of.

The whole document is read at once, as the API prints it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.simulate.traces.job import GPU, PRODUCT, Job, invalid
from scheduler import manifests
from scheduler.kube.objects import from_dict
from scheduler.model import InvalidInput, Pod, PodKey
from scheduler.workloads.gangs import membership_of


@dataclass(slots=True)
class PodsRow:
    """The pods of one gang, or one pod without a gang, in place of a row of a table."""

    where: str
    pods: list[Pod]
    status: list[Mapping[str, Any]]
    fault: InvalidInput | None = None

    def check(self) -> None:
        """Raises InvalidInput for an object that is no pod that can be read."""
        if self.fault is not None:
            raise self.fault


def kubectl_rows(path: Path) -> Iterator[PodsRow]:
    """One entry per gang, in the order in which its first pod appears."""
    gangs: dict[str, PodsRow] = {}
    seen: set[tuple[PodKey, str]] = set()
    for document in manifests.load([str(path)]):
        if document.kind not in ("Pod", ""):
            continue
        try:
            if document.fault is not None:
                raise InvalidInput(document.fault)
            pod = from_dict("Pod", document.object)
            assert isinstance(pod, Pod)
            if (pod.key, pod.uid) in seen:
                raise invalid(document.place, "metadata.name", str(pod.key), "every pod once")
            seen.add((pod.key, pod.uid))
            membership = membership_of(pod, {})
        except InvalidInput as error:
            gangs[document.place] = PodsRow(document.place, [], [], error)
            continue
        name = f"gang {membership.gang}" if membership else f"pod {pod.key} {pod.uid}"
        row = gangs.setdefault(name, PodsRow(f"{document.place} ({name})", [], []))
        row.pods.append(pod)
        row.status.append(document.object.get("status") or {})
    yield from gangs.values()


def kubectl_job(row: PodsRow) -> Job:
    """One gang: submitted with its last pod, running from the last start to the last end."""
    first = row.pods[0]
    amounts = [
        (pod.shape.amount(GPU), pod.shape.amount("cpu"), pod.shape.amount("memory")) for pod in row.pods
    ]
    if len(set(amounts)) > 1:
        raise invalid(
            row.where, "resources", sorted(set(amounts)), "the same requests in every pod of a gang"
        )
    submit_s = max(_time(row.where, "metadata.creationTimestamp", pod.created) for pod in row.pods)
    start_s = max(_time(row.where, "status.startTime", one.get("startTime")) for one in row.status)
    end_s = max(_finished(row.where, one) for one in row.status)
    membership = membership_of(first, {})
    product = dict(first.shape.node_selector).get(PRODUCT)
    gpus, cpu, memory = amounts[0]
    return Job(
        str(membership.gang) if membership else str(first.key),
        submit_s,
        end_s - start_s,
        len(row.pods),
        gpus,
        cpu_millis=cpu,
        memory_bytes=memory,
        tenant=first.key.namespace,
        priority=first.priority,
        products=(product,) if product else (),
        where=row.where,
    )


def _finished(where: str, status: Mapping[str, Any]) -> float:
    """When the last container ended."""
    states = [one.get("state", {}).get("terminated") or {} for one in status.get("containerStatuses") or [{}]]
    return max(_time(where, "status.containerStatuses.state.terminated", s.get("finishedAt")) for s in states)


def _time(where: str, column: str, text: object) -> float:
    try:
        found = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise invalid(where, column, text or "", "a time with its zone, such as 2024-01-31T12:00:00Z")
    return found.timestamp()
