"""What kube-scheduler is told: pure readings of the engine, no waiting, no writing, the same every time."""

from __future__ import annotations

from scheduler.engine.engine import Engine
from scheduler.engine.replies import Reason
from scheduler.extender import wire
from scheduler.kube.objects import pod_from_bytes
from scheduler.model import NodeName, Pod

TOP_SCORE = 10

LONGEST_ASKED_S = 300.0
"""How long questions alone keep a plan's room: a gang that is asked about and never bound (its volume is
missing, or somebody only simulates) lets the lease end then, and others have their turn."""


def filter_nodes(engine: Engine, body: bytes, now_s: float) -> bytes:
    """The planned node for a gang member; for other pods the nodes without what gangs hold.

    Raises InvalidInput for a body that is not a filter request.
    """
    args, names = wire.read_filter(body)
    uid, unseen = _asked(engine, args)
    key = engine.gang_of(uid, unseen)
    if key is None:
        return _screened(engine, args, names, unseen or engine.pod(uid))
    slot = engine.slot(uid) if unseen is None else Reason.FORMING
    if isinstance(slot, Reason):
        return wire.write_filter(args, [], refused=names, reason=slot)
    if now_s - engine.gangs[key].since_s < LONGEST_ASKED_S:
        engine.renew(key, now_s)
    if slot.node in names:
        return wire.write_filter(args, [slot.node], refused=[], reason="")
    # A list without the planned node is no fact about it: it may be a probe of one
    # nominated node, a sample, or one candidate placement of a simulation.
    return wire.write_filter(args, [], refused=names, reason=Reason.ELSEWHERE)


def _screened(engine: Engine, args: wire.FilterArgs, names: list[str], pod: Pod | None) -> bytes:
    held = set(engine.world.ledger.only_held([NodeName(name) for name in names], pod.shape)) if pod else set()
    if not held:
        return wire.write_filter(args, names, refused=[], reason="")
    keep = [name for name in names if name not in held]
    return wire.write_filter(args, keep, refused=[n for n in names if n in held], reason=Reason.HELD)


def _asked(engine: Engine, args: wire.FilterArgs) -> tuple[str, Pod | None]:
    """The uid of the pod; and the pod of the request itself while the watch has not brought it.

    It may never exist: a call can be a simulation. So it is remembered for its Binding, and no more.
    """
    uid = wire.uid_of(args.pod)
    if engine.pod(uid) is not None or engine.world.ledger.node_of(uid) is not None:
        return uid, None
    return uid, engine.heard.hear(pod_from_bytes(args.pod))


def prioritize_nodes(engine: Engine, body: bytes) -> bytes:
    """Full nodes first for pods without a gang, so that whole nodes and domains stay free for gangs."""
    args, names = wire.read_filter(body)
    uid, unseen = _asked(engine, args)
    if engine.gang_of(uid, unseen) is not None:
        slot = engine.slot(uid) if unseen is None else Reason.FORMING
        planned = None if isinstance(slot, Reason) else slot.node
        return wire.write_scores([(name, TOP_SCORE if name == planned else 0) for name in names])
    return wire.write_scores(
        [(name, score) for name, score in zip(names, engine.world.ledger.fullness(names), strict=True)]
    )


def preempt(engine: Engine, body: bytes) -> bytes:
    """Nothing for a gang member: one pod's preemption never makes room for a gang. For others
    the candidates that do not break a gang."""
    args = wire.read_preempt(body)
    if engine.gang_of(wire.uid_of(args.pod)) is not None:
        return wire.write_preempt({})
    candidates = args.node_name_to_meta_victims or args.node_name_to_victims or {}
    spared = {
        node: victims
        for node, victims in candidates.items()
        if all(engine.gang_of(uid) is None for uid in wire.victims_of(victims))
    }
    return wire.write_preempt({node: victims for node, victims in spared.items() if victims.pods})
