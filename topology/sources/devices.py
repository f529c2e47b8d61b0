"""What labels say of the GPUs themselves: shared ones, and those that serve a ComputeDomain.

GPU feature discovery writes the sharing labels. With time slicing or MPS a GPU is
advertised several times, so two ranks of a tensor-parallel group could land on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from topology.sources.seen import Seen

REPLICAS = "nvidia.com/gpu.replicas"
STRATEGY = "nvidia.com/gpu.sharing-strategy"
PRODUCT = "nvidia.com/gpu.product"
COMPUTE_DOMAIN = "resource.nvidia.com/computeDomain"

_NOT_SHARED = ("", "none")
_SUFFIX = "-SHARED"


def shares(labels: Mapping[str, str]) -> bool:
    """True for a node whose GPUs are each given to several pods."""
    replicas = labels.get(REPLICAS, "")
    if replicas.isascii() and replicas.isdecimal() and replicas.lstrip("0") not in ("", "1"):
        return True
    return labels.get(STRATEGY, "") not in _NOT_SHARED or labels.get(PRODUCT, "").endswith(_SUFFIX)


def remarks(seen: Seen) -> Iterator[str]:
    """Sentences on shared GPUs and on compute domains, where there are any."""
    shared = seen.nodes_where(shares, (REPLICAS, STRATEGY, PRODUCT))
    if shared:
        yield (
            f"shared GPUs: {shared} of {seen.nodes} nodes by {REPLICAS}, {STRATEGY} or {PRODUCT}; "
            "not for tensor-parallel groups"
        )
    if seen.count(COMPUTE_DOMAIN):
        domains = len(seen.values(COMPUTE_DOMAIN))
        yield (
            f"compute domains: label {COMPUTE_DOMAIN} on {seen.count(COMPUTE_DOMAIN)} of {seen.nodes} nodes, "
            f"{domains} {'value' if domains == 1 else 'values'}; those nodes are occupied by them"
        )
