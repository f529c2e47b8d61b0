"""JobSet (jobset.x-k8s.io): one gang of all its jobs, a group per job where there are several.

With exclusive topology every job has a domain to itself, which the controller enforces by
anti-affinity between the jobs: it is one gang all the same, whose groups keep apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scheduler.model import Constraint, GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import whole
from scheduler.workloads.keys import JOB, JOB_INDEX, JOBSET
from scheduler.workloads.known import Known, workload
from scheduler.workloads.templates import (
    Document,
    Facts,
    Find,
    Made,
    annotations_of,
    bounded,
    listed,
    mapping,
    number,
    optional,
    pod_of,
    text,
    within,
)

SOURCE = "JobSet"
KIND = "JobSet.jobset.x-k8s.io"
NAME, ATTEMPT, GLOBAL_INDEX = JOBSET + "jobset-name", JOBSET + "restart-attempt", JOBSET + "job-global-index"
JOBS, REPLICAS = JOBSET + "global-replicas", JOBSET + "replicatedjob-replicas"
EXCLUSIVE = "alpha." + JOBSET + "exclusive-topology"


class JobSet:
    """Pods with the labels that the JobSet controller gives."""

    name = SOURCE

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The gang of a pod; a restart is another gang, for names stay and counts begin anew.

        Jobs that others wait for to complete, such as initializers, are gangs of their own.
        """
        name = pod.labels.get(NAME) or pod.annotations.get(NAME)
        if name is None:
            return None
        owner = workload(known, KIND, pod.key.namespace, name)
        attempt = whole(pod.labels, ATTEMPT, owner=pod.name, least=0) or 0
        job = pod.labels.get(JOBSET + "replicatedjob-name", "")
        size, gang = owner.size if owner else None, name
        if owner is not None and job in owner.groups:
            size, gang = owner.groups[job], f"{name}-{job}"
        group = _group(pod, job)
        return Membership(
            gang=GangKey(pod.key.namespace, f"{gang}-attempt-{attempt}" if attempt else gang),
            source=SOURCE,
            size=size,
            group=group,
            role=True,
            constraints=_exclusive(pod, group),
        )


def _exclusive(pod: Pod, group: str) -> tuple[Constraint, ...]:
    """A job stays in one domain, where no other job is; of a set of one job that is the gang."""
    level, source = pod.annotations.get(EXCLUSIVE), f"annotation {EXCLUSIVE}"
    if not level:
        return ()
    return (Constraint("group" if group else "gang", level, True, source, alone=bool(group)),)


def _group(pod: Pod, job: str) -> str:
    """The job of a pod; none where the set has only one."""
    jobs = whole(pod.labels, JOBS, owner=pod.name, least=0)
    jobs = jobs if jobs is not None else whole(pod.labels, REPLICAS, owner=pod.name, least=0)
    index = whole(pod.labels, JOBSET + "job-index", owner=pod.name, least=0)
    return "" if jobs == 1 or not job else f"{job}-{index or 0}"


class _Job:
    """One replicated job of a set, with what its pods are made of."""

    def __init__(self, document: Document, at: int, entry: Document, owner: str) -> None:
        self.place, self.owner = f"spec.replicatedJobs[{at}]", owner
        self.entry = entry
        self.name = text(entry, "name", owner=owner, field=f"{self.place}.name")
        self.replicas = number(
            entry, "replicas", owner=owner, field=f"{self.place}.replicas", least=0, default=1
        )
        self.template = mapping(entry, "template", owner=owner, field=f"{self.place}.template")
        self.spec = mapping(self.template, "spec", owner=owner, field=f"{self.place}.template.spec")
        field = f"{self.place}.template.spec"
        self.pods = number(
            self.spec, "parallelism", owner=owner, field=f"{field}.parallelism", least=0, default=1
        )
        if self.spec.get("completions") is not None:
            completions = number(self.spec, "completions", owner=owner, field=f"{field}.completions", least=0)
            self.pods = min(self.pods, completions)
        self.indexed = self.spec.get("completionMode", "Indexed") == "Indexed"

    def exclusive(self, document: Document) -> str | None:
        """The topology key of which every job has a domain to itself."""
        metadata = optional(
            self.template, "metadata", owner=self.owner, field=f"{self.place}.template.metadata"
        )
        own = optional(
            metadata, "annotations", owner=self.owner, field=f"{self.place}.template.metadata.annotations"
        )
        given = own.get(EXCLUSIVE) or annotations_of(document, owner=self.owner).get(EXCLUSIVE)
        return str(given) if given else None

    def waits_for(self) -> Iterator[str]:
        """Jobs that must have completed before this one starts."""
        for at, one in enumerate(
            listed(self.entry, "dependsOn", owner=self.owner, field=f"{self.place}.dependsOn")
        ):
            if one.get("status") == "Complete":
                yield text(one, "name", owner=self.owner, field=f"{self.place}.dependsOn[{at}].name")


def _jobs(document: Document, owner: str) -> list[_Job]:
    spec = mapping(document, "spec", owner=owner)
    entries = listed(spec, "replicatedJobs", owner=owner, field="spec.replicatedJobs")
    jobs = [_Job(document, at, entry, owner) for at, entry in enumerate(entries)]
    names = [job.name for job in jobs]
    for at, name in enumerate(names):
        if name in names[:at]:
            wanted = "a name of its own among the replicated jobs"
            raise InvalidInput(InvalidField(owner, f"spec.replicatedJobs[{at}].name", name, wanted))
    bounded(sum(job.replicas * job.pods for job in jobs), owner=owner, field="spec.replicatedJobs")
    return jobs


def facts(document: Document, *, owner: str) -> Facts:
    """The size of the gang of all jobs that run together, and of those that run before them."""
    jobs = _jobs(document, owner)
    first = {name for job in jobs for name in job.waits_for()}
    alone = any(job.exclusive(document) for job in jobs)
    order = within(document, "spec.startupPolicy", owner=owner).get("startupPolicyOrder")
    waiting = any(job.entry.get("dependsOn") for job in jobs if job.name not in first)
    return Facts(
        size=sum(job.replicas * job.pods for job in jobs if job.name not in first),
        groups={job.name: job.replicas * job.pods for job in jobs if job.name in first},
        staged=order == "InOrder" or waiting or alone,
    )


def expand(document: Document, *, owner: str, find: Find) -> list[dict[str, Any]]:
    """The pods of all jobs; the real names carry a random suffix. Raises InvalidInput."""
    jobs = _jobs(document, owner)
    total = sum(job.replicas for job in jobs)
    made: list[dict[str, Any]] = []
    first = 0
    for job in jobs:
        for index in range(job.replicas):
            made += [
                _pod(document, job, index, at, position=first + index, total=total) for at in range(job.pods)
            ]
        first += job.replicas
    return made


def _pod(document: Document, job: _Job, index: int, at: int, *, position: int, total: int) -> dict[str, Any]:
    metadata = document["metadata"]
    name = f"{metadata['name']}-{job.name}-{index}"
    labels = {
        NAME: str(metadata["name"]),
        JOBSET + "jobset-uid": str(metadata["uid"]),
        JOBSET + "replicatedjob-name": job.name,
        REPLICAS: str(job.replicas),
        JOBS: str(total),
        JOBSET + "job-index": str(index),
        GLOBAL_INDEX: str(position),
        ATTEMPT: "0",
        JOB + "job-name": name,
    }
    annotations = {NAME: str(metadata["name"])}
    if job.indexed:
        labels[JOB_INDEX] = annotations[JOB_INDEX] = str(at)
    if level := job.exclusive(document):
        annotations[EXCLUSIVE] = level
    template = mapping(job.spec, "template", owner=job.owner, field=f"{job.place}.template.spec.template")
    return pod_of(
        template,
        name=f"{name}-{at}",
        namespace=metadata["namespace"],
        owner=job.owner,
        place=f"{job.place}.template.spec.template",
        labels=labels,
        annotations=annotations,
        by=Made("batch/v1", "Job", name),
    )
