"""Pictures of the fabric: nothing missing, nothing that could steer a browser or a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from xml.etree import ElementTree

import pytest

from topology.detect import detect
from topology.draw import NodeUsage, draw_svg, draw_text
from topology.layout import arrange, scale_for
from topology.model import Fabric
from topology.picture import picture
from topology.spec import FabricNode
from topology.synthetic import LEAF, RACK, SPINE, SyntheticNode, hgx, mixed, nvl72

SVG = "{http://www.w3.org/2000/svg}"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
SMALL = mixed()[10:22]
LARGE = nvl72(200) + hgx(7, 10, 20)
HOSTILE = 'a<b>&"quoted"\'\x1b[31m\n\x00\u202e]]>'

Usage = Mapping[str, NodeUsage]


def fabric(nodes: Sequence[SyntheticNode]) -> Fabric:
    found = [node.fabric_node() for node in nodes]
    return Fabric(detect([node.labels for node in found]), found)


def usage(nodes: Sequence[SyntheticNode], *, gangs: int = 3) -> dict[str, NodeUsage]:
    """Every second node is used in full, by gangs one after the other."""
    return {
        node.name: NodeUsage(node.gpus, node.gpus * (at % 2), (f"team/gang-{at * gangs // len(nodes)}",))
        for at, node in enumerate(nodes)
    }


def one_rack(*names: str, rack: str = "r") -> Fabric:
    labels = {SPINE: "s", LEAF: "l", RACK: rack}
    return Fabric(detect([labels] * len(names)), [FabricNode(name, labels) for name in names])


def svg_tree(drawn: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawn)


def row(drawn: str, word: str) -> str:
    (line,) = (line for line in drawn.splitlines() if word in line)
    return line


@pytest.mark.parametrize("nodes", [SMALL, mixed(), LARGE], ids=len)
def test_equal_fabrics_give_equal_pictures(nodes: Sequence[SyntheticNode]) -> None:
    there, back = fabric(nodes), fabric(nodes[::-1])
    used = usage(nodes)
    turned = dict(reversed(used.items()))
    assert draw_svg(there, used) == draw_svg(back, turned)
    assert draw_text(there, used, colour=True) == draw_text(back, turned, colour=True)


@pytest.mark.parametrize("nodes", [SMALL, mixed(), LARGE], ids=len)
def test_svg_tells_of_every_node_once(nodes: Sequence[SyntheticNode]) -> None:
    tree = svg_tree(draw_svg(fabric(nodes), usage(nodes)))
    told = [(title.text or "").split(":")[0] for title in tree.iter(f"{SVG}title")]
    assert sorted(told) == sorted(node.name for node in nodes)


def test_svg_of_a_small_fabric_has_a_square_per_gpu_in_its_gangs_colour() -> None:
    tree = svg_tree(draw_svg(fabric(SMALL), usage(SMALL)))
    squares = [rect.get("class") for group in tree.iter(f"{SVG}g") for rect in group.iter(f"{SVG}rect")]
    assert len(squares) == sum(node.gpus for node in SMALL)
    assert {"f", "g0", "g1", "g2"} == set(squares)


def test_text_of_a_small_fabric_shows_every_node_and_gpu() -> None:
    used = usage(SMALL)
    drawn = draw_text(fabric(SMALL), used)
    letters = {f"team/gang-{at}": letter for at, letter in enumerate("ABC")}
    for node in SMALL:
        one = used[node.name]
        sign = letters[one.gangs[0]] if one.used else "."
        assert f"{node.name} {sign * node.gpus}" in drawn


def test_text_names_gangs_and_their_gpus_below() -> None:
    used = {"n1": NodeUsage(8, 8, ("team/a", "team/b")), "n2": NodeUsage(8, 3)}
    legend = draw_text(one_rack("n1", "n2"), used).splitlines()[-1]
    assert legend == "A team/a (4 GPUs)   B team/b (4 GPUs)   # other pods (3 GPUs)   . free"


@pytest.mark.parametrize("nodes", [mixed(), LARGE], ids=len)
def test_headings_give_the_free_gpus_of_what_lies_below(nodes: Sequence[SyntheticNode]) -> None:
    mine = [node for node in nodes if node.labels[SPINE] == "spine-1"]
    used = usage(nodes)
    free = sum(used[node.name].gpus - used[node.name].used for node in mine)
    gpus = sum(node.gpus for node in mine)
    heading = row(draw_text(fabric(nodes), used), "spine spine-1 ")
    assert heading == f"spine spine-1  {len(mine)} nodes, {free}/{gpus} GPUs free"


def test_text_of_hundreds_of_nodes_has_a_line_per_rack_and_a_sign_per_node() -> None:
    nodes = nvl72(20)
    used = usage(nodes, gangs=20)
    drawn = draw_text(fabric(nodes), used)
    assert row(drawn, "nvl-rack-2,").endswith("18 nodes, 36/72 free   " + ".B" * 9)


def test_text_of_thousands_of_nodes_has_bars() -> None:
    used = usage(LARGE, gangs=40)
    line = row(draw_text(fabric(LARGE), used), "nvl-rack-2,")
    assert line.endswith("18 nodes, 36/72 free   " + "A" * 9 + "." * 9)


def test_a_bar_of_a_long_rack_is_squeezed_in_proportion() -> None:
    names = [f"n{at}" for at in range(2000)]
    used = {name: NodeUsage(8, 8 * (at < 500), ("team/a",)) for at, name in enumerate(names)}
    drawn = draw_text(one_rack(*names), used, width=100)
    body = drawn.split("\n\n")[1]
    assert abs(body.count("A") * 3 - body.count(".")) <= 3
    assert body.count("\n") <= 1


def test_pictures_of_thousands_of_nodes_stay_small() -> None:
    there, used = fabric(LARGE), usage(LARGE, gangs=60)
    assert len(draw_svg(there, used)) < 1_200_000
    drawn = draw_text(there, used)
    assert drawn.count("\n") < 800
    assert len(drawn) < 60_000


@pytest.mark.parametrize("nodes", [SMALL, mixed(), nvl72(20), LARGE], ids=len)
@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_no_line_is_wider_than_asked(nodes: Sequence[SyntheticNode], width: int) -> None:
    drawn = draw_text(fabric(nodes), usage(nodes, gangs=60), width=width)
    assert max(map(len, drawn.splitlines())) <= width


def test_long_names_are_cut_to_the_width() -> None:
    name, rack = "n" * 253, "r" * 63
    used = {name: NodeUsage(8, 8, ("g" * 200,))}
    drawn = draw_text(one_rack(name, rack=rack), used, width=60)
    assert max(map(len, drawn.splitlines())) <= 60
    assert "n AAAAAAAA" in drawn


def test_small_gangs_beyond_the_alphabet_share_a_sign() -> None:
    names = [f"n{at}" for at in range(60)]
    used = {name: NodeUsage(8, 8 if at else 1, (f"team/{at}",)) for at, name in enumerate(names)}
    drawn = draw_text(one_rack(*names), used)
    assert "n0 +......." in drawn
    assert "+ 9 smaller gangs (65 GPUs)" in drawn


@pytest.mark.parametrize("colour", [False, True])
def test_text_shows_where_nothing_may_start(colour: bool) -> None:
    used = {"n1": NodeUsage(4, 0, unusable="cordoned"), "n2": NodeUsage(4, 1, ("t/a",), "not ready")}
    drawn = ESCAPES.sub("", draw_text(one_rack("n1", "n2", "n3"), used, colour=colour))
    assert "n1 xxxx   n2 Axxx   n3 -" in drawn
    assert "0/8 GPUs free" in drawn
    assert "2 nodes unusable" in drawn.splitlines()[0]
    assert drawn.splitlines()[-1] == "A t/a (1 GPU)   . free   x nothing may start   - no GPUs"


def test_svg_says_why_a_node_is_unusable() -> None:
    used = {"n1": NodeUsage(4, 0, unusable="cordoned"), "n2": NodeUsage(4, 4)}
    tree = svg_tree(draw_svg(one_rack("n1", "n2"), used))
    first, second = (
        ({rect.get("class") for rect in group.iter(f"{SVG}rect")}, group.findtext(f"{SVG}title"))
        for group in tree.iter(f"{SVG}g")
    )
    assert first == ({"x", "u"}, "n1: 0/4 GPUs used; cordoned")
    assert second == ({"o"}, "n2: 4/4 GPUs used")


def test_hostile_names_stay_text_in_svg() -> None:
    used = {HOSTILE: NodeUsage(8, 8, (HOSTILE,), HOSTILE)}
    tree = svg_tree(draw_svg(one_rack(HOSTILE, rack=HOSTILE), used))
    assert {element.tag for element in tree.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "defs", "pattern", "style", "rect", "text", "tspan", "g", "title")
    }
    shown = 'a<b>&"quoted"\'?[31m???]]>'
    assert tree.findtext(f".//{SVG}title") == f"{shown}: 8/8 GPUs used by {shown}; {shown}"


def test_hostile_names_cannot_steer_a_terminal() -> None:
    used = {HOSTILE: NodeUsage(8, 8, (HOSTILE,), HOSTILE)}
    drawn = draw_text(one_rack(HOSTILE, rack=HOSTILE), used)
    assert all(line.isprintable() for line in drawn.splitlines())
    assert 'a<b>&"quoted"\'?[31m???]]> AAAAAAAA' in drawn


@pytest.mark.parametrize("nodes", [SMALL, nvl72(20), LARGE], ids=len)
def test_colour_adds_only_escape_sequences(nodes: Sequence[SyntheticNode]) -> None:
    there, used = fabric(nodes), usage(nodes, gangs=60)
    coloured = draw_text(there, used, colour=True)
    assert "\x1b[38;2;0;114;178mA" in coloured
    assert ESCAPES.sub("", coloured) == draw_text(there, used)


def test_an_empty_fabric_has_a_picture() -> None:
    nothing = Fabric(detect([]), [])
    assert svg_tree(draw_svg(nothing, {})).tag == f"{SVG}svg"
    assert draw_text(nothing, {}).splitlines()[0] == "0 nodes · 0 GPUs · 0 used · 0 free"


def test_problems_are_marked_at_the_node_in_its_boxes_and_below() -> None:
    used = {"n1": NodeUsage(4, 4, ("t/a",), problem="lacks label <x>"), "n2": NodeUsage(4, 0)}
    problems = [f"sentence {at}" for at in range(10)]
    tree = svg_tree(draw_svg(one_rack("n1", "n2"), used, problems=problems))
    first, second = tree.iter(f"{SVG}g")
    assert "p" in {rect.get("class") for rect in first.iter(f"{SVG}rect")}
    assert first.findtext(f"{SVG}title") == "n1: 4/4 GPUs used by t/a; lacks label <x>"
    assert "p" not in {rect.get("class") for rect in second.iter(f"{SVG}rect")}
    words = ["".join(text.itertext()) for text in tree.iter(f"{SVG}text")]
    assert any(word.startswith("⚠ s · l · r") for word in words)
    assert "⚠ sentence 7" in words
    assert "⚠ and 2 more" in words
    drawn = draw_text(one_rack("n1", "n2"), used, problems=problems)
    assert "n1! AAAA   n2 ...." in drawn
    assert "2 nodes · 8 GPUs · 4 used · 4 free · 1 node with a problem" in drawn
    assert drawn.splitlines()[-2:] == ["! sentence 7", "! and 2 more"]


def test_a_small_svg_can_be_read_without_its_colours() -> None:
    used = {"n1": NodeUsage(4, 4, ("t/a", "t/b")), "n2": NodeUsage(4, 4, ("t/b",))}
    tree = svg_tree(draw_svg(one_rack("n1", "n2"), used))
    assert [text.text for text in tree.iter(f"{SVG}text") if text.get("class") == "c"] == ["AB", "B"]
    assert "A  t/a (2 GPUs)" in {text.text for text in tree.iter(f"{SVG}text")}


@pytest.mark.parametrize("nodes", [SMALL, mixed(), nvl72(20), LARGE], ids=len)
def test_nothing_in_the_svg_overlaps_or_sticks_out(nodes: Sequence[SyntheticNode]) -> None:
    """Cells and boxes of one box lie apart, and inside of it."""
    for _, placed in arrange(picture(fabric(nodes), usage(nodes)).root, scale_for(len(nodes))).walk():
        for one, other in combinations(placed.inside, 2):
            apart = (
                one.x + one.width <= other.x
                or other.x + other.width <= one.x
                or one.y + one.height <= other.y
                or other.y + other.height <= one.y
            )
            assert apart, (one, other)
        assert all(
            inner.x + inner.width <= placed.width + 0.01 and inner.y + inner.height <= placed.height + 0.01
            for inner in placed.inside
        )
