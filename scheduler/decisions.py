"""What is told of every decision: metrics, one structured line in the log, a record, a span."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scheduler.engine.plans import Request
from scheduler.measures import communication_ratio
from scheduler.metrics import Metrics
from scheduler.placement.batch import BatchAnswer
from scheduler.placement.problem import Assignment, Limits, Rejection
from scheduler.recorder import Decision, Recorder, document_of
from scheduler.tracing import NoTracer, Tracer

log = logging.getLogger(__name__)

_MOST_NODES = 16
"""Nodes that a line of the log names; the plan has them all."""

_MOST_FILES = 1000


class Decisions:
    """Tells of decisions. `folder`: where each is written as a file, for those who want all of them."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        tracer: Tracer | None = None,
        folder: str = "",
        recorder: Recorder | None = None,
    ) -> None:
        self._metrics, self._tracer = metrics, tracer or NoTracer()
        self._folder = Path(folder) if folder else None
        self.recorder = recorder or Recorder()
        self._count = 0

    def batch(
        self, requests: Sequence[Request], answer: BatchAnswer, *, limits: Limits, elapsed_s: float
    ) -> None:
        """One decision about gangs that waited together."""
        decision = Decision(tuple(request.problem for request in requests), limits, answer)
        self.recorder.add(decision)
        with self._tracer.span("lockstep.plan", ago_s=elapsed_s, gangs=len(requests)) as span:
            span.tell({"proof": answer.proof})
            for request, one in zip(requests, answer.answers, strict=False):  # only the first after a bug
                with self._tracer.span("lockstep.gang") as about:
                    about.tell(_attributes(request, one))
        if self._folder is not None:
            self._write(self._folder, decision)

    def one(self, request: Request, answer: Assignment | Rejection, *, elapsed_s: float) -> None:
        """What came out for one gang."""
        self._metrics.solve.observe(elapsed_s)
        self._metrics.decisions.labels(_outcome(answer), answer.proof).inc()
        if isinstance(answer, Assignment):
            self._metrics.communication.observe(communication_ratio(request.problem, answer))
        log.info("decision %s", json.dumps(_line(request, answer, elapsed_s)))

    def _write(self, folder: Path, decision: Decision) -> None:
        """As a file; the oldest goes when there are too many. A full disk stops no decision."""
        self._count += 1
        path = folder / f"decision-{self._count:06}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document_of(decision)), encoding="utf-8")
            (folder / f"decision-{self._count - _MOST_FILES:06}.json").unlink(missing_ok=True)
        except OSError as error:
            log.warning("a decision is not recorded: %s", error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # half a record is none


def _outcome(answer: Assignment | Rejection) -> str:
    return "placed" if isinstance(answer, Assignment) else str(answer.code)


def _attributes(request: Request, answer: Assignment | Rejection) -> dict[str, str | int]:
    return {
        "gang": str(request.gang.key),
        "outcome": _outcome(answer),
        "proof": answer.proof,
        "pods": request.problem.pods,
        "generation": request.generation,
    }


def _line(request: Request, answer: Assignment | Rejection, elapsed_s: float) -> dict[str, Any]:
    """The fields of a line, in a fixed order; JSON escapes whatever could steer a terminal."""
    found: dict[str, Any] = {**_attributes(request, answer), "ms": round(elapsed_s * 1000, 3)}
    if isinstance(answer, Rejection):
        reason = {"level": answer.level, "needed": answer.needed, "best": answer.best}
        return {**found, **reason, "message": answer.message}
    names = request.problem.cluster.names
    nodes = list(dict.fromkeys(names[node] for node in answer.nodes.tolist()))
    more = {"more_nodes": len(nodes) - _MOST_NODES} if len(nodes) > _MOST_NODES else {}
    return {**found, "nodes": nodes[:_MOST_NODES], **more}
