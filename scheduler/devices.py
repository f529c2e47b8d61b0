"""Which extended resources are accelerators, and how many of them a pod asks for."""

from __future__ import annotations

from scheduler.model import PodShape

_SUFFIXES = ("/gpu", "/gaudi", "/xe", "/i915")


def is_gpu(resource: str) -> bool:
    """True for the extended resources that stand for whole accelerators or their slices."""
    return resource.endswith(_SUFFIXES) or resource.startswith("nvidia.com/mig-")


def gpus_of(shape: PodShape) -> int:
    """GPUs that one pod asks for, over every known kind of device."""
    return sum(amount for name, amount in shape.requests if is_gpu(name))
