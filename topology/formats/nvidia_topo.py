"""The matrix of `nvidia-smi topo -m`: NVLink islands inside a node, and which NIC is nearest to each GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from topology.reading import NOTE, WARNING, Finding, Reading, invalid, natural

SOURCE = "nvidia-smi-topo"

NEAREST = ("PIX", "PXB", "PHB", "NODE", "SOC", "SYS")
"""Ways over PCIe, nearest first: one bridge, several, the host bridge, the same NUMA node, another one."""

_CELL = re.compile(r"X|NV[0-9]{1,3}|PIX|PXB|PHB|NODE|SOC|SYS|N/A|DIS")
_GPU = re.compile(r"GPU[0-9]{1,4}")
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")
_LEGEND = re.compile(r"(NIC[0-9]{1,4})\s*:\s*(\S+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class GpuMatrix:
    """How the devices of a node reach each other.

    `nics` maps a column to the device's own name. `links` has the cell of each
    ordered pair of different devices, such as "NV18" or "PIX". `affinity`
    gives per GPU its CPUs and NUMA node as they are written.
    """

    gpus: tuple[str, ...]
    nics: Mapping[str, str]
    links: Mapping[tuple[str, str], str]
    affinity: Mapping[str, tuple[str, str]]
    findings: tuple[Finding, ...] = ()

    def islands(self) -> tuple[tuple[str, ...], ...]:
        """GPUs that reach each other over NVLink, also by way of others; a GPU without is alone."""
        graph = nx.Graph()
        graph.add_nodes_from(self.gpus)
        graph.add_edges_from(
            pair for pair, cell in self.links.items() if cell.startswith("NV") and set(pair) <= set(self.gpus)
        )
        found = (natural(island) for island in nx.connected_components(graph))
        return tuple(sorted(found, key=lambda island: self.gpus.index(island[0])))

    def nearest_nics(self) -> dict[str, tuple[str, ...]]:
        """Per GPU the names of the NICs on its shortest way; empty when the way to none is known."""
        found: dict[str, tuple[str, ...]] = {}
        for gpu in self.gpus:
            ways = {nic: self.links.get((gpu, nic), "") for nic in self.nics}
            ranks = {nic: NEAREST.index(way) for nic, way in ways.items() if way in NEAREST}
            best = min(ranks.values(), default=-1)
            found[gpu] = natural(self.nics[nic] for nic, rank in ranks.items() if rank == best)
        return found


def looks_like_nvidia_topo(text: str) -> bool:
    """True when the text has the matrix's header line near its beginning."""
    lines = (_COLOUR.sub("", line).split() for line in text.split("\n", 200)[:200])
    return any(_is_header(words) for words in lines)


def read_node(text: str, *, name: str) -> Reading:
    """What a matrix tells of its node, which is named after the file: its NVLink islands and the NICs nearest
    to each, as notes, for they lie inside a node. Raises InvalidSource."""
    matrix, node = read_nvidia_topo(text, name=name), name.rpartition("/")[2].partition(".")[0] or name
    nearest = matrix.nearest_nics()
    islands = []
    for island in matrix.islands():
        nics = natural({nic for gpu in island for nic in nearest[gpu]})
        islands.append(f"{', '.join(island)}{' near ' + ', '.join(nics) if nics else ''}")
    message = (
        f"{node} has {len(islands)} NVLink island{'' if len(islands) == 1 else 's'}: {'; '.join(islands)}"
    )
    note = Finding("InsideNode", NOTE, name, (node,), message)
    return Reading(SOURCE, (), (), {node: {}}, (*matrix.findings, note))


def read_nvidia_topo(text: str, *, name: str) -> GpuMatrix:
    """The matrix; raises InvalidSource when a row is missing, cut short or has a cell of no known kind."""
    devices: tuple[str, ...] = ()
    rows: dict[str, Sequence[str]] = {}
    legend: dict[str, str] = {}
    for number, raw in enumerate(_COLOUR.sub("", text).split("\n"), start=1):
        words = raw.split()
        if not devices:
            devices = _devices(words, f"{name}:{number}") if _is_header(words) else ()
        elif words and words[0] in devices and words[0] not in rows:
            rows[words[0]] = _row(words, len(devices), f"{name}:{number}")
        elif (found := _LEGEND.fullmatch(raw.strip())) is not None:
            legend[found[1]] = found[2]
    if not devices:
        raise invalid(
            name,
            "file",
            text[:40],
            "the matrix of nvidia-smi topo -m, with a line GPU0 GPU1 ... CPU Affinity",
        )
    missing = [device for device in devices if device not in rows]
    if missing:
        raise invalid(name, "rows", ", ".join(rows), f"a row for {missing[0]} too; the file is cut short")
    return _matrix(devices, rows, legend, name)


def _is_header(words: Sequence[str]) -> bool:
    if not words or not _GPU.fullmatch(words[0]):
        return False
    return "Affinity" in words and not (len(words) > 1 and _CELL.fullmatch(words[1]))


def _devices(words: Sequence[str], where: str) -> tuple[str, ...]:
    names = tuple(words[: next(at for at, word in enumerate(words) if word in ("CPU", "NUMA", "Affinity"))])
    for at, device in enumerate(names):
        if device in names[:at] or not _DEVICE.fullmatch(device):
            raise invalid(where, "column", device, "each device once, such as GPU0 or NIC0")
    return names


def _row(words: Sequence[str], count: int, where: str) -> Sequence[str]:
    cells = words[1 : count + 1]
    wrong = next((cell for cell in cells if not _CELL.fullmatch(cell)), None)
    if wrong is not None or len(cells) < count:
        shown = wrong if wrong is not None else f"{len(cells)} cells"
        raise invalid(where, f"row {words[0]}", shown, f"{count} cells of X, NV#, PIX, PXB, PHB, NODE or SYS")
    return words[1:]


def _matrix(
    devices: Sequence[str], rows: Mapping[str, Sequence[str]], legend: Mapping[str, str], name: str
) -> GpuMatrix:
    gpus = tuple(device for device in devices if _GPU.fullmatch(device))
    nics = {device: legend.get(device, device) for device in devices if device not in gpus}
    links = {
        (one, other): rows[one][at] for one in devices for at, other in enumerate(devices) if one != other
    }
    affinity = {}
    for gpu in gpus:
        rest = [*rows[gpu][len(devices) :], "N/A", "N/A"]
        affinity[gpu] = (rest[0], rest[1])
    lopsided = {pair for pair in links if links[pair] != links[pair[::-1]]}
    findings: tuple[Finding, ...] = ()
    if lopsided:
        names = natural(device for pair in lopsided for device in pair)
        message = f"{len(lopsided) // 2} pairs of devices are told differently from their two sides"
        findings = (Finding("AsymmetricLink", WARNING, name, names, message),)
    return GpuMatrix(gpus, nics, links, affinity, findings)
