"""What is odd about the GPUs of a fabric: products, counts, sharing, compute domains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from topology.naming import natural_key
from topology.products import product_of
from topology.reading import ERROR, NOTE, WARNING, Finding, Reading, natural
from topology.sources.devices import COMPUTE_DOMAIN, PRODUCT, REPLICAS, shares
from topology.spec import NVLINK

GPU_COUNT = "nvidia.com/gpu.count"

_SLICED = "nvidia.com/mig-"
"""Labels of nodes whose GPUs are cut into slices: they offer those, and no whole GPU."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What else is known of a node: its labels, and the GPUs it offers (None when that is not known)."""

    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: int | None = None


def members(reading: Reading, level: str) -> dict[str, list[str]]:
    """The nodes of each domain of a level by its name, both in natural order."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in natural(reading.nodes):
        if domain := reading.nodes[node].get(level):
            found[domain].append(node)
    return {domain: found[domain] for domain in natural(found)}


def device_findings(reading: Reading, facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """Everything odd about the GPUs of the nodes that facts are known of."""
    yield from _mixed_products(reading, facts)
    yield from _unlinked(reading, facts)
    yield from _gpu_counts(facts)
    yield from _compute_domains(reading, facts)


def _mixed_products(reading: Reading, facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """NVLink domains whose nodes carry different GPUs: no such machine exists."""
    for domain, nodes in members(reading, NVLINK).items():
        products: dict[str, list[str]] = defaultdict(list)
        for node in nodes:
            name = facts[node].labels.get(PRODUCT) if node in facts else None
            if name:
                products[name].append(node)
        if len(products) > 1:
            told = "; ".join(f"{len(products[name])} nodes with {name}" for name in natural(products))
            message = f"NVLink domain {domain} mixes GPU products: {told}"
            yield Finding(
                "MixedProducts", ERROR, f"{reading.source} {NVLINK}", natural((domain, *nodes)), message
            )


def _unlinked(reading: Reading, facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """Nodes of a product that is always in a multi-node NVLink domain, and that are in none."""
    lacking = []
    for node, path in reading.nodes.items():
        product = product_of(facts[node].labels.get(PRODUCT, "")) if node in facts else None
        if product is not None and product.multi_node and not path.get(NVLINK):
            lacking.append(node)
    if lacking:
        message = f"{len(lacking)} nodes have GPUs of multi-node NVLink racks and no NVLink domain"
        yield Finding("NoNvlinkDomain", WARNING, reading.source, natural(lacking), message)


def _gpu_counts(facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """GPU counts that differ from the node's own label, from the product's, and GPUs that are shared."""
    unlike: dict[str, list[str]] = defaultdict(list)
    shared = []
    for node in natural(facts):
        one = facts[node]
        replicas = _number(one.labels.get(REPLICAS)) or 1
        if shares(one.labels):
            shared.append(node)
        if any(key.startswith(_SLICED) for key in one.labels):
            continue
        labelled = _number(one.labels.get(GPU_COUNT))
        if one.gpus is not None and labelled is not None and one.gpus != labelled * replicas:
            unlike[f"offer {one.gpus} GPUs where label {GPU_COUNT} says {labelled * replicas}"].append(node)
        elif wrong := _against_product(one, labelled, replicas):
            unlike[wrong].append(node)
    for message, nodes in sorted(unlike.items(), key=lambda item: natural_key(item[1][0])):
        yield Finding("GpuCount", WARNING, "nodes", tuple(nodes), f"{len(nodes)} nodes {message}")
    if shared:
        message = f"{len(shared)} nodes share each GPU among several pods: not for tensor-parallel groups"
        yield Finding("SharedGpus", NOTE, "nodes", tuple(shared), message)


def _compute_domains(reading: Reading, facts: Mapping[str, NodeFacts]) -> Iterator[Finding]:
    """Compute domains over several NVLink domains, and NVLink domains with several compute domains."""
    places: dict[str, set[str]] = defaultdict(set)
    guests: dict[str, set[str]] = defaultdict(set)
    for node, path in reading.nodes.items():
        uid, link = facts[node].labels.get(COMPUTE_DOMAIN) if node in facts else None, path.get(NVLINK)
        if uid and link:
            places[uid].add(link)
            guests[link].add(uid)
    where = f"{reading.source} {COMPUTE_DOMAIN}"
    for uid in natural(uid for uid, links in places.items() if len(links) > 1):
        links = natural(places[uid])
        message = f"compute domain {uid} lies in {len(links)} NVLink domains: {', '.join(links[:5])}"
        yield Finding("ComputeDomainAcrossCliques", WARNING, where, natural((uid, *links)), message)
    for link in natural(link for link, uids in guests.items() if len(uids) > 1):
        message = f"NVLink domain {link} serves {len(guests[link])} compute domains at once"
        yield Finding("CliqueShared", NOTE, where, natural((link, *guests[link])), message)


def _against_product(one: NodeFacts, labelled: int | None, replicas: int) -> str:
    """In words, how the count differs from every machine of this product; "" when it does not."""
    product = product_of(one.labels.get(PRODUCT, ""))
    count = one.gpus // replicas if one.gpus is not None else labelled
    if product is None or count is None or count in product.gpus:
        return ""
    usual = " or ".join(map(str, product.gpus))
    return f"have {count} GPUs of {product.name}, whose machines have {usual} ({product.source})"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 9 else None
