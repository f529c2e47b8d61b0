"""What a picture of the fabric shows, before it is drawn as text or SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from topology.model import Fabric
from topology.naming import natural_key
from topology.spec import NVLINK, FabricArrays, Partition

OTHER = ""
"""Stands for pods that belong to no gang."""

Owner = str | None
"""Whose a GPU is: a gang, OTHER, or None when it is free."""


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """GPUs of a node, how many are used, by which gangs; `unusable` says why nothing may start there.

    `problem` says what is odd about the node's place, such as a label that it lacks.
    """

    gpus: int
    used: int
    gangs: tuple[str, ...] = ()
    unusable: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One node; `owners` has an entry per GPU."""

    name: str
    owners: tuple[Owner, ...]
    unusable: str
    problem: str = ""

    @property
    def free(self) -> int:
        """GPUs that could be given away."""
        return 0 if self.unusable else self.owners.count(None)

    @property
    def used(self) -> int:
        return len(self.owners) - self.owners.count(None)


@dataclass(frozen=True, slots=True)
class Box:
    """A domain with what lies in it: finer boxes, then nodes that no finer domain holds.

    `linked` marks an NVLink domain of several nodes. A domain that holds nothing
    but one finer domain is drawn as one box with both titles.
    """

    title: str
    level: str
    boxes: tuple[Box, ...]
    cells: tuple[Cell, ...]
    linked: bool = False

    def all_cells(self) -> Iterator[Cell]:
        """Every node inside, in drawing order."""
        for box in self.boxes:
            yield from box.all_cells()
        yield from self.cells


@dataclass(frozen=True, slots=True)
class Picture:
    """All boxes under one root without a title, and the gangs by natural order with their GPUs.

    `levels` are the levels that boxes stand for, coarse to fine; `problems` are
    sentences on what is odd, to be listed.
    """

    root: Box
    gangs: tuple[tuple[str, int], ...]
    cells: tuple[Cell, ...]
    levels: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The whole fabric in one line."""
        gpus = sum(len(cell.owners) for cell in self.cells)
        used = sum(cell.used for cell in self.cells)
        free = sum(cell.free for cell in self.cells)
        unusable = sum(bool(cell.unusable) for cell in self.cells)
        parts = [counted(len(self.cells), "node"), counted(gpus, "GPU"), f"{used:,} used", f"{free:,} free"]
        if unusable:
            lost = gpus - used - free
            idle = f" with {counted(lost, 'idle GPU')}" if lost else ""
            parts.append(f"{counted(unusable, 'node')} unusable{idle}")
        odd = sum(bool(cell.problem) for cell in self.cells)
        if odd:
            parts.append(f"{counted(odd, 'node')} with a problem")
        return " · ".join(parts)


def counted(number: int, word: str) -> str:
    """A number with its word in the right form."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def picture(fabric: Fabric, usage: Mapping[str, NodeUsage], problems: Sequence[str] = ()) -> Picture:
    """Arrange the fabric for drawing; nodes that `usage` does not name have no GPUs."""
    arrays = fabric.arrays()
    cells = tuple(_cell(name, usage.get(name)) for name in arrays.names)
    hierarchy = [part for level in fabric.spec.levels if (part := arrays.partition(level.name))]
    root = _box(_Scene(arrays, cells, hierarchy), list(range(len(cells))), depth=0, title="", level="")
    owned = Counter(owner for cell in cells for owner in cell.owners if owner is not None)
    gangs = tuple(sorted(owned.items(), key=lambda item: (item[0] == OTHER, natural_key(item[0]))))
    levels = tuple(part.name for part in hierarchy)
    return Picture(root, gangs, tuple(root.all_cells()), levels, tuple(problems))


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwyz"
MANY = "+"
"""The sign that all gangs beyond the letters share."""


def letters(drawn: Picture) -> dict[str, str]:
    """A letter for each of the biggest gangs, in the order of their names; MANY for the others."""
    named = [(name, gpus) for name, gpus in drawn.gangs if name != OTHER]
    biggest = sorted(range(len(named)), key=lambda at: (-named[at][1], at))[: len(_LETTERS)]
    found = {name: MANY for name, _ in named}
    return found | {named[at][0]: letter for at, letter in zip(sorted(biggest), _LETTERS, strict=False)}


@dataclass(frozen=True, slots=True)
class _Scene:
    arrays: FabricArrays
    cells: tuple[Cell, ...]
    hierarchy: list[Partition]


def _cell(name: str, usage: NodeUsage | None) -> Cell:
    if usage is None:
        return Cell(name, (), "")
    used = max(0, min(usage.used, usage.gpus))
    gangs = usage.gangs or (OTHER,)
    owners: list[Owner] = [gangs[at * len(gangs) // used] for at in range(used)]
    return Cell(name, (*owners, *[None] * (usage.gpus - used)), usage.unusable, usage.problem)


def _box(scene: _Scene, nodes: list[int], *, depth: int, title: str, level: str) -> Box:
    """The box of these nodes; `depth` is the next finer level to divide them by."""
    if depth == len(scene.hierarchy):
        return _linked_box(scene, nodes, title=title, level=level)
    part = scene.hierarchy[depth]
    boxes: list[Box] = []
    loose: list[int] = []
    for domain, members in groupby(
        sorted(nodes, key=lambda at: (part.domain_of[at], at)), key=part.domain_of.item
    ):
        if part.private[domain]:
            loose.extend(members)
        else:
            name = part.names[domain].rsplit("/", 1)[-1]
            boxes.append(_box(scene, list(members), depth=depth + 1, title=name, level=part.name))
    if loose:
        rest = _box(scene, sorted(loose), depth=depth + 1, title="", level=level)
        if not boxes:
            return _titled(rest, title, level)
        boxes.extend(rest.boxes)
        return Box(title, level, tuple(boxes), rest.cells)
    if len(boxes) == 1 and title:
        return _titled(boxes[0], title, level)
    return Box(title, level, tuple(boxes), ())


def _titled(box: Box, title: str, level: str) -> Box:
    """A box under the title of the coarser domain that holds nothing else."""
    both = " · ".join(dict.fromkeys(part for part in (title, box.title) if part))
    return Box(both, box.level or level, box.boxes, box.cells, box.linked)


def _linked_box(scene: _Scene, nodes: list[int], *, title: str, level: str) -> Box:
    """Divide the nodes by NVLink domains of several nodes; the rest stay as they are."""
    part = scene.arrays.partition(NVLINK)
    if part is None:
        return Box(title, level, (), tuple(scene.cells[at] for at in nodes))
    order = sorted(nodes, key=lambda at: (part.domain_of[at], at))
    groups = [(domain, list(members)) for domain, members in groupby(order, key=part.domain_of.item)]
    if len(groups) == 1 and len(nodes) > 1 and title:
        return Box(title, level, (), tuple(scene.cells[at] for at in nodes), linked=True)
    boxes = tuple(
        Box(part.names[domain], NVLINK, (), tuple(scene.cells[at] for at in members), linked=True)
        for domain, members in groups
        if len(members) > 1
    )
    alone = sorted(at for _, members in groups if len(members) == 1 for at in members)
    return Box(title, level, boxes, tuple(scene.cells[at] for at in alone))
