"""The objective on a tree: what each term costs in a domain, packed into integer words.

A term is one of five things on the tree: known (nothing can change it), a count of
used domains of a level, a charge per used domain, the pods of a domain that do not
fill whole blocks (a lower bound on blocks that are split), or pairs of blocks that
share a domain. A term that is none of these is for the integer model. Lexicographic order
becomes ordinary order once the terms are digits of a few 60-bit words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scheduler.placement.objective import domain_capacity
from scheduler.placement.problem import NODE, Int64, PlacementProblem
from scheduler.placement.spent import TERM as SPENT
from scheduler.placement.spent import spent
from scheduler.placement.tree import TreeForm

Kind = Literal["known", "count", "charge", "split", "balance", "pairs", "none"]
WORD_BITS = 60
INFEASIBLE = np.int64(1) << 61


@dataclass(frozen=True, slots=True, eq=False)
class TreeTerm:
    """One term on the tree: its kind, its level, and the charge per domain (int64[domains])
    or the block size that must not be split."""

    name: str
    kind: Kind
    level: int = 0
    charge: Int64 | None = None
    block: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Words for one set of candidate nodes.

    `domain[i]`: int64[domains, words], the price of using each domain of level i;
    `split[i]`: (block size, int64[words]) pairs, the price of every pod outside whole
    blocks; `pairs[i]`: likewise, the price of every pair of blocks; `before_balance`:
    how many leading words stand before the balance term.
    """

    words: int
    domain: tuple[Int64, ...]
    split: tuple[tuple[tuple[int, Int64], ...], ...]
    pairs: tuple[tuple[tuple[int, Int64], ...], ...]
    digits: tuple[tuple[str, int, int, int], ...]
    before_balance: int

    @property
    def leading(self) -> int:
        """One unit of the most important term, as the first word counts it."""
        return 1 << self.digits[0][2] if self.digits else 1

    def value(self, cost: Int64, name: str) -> int | None:
        """The digit of one term in a total (int64[words]); None when the term is not in it."""
        for term, word, shift, bits in self.digits:
            if term == name:
                return int(cost[word] >> shift) & ((1 << bits) - 1)
        return None


def tree_terms(problem: PlacementProblem, form: TreeForm) -> tuple[TreeTerm, ...]:
    """Every term of the problem's policy, as it stands on the tree."""
    return tuple(_tree_term(problem, form, name) for name in problem.terms)


def in_tables(terms: tuple[TreeTerm, ...]) -> bool:
    """Whether the tables can carry every term: the balance of a level asks how its pods are divided,
    and the windows that answer this take the number of its domains as settled by an earlier count."""
    if any(term.kind == "none" for term in terms):
        return False
    for at, term in enumerate(terms):
        if term.kind == "balance" and not any(
            other.kind == "count" and other.level == term.level for other in terms[:at]
        ):
            return False
    return True


def _tree_term(problem: PlacementProblem, form: TreeForm, name: str) -> TreeTerm:
    if name[:1].isdigit():  # a weighted sum
        return TreeTerm(name, "none")
    return _plain_term(problem, form, name)


def _plain_term(problem: PlacementProblem, form: TreeForm, name: str) -> TreeTerm:
    if name == "tp_crossings":
        return _crossings(problem, form)
    if name in ("nodes", "nodes_broken"):
        count = TreeTerm(name, "count", form.position(NODE))
        return count if name == "nodes" else _charge(problem, form, name, "broken", NODE)
    if name.startswith("replica"):
        return _replicas(problem, form, name)
    if match := re.fullmatch(r"preferred_(gang|part|group|ep|pp|tp|batch)_(.+)", name):
        return _blocks(form, name, match[1], form.position(match[2]), problem.pods)
    what, _, level = name.partition("_") if not name.startswith("pipeline_hops_") else ("hops", "", name[14:])
    position = form.position(level)
    if what == "hops":
        return _hops(problem, form, name, position)
    if what == "domains":
        return TreeTerm(name, "count", position)
    if what == "imbalance":
        return TreeTerm(name, "balance", position)
    return _charge(problem, form, name, what, level)


def _crossings(problem: PlacementProblem, form: TreeForm) -> TreeTerm:
    stated = [level for rule in problem.rules if rule.scope == "tp" for level in rule.preferred]
    if not stated:
        return TreeTerm("tp_crossings", "known")
    level, (size, bound) = form.position(stated[0]), form.blocks["tp"]
    if bound >= level or size == 1:
        return TreeTerm("tp_crossings", "known")
    return TreeTerm("tp_crossings", "split", level, block=size)


def _replicas(problem: PlacementProblem, form: TreeForm, name: str) -> TreeTerm:
    """Exact in the tables only while every replica lies inside one domain of the level."""
    packed = name.startswith("replica_domains_")
    level = form.position(name.removeprefix("replica_domains_").removeprefix("replicas_sharing_"))
    scope = next((one for one in ("pp", "tp", "group") if one in form.blocks), None)
    size, bound = form.blocks[scope] if scope else (1, -1)
    if packed:
        return TreeTerm(name, "known") if size == 1 or bound >= level else TreeTerm(name, "none")
    if size > 1 and bound < level:
        return TreeTerm(name, "none")
    return TreeTerm(name, "pairs", level, block=size)


def _blocks(form: TreeForm, name: str, scope: str, level: int, pods: int) -> TreeTerm:
    size, bound = form.blocks[scope]
    if bound >= level or size == 1:
        return TreeTerm(name, "known")
    if size == pods:
        return TreeTerm(name, "count", level)
    return TreeTerm(name, "split", level, block=size)


def _hops(problem: PlacementProblem, form: TreeForm, name: str, level: int) -> TreeTerm:
    size, bound = form.blocks["pp"]
    stage = form.blocks["tp"] if "tp" in form.blocks else (1, len(form.levels))
    whole_stages = stage[0] == 1 or stage[1] >= level
    if bound >= level or size == 1:
        return TreeTerm(name, "known")
    if size == problem.pods and whole_stages:
        return TreeTerm(name, "count", level)
    return TreeTerm(name, "split", level, block=size)


def _charge(problem: PlacementProblem, form: TreeForm, name: str, what: str, level: str) -> TreeTerm:
    free, wholly_free = domain_capacity(problem.cluster, level, problem.primary)
    position = form.position(level)
    charge = wholly_free.astype(np.int64) if what == "broken" else free
    if name == SPENT:
        charge = spent(problem)
    own = form.levels[position]
    if level != NODE or own.domains != len(own.domain_of):
        charge = charge[problem.cluster.domain_of(level)[own.first]]
    return TreeTerm(name, "charge", position, charge=charge)


def pack(terms: tuple[TreeTerm, ...], form: TreeForm, used: tuple[Int64, ...], pods: int) -> Costs:
    """The words for the candidate domains `used` (per level, int64 domain ids)."""
    digits: list[tuple[str, int, int, int]] = []
    word, free_bits, before, seen = -1, 0, -1, set()
    for term in terms:
        if term.kind == "balance":
            before, free_bits = word + 1, 0
        limit = _limit(term, form, used, pods)
        key = _identity(term, used)
        if limit == 0 or key in seen:
            continue
        seen.add(key)
        bits = int(limit).bit_length()
        if bits > free_bits:
            word, free_bits = word + 1, WORD_BITS
        free_bits -= bits
        digits.append((term.name, word, free_bits, bits))
    words = max(word + 1, 1)
    return _fill(terms, form, tuple(digits), words, before if before >= 0 else words)


def _limit(term: TreeTerm, form: TreeForm, used: tuple[Int64, ...], pods: int) -> int:
    """The most a term's digit can ever be, over the candidate domains."""
    match term.kind:
        case "known" | "balance" | "none":
            return 0
        case "pairs":
            return (pods // term.block) * (pods // term.block - 1) // 2
        case "count":
            return min(len(used[term.level]), pods)
        case "split":
            return pods
        case "charge":
            assert term.charge is not None
            return int(term.charge[used[term.level]].sum())


def _identity(term: TreeTerm, used: tuple[Int64, ...]) -> tuple[object, ...]:
    """Equal for two terms that are the same function of an assignment: the second adds nothing."""
    charge = term.charge[used[term.level]].tobytes() if term.charge is not None else b""
    return (term.kind, term.level, term.block, charge)


def _fill(
    terms: tuple[TreeTerm, ...],
    form: TreeForm,
    digits: tuple[tuple[str, int, int, int], ...],
    words: int,
    before: int,
) -> Costs:
    by_name = {term.name: term for term in terms}
    domain = [np.zeros((level.domains, words), dtype=np.int64) for level in form.levels]
    split: list[list[tuple[int, Int64]]] = [[] for _ in form.levels]
    pairs: list[list[tuple[int, Int64]]] = [[] for _ in form.levels]
    for name, word, shift, _ in digits:
        term, unit = by_name[name], np.int64(1) << shift
        if term.kind in ("split", "pairs"):
            weight = np.zeros(words, dtype=np.int64)
            weight[word] = unit
            (split if term.kind == "split" else pairs)[term.level].append((term.block, weight))
        else:
            domain[term.level][:, word] += (1 if term.charge is None else term.charge) * unit
    return Costs(words, tuple(domain), tuple(map(tuple, split)), tuple(map(tuple, pairs)), digits, before)
