"""Room that a gang leaves piece by piece in a rolling update or a restart, kept for its successor.

The pods of the old gang end before those of the new one exist. Whoever waits for room would take
it meanwhile, and the update would stand still with one group less.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.engine.roster import GangRecord
from scheduler.engine.states import State
from scheduler.holds import Hold
from scheduler.ledger import Ledger
from scheduler.model import GangKey, NodeName, Pod, PodShape
from scheduler.workloads.posts import Post, post_of

UNCLAIMED_S = 3.0
"""How long a successor may take to appear: controllers need half a second where nothing else goes on.
That long, room of a group that was deleted for good is kept from the others too."""

_WAITING = (State.FORMING, State.DEGRADED, State.PENDING, State.BLOCKED)


@dataclass(frozen=True, slots=True)
class _Place:
    node: NodeName
    shape: PodShape
    since_s: float


class Heirs:
    """The places that gangs have left, by post; `lease_s`: how long they are kept for a successor
    whose members do not all come."""

    def __init__(self, gangs: Mapping[GangKey, GangRecord], *, lease_s: float) -> None:
        self._gangs, self._lease_s = gangs, lease_s
        self._fresh: list[Pod] = []
        self._left: dict[Post, dict[str, _Place]] = {}

    def gone(self, pod: Pod | None) -> None:
        """A pod is gone; one that ran leaves its place."""
        if pod is not None and pod.node is not None and not pod.finished and post_of(pod) is not None:
            self._fresh.append(pod)

    def keep(self, ledger: Ledger, now_s: float) -> int:
        """Hold for every successor what its predecessor left; the ledger's generation when room came
        free by that, else 0.

        Cost: one look at every gang while some place is kept, else nothing.
        """
        for pod in self._fresh:
            post = post_of(pod)
            if post is not None and pod.node is not None and ledger.fits(pod.node, pod.shape):
                self._left.setdefault(post, {})[pod.uid] = _Place(pod.node, pod.shape, now_s)
        self._fresh.clear()
        freed = False
        successors = self._successors() if self._left else {}
        for post in tuple(self._left):
            freed |= self._settle(post, successors.get(post), ledger, now_s)
        return ledger.generation if freed else 0

    def _successors(self) -> dict[Post, GangRecord]:
        """The gang on every post that still waits for its nodes, or for its members."""
        found: dict[Post, GangRecord] = {}
        for record in self._gangs.values():
            pod = next(iter(record.pods.values()), None)
            post = post_of(pod) if pod is not None else None
            if post is not None and record.state in _WAITING and record.bound < len(record.pods):
                found[post] = record
        return found

    def _settle(self, post: Post, heir: GangRecord | None, ledger: Ledger, now_s: float) -> bool:
        places = self._places(post, now_s, claimed=heir is not None)
        hold = ledger.holds.get(heir.key) if heir else None
        if hold is not None and hold.plan:
            places = {}  # it has its plan: what it did not take is anybody's
        if places:
            self._left[post] = places
        else:
            del self._left[post]
        nobody = _nobody(post)
        if heir is None:
            return _hold(nobody, places, ledger, firm=False)
        freed = ledger.release(nobody)
        return freed if hold is not None and hold.plan else _hold(heir.key, places, ledger, firm=True)

    def _places(self, post: Post, now_s: float, *, claimed: bool) -> dict[str, _Place]:
        """The places that are still kept."""
        left = self._left[post]
        if claimed:
            return {uid: one for uid, one in left.items() if now_s - one.since_s < self._lease_s}
        return left if now_s - max(one.since_s for one in left.values()) < UNCLAIMED_S else {}


def _nobody(post: Post) -> GangKey:
    """Who a place is kept for until the successor is there; no gang can have this name."""
    return GangKey(post.namespace, f"the next {post.workload} {post.group}".strip())


def _hold(owner: GangKey, places: Mapping[str, _Place], ledger: Ledger, *, firm: bool) -> bool:
    """Hold what is still free of some places; True when less is held than before.

    Not firm while nobody claims it: a pod without a gang that is refused is not tried again until
    something happens in the cluster, and the end of a hold is no event.
    """
    hold = ledger.holds.get(owner)
    held = hold.pods if hold else {}
    pods = {uid: held[uid] for uid in places if uid in held and not ledger.overdrawn(held[uid][0])}
    for uid, place in places.items():
        if uid not in held and ledger.fits(place.node, place.shape):
            pods[uid] = (place.node, place.shape)
            ledger.hold(Hold(owner, "", math.inf, dict(pods), firm))
    if pods.keys() == held.keys():
        return False
    if not pods:
        return ledger.release(owner)
    ledger.hold(Hold(owner, "", math.inf, pods, firm))
    return len(pods) < len(held)
