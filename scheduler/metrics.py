"""What Prometheus reads. Labels have few values; never a pod or a gang name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from scheduler.engine.engine import Engine
from scheduler.engine.states import State

_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0, 10.0, 30.0)


class Metrics:
    """The metric set of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "lockstep_extender_request_seconds",
            "Time to answer kube-scheduler, by verb; bind includes waiting for the rest of the gang.",
            ["verb"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refused_requests = Counter(
            "lockstep_extender_bad_requests_total",
            "Requests that were not of the extender protocol, by verb.",
            ["verb"],
            registry=self.registry,
        )
        self.decisions = Counter(
            "lockstep_decisions_total",
            "Placement decisions, by outcome (a reason code, or placed) and proof.",
            ["outcome", "proof"],
            registry=self.registry,
        )
        self.solve = Histogram(
            "lockstep_solve_seconds",
            "Time to place one gang or to prove that it does not fit.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.bindings = Counter(
            "lockstep_bindings_total", "Bindings written, by outcome.", ["outcome"], registry=self.registry
        )
        self.writes = Counter(
            "lockstep_pod_writes_total",
            "Plans written into pods (nomination, annotations, gate), by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        evicted = "Members of broken starts that were evicted, by outcome."
        self.evictions = Counter("lockstep_evictions_total", evicted, ["outcome"], registry=self.registry)
        broken = "Safety properties found broken in paranoid mode, by property: always 0."
        name = "lockstep_broken_promises_total"
        self.broken_promises = Counter(name, broken, ["property"], registry=self.registry)
        self.unreadable = Counter(
            "lockstep_unreadable_objects_total",
            "Objects of the API that could not be read.",
            registry=self.registry,
        )
        self.expired = Counter(
            "lockstep_leases_expired_total", "Reservations that outlived their lease.", registry=self.registry
        )
        self.gangs = Gauge("lockstep_gangs", "Gangs, by state.", ["state"], registry=self.registry)
        self.nodes = Gauge("lockstep_nodes", "Nodes known.", registry=self.registry)
        self.held_pods = Gauge(
            "lockstep_held_pods",
            "Pods for which room is reserved and that are not bound yet.",
            registry=self.registry,
        )

    def render(self, engine: Engine) -> bytes:
        """The text that Prometheus scrapes."""
        states = [record.state for record in engine.gangs.values()]
        for state in State:
            self.gangs.labels(state.value).set(states.count(state))
        self.nodes.set(len(engine.world.ledger.nodes))
        self.held_pods.set(sum(len(hold.pods) for hold in engine.world.ledger.holds.values()))
        return generate_latest(self.registry)
