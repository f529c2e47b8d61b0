"""Every kind of object that Lockstep reads to know a gang: where the API has it, and who reads it.

The service watches these, so the rights it needs follow from this table alone (`rights`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from scheduler.workloads import (
    builtin,
    coscheduling,
    disaggregated,
    dynamo,
    grove,
    jobset,
    kai,
    kubeflow,
    leaderworkerset,
    podgroup,
    ray,
    serving,
    spark,
    trainer,
    volcano,
)
from scheduler.workloads.templates import Facts

Expand = Callable[..., list[dict[str, Any]]]
ReadFacts = Callable[..., Facts]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    `versions`: those that are read, the preferred first. `expand` makes what its controller makes
    of it, `facts` says what its pods do not; a kind with neither is only looked up by another.
    With `facts` the service watches it. `suffixed`: its pods' real names have a random suffix.
    `labels`: those of the index and the group of its pods, for a kind of the configuration.
    """

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    family: str
    expand: Expand | None = None
    facts: ReadFacts | None = None
    suffixed: bool = False
    namespaced: bool = True
    labels: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """The kind with its group, as in `WorkloadKey`: JobSet.jobset.x-k8s.io."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the API lists all objects of this kind, by version."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return tuple(f"{root}/{version}/{self.plural}" for version in self.versions)


def _kubeflow(kind: str) -> Kind:
    versions = ("v2beta1", "v1") if kind == "MPIJob" else ("v1",)
    return Kind(
        "kubeflow.org",
        kind,
        f"{kind.lower()}s",
        versions,
        "kubeflow",
        kubeflow.expand,
        kubeflow.facts,
        suffixed=kind == "MPIJob",
    )


KINDS: tuple[Kind, ...] = (
    Kind(
        "leaderworkerset.x-k8s.io",
        "LeaderWorkerSet",
        "leaderworkersets",
        ("v1",),
        "leaderworkerset",
        leaderworkerset.expand,
        leaderworkerset.facts,
    ),
    Kind(
        "disaggregatedset.x-k8s.io",
        "DisaggregatedSet",
        "disaggregatedsets",
        ("v1", "v1alpha1"),
        "leaderworkerset",
        disaggregated.expand,
        disaggregated.facts,
        suffixed=True,
    ),
    Kind(
        "jobset.x-k8s.io",
        "JobSet",
        "jobsets",
        ("v1alpha2",),
        "jobset",
        jobset.expand,
        jobset.facts,
        suffixed=True,
    ),
    Kind(
        "apps",
        "StatefulSet",
        "statefulsets",
        ("v1",),
        "apps",
        builtin.expand_stateful_set,
        builtin.stateful_set_facts,
    ),
    Kind(
        "apps",
        "Deployment",
        "deployments",
        ("v1",),
        "apps",
        builtin.expand_deployment,
        builtin.replica_facts,
        suffixed=True,
    ),
    Kind(
        "apps",
        "ReplicaSet",
        "replicasets",
        ("v1",),
        "apps",
        builtin.expand_replica_set,
        suffixed=True,
    ),
    Kind("batch", "Job", "jobs", ("v1",), "batch", builtin.expand_job, builtin.job_facts, suffixed=True),
    *(_kubeflow(kind) for kind in kubeflow.SPECS),
    Kind("trainer.kubeflow.org", "TrainJob", "trainjobs", ("v1alpha1",), "trainer", trainer.expand),
    Kind("trainer.kubeflow.org", "TrainingRuntime", "trainingruntimes", ("v1alpha1",), "trainer"),
    Kind(
        "trainer.kubeflow.org",
        "ClusterTrainingRuntime",
        "clustertrainingruntimes",
        ("v1alpha1",),
        "trainer",
        namespaced=False,
    ),
    Kind("ray.io", "RayCluster", "rayclusters", ("v1",), "ray", ray.expand, ray.facts, suffixed=True),
    Kind("ray.io", "RayJob", "rayjobs", ("v1",), "ray", ray.expand_job, suffixed=True),
    Kind("ray.io", "RayService", "rayservices", ("v1",), "ray", ray.expand_service, suffixed=True),
    Kind("grove.io", "PodCliqueSet", "podcliquesets", ("v1alpha1",), "grove", grove.expand, suffixed=True),
    Kind("scheduler.grove.io", "PodGang", "podgangs", ("v1alpha1",), "grove", facts=grove.gang_facts),
    Kind(
        "nvidia.com",
        "DynamoGraphDeployment",
        "dynamographdeployments",
        ("v1beta1", "v1alpha1"),
        "dynamo",
        dynamo.expand,
        suffixed=True,
    ),
    Kind("batch.volcano.sh", "Job", "jobs", ("v1alpha1",), "volcano", volcano.expand_job),
    Kind(
        "scheduling.volcano.sh", "PodGroup", "podgroups", ("v1beta1",), "volcano", facts=volcano.group_facts
    ),
    Kind(
        "scheduling.x-k8s.io",
        "PodGroup",
        "podgroups",
        ("v1alpha1",),
        "scheduler-plugins",
        facts=coscheduling.facts,
    ),
    Kind(
        "scheduling.sigs.k8s.io",
        "PodGroup",
        "podgroups",
        ("v1alpha1",),
        "koordinator",
        facts=coscheduling.facts,
    ),
    Kind("scheduling.run.ai", "PodGroup", "podgroups", ("v2alpha2",), "kai", facts=kai.facts),
    Kind(
        "sparkoperator.k8s.io",
        "SparkApplication",
        "sparkapplications",
        ("v1beta2",),
        "spark",
        spark.expand,
        spark.facts,
        suffixed=True,
    ),
    Kind("apps.nvidia.com", "NIMService", "nimservices", ("v1alpha1",), "nim", serving.expand_nim),
    Kind(
        "serving.kserve.io",
        "InferenceService",
        "inferenceservices",
        ("v1beta1",),
        "kserve",
        serving.expand_predictor,
        serving.predictor_facts,
        suffixed=True,
    ),
    Kind(
        "scheduling.k8s.io",
        "Workload",
        "workloads",
        ("v1beta1", "v1alpha3", "v1alpha1"),
        "upstream",
        facts=podgroup.workload_facts,
    ),
    Kind(
        "scheduling.k8s.io",
        "CompositePodGroup",
        "compositepodgroups",
        ("v1alpha3",),
        "upstream",
        facts=podgroup.composite_facts,
    ),
)
"""In no order: an API group and a kind say which one it is."""

FAMILIES = tuple(dict.fromkeys(kind.family for kind in KINDS))
"""The names by which a configuration chooses what is read."""


def kind_of(api_version: str | None, kind: str, kinds: Iterable[Kind] = KINDS) -> Kind | None:
    """The kind with this name in this API group; without an apiVersion the first of the name."""
    group = None if api_version is None else api_version.rpartition("/")[0]
    return next((one for one in kinds if one.kind == kind and group in (None, one.group)), None)


class Right(NamedTuple):
    """One resource that the service lists and watches."""

    group: str
    resource: str


def rights(families: Iterable[str] | None = None, kinds: Iterable[Kind] = KINDS) -> tuple[Right, ...]:
    """What the service must be allowed to get, list and watch for these families, all of them by default.

    Sorted by group and resource; pods, nodes and upstream PodGroups are not among them.
    """
    chosen = None if families is None else set(families)
    found = {
        Right(one.group, one.plural)
        for one in kinds
        if one.facts is not None and (chosen is None or one.family in chosen)
    }
    return tuple(sorted(found))
