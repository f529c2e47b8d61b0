"""Parties of one gang that keep out of each other's domains: the jobs of an exclusive JobSet, the
sub-groups of a LeaderWorkerSet with exclusive topology of their own.

Their controllers say so by pod anti-affinity, which kube-scheduler enforces; a plan must agree with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scheduler.model import Scope

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ApartRule:
    """No domain of `level` that a lone party uses is used by another party of the gang.

    `party_of`: int32[pods], the party of every pod, -1 for those of none, which may be anywhere;
    `lone`: bool[parties], those that want their domains for themselves. Two parties of which neither
    is lone may share. `scope`: what the parties are.
    """

    scope: Scope
    level: str
    party_of: Int32
    lone: Bool

    @property
    def parties(self) -> int:
        return len(self.lone)

    @property
    def binds(self) -> bool:
        """Whether it keeps anybody apart."""
        return self.parties > 1 and bool(self.lone.any())


def of_blocks(scope: Scope, level: str, block_of: Int32, lone: Bool) -> ApartRule | None:
    """The rule of the blocks of a scope of which the pods marked in `lone` (bool[pods]) want domains for
    themselves; None where there are no two blocks, or nobody wants it."""
    parties = int(block_of.max(initial=-1)) + 1
    wanting = np.zeros(parties, dtype=np.bool_)
    wanting[block_of[lone & (block_of >= 0)]] = True
    return ApartRule(scope, level, block_of, wanting) if parties > 1 and wanting.any() else None


def of_pods(rules: Sequence[ApartRule], pods: Sequence[int] | Int64) -> tuple[ApartRule, ...]:
    """The rules as they are for some of the pods (indices); left out where one party is left."""
    found = []
    for rule in rules:
        own = rule.party_of[pods]
        there, dense = np.unique(own, return_inverse=True)
        none = int(there.size and there[0] < 0)
        lone = rule.lone[there[none:]]
        if lone.size > 1 and lone.any():
            found.append(replace(rule, party_of=(dense.reshape(-1) - none).astype(np.int32), lone=lone))
    return tuple(found)


def beside_others(rules: Sequence[ApartRule], before: int, after: int) -> tuple[ApartRule, ...]:
    """The rules among so many pods of other gangs before and after, which are of no party."""
    return tuple(
        replace(rule, party_of=np.pad(rule.party_of, (before, after), constant_values=-1)) for rule in rules
    )


def shared(rule: ApartRule, domains: Int32) -> list[tuple[int, int, int]]:
    """(domain, lone party, other party) for every domain that a lone party shares, where `domains`
    (int32[pods]) are those of the pods at the rule's level; the first other party of each."""
    inside = rule.party_of >= 0
    used = np.unique(np.column_stack([domains[inside], rule.party_of[inside]]), axis=0)
    found = []
    for domain in np.unique(used[:, 0]).tolist():
        parties = used[used[:, 0] == domain, 1].tolist()
        lone = next((party for party in parties if rule.lone[party]), None)
        if lone is not None and len(parties) > 1:
            found.append((domain, lone, next(party for party in parties if party != lone)))
    return found
