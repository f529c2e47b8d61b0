"""Drill 20: the rolling update of a cluster without a free GPU, and a node that dies amid it."""

from __future__ import annotations

import time

from deploy.local.lab import PODS, Lab
from tests.drills.real import LOG_BROKEN, Meanwhile
from tests.e2e.workloads import domains, kubelet, lws, lws_pods, pod_spec, templated, uids
from topology.synthetic import nvl72

GROUPS, SIZE = 3, 4
WITHIN_S = 180.0
_NAME = "full"
_KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def update_with_a_loss() -> tuple[bool, str]:
    """Three groups of four pods on three NVLink domains of four nodes; the update begins, a node of a group
    that is not updated yet dies, is refused for with its cause, and comes back."""
    with Lab(controllers=("lws", "kwok"), config={"service": {"paranoid": True}}) as lab:
        lab.add_nodes(nvl72(GROUPS, nodes_per_rack=SIZE))
        lab.start()
        _apply(lab, hostname="old")
        first = lab.wait_bound(_names())
        before = uids(lab, _names())
        watch = _Watch(lab)
        with Meanwhile(watch.look, every_s=0.1):
            began = time.monotonic()
            _apply(lab, hostname="new")
            lab.eventually(lambda: bool(before - uids(lab, _names())), what="the update to begin")
            lost = first[f"{_NAME}-0"]
            kubelet(lab, lost, alive=False)
            refused = _refused(lab)
            refused_s = time.monotonic() - began
            kubelet(lab, lost, alive=True)
            lab.eventually(lambda: _done(lab, before), timeout_s=WITHIN_S, what="the update to end")
            done_s = time.monotonic() - began
        nodes = lab.nodes_of(_names())
        spread = [len(domains(lab, (nodes[pod] for pod in _group(at)))) for at in range(GROUPS)]
        broken = lab.log.read_text(encoding="utf-8", errors="replace").count(LOG_BROKEN)
    told = (
        f"{GROUPS} groups of {SIZE} fill {GROUPS} domains; a node died in the update: its group refused "
        f"after {refused_s:.0f} s ({refused}); with the node back all {GROUPS * SIZE} pods new and placed "
        f"{done_s:.0f} s after the begin, domains per group {spread}; {watch.looks} looks, longest "
        f"half-bound group {watch.longest_s:.1f} s; {broken} broken promises"
    )
    return spread == [1] * GROUPS and not broken, told


class _Watch:
    """Looks at the bindings all the time: how long a group was half bound at most."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._since = lab, dict[tuple[str, ...], float]()
        self.looks, self.longest_s = 0, 0.0

    def look(self) -> None:
        now_s = time.monotonic()
        self._since = {uids: self._since.get(uids, now_s) for uids in self._half()}
        self.longest_s = max([self.longest_s, *(now_s - one for one in self._since.values())])
        self.looks += 1

    def _half(self) -> set[tuple[str, ...]]:
        """The groups of which all pods are there, none is on its way out, and some have a node."""
        there = {one["metadata"]["name"]: one for one in self._lab.client.get(PODS)["items"]}
        found = set()
        for at in range(GROUPS):
            group = [there[name] for name in _group(at) if name in there]
            leaving = any("deletionTimestamp" in one["metadata"] for one in group)
            bound = sum("nodeName" in one["spec"] for one in group)
            if len(group) == SIZE and not leaving and 0 < bound < SIZE:
                found.add(tuple(one["metadata"]["uid"] for one in group))
        return found


def _apply(lab: Lab, *, hostname: str) -> None:
    soon = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2} for key in _KEYS
    ]
    given = templated(pod_spec(hostname=hostname, tolerations=soon), required="gang=nvlink")
    lab.client.apply(lws(_NAME, size=SIZE, replicas=GROUPS, template=given))


def _group(at: int) -> list[str]:
    return lws_pods(_NAME, size=SIZE, group=at)


def _names() -> list[str]:
    return [name for at in range(GROUPS) for name in _group(at)]


def _refused(lab: Lab) -> str:
    """Wait until a group is refused; the code of its cause."""

    def codes() -> list[str]:
        rows = [row["gang"] for row in lab.ask("/v1/gangs")["gangs"] if row["state"] == "blocked"]
        found = [lab.gang(row.partition("/")[2]) for row in rows]
        return [gang["decision"]["reason"]["code"] for gang in found if gang and gang["decision"]]

    lab.eventually(lambda: bool(codes()), timeout_s=WITHIN_S, what="a refusal")
    return codes()[0]


def _done(lab: Lab, before: set[str]) -> bool:
    now = uids(lab, _names())
    return not before & now and len(now) == len(lab.nodes_of(_names())) == GROUPS * SIZE
