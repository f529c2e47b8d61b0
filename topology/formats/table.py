"""All formats in one table: how each is recognised, read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from topology.formats import (
    graphml,
    grove,
    hypernode,
    koordinator,
    kueue,
    labels,
    slurm,
    slurm_write,
    slurm_yaml,
    topograph,
    values,
)
from topology.formats.ibnetdiscover import looks_like_ibnetdiscover, read_ibnetdiscover
from topology.formats.kueue import KAI, KUEUE
from topology.formats.netq import looks_like_netq, read_netq
from topology.formats.nvidia_smi import looks_like_nvidia_smi, read_nvidia_smi
from topology.formats.nvidia_topo import looks_like_nvidia_topo, read_node
from topology.formats.outline import Written
from topology.formats.ufm import looks_like_ufm, read_ufm
from topology.merge import merge
from topology.reading import Reading, invalid


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A format that is parsed from text here.

    `takes` names what its reader can use of the cluster's `hosts` and of `names` by GUID.
    """

    name: str
    looks: Callable[[str], bool]
    read: Callable[..., Reading]
    takes: tuple[str, ...] = ()

    def given(self, hosts: frozenset[str] | None, names: Mapping[str, str] | None) -> dict[str, object]:
        """The arguments of those that its reader takes."""
        return {key: one for key, one in (("hosts", hosts), ("names", names)) if key in self.takes}


@dataclass(frozen=True, slots=True)
class DocumentFormat:
    """A format of YAML or JSON, handed in parsed: all documents of a file, a list as its entries."""

    name: str
    looks: Callable[[Sequence[object]], bool]
    read: Callable[..., Reading]


def _single(documents: Sequence[object]) -> object:
    return documents[0] if len(documents) == 1 else None


def _read_single(documents: Sequence[object], *, name: str) -> Reading:
    return topograph.read(_single(documents), name=name)


TEXTS = (
    TextFormat("slurm", slurm.looks, slurm.read),
    TextFormat("graphml", graphml.looks, graphml.read),
    TextFormat("ibnetdiscover", looks_like_ibnetdiscover, read_ibnetdiscover, ("hosts", "names")),
    TextFormat("nvidia-smi", looks_like_nvidia_smi, read_nvidia_smi),
    TextFormat("nvidia-smi-topo", looks_like_nvidia_topo, read_node),
    TextFormat("netq", looks_like_netq, read_netq, ("hosts",)),
    TextFormat("ufm", looks_like_ufm, read_ufm, ("hosts",)),
)

DOCUMENTS = (
    DocumentFormat("slurm", slurm_yaml.looks, slurm_yaml.read),
    DocumentFormat("topograph", lambda documents: topograph.looks(_single(documents)), _read_single),
    DocumentFormat(KUEUE, kueue.looks, kueue.read),
    DocumentFormat(KAI, partial(kueue.looks, source=KAI), partial(kueue.read, source=KAI)),
    DocumentFormat("hypernode", hypernode.looks, hypernode.read),
    DocumentFormat("koordinator", koordinator.looks, koordinator.read),
    DocumentFormat("grove", grove.looks, grove.read),
    DocumentFormat("labels", labels.looks, labels.read),
)
"""In the order in which they are tried: labels last, since nodes come along with many objects."""

WRITERS: Mapping[str, Callable[[Reading], Written]] = {
    "labels": labels.write,
    KUEUE: kueue.write,
    KAI: partial(kueue.write, source=KAI),
    "hypernode": hypernode.write,
    "slurm": slurm_write.write,
    "topograph": topograph.write,
    "graphml": graphml.write,
}


def names() -> tuple[str, ...]:
    """The names of all formats that can be read."""
    return tuple(dict.fromkeys(one.name for one in (*DOCUMENTS, *TEXTS)))


def text_format(text: str, *, stated: str | None) -> TextFormat | None:
    """The text format that a file is in: the stated one, or the one it looks like; None for YAML and JSON."""
    fitting = [one for one in TEXTS if stated in (None, one.name)]
    looking = [one for one in fitting if one.looks(text)]
    if looking:
        return looking[0]
    only_text = stated is not None and stated not in {one.name for one in DOCUMENTS}
    return fitting[0] if only_text and fitting else None


def read_documents(documents: Sequence[object], *, name: str, stated: str | None) -> Reading:
    """Read parsed documents in the stated format, or in all that they look like. Raises InvalidSource.

    Objects of several schedulers are all read, the first in the table goes
    before the others; plain node labels count where there is nothing else.
    """
    fitting = [one for one in DOCUMENTS if stated in (None, one.name)]
    looking = [one for one in fitting if one.looks(documents)]
    apart = [one for one in looking if one.name != "labels"] or looking
    if apart:
        return merge([one.read(documents, name=name) for one in apart])
    if stated is not None and fitting:
        return fitting[0].read(documents, name=name)
    kinds = sorted({values.kind_of(one)[2] for one in documents} - {""})
    seen = f"objects of kind {', '.join(kinds)[:60]}" if kinds else "something else"
    raise invalid(name, "file", seen, f"one of the formats {', '.join(names())}, or say which with --from")
