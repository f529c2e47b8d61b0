"""Promises of room, and who holds something on a node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.model import GangKey, NodeName, PodShape


@dataclass(frozen=True, slots=True)
class Hold:
    """A promise of room: its owner, the plan it serves, and when its lease ends (monotonic seconds).

    `pods` maps the uid of each member that is not bound yet to its node and shape. One that is not
    `firm` keeps gangs away, and lets pods without a gang through.
    """

    owner: GangKey
    plan: str
    expires_s: float
    pods: dict[str, tuple[NodeName, PodShape]] = field(default_factory=dict)
    firm: bool = True


class Holders:
    """Owners of what is held, by node: what changes of one node is not looked for in every hold."""

    def __init__(self) -> None:
        self._counts: dict[NodeName, dict[GangKey, int]] = {}

    def on(self, node: NodeName) -> Iterable[GangKey]:
        """Owners of what is held on a node; not to be kept."""
        return self._counts.get(node, ())

    def add(self, node: NodeName, owner: GangKey) -> None:
        """One more pod of an owner is held on a node."""
        owners = self._counts.setdefault(node, {})
        owners[owner] = owners.get(owner, 0) + 1

    def remove(self, node: NodeName, owner: GangKey) -> None:
        """One less; KeyError when there was none."""
        owners = self._counts[node]
        owners[owner] -= 1
        if not owners[owner]:
            del owners[owner]
        if not owners:
            del self._counts[node]

    def clone(self) -> Holders:
        """An independent copy."""
        other = Holders()
        other._counts = {node: dict(owners) for node, owners in self._counts.items()}
        return other
