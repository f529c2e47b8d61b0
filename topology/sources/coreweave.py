"""Labels of CoreWeave nodes. A leaf group is the set of rail leaves that serve the same nodes."""

from topology.sources.family import Family, Tier


def _either(name: str) -> tuple[str, ...]:
    return f"backend.coreweave.cloud/{name}", f"ib.coreweave.cloud/{name}"


FAMILY = Family(
    "coreweave",
    switches=(
        Tier("core", _either("fabric")),
        Tier("spine", _either("superpod")),
        Tier("leaf", _either("leafgroup")),
    ),
    places=(Tier("rack", ("node.coreweave.cloud/rack",)),),
)

NVLINK_DOMAIN = "ds.coreweave.com/nvlink.domain"
