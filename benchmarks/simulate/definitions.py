"""What every figure of a simulation means; part of every document and report."""

from __future__ import annotations

from collections.abc import Mapping

DEFINITIONS: Mapping[str, str] = {
    "waiting.wait_s": "start of all pods minus submission, seconds; jobs that never started are not in it, "
    "jobs.never_started counts them and never_started_gpus what they ask for",
    "waiting.completion_s": "end minus submission, seconds",
    "waiting.slowdown": "bounded slowdown: max(1, (wait + run time) / max(run time, 600 s))",
    "waiting.wait_s_by_gpu_time": "sum of GPUs x run time x wait over sum of GPUs x run time",
    "waiting_by_priority": "the same per priority, where jobs have several",
    "allocation.gar_mean": "GAR: time mean of allocated GPUs / GPUs on usable nodes (background pods aside)",
    "allocation.sor": "SOR: GPU time of bound gangs / GPU time of usable nodes, over the whole span",
    "allocation.goodput": "GPU time in which all pods of a gang are up and that no failure undid / GPU time "
    "of usable nodes; gangs start whole, so SOR minus goodput is what failures undid",
    "allocation.gar_while_queued": "allocated / usable GPU time while at least one job waits",
    "allocation.queued_share": "share of time in which at least one job waits",
    "allocation.makespan_s": "last end minus first submission",
    "fragmentation.gfr": "GPU nodes with both an allocated and a free GPU / all GPU nodes, mean of samples",
    "fragmentation.domains": "per level 1 - (free GPUs in wholly free domains / free GPUs), mean of samples",
    "fragmentation.largest_gang": "LPG: most pods of a whole node that one domain of a level could take",
    "fragmentation.blocked_share": "share of time in which the queue's head asks for no more GPUs than are "
    "free and has no feasible placement",
    "fragmentation.blocked_gpu_s": "GPUs of that head x time in that state",
    "fragmentation.fgd": "F / G: FGD's measure for whole GPUs. Sum over nodes and typical jobs (the most "
    "frequent kinds that make up 95 % of those submitted so far) of weight x free GPUs on nodes that cannot "
    "host a pod of the job (or the job needs no GPU), over usable GPUs; fgd_of_idle: over free GPUs",
    "fragmentation.gang": "F_gang: sum over typical jobs of weight x (free GPUs - GPUs that copies of the "
    "gang could fill, each inside one domain of the level it requires, else of the finest level of which "
    "an empty domain could hold it) / usable GPUs",
    "timeline.slots": "gangs of `slot_gpus` GPUs, in pods of whole nodes (below a node's size: one pod), "
    "that could start side by side, each inside one domain of the level",
    "placement.span_mean": "domains of a level that a gang of several pods touches",
    "placement.excess_mean": "span / fewest domains that could hold the gang with nothing else running",
    "placement.at_least_share": "share of gangs (of GPU time) with excess 1",
    "placement.neighbours_across_leaves": "pairs of neighbouring ranks in different leaves / all such pairs",
    "communication.step_ms": "estimated time of one step, nothing overlapped, mean over gangs of several "
    "pods, with its range: 160 all-reduces of 1 MiB in the worst tensor-parallel group, 30 MB to "
    "each next stage of the worst pipeline, one hierarchical all-reduce of 2 GB in the worst "
    "data-parallel group (all GPUs where no sizes are given). Links: benchmarks/simulate/linkmodel.py. "
    "Contention between gangs is not modelled",
    "communication.step_ms_alone": "the same where the engine places the gang with nothing else running",
    "communication.step_ratio": "step time / step time alone (our form of JTTED)",
    "communication.model_error": "largest relative error at the calibration points; in every range, beside "
    "that of bandwidths (taper and measured losses across spines)",
    "communication.traffic_leaving": "per level: bytes of a step that leave its domain / all bytes",
    "communication.tensor_groups_crossing": "tensor-parallel groups touching more than one domain",
    "communication.pipelines_crossing": "pipelines touching more than one domain of a level",
    "communication.arnold": "alpha x largest spread (spines touched) of a data-parallel group + (1 - alpha) "
    "x that of a pipeline, mean over gangs with a pipeline",
    "failures.ettr_mean": "run time / time from the first start to the end, mean over finished jobs",
    "failures.waste": "per size t of tensor parallelism, in GPUs: healthy GPUs left over when every high-"
    "bandwidth domain (NVLink domain, else machine) is cut into groups of t, over all GPUs, mean over time",
    "tenants.jain": "Jain's index (sum r)^2 / (n sum r^2) of r = GPU time received / entitled over n "
    "tenants. Entitled: at every sample the max-min fair share of the usable GPUs, by the weights of "
    "--quota (1 where none is given), of what a tenant has running and waiting then",
    "tenants.most_under_served": "1 - the smallest of these r",
    "priority_inversions": "starts while a job of higher priority waits",
    "sharing": "sharing anomaly (HiveD) per tenant: mean wait in the shared cluster minus mean wait of the "
    "same jobs in a private cluster of its quota, replayed by the same simulator; `too_large`: jobs that "
    "the private cluster could never hold, in neither mean",
    "communication.kv_local": "share of KV bytes that stays inside a domain of the level: the first pods of "
    "a gang (--prefill) send equal parts to every other pod; mean over gangs, weighted by pods that send",
    "communication.replica_spread": "gangs of several replicas (by --tensor-parallel and "
    "--pipeline-parallel), mean per level: most: largest part of the replicas that one domain holds or "
    "touches; gini: Gini coefficient of replicas per domain over as many domains as could have one each "
    "(0: evenly spread)",
    "excluded": "rows of the trace and jobs left out: where, and why; excluded_unlisted counts those past "
    "the first million",
    "trace.sha256": "fingerprint of the trace file as it is on the disk",
    "jobs.before_warmup_ended": "jobs that came before --warmup-s; they and that time are in no figure",
    "failures.lost_gpu_h": "GPU hours since the last checkpoint that failures undid",
    "proof_share": "decisions with an assignment that is proven optimal / all of them",
    "measured.decision_ms": "wall time of one decision of this run, milliseconds",
}
