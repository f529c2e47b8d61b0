"""What Prometheus reads. Labels have few values; never a pod or a gang name.

`python -m scheduler.metrics` prints docs/metrics.md; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from scheduler.engine.engine import Engine
from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.measures import Measured
from scheduler.memory import Memory
from scheduler.model import Code

_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0, 10.0, 30.0)
_WAITS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_RATIOS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)

_BLOCKED = tuple(code.value for code in Code if code not in (Code.INVALID, Code.WAITING_FOR_MEMBERS))
_REASONS: Mapping[State, tuple[str, ...]] = {
    State.FORMING: (Code.WAITING_FOR_MEMBERS.value,),
    State.DEGRADED: (Code.WAITING_FOR_MEMBERS.value,),
    State.INVALID: (Code.INVALID.value,),
    State.BLOCKED: _BLOCKED,
}
"""The reasons of docs/reasons.md that gangs in a state can have; none in the others."""

_KEPT = "kept"
_HOLDING = (State.RESERVED.value, State.COMMITTING.value, _KEPT)

STALE, LACKING, TIGHT = CAUSES = "stale", "rights", "memory"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the service stands at this moment: `causes` of what is degraded; age of the view by kind."""

    ready: bool = False
    leading: bool = False
    causes: frozenset[str] = frozenset()
    watch_age_s: Mapping[str, float] = field(default_factory=dict)
    memory: Memory = field(default_factory=lambda: Memory(0))


class Metrics:
    """The metric set of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_calls()
        self._of_gangs()
        self._of_writes()
        self._of_the_fabric()
        self._of_the_service()

    def _of_calls(self) -> None:
        self.requests = self._histogram(
            "lockstep_extender_request_seconds",
            "Time to answer kube-scheduler, by verb and result (ok; refused: a Binding that was not written; "
            "not_ready; bad_request); bind includes waiting for the rest of the gang.",
            ("verb", "result"),
        )
        self.refused_requests = self._counter(
            "lockstep_extender_bad_requests_total",
            "Requests that were not of the extender protocol, by verb.",
            ("verb",),
        )

    def _of_gangs(self) -> None:
        self.decisions = self._counter(
            "lockstep_decisions_total",
            "Placement decisions, by outcome (a reason code, or placed) and proof.",
            ("outcome", "proof"),
        )
        self.solve = self._histogram(
            "lockstep_solve_seconds", "Time to place one gang or to prove that it does not fit."
        )
        self.gang_wait = self._histogram(
            "lockstep_gang_wait_seconds",
            "Time from a gang's last member to its first plan, as far as this replica saw both.",
            buckets=_WAITS,
        )
        self.gang_bound = self._histogram(
            "lockstep_gang_bound_seconds",
            "Time from a gang's last member to its last Binding, as far as this replica saw both.",
            buckets=_WAITS,
        )
        self.communication = self._histogram(
            "lockstep_communication_cost_ratio",
            "How often neighbours in rank of a placed gang are in different domains, over all levels, "
            "relative to the fewest times that the proven least number of domains allows; 1 is ideal.",
            buckets=_RATIOS,
        )
        self.gangs = self._gauge(
            "lockstep_gangs", "Gangs, by state and reason (see reasons.md).", ("state", "reason")
        )

    def _of_writes(self) -> None:
        self.bindings = self._counter(
            "lockstep_bindings_total", "Bindings written, by outcome.", ("outcome",)
        )
        self.conflicts = self._counter(
            "lockstep_bind_conflicts_total",
            "Bindings that met a pod that was not as supposed: bound by others, changed, or claimed by "
            "another term of leadership.",
        )
        self.writes = self._counter(
            "lockstep_pod_writes_total",
            "Plans written into pods (nomination, annotations, gate), by outcome.",
            ("outcome",),
        )
        self.evictions = self._counter(
            "lockstep_evictions_total",
            "Members of broken starts that were evicted, by outcome.",
            ("outcome",),
        )
        self.told = self._counter(
            "lockstep_told_total",
            "Events and pod conditions that tell a gang's owner, by kind (event, condition) and outcome.",
            ("kind", "outcome"),
        )
        self.reservations = self._gauge(
            "lockstep_reservations",
            "Gangs for which room is held, by state (kept: what a gang left, kept for its successor).",
            ("state",),
        )
        self.oldest = self._gauge(
            "lockstep_oldest_reservation_seconds",
            "How long the reservation that has been in its state for longest has been there, by state.",
            ("state",),
        )
        self.held_pods = self._gauge(
            "lockstep_held_pods", "Pods for which room is reserved and that are not bound yet."
        )
        self.expired = self._counter(
            "lockstep_leases_expired_total", "Reservations that outlived their lease."
        )

    def _of_the_fabric(self) -> None:
        self.nodes = self._gauge("lockstep_nodes", "Nodes known.")
        self.slots = self._gauge(
            "lockstep_placeable_slots",
            "Gangs of so many GPUs that would fit now side by side, each in one domain of the level: in part "
            "of a node while a node is enough, else in wholly free nodes of one product.",
            ("level", "gpus"),
        )
        self.largest = self._gauge(
            "lockstep_largest_gang_gpus",
            "GPUs of the largest gang that would fit now in one domain of the level, by GPU product.",
            ("level", "product"),
        )
        self.fragmentation = self._gauge(
            "lockstep_fragmentation_ratio",
            "Share of the free GPUs that lies in partly used domains of the level; 0: all holes are whole.",
            ("level",),
        )
        self.unlabelled = self._gauge(
            "lockstep_unlabelled_nodes", "Nodes whose place at a level is not known.", ("level",)
        )
        self.odd = self._gauge(
            "lockstep_conflicting_nodes",
            "Nodes (or other things) about which the sources of the fabric are odd, by the code of lint.",
            ("code",),
        )
        self.unreadable = self._counter(
            "lockstep_unreadable_objects_total", "Objects of the API that could not be read."
        )

    def _of_the_service(self) -> None:
        self.leader = self._gauge("lockstep_leader", "1 while this replica leads, else 0.")
        self.ready = self._gauge("lockstep_ready", "1 while schedulers are answered, else 0.")
        self.degraded = self._gauge(
            "lockstep_degraded",
            "1 while something does not work as it should, by cause (stale: the view is too old to plan on; "
            "rights: some right is missing; memory: little is left below the limit), else 0.",
            ("cause",),
        )
        self.memory = self._gauge(
            "lockstep_memory_bytes",
            "Memory of the process, by kind: resident, and its limit if any.",
            ("kind",),
        )
        self.watch_age = self._gauge(
            "lockstep_watch_age_seconds",
            "Age of the view of the cluster, by kind: since its watch last brought something or ended.",
            ("kind",),
        )
        self.broken_promises = self._counter(
            "lockstep_broken_promises_total",
            "Safety properties found broken in paranoid mode, by property: always 0.",
            ("property",),
        )

    def measured(self, found: Measured) -> None:
        """Take over what was measured of the fabric; levels and products that are gone go."""
        for gauge in (self.slots, self.largest, self.fragmentation, self.unlabelled, self.odd):
            gauge.clear()
        for (level, size), count in found.slots.items():
            self.slots.labels(level, str(size)).set(count)
        for (level, product), gpus in found.largest.items():
            self.largest.labels(level, product).set(gpus)
        for level, ratio in found.fragmentation.items():
            self.fragmentation.labels(level).set(ratio)
        for level, nodes in found.unlabelled.items():
            self.unlabelled.labels(level).set(nodes)
        for code, count in found.odd.items():
            self.odd.labels(code).set(count)

    def render(self, engine: Engine, standing: Standing = Standing(), *, now_s: float = 0.0) -> bytes:
        """The text that Prometheus scrapes."""
        self._count(engine.gangs.values())
        self._count_holds(engine, now_s)
        self.nodes.set(len(engine.world.ledger.nodes))
        self.held_pods.set(sum(len(hold.pods) for hold in engine.world.ledger.holds.values()))
        self.ready.set(standing.ready)
        self.leader.set(standing.leading)
        self.memory.labels("resident").set(standing.memory.resident)
        if standing.memory.limit is not None:
            self.memory.labels("limit").set(standing.memory.limit)
        for cause in CAUSES:
            self.degraded.labels(cause).set(cause in standing.causes)
        for kind, age_s in standing.watch_age_s.items():
            self.watch_age.labels(kind).set(round(age_s, 3))
        return generate_latest(self.registry)

    def _count(self, records: Iterable[GangRecord]) -> None:
        counts = {(state, reason): 0 for state in State for reason in _REASONS.get(state, ("",))}
        for record in records:
            key = record.state, reason_of(record)
            counts[key] = counts.get(key, 0) + 1
        for (state, reason), count in counts.items():
            self.gangs.labels(state.value, reason).set(count)

    def _count_holds(self, engine: Engine, now_s: float) -> None:
        counts, oldest = dict.fromkeys(_HOLDING, 0), dict.fromkeys(_HOLDING[:2], 0.0)
        for owner in engine.world.ledger.holds:
            record = engine.gangs.get(owner)
            state = record.state.value if record is not None else _KEPT
            counts[state if state in counts else _KEPT] += 1
            if record is not None and state in oldest:
                oldest[state] = max(oldest[state], now_s - record.since_s)
        for state, count in counts.items():
            self.reservations.labels(state).set(count)
        for state, age_s in oldest.items():
            self.oldest.labels(state).set(round(age_s, 3))

    def _counter(self, name: str, told: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, told, labels, registry=self.registry)

    def _gauge(self, name: str, told: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, told, labels, registry=self.registry)

    def _histogram(
        self, name: str, told: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = _SECONDS
    ) -> Histogram:
        return Histogram(name, told, labels, buckets=buckets, registry=self.registry)


def reason_of(record: GangRecord) -> str:
    """The stable token of why a gang is not placed; empty while nothing hinders it."""
    if record.state is State.BLOCKED and record.rejection is not None:
        return str(record.rejection.code)
    reasons = _REASONS.get(record.state, ("",))
    return reasons[0]


_PAGE = """# Metrics

Made by `python -m scheduler.metrics`; a test compares it with the code. Seconds and counts are base units,
and no label is a pod or a gang. What is measured of the fabric (slots, largest gang, fragmentation) is taken
beside the event loop, at most every 10 s, and stays as it was while nothing changes.
`deploy/chart/lockstep/monitoring` has alert rules and a dashboard over these.

| metric | type | labels | what it says |
|---|---|---|---|
"""


def page() -> str:
    """docs/metrics.md."""
    return _PAGE + "".join(f"{row}\n" for row in _rows())


def _rows() -> Iterator[str]:
    metrics = Metrics()
    known = [one for one in vars(metrics).values() if isinstance(one, Counter | Gauge | Histogram)]
    for metric in known:
        (family,) = metric.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


if __name__ == "__main__":
    print(page(), end="")
