"""Slurm's block topology: base blocks in file order, and the larger blocks that they make up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from topology.reading import ERROR, NOTE, WARNING, Finding, invalid, natural
from topology.spec import NVLINK

_MOST_SIZES = 16


@dataclass(frozen=True, slots=True)
class Block:
    """A base block as the file lists it."""

    name: str
    where: str
    nodes: tuple[str, ...]


@dataclass(slots=True)
class Blocks:
    """Per node its block at each size; `higher` names the levels above the base, coarse to fine."""

    higher: tuple[str, ...] = ()
    paths: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def build(listed: Sequence[Block], sizes: Sequence[int], *, where: str) -> Blocks:
    """Base blocks as NVLink domains, and levels `block-<size>` of consecutive ones in file order.

    `sizes` are nodes per block, the base first; without any, the smallest
    block is the base. A level's domain is named after its first and last base
    block.
    """
    found = Blocks()
    blocks = _unique(listed, found.findings)
    homes = _homes(blocks, found.findings)
    for node, block in homes.items():
        found.paths[node] = {NVLINK: block}
    sizes = _fitting(sizes, where, found.findings)
    _small(blocks, sizes, found.findings)
    for size in sizes[1:]:
        level = f"block-{size}"
        found.higher = (level, *found.higher)
        domains = _group([block.name for block in blocks], size // sizes[0], level, where, found.findings)
        for node, block in homes.items():
            found.paths[node][level] = domains[block]
    return found


def sizes_of(text: str, *, where: str) -> tuple[int, ...]:
    """The numbers of a BlockSizes list; raises InvalidSource."""
    sizes = []
    for part in text.split(","):
        if not (part.strip().isascii() and part.strip().isdecimal() and len(part) <= 9 and int(part)):
            raise invalid(where, "BlockSizes", text, "node counts parted by commas, such as 18,36,72")
        sizes.append(int(part))
    if len(sizes) > _MOST_SIZES:
        raise invalid(where, "BlockSizes", text, f"at most {_MOST_SIZES} sizes")
    return tuple(sizes)


def _unique(listed: Iterable[Block], findings: list[Finding]) -> list[Block]:
    known: dict[str, Block] = {}
    for block in listed:
        if block.name in known:
            message = f"block {block.name} stands at {known[block.name].where} already; the first one counts"
            findings.append(Finding("DuplicateBlock", ERROR, block.where, (block.name,), message))
        else:
            known[block.name] = block
    return list(known.values())


def _homes(blocks: Iterable[Block], findings: list[Finding]) -> dict[str, str]:
    homes: dict[str, str] = {}
    for block in blocks:
        for node in block.nodes:
            first = homes.setdefault(node, block.name)
            if first != block.name:
                both = natural((first, block.name))
                message = f"node {node} lies in blocks {both[0]} and {both[1]}; {first} counts"
                findings.append(Finding("NodeTwice", ERROR, block.where, natural((node, *both)), message))
    return homes


def _fitting(sizes: Sequence[int], where: str, findings: list[Finding]) -> tuple[int, ...]:
    """The sizes up to the first that is not a power of two times the one before it."""
    for at in range(1, len(sizes)):
        times, rest = divmod(sizes[at], sizes[at - 1])
        if rest or times < 2 or times & (times - 1):
            message = (
                f"block size {sizes[at]} is no power of two times {sizes[at - 1]}; left out with all after it"
            )
            findings.append(Finding("BlockSizes", ERROR, where, (str(sizes[at]),), message))
            return tuple(sizes[:at])
    return tuple(sizes)


def _small(blocks: Iterable[Block], sizes: Sequence[int], findings: list[Finding]) -> None:
    if not sizes:
        return
    for block in blocks:
        if len(set(block.nodes)) < sizes[0]:
            message = (
                f"block {block.name} has {len(set(block.nodes))} nodes, fewer than the base size {sizes[0]}"
            )
            findings.append(Finding("SmallBlock", WARNING, block.where, (block.name,), message))


def _group(
    names: Sequence[str], count: int, level: str, where: str, findings: list[Finding]
) -> dict[str, str]:
    """Which larger block each base block is part of."""
    domains: dict[str, str] = {}
    for start in range(0, len(names), count):
        group = names[start : start + count]
        domain = group[0] if len(group) == 1 else f"{group[0]}-{group[-1]}"
        domains |= dict.fromkeys(group, domain)
        if len(group) < count:
            message = f"the last {level} has {len(group)} of {count} base blocks"
            findings.append(Finding("PartialBlock", NOTE, where, natural(group), message))
    return domains
