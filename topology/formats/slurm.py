"""Slurm's `topology.conf` (tree and block) and what `scontrol show topology` prints: key=value lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from topology.formats import blocks, tree
from topology.formats.blocks import Block
from topology.formats.hostlist import Expander
from topology.formats.tree import Switch, merge_paths
from topology.reading import WARNING, Finding, Reading, invalid
from topology.spec import NVLINK

SOURCE = "slurm"

_HEADS = frozenset(("switchname", "blockname", "blocksizes", "aggregatedblock"))
_KEYS = _HEADS | {"switches", "nodes", "linkspeed", "level", "blocksize", "blockindex"}
_NOTHING = ("", "(null)")


@dataclass(frozen=True, slots=True)
class _Line:
    """One record: its keys in lower case."""

    where: str
    values: Mapping[str, str]


def looks(text: str) -> bool:
    """True when the first line that says something is one of Slurm's topology lines."""
    for line in text.splitlines()[:1000]:
        words = line.partition("#")[0].split()
        if words:
            return words[0].partition("=")[0].lower() in _HEADS and "=" in words[0]
    return False


def read(text: str, *, name: str = "topology.conf") -> Reading:
    """The tree of switches as levels, base blocks as NVLink domains.

    Larger blocks are levels when there are no switches, else partitions, since
    the two hierarchies overlap freely. Raises InvalidSource.
    """
    findings: list[Finding] = []
    expander = Expander()
    lines = list(_lines(text, name, findings))
    switches = [_switch(line, expander) for line in lines if "switchname" in line.values]
    listed = [_block(line, expander) for line in lines if "blockname" in line.values]
    if not switches and not listed:
        raise invalid(name, "file", text[:40], "lines with SwitchName= or BlockName=")
    grown = tree.build(switches, source=SOURCE)
    made = blocks.build(listed, _sizes(lines), where=name)
    return combine(grown, made, findings)


def combine(grown: tree.Tree, made: blocks.Blocks, findings: Iterable[Finding] = ()) -> Reading:
    """A tree and blocks over the same nodes as one reading."""
    linked = (NVLINK,) if made.paths else ()
    levels = grown.levels or made.higher
    partitions = (*made.higher, *linked) if grown.levels else linked
    nodes = merge_paths((grown.paths, made.paths))
    return Reading(SOURCE, levels, partitions, nodes, (*findings, *grown.findings, *made.findings))


def _lines(text: str, name: str, findings: list[Finding]) -> Iterator[_Line]:
    """Records without comments; a backslash at the end joins lines, with nothing between, as Slurm does."""
    kept, start = "", 0
    for number, raw in enumerate((*text.splitlines(), ""), start=1):
        line = raw.partition("#")[0].rstrip()
        start = start if kept else number
        if line.endswith("\\"):
            kept += line[:-1]
            continue
        words, kept = (kept + line).split(), ""
        if words:
            yield _record(words, f"{name}:{start}", findings)


def _record(words: Iterable[str], where: str, findings: list[Finding]) -> _Line:
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise invalid(where, "line", word, "Key=Value pairs such as SwitchName=leaf1 Nodes=n[1-4]")
        if key.lower() not in _KEYS:
            message = f"{key} is no key of a topology file; left out"
            findings.append(Finding("UnknownKey", WARNING, where, (key,), message))
        elif key.lower() in values:
            raise invalid(where, key, value, "each key once on a line")
        elif value.endswith("..."):
            raise invalid(where, key, value, "the whole list; scontrol cuts it at SLURM_TOPO_LEN characters")
        else:
            values[key.lower()] = "" if value in _NOTHING else value
    if values and not _HEADS & values.keys():
        raise invalid(where, "line", " ".join(values), "a line that begins with SwitchName= or BlockName=")
    return _Line(where, values)


def _switch(line: _Line, expander: Expander) -> Switch:
    children = _expanded(line, "switches", expander)
    listed = "level" in line.values and bool(children)  # scontrol repeats all nodes at every switch
    nodes = () if listed else _expanded(line, "nodes", expander)
    return Switch(_name(line, "switchname", expander), line.where, children, nodes)


def _block(line: _Line, expander: Expander) -> Block:
    name = _name(line, "blockname", expander)
    return Block(name, line.where, tuple(dict.fromkeys(_expanded(line, "nodes", expander))))


def _expanded(line: _Line, key: str, expander: Expander) -> tuple[str, ...]:
    return expander.expand(line.values.get(key, ""), where=line.where, field=key.capitalize())


def _name(line: _Line, key: str, expander: Expander) -> str:
    text = line.values[key]
    names = expander.expand(text, where=line.where, field=key)
    if len(names) != 1:
        raise invalid(line.where, key, text, "one name")
    return names[0]


def _sizes(lines: Iterable[_Line]) -> tuple[int, ...]:
    """BlockSizes where it is given, else the sizes that scontrol prints block by block."""
    shown: set[int] = set()
    for line in lines:
        if line.values.get("blocksizes"):
            return blocks.sizes_of(line.values["blocksizes"], where=line.where)
        if line.values.get("blocksize"):
            shown.update(blocks.sizes_of(line.values["blocksize"], where=line.where))
    return tuple(sorted(shown))
