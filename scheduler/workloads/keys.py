"""The label and annotation keys that workload families read, listed once.

Decoding keeps nothing else of a pod's metadata, so a new family adds its
prefix here.
"""

from __future__ import annotations

from scheduler.model import PREFIX, Pod

LWS = "leaderworkerset.sigs.k8s.io/"
POD_INDEX = "apps.kubernetes.io/pod-index"
JOB = "batch.kubernetes.io/"
JOB_INDEX = JOB + "job-completion-index"
JOBSET = "jobset.sigs.k8s.io/"
JOBSET_INDEX = JOBSET + "job-global-index"
SCHEDULING = "scheduling."
"""Start of the pod group keys of several schedulers: scheduling.k8s.io/, scheduling.x-k8s.io/ and so on."""
LWS_WORKER_INDEX = LWS + "worker-index"

DISAGGREGATED = "disaggregatedset.x-k8s.io/"
KUBEFLOW = "training.kubeflow.org/"
TRAINER = "trainer.kubeflow.org/"
RAY = "ray.io/"
GROVE = "grove.io/"
DYNAMO = "nvidia.com/dynamo-"
KUEUE = "kueue.x-k8s.io/"
VOLCANO = "volcano.sh/"
VOLCANO_SCHEDULING = "scheduling.volcano.sh/"
GROUP_NAME = "scheduling.k8s.io/group-name"
PLUGIN_GROUP = "scheduling.x-k8s.io/pod-group"
COSCHEDULING = "pod-group.scheduling.sigs.k8s.io"
KOORDINATOR = "gang.scheduling.koordinator.sh/"
KOORDINATOR_HINTS = "scheduling.koordinator.sh/"
KAI = "kai.scheduler/"
KAI_GROUP = "pod-group-name"
YUNIKORN = "yunikorn.apache.org/"
SPARK = "spark-"
SPARK_OPERATOR = "sparkoperator.k8s.io/"
KSERVE = "serving.kserve.io/"
COMPONENT = "component"
POD_TEMPLATE = "pod-template-hash"

INDEX_LABELS = (
    LWS_WORKER_INDEX,
    JOB_INDEX,
    KUBEFLOW + "replica-index",
    RAY + "replica-host-index",
    VOLCANO + "task-index",
    GROVE + "podclique-pod-index",
    POD_INDEX,
    "spark-exec-id",
)
"""Labels that number a pod in its workload, the most specific first."""

GANG_PREFIXES = (
    PREFIX,
    LWS,
    DISAGGREGATED,
    JOBSET,
    JOB,
    KUBEFLOW,
    RAY,
    GROVE,
    KUEUE,
    VOLCANO,
    VOLCANO_SCHEDULING,
    GROUP_NAME,
    PLUGIN_GROUP,
    COSCHEDULING,
    KOORDINATOR,
    KAI_GROUP,
    YUNIKORN,
    SPARK + "app-selector",
    KSERVE,
)
"""A key with one of these says that its pod belongs to a gang."""

KEPT_PREFIXES = (
    *GANG_PREFIXES,
    POD_INDEX,
    "alpha." + JOBSET,
    SCHEDULING,
    TRAINER,
    DYNAMO,
    KAI,
    KOORDINATOR_HINTS,
    SPARK,
    SPARK_OPERATOR,
    COMPONENT,
    POD_TEMPLATE,
)
"""Decoding keeps the labels and annotations of pods that start with one of these."""


def kept(metadata: dict[str, str]) -> dict[str, str]:
    """The entries that some family reads."""
    return {key: value for key, value in metadata.items() if key.startswith(KEPT_PREFIXES)}


OWNING_GROUPS = frozenset(
    (
        "",
        "v1",
        "apps",
        "batch",
        "batch.volcano.sh",
        "leaderworkerset.x-k8s.io",
        "kubeflow.org",
        "ray.io",
        "grove.io",
        "sparkoperator.k8s.io",
    )
)
"""API groups of the controllers of pods whose labels are known."""

NAMING = (
    LWS + "name",
    DISAGGREGATED + "name",
    JOBSET + "jobset-name",
    JOB + "job-name",
    KUBEFLOW + "job-name",
    RAY + "cluster",
    GROVE + "podgang",
    GROVE + "base-podgang",
    PLUGIN_GROUP,
    COSCHEDULING,
    COSCHEDULING + "/name",
    SPARK_OPERATOR + "app-name",
    KSERVE + "inferenceservice",
    GROUP_NAME,
    VOLCANO_SCHEDULING + "group-name",
    KOORDINATOR + "name",
    KAI_GROUP,
)
"""Labels and annotations whose value is the name of an object that says more of the gang."""


def names_in(pod: Pod) -> set[str]:
    """The names of all objects that may say more of a pod's gang."""
    found = {pod.labels.get(key) or pod.annotations.get(key, "") for key in NAMING}
    if pod.owner is not None:
        suffix = pod.labels.get(POD_TEMPLATE, "")
        found |= {pod.owner.name, pod.owner.name.removesuffix(f"-{suffix}")}
    if pod.pod_group is not None:
        found.add(pod.pod_group.partition("/")[0])
    found.discard("")
    return found


def looks_like_gang(metadata: dict[str, str]) -> bool:
    """True when any key belongs to a family that forms gangs."""
    return any(key.startswith(GANG_PREFIXES) for key in metadata)
