"""`-l`: the gangs of pods with certain labels. Decoding keeps few labels of pods, so the API server is asked
which pods match; in a snapshot all labels are there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.cli.access import Asked
from scheduler.cli.sources import Source
from scheduler.engine.engine import Engine
from scheduler.engine.facts import GroupSeen, PodSeen, WorkloadSeen
from scheduler.model import InvalidField, InvalidInput
from scheduler.worlds import world_of

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"[-A-Za-z0-9_.]*"
_ONE = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})|({_KEY})\s+(in|notin)\s*\(([^()]*)\)|(!?)\s*({_KEY})")
_WANTED = "a label selector: a=b, a!=b, a in (b,c), a notin (b,c), a, !a, joined by commas"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector: the label is (or is not) there with one of the values, or with any."""

    key: str
    values: frozenset[str] | None
    holds: bool

    def fits(self, labels: Mapping[str, str]) -> bool:
        found = self.key in labels if self.values is None else labels.get(self.key) in self.values
        return found is self.holds


def parsed(selector: str) -> tuple[Requirement, ...]:
    """The parts of a selector, all of which must hold; raises InvalidInput."""
    return tuple(_one(part.strip(), selector) for part in re.split(r",(?![^()]*\))", selector))


def _one(part: str, selector: str) -> Requirement:
    found = _ONE.fullmatch(part)
    if found is None:
        raise InvalidInput(InvalidField("command line", "-l", selector, _WANTED))
    key, sign, value, listed, word, values, absent, bare = found.groups()
    if key:
        return Requirement(key, frozenset((value,)), sign != "!=")
    if listed:
        return Requirement(listed, frozenset(one.strip() for one in values.split(",")), word == "in")
    return Requirement(bare, None, not absent)


def gangs_of(selector: str, snapshots: Sequence[str], config: str | None, cluster: Asked) -> set[str]:
    """The names of the gangs of the pods that match; raises InvalidInput."""
    requirements = parsed(selector)
    source = Source(
        snapshots,
        config,
        cluster.kubeconfig,
        cluster.context,
        cluster.user,
        pods="" if snapshots else selector,
    )
    reading = source.read()
    engine = Engine(world_of(source.configured()))
    for group in reading.groups:
        engine.observe(GroupSeen(group))
    for workload in reading.workloads:
        engine.observe(WorkloadSeen(workload))
    labels = {
        (metadata.get("namespace") or "default", metadata.get("name")): metadata.get("labels") or {}
        for document in reading.documents
        if document.kind == "Pod" and isinstance(metadata := document.object.get("metadata"), Mapping)
    }
    for pod in reading.pods:
        given = labels.get((pod.key.namespace, pod.key.name), {})
        if not snapshots or all(one.fits(given) for one in requirements):
            engine.observe(PodSeen(pod))
    return {str(key) for key in engine.gangs}
