"""Labels of Crusoe Cloud nodes: the InfiniBand partition, and in it the rail-optimised pod."""

from topology.sources.family import Family, Tier

FAMILY = Family(
    "crusoe",
    switches=(
        Tier("spine", ("crusoe.ai/ib.partition.id",)),
        Tier("leaf", ("crusoe.ai/pod.id",)),
    ),
)
