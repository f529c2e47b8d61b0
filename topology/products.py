"""GPU products as GPU feature discovery names them, and how many of each stand in one machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """A product by the start of its label value; `gpus` are the counts that machines come with.

    `multi_node` is True where the machines are always part of a rack-scale
    NVLink domain. `source` names the publication the counts are from.
    """

    name: str
    gpus: tuple[int, ...]
    multi_node: bool
    source: str


_RACK = "NVIDIA DGX GB200/GB300 user guide: 18 compute trays of 4 GPUs in an NVL72 rack"
_HGX = "NVIDIA HGX data sheets: baseboards of 4 and 8 GPUs"
_HGX_8 = "NVIDIA HGX data sheets: baseboards of 8 GPUs"

PRODUCTS = (
    Product("NVIDIA-GB300", (4,), True, _RACK),
    Product("NVIDIA-GB200", (4,), True, _RACK),
    Product("NVIDIA-B300-SXM", (8,), False, _HGX_8),
    Product("NVIDIA-B200", (8,), False, _HGX_8),
    Product("NVIDIA-H200", (4, 8), False, _HGX),
    Product("NVIDIA-H100-80GB-HBM3", (4, 8), False, _HGX),
    Product("NVIDIA-A100-SXM4", (4, 8, 16), False, f"{_HGX}, and two of 8 in one machine"),
)
"""Only products whose machines come in few sizes: PCIe cards stand in any number, and are not listed."""

_ELSEWHERE = frozenset(("PCIE", "NVL", "MIG", "SHARED"))
"""Words in a label that say: a card, a slice, or a shared GPU, of which any number may stand in a node."""


def product_of(label: str) -> Product | None:
    """The product that a label value means; None for cards, slices, shared GPUs and what is not listed."""
    if _ELSEWHERE & set(label.upper().split("-")):
        return None
    return next((one for one in PRODUCTS if label == one.name or label.startswith(one.name + "-")), None)
