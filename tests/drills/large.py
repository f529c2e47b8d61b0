"""Drill 19: gangs of 1,000 and of 5,000 pods, each longer on its way than a Binding call may be kept."""

from __future__ import annotations

import time

from benchmarks.path import fabric
from deploy.local.lab import PODS, Lab
from deploy.local.objects import gang_pods

NODES, SIZES = 1_000, (1_000, 5_000)
WITHIN_S = 600.0


def large_gangs() -> tuple[bool, str]:
    """Each gang alone in the cluster, one GPU a pod: from its first pod until its last Binding."""
    told = []
    with Lab() as lab:
        lab.add_nodes(fabric(NODES))
        lab.start()
        for size in SIZES:
            name = f"large{size}"
            pods = gang_pods(name, size, gpus=1, cpu="100m")
            began = time.monotonic()
            lab.client.create(pods, in_flight=32)
            created_s = time.monotonic() - began
            names = {one["metadata"]["name"] for one in pods}
            lab.wait_bound(names, timeout_s=WITHIN_S)
            whole_s = time.monotonic() - began
            gang = lab.gang(name)
            assert gang is not None
            told.append(
                f"{size} pods created in {created_s:.1f} s, planned in {gang['decision']['time_ms']:.0f} ms, "
                f"all bound {whole_s:.1f} s after the first"
            )
            lab.client.delete(f"{PODS}?gracePeriodSeconds=0")
            lab.eventually(lambda: not lab.client.get(PODS)["items"], timeout_s=120, what="no pods")
    return True, f"{NODES} nodes: " + "; ".join(told)
