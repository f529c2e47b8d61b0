"""Pods that a scheduler asked about before the watch brought them: remembered, and nothing more.

A call may be a simulation that is thrown away, so no gang, no count and no hold comes of it. Only a
Binding makes such a pod a fact.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from scheduler.model import Pod

MOST = 1024


class Heard:
    """The last pods that were asked about, by uid."""

    def __init__(self) -> None:
        self._pods: OrderedDict[str, Pod] = OrderedDict()
        self.filled: Callable[[Pod], Pod] = lambda pod: pod
        """A pod with what is known of the ConfigMaps that it names."""

    def hear(self, pod: Pod) -> Pod:
        """Remember a pod as it is known to be; the one that was asked about longest ago makes room."""
        pod = self.filled(pod)
        self._pods[pod.uid] = pod
        self._pods.move_to_end(pod.uid)
        if len(self._pods) > MOST:
            self._pods.popitem(last=False)
        return pod

    def take(self, uid: str) -> Pod | None:
        """A pod that is bound now, and forgotten here."""
        return self._pods.pop(uid, None)
