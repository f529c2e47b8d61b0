"""Labels of GKE accelerator topology. `gce-topology-host` is the physical machine and so no level."""

from topology.sources.family import Family, Tier

FAMILY = Family(
    "gcp",
    switches=(
        Tier("spine", ("cloud.google.com/gce-topology-block",)),
        Tier("leaf", ("cloud.google.com/gce-topology-subblock",)),
    ),
)
