"""Labels of Oracle Cloud RDMA networks: HPC island, network block, local block."""

from topology.sources.family import Family, Tier

_PREFIX = "oci.oraclecloud.com/"

FAMILY = Family(
    "oci",
    switches=(
        Tier("core", (_PREFIX + "rdma.hpc_island_id",)),
        Tier("spine", (_PREFIX + "rdma.network_block_id", _PREFIX + "host.network_block_id")),
        Tier("leaf", (_PREFIX + "rdma.local_block_id",)),
    ),
    places=(Tier("rack", (_PREFIX + "host.rack_id",)),),
)
