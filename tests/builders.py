"""Small clusters and gangs by name, for every test."""

from __future__ import annotations

from scheduler.engine.engine import Engine
from scheduler.engine.facts import NodesSeen, PodSeen
from scheduler.model import GATE, PREFIX, Node, NodeName, Pod, PodKey, PodShape
from scheduler.placement.place import place
from scheduler.placement.problem import Assignment, Rejection

LEAF = "fabric.topograph.run/tier-0"
CLIQUE = "nvidia.com/gpu.clique"
GPU = "nvidia.com/gpu"


def node(name: str, *, leaf: str = "l1", clique: str = "", gpus: int = 8, **changes: object) -> Node:
    labels = {LEAF: leaf, "kubernetes.io/hostname": name} | ({CLIQUE: clique} if clique else {})
    made = Node(
        NodeName(name), labels, allocatable={"cpu": 64_000, "memory": 1 << 40, "pods": 110, GPU: gpus}
    )
    return Node(**{field: changes.get(field, getattr(made, field)) for field in made.__slots__})  # type: ignore[arg-type]


def two_leaves(per_leaf: int = 4) -> tuple[Node, ...]:
    """Leaves l1 and l2 with nodes n1.. of 8 GPUs."""
    return tuple(node(f"n{at + 1}", leaf=f"l{at // per_leaf + 1}") for at in range(2 * per_leaf))


def pod(
    name: str,
    *,
    gang: str = "",
    size: int = 0,
    gpus: int = 8,
    uid: str = "",
    on: str | None = None,
    gated: bool = True,
    namespace: str = "default",
    phase: str = "Pending",
    deleting: bool = False,
    **annotations: str,
) -> Pod:
    own = {PREFIX + key.replace("_", "-"): value for key, value in annotations.items()}
    if gang:
        own |= {PREFIX + "gang": gang} | ({PREFIX + "gang-size": str(size)} if size else {})
    return Pod(
        key=PodKey(namespace, name),
        uid=uid or f"uid-{namespace}-{name}",
        shape=PodShape((("cpu", 1000), (GPU, gpus), ("pods", 1)) if gpus else (("cpu", 1000), ("pods", 1))),
        annotations=own,
        node=NodeName(on) if on else None,
        gates=(GATE,) if gang and gated and not on else (),
        phase=phase,
        deleting=deleting,
    )


def members(gang: str, size: int, **kwargs: object) -> list[Pod]:
    return [pod(f"{gang}-{at}", gang=gang, size=size, **kwargs) for at in range(size)]  # type: ignore[arg-type]


def engine_with(*nodes: Node, lease_s: float = 60.0) -> Engine:
    engine = Engine(lease_s=lease_s)
    engine.observe(NodesSeen(nodes))
    return engine


def see(engine: Engine, *pods: Pod) -> None:
    for one in pods:
        engine.observe(PodSeen(one))


def plan_all(engine: Engine, now_s: float = 0.0) -> list[Assignment | Rejection]:
    """Plan whoever waits, as the service does."""
    answers = []
    while (request := engine.next_request(now_s)) is not None:
        answer = place(request.problem)
        engine.settle(request, answer, now_s=now_s, time_ms=1.0)
        answers.append(answer)
        assert len(answers) < 1000, "planning does not come to an end"
    return answers
