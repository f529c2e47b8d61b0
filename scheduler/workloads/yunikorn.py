"""YuniKorn's application and task groups, as KubeRay, Spark and others write them."""

from __future__ import annotations

import json

from scheduler.model import GangKey, InvalidField, InvalidInput, Membership, Pod
from scheduler.workloads.family import LARGEST
from scheduler.workloads.keys import YUNIKORN
from scheduler.workloads.known import Known

APP, GROUP, GROUPS = YUNIKORN + "app-id", YUNIKORN + "task-group-name", YUNIKORN + "task-groups"


class TaskGroups:
    """Pods of an application that has task groups."""

    name = "YuniKorn task groups"

    def membership(self, pod: Pod, known: Known) -> Membership | None:
        """The application of a pod; the smallest members of all its task groups start together."""
        app = pod.labels.get(APP) or pod.annotations.get(APP)
        group = pod.annotations.get(GROUP) or pod.labels.get(GROUP)
        if not app or not (group or GROUPS in pod.annotations):
            return None
        stated = pod.annotations.get(GROUPS)
        size = _size(stated, pod) if stated else None
        return Membership(
            gang=GangKey(pod.key.namespace, app),
            source=self.name,
            size=size,
            least=True,
            group=group or "",
            role=bool(group),
        )


def _size(text: str, pod: Pod) -> int:
    wanted = 'a JSON list such as [{"name": "worker", "minMember": 3}]'
    try:
        groups = json.loads(text)
        sizes = [group["minMember"] for group in groups]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidInput(InvalidField(pod.name, GROUPS, text[:60], wanted)) from error
    if not all(type(size) is int and 0 <= size <= LARGEST for size in sizes) or not sum(sizes):
        raise InvalidInput(InvalidField(pod.name, GROUPS, text[:60], wanted))
    return sum(sizes)
