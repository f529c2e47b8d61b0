"""Labels of AWS network nodes. Layer 1 is the top and layer 3 the switch at the instance."""

from topology.sources.family import Family, Tier

FAMILY = Family(
    "aws",
    switches=(
        Tier("core", ("topology.k8s.aws/network-node-layer-1",)),
        Tier("spine", ("topology.k8s.aws/network-node-layer-2",)),
        Tier("leaf", ("topology.k8s.aws/network-node-layer-3",)),
    ),
)

ULTRASERVER = "topology.k8s.aws/ultraserver-id"
